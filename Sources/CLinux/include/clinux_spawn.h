/* clinux_spawn.h: starts a process in its cgroups, namespaces, limits and identity, before it runs a byte of its own.
 * C because between fork and exec of a threaded program only async-signal-safe calls are allowed: no Swift there. */
#ifndef CLINUX_SPAWN_H
#define CLINUX_SPAWN_H
#include "clinux_identity.h"

struct clinux_spawn_descriptor {
	int ours, theirs;
};

struct clinux_spawn_request {
	const char *executable;
	char *const *arguments;   /* null-terminated, argv[0] first */
	char *const *environment; /* null-terminated, the whole of it */
	const char *directory;
	/* The cgroups it is in before anything else, one a hierarchy. In the first, where that is of cgroup v2 and Linux 5.7 or
	 * later, it is born; to move a process into a cgroup the kernel waits for every CPU, with a lock that killing needs. */
	const char *const *cgroups; /* folders */
	size_t cgroup_count;
	const struct clinux_spawn_descriptor *descriptors; /* all others are closed; 0-2 not named become /dev/null */
	size_t descriptor_count;
	struct clinux_identity identity;
	int oom_score_adjustment;
	int deadline_milliseconds;
};

/* The child's pid, which the caller must reap, or -1 with *failure filled in and nothing left behind (unless the child
 * cannot even be killed within a second). Blocks until the child has exec'd or failed, at most deadline_milliseconds plus
 * that second, and as long as the kernel itself waits for the lock of all cgroups. */
pid_t clinux_spawn(const struct clinux_spawn_request *request, struct clinux_spawn_failure *failure);

/* 1 when this kernel lets processes be born in a cgroup of v2. */
int clinux_spawn_knows_birth_in_cgroups(void);
#endif
