/* cgroup_tree.h: one of our cgroup trees in one hierarchy, addressed by directory descriptors so that nothing renamed
 * or mounted meanwhile can lead a kill astray. */
#ifndef FALLOW_CGROUP_TREE_H
#define FALLOW_CGROUP_TREE_H

#include <stdbool.h>
#include <stdint.h>

enum fallow_hierarchy { FALLOW_CGROUP_V2, FALLOW_CGROUP_V1_FREEZER };

struct fallow_tree {
	int root; /* O_DIRECTORY descriptor of the tree's top */
	enum fallow_hierarchy hierarchy;
};

/* Opens <mount><branch>/<path>. False when it does not exist or is no cgroup of that hierarchy. */
bool fallow_tree_open(struct fallow_tree *tree, enum fallow_hierarchy hierarchy, const char *mount, const char *branch,
		      const char *path);
void fallow_tree_close(struct fallow_tree *tree);

/* Processes in the tree, zombies not counted; at most what the kernel lists in 16 KiB per cgroup. */
unsigned fallow_tree_count(const struct fallow_tree *tree);

/* Whether nobody is in the tree. v2 asks cgroup.events; v1 counts. */
bool fallow_tree_is_empty(const struct fallow_tree *tree);

/* Kills by cgroup.kill. False where the kernel (before 5.14) or the hierarchy (v1) has none. */
bool fallow_tree_kill_at_once(const struct fallow_tree *tree);

/* One round of freeze, SIGKILL to each process, thaw. A process is killed through a descriptor (pidfd) taken before its
 * cgroup was read again, so a recycled pid is never hit. Waits for the freeze at most until `deadline_ns`. */
void fallow_tree_kill_by_walk(const struct fallow_tree *tree, uint64_t deadline_ns);

/* Takes what is in the tree off the CPUs (asked for, not waited for). */
void fallow_tree_freeze(const struct fallow_tree *tree);

#endif
