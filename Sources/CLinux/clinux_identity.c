#include "clinux_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Async-signal-safe calls only, no allocation, no locks: see the header. */

static int failed(struct clinux_spawn_failure *failure, int step, int detail)
{
	failure->step = step;
	failure->error = errno;
	failure->detail = detail;
	return -1;
}

/* The raw calls below change one thread alone: a second one would keep the old identity. */
static int is_single_thread(void)
{
	struct stat tasks; /* its links: ".", ".." and one a thread */
	if (stat("/proc/self/task", &tasks) < 0)
		return 0;
	errno = EBUSY;
	return tasks.st_nlink == 3;
}

static int make_device(const char *path, mode_t mode, dev_t number)
{
	if (mknod(path, mode, number) < 0)
		return -1;
	return chmod(path, mode & 07777); /* the umask took bits away */
}

/* A device file kept from the old /dev: its parent folder is made first. */
static int keep_device(const char *path, const struct stat *status)
{
	char copy[256];
	size_t length = 0;
	while (path[length] != 0) {
		if (length + 1 >= sizeof copy) {
			errno = ENAMETOOLONG;
			return -1;
		}
		copy[length] = path[length];
		if (path[length] == '/' && length > 0) {
			copy[length] = 0;
			if (mkdir(copy, 0755) < 0 && errno != EEXIST)
				return -1;
			chmod(copy, 0755);
			copy[length] = '/';
		}
		length++;
	}
	if (make_device(path, status->st_mode, status->st_rdev) < 0)
		return -1;
	return chown(path, status->st_uid, status->st_gid);
}

enum { MAX_DEVICES = 32 };

static int make_devices(const struct clinux_identity *identity, struct clinux_spawn_failure *failure)
{
	struct stat kept[MAX_DEVICES];
	if (identity->device_count > MAX_DEVICES) {
		errno = E2BIG;
		return failed(failure, CLINUX_STEP_DEVICES, (int)identity->device_count);
	}
	for (size_t index = 0; index < identity->device_count; index++) {
		if (stat(identity->devices[index], &kept[index]) < 0)
			return failed(failure, CLINUX_STEP_DEVICES, (int)index);
		if (!S_ISCHR(kept[index].st_mode)) {
			errno = ENODEV;
			return failed(failure, CLINUX_STEP_DEVICES, (int)index);
		}
	}
	static const struct {
		const char *path;
		unsigned major, minor;
	} standard[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	                {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
	if (mount("fallow", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_STRICTATIME, "mode=755,size=65536,nr_inodes=128") < 0)
		return failed(failure, CLINUX_STEP_DEVICES, -1);
	for (size_t index = 0; index < sizeof standard / sizeof standard[0]; index++)
		if (make_device(standard[index].path, S_IFCHR | 0666, makedev(standard[index].major, standard[index].minor)) < 0)
			return failed(failure, CLINUX_STEP_DEVICES, -1);
	for (size_t index = 0; index < identity->device_count; index++)
		if (keep_device(identity->devices[index], &kept[index]) < 0)
			return failed(failure, CLINUX_STEP_DEVICES, (int)index);
	if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", "/dev/stdout") < 0 || symlink("/proc/self/fd/2", "/dev/stderr") < 0)
		return failed(failure, CLINUX_STEP_DEVICES, -1);
	/* Pages in here are charged to the lease's cgroup. */
	if (mkdir("/dev/shm", 0755) < 0 ||
	    mount("fallow", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777") < 0)
		return failed(failure, CLINUX_STEP_DEVICES, -1);
	return 0;
}

/* What a process of root must not take along when it becomes a user. Needs the capabilities that it gives up. */
static int bound_capabilities(void)
{
	/* Being or becoming uid 0 gives nothing; leaving it takes everything; no ambient ones; and none of this can be changed. */
	unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	                     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return -1;
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -1;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	return (int)syscall(SYS_capset, &header, none);
}

static int become_user(const struct clinux_identity *identity, struct clinux_spawn_failure *failure)
{
	/* Else the keys of whoever started the agent (Kerberos tickets, say) could be read. Kernels and containers without
	 * keyrings have none to give away. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		return failed(failure, CLINUX_STEP_KEYRING, 0);
	if (bound_capabilities() < 0)
		return failed(failure, CLINUX_STEP_CAPABILITIES, 0);
	/* Raw calls: glibc's wrappers signal every thread, and there is only this one. */
	if (syscall(SYS_setgroups, identity->group_count, identity->groups) < 0)
		return failed(failure, CLINUX_STEP_GROUPS, 0);
	if (syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0)
		return failed(failure, CLINUX_STEP_GID, 0);
	if (syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0)
		return failed(failure, CLINUX_STEP_UID, 0);
	if (drop_capabilities() < 0)
		return failed(failure, CLINUX_STEP_CAPABILITIES, 0);
	if (identity->uid != 0 && syscall(SYS_setresuid, 0, 0, 0) == 0) {
		errno = EPERM;
		return failed(failure, CLINUX_STEP_UID, 0);
	}
	return 0;
}

int clinux_identity_take(const struct clinux_identity *identity, struct clinux_spawn_failure *failure)
{
	if (!is_single_thread())
		return failed(failure, CLINUX_STEP_THREADS, 0);
	if (identity->private_namespaces) {
		if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return failed(failure, CLINUX_STEP_NAMESPACE, 0);
		if (identity->private_devices && make_devices(identity, failure) < 0)
			return -1;
	}
	for (size_t index = 0; index < identity->limit_count; index++) {
		struct rlimit limit = {.rlim_cur = identity->limits[index].soft, .rlim_max = identity->limits[index].hard};
		if (setrlimit(identity->limits[index].resource, &limit) < 0)
			return failed(failure, CLINUX_STEP_LIMIT, (int)index);
	}
	if (identity->change_identity && become_user(identity, failure) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(failure, CLINUX_STEP_PRIVILEGES, 0);
	/* Nobody of the same user looks into it: it holds the lease's secret. An exec makes it dumpable again. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed(failure, CLINUX_STEP_DUMPABLE, 0);
	return 0;
}
