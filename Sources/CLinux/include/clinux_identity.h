/* clinux_identity.h: gives the calling process namespaces, limits and a user's identity, for good; and the steps that
 * this and clinux_spawn.h name when they fail.
 * C because a forked child of a threaded program calls it: async-signal-safe calls only, no Swift there. */
#ifndef CLINUX_IDENTITY_H
#define CLINUX_IDENTITY_H
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

/* In the order in which a process takes them. */
enum clinux_spawn_step {
	CLINUX_STEP_NONE = 0,
	CLINUX_STEP_PREPARE,   /* in the parent: pipe, fork */
	CLINUX_STEP_CGROUP,    /* detail: index into cgroups */
	CLINUX_STEP_SESSION,
	CLINUX_STEP_OOM_SCORE,
	CLINUX_STEP_SCHEDULER,
	CLINUX_STEP_DESCRIPTOR,/* detail: index into descriptors */
	CLINUX_STEP_THREADS,   /* from here to DUMPABLE: clinux_identity_take */
	CLINUX_STEP_NAMESPACE,
	CLINUX_STEP_DEVICES,   /* detail: index into devices, -1 for the standard ones */
	CLINUX_STEP_LIMIT,     /* detail: index into limits */
	CLINUX_STEP_KEYRING,
	CLINUX_STEP_CAPABILITIES,
	CLINUX_STEP_GROUPS,
	CLINUX_STEP_GID,
	CLINUX_STEP_UID,
	CLINUX_STEP_PRIVILEGES,
	CLINUX_STEP_DUMPABLE,
	CLINUX_STEP_DIRECTORY,
	CLINUX_STEP_EXECUTE,
	CLINUX_STEP_DEADLINE   /* in the parent: the child did not exec in time and was killed */
};

struct clinux_spawn_failure {
	int step; /* enum clinux_spawn_step */
	int error; /* errno */
	int detail;
};

struct clinux_spawn_limit {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

struct clinux_identity {
	const char *const *devices; /* device files kept in the private /dev besides the standard ones */
	size_t device_count;
	const struct clinux_spawn_limit *limits;
	size_t limit_count;
	const gid_t *groups;
	size_t group_count;
	uid_t uid;
	gid_t gid;
	int change_identity;    /* else uid, gid and groups are ignored, and capabilities are kept */
	int private_namespaces; /* mounts and System V IPC */
	int private_devices;    /* a /dev of its own; needs private_namespaces */
};

/* Takes, in this order: the only thread there is; namespaces and /dev; resource limits; a session keyring of its
 * own; securebits and an empty bounding set; groups, gid, uid; no capabilities; no_new_privs; not dumpable. None of it can
 * be undone by what runs later in this process. 0, or -1 with *failure filled in; the process is then neither here
 * nor there and must end. */
int clinux_identity_take(const struct clinux_identity *identity, struct clinux_spawn_failure *failure);
#endif
