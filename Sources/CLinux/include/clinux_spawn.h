/* clinux_spawn.h: starts a process in its cgroups, namespaces, limits and identity, before it runs a byte of its own.
 * C because between fork and exec of a threaded program only async-signal-safe calls are allowed: no Swift there. */
#ifndef CLINUX_SPAWN_H
#define CLINUX_SPAWN_H
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Swift does not see those that glibc spells as macros. */
enum clinux_limit {
	CLINUX_LIMIT_CORE = RLIMIT_CORE,
	CLINUX_LIMIT_FSIZE = RLIMIT_FSIZE,
	CLINUX_LIMIT_MEMLOCK = RLIMIT_MEMLOCK,
	CLINUX_LIMIT_NOFILE = RLIMIT_NOFILE,
	CLINUX_LIMIT_NPROC = RLIMIT_NPROC,
	CLINUX_LIMIT_STACK = RLIMIT_STACK
};

/* In the order in which the child takes them. */
enum clinux_spawn_step {
	CLINUX_STEP_NONE = 0,
	CLINUX_STEP_PREPARE,   /* in the parent: pipe, fork */
	CLINUX_STEP_CGROUP,    /* detail: index into cgroup_files */
	CLINUX_STEP_SESSION,
	CLINUX_STEP_OOM_SCORE,
	CLINUX_STEP_SCHEDULER,
	CLINUX_STEP_AFFINITY,
	CLINUX_STEP_NAMESPACE,
	CLINUX_STEP_DEVICES,   /* detail: index into devices, -1 for the standard ones */
	CLINUX_STEP_LIMIT,     /* detail: index into limits */
	CLINUX_STEP_DESCRIPTOR,/* detail: index into descriptors */
	CLINUX_STEP_GROUPS,
	CLINUX_STEP_GID,
	CLINUX_STEP_UID,
	CLINUX_STEP_PRIVILEGES,
	CLINUX_STEP_DIRECTORY,
	CLINUX_STEP_EXECUTE,
	CLINUX_STEP_DEADLINE   /* in the parent: the child did not exec in time and was killed */
};

struct clinux_spawn_limit {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};
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
	const struct clinux_spawn_limit *limits;
	size_t limit_count;
	const unsigned char *affinity; /* a kernel CPU mask, or NULL */
	size_t affinity_size;
	const char *const *devices; /* device files kept in the private /dev besides the standard ones */
	size_t device_count;
	const gid_t *groups;
	size_t group_count;
	uid_t uid;
	gid_t gid;
	int change_identity;   /* else uid, gid and groups are ignored */
	int private_namespaces; /* mounts and System V IPC */
	int private_devices;    /* a /dev of its own; needs private_namespaces */
	int oom_score_adjustment;
	int deadline_milliseconds;
};

struct clinux_spawn_failure {
	int step; /* enum clinux_spawn_step */
	int error; /* errno */
	int detail;
};

/* The child's pid, which the caller must reap, or -1 with *failure filled in and nothing left behind (unless the child
 * cannot even be killed within a second). Blocks until the child has exec'd or failed, at most deadline_milliseconds plus
 * that second. */
pid_t clinux_spawn(const struct clinux_spawn_request *request, struct clinux_spawn_failure *failure);
#endif
