/* cord.h: the last resort. When the agent does not vacate a step's cores in time, the plugin itself kills everything in
 * our cgroup tree. */
#ifndef FALLOW_CORD_H
#define FALLOW_CORD_H

/* What pulling the cord found. */
enum fallow_cord {
	FALLOW_CORD_EMPTY,  /* no tree, or nobody in it: nothing was done */
	FALLOW_CORD_PULLED, /* somebody was in it, nobody is any more */
	FALLOW_CORD_ALIVE,  /* somebody did not die within the budget; left frozen, off the CPUs */
	FALLOW_CORD_REFUSED /* the path is not ours, or holds slurmstepd or its parent: nothing was done */
};

struct fallow_cord_report {
	enum fallow_cord outcome;
	unsigned found;    /* processes in the tree before */
	unsigned left;     /* ... and after */
	unsigned took_us;
};

/* Kills everything in the cgroup `path` and below it in each hierarchy under `mount` where it exists: v2
 * (<mount>/<path> or <mount>/unified/<path>) by cgroup.kill, older kernels by freeze, kill, thaw; v1
 * (<mount>/freezer/<path>) by freeze, kill, thaw, until empty. Returns after `budget_ms` at the latest (and a few
 * milliseconds); at once when the tree is empty. Touches no process outside the path. */
struct fallow_cord_report fallow_cord_pull(const char *mount, const char *path, unsigned budget_ms);

#endif
