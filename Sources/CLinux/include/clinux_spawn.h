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
	const char *const *cgroup_files; /* cgroup.procs files the child writes itself into */
	size_t cgroup_file_count;
	const struct clinux_spawn_descriptor *descriptors; /* all others are closed; 0-2 not named become /dev/null */
	size_t descriptor_count;
	struct clinux_identity identity;
	int oom_score_adjustment;
	int deadline_milliseconds;
};

/* The child's pid, which the caller must reap, or -1 with *failure filled in and nothing left behind (unless the child
 * cannot even be killed within a second). Blocks until the child has exec'd or failed, at most deadline_milliseconds plus
 * that second. */
pid_t clinux_spawn(const struct clinux_spawn_request *request, struct clinux_spawn_failure *failure);
#endif
