#include "clinux_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* ---- the child: async-signal-safe calls only, no allocation, no locks ---- */

static void fail(int channel, int step, int detail) __attribute__((noreturn));
static void fail(int channel, int step, int detail)
{
	struct clinux_spawn_failure failure = {.step = step, .error = errno, .detail = detail};
	while (write(channel, &failure, sizeof failure) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int write_text(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, text, length);
	int error = errno;
	close(fd);
	errno = error;
	return written == (ssize_t)length ? 0 : -1;
}

static size_t decimal(char *out, int value)
{
	char digits[12];
	size_t count = 0, length = 0;
	unsigned rest = value < 0 ? -(unsigned)value : (unsigned)value;
	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		out[length++] = '-';
	while (count > 0)
		out[length++] = digits[--count];
	return length;
}

static void close_between(unsigned first, unsigned last)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;
	struct rlimit limit; /* before Linux 5.9 */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 1u << 20)
		limit.rlim_cur = 1u << 20;
	if (last >= limit.rlim_cur)
		last = (unsigned)limit.rlim_cur;
	for (unsigned fd = first; fd <= last; fd++)
		close((int)fd);
}

/* Puts the descriptors in their places and closes all others. Returns the channel's new number. */
static int arrange_descriptors(const struct clinux_spawn_request *request, int channel, int *moved)
{
	int above = 3;
	for (size_t index = 0; index < request->descriptor_count; index++)
		if (request->descriptors[index].theirs >= above)
			above = request->descriptors[index].theirs + 1;
	int high = fcntl(channel, F_DUPFD_CLOEXEC, above);
	if (high < 0)
		fail(channel, CLINUX_STEP_DESCRIPTOR, -1);
	channel = high;
	for (size_t index = 0; index < request->descriptor_count; index++) {
		moved[index] = fcntl(request->descriptors[index].ours, F_DUPFD_CLOEXEC, above);
		if (moved[index] < 0)
			fail(channel, CLINUX_STEP_DESCRIPTOR, (int)index);
	}
	for (int place = 0; place < above; place++) {
		int named = 0;
		for (size_t index = 0; index < request->descriptor_count; index++)
			if (request->descriptors[index].theirs == place) {
				if (dup2(moved[index], place) < 0)
					fail(channel, CLINUX_STEP_DESCRIPTOR, (int)index);
				named = 1;
			}
		if (named)
			continue;
		close(place);
		if (place < 3) { /* the lowest free number is this place, since all below it are open */
			int null = open("/dev/null", O_RDWR);
			if (null != place)
				fail(channel, CLINUX_STEP_DESCRIPTOR, -1);
		}
	}
	close_between((unsigned)above, (unsigned)channel - 1);
	close_between((unsigned)channel + 1, ~0u);
	return channel;
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

static void make_devices(const struct clinux_spawn_request *request, int channel)
{
	struct stat kept[MAX_DEVICES];
	if (request->device_count > MAX_DEVICES) {
		errno = E2BIG;
		fail(channel, CLINUX_STEP_DEVICES, (int)request->device_count);
	}
	for (size_t index = 0; index < request->device_count; index++) {
		if (stat(request->devices[index], &kept[index]) < 0)
			fail(channel, CLINUX_STEP_DEVICES, (int)index);
		if (!S_ISCHR(kept[index].st_mode)) {
			errno = ENODEV;
			fail(channel, CLINUX_STEP_DEVICES, (int)index);
		}
	}
	static const struct {
		const char *path;
		unsigned major, minor;
	} standard[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	                {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
	if (mount("fallow", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_STRICTATIME, "mode=755,size=65536,nr_inodes=128") < 0)
		fail(channel, CLINUX_STEP_DEVICES, -1);
	for (size_t index = 0; index < sizeof standard / sizeof standard[0]; index++)
		if (make_device(standard[index].path, S_IFCHR | 0666, makedev(standard[index].major, standard[index].minor)) < 0)
			fail(channel, CLINUX_STEP_DEVICES, -1);
	for (size_t index = 0; index < request->device_count; index++)
		if (keep_device(request->devices[index], &kept[index]) < 0)
			fail(channel, CLINUX_STEP_DEVICES, (int)index);
	if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", "/dev/stdout") < 0 || symlink("/proc/self/fd/2", "/dev/stderr") < 0)
		fail(channel, CLINUX_STEP_DEVICES, -1);
	/* Pages in here are charged to the lease's cgroup. */
	if (mkdir("/dev/shm", 0755) < 0 ||
	    mount("fallow", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777") < 0)
		fail(channel, CLINUX_STEP_DEVICES, -1);
}

static void reset_signals(void)
{
	/* Raw calls: glibc refuses its own two signals, which a parent may have left ignored. All zeros is SIG_DFL in the
	 * kernel's structure, on every architecture; it is refused for KILL and STOP, which need none. */
	static const unsigned long standard[8];
	for (int signal = 1; signal < _NSIG; signal++)
		syscall(SYS_rt_sigaction, signal, standard, NULL, _NSIG / 8);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct clinux_spawn_request *request, int channel, int *moved) __attribute__((noreturn));
static void become(const struct clinux_spawn_request *request, int channel, int *moved)
{
	/* First of all, so that whatever follows is charged to the lease and dies with it. */
	for (size_t index = 0; index < request->cgroup_file_count; index++)
		if (write_text(request->cgroup_files[index], "0", 1) < 0)
			fail(channel, CLINUX_STEP_CGROUP, (int)index);
	if (setsid() < 0)
		fail(channel, CLINUX_STEP_SESSION, 0);
	char score[16];
	if (write_text("/proc/self/oom_score_adj", score, decimal(score, request->oom_score_adjustment)) < 0)
		fail(channel, CLINUX_STEP_OOM_SCORE, 0);
	/* The agent may run with real-time priority; nothing it starts does. */
	struct sched_param ordinary = {.sched_priority = 0};
	if (sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0)
		fail(channel, CLINUX_STEP_SCHEDULER, 0);
	setpriority(PRIO_PROCESS, 0, 0);
	if (request->affinity &&
	    syscall(SYS_sched_setaffinity, 0, request->affinity_size, request->affinity) < 0)
		fail(channel, CLINUX_STEP_AFFINITY, 0);
	umask(077);
	if (request->private_namespaces) {
		if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			fail(channel, CLINUX_STEP_NAMESPACE, 0);
		if (request->private_devices)
			make_devices(request, channel);
	}
	channel = arrange_descriptors(request, channel, moved);
	for (size_t index = 0; index < request->limit_count; index++) {
		struct rlimit limit = {.rlim_cur = request->limits[index].soft, .rlim_max = request->limits[index].hard};
		if (setrlimit(request->limits[index].resource, &limit) < 0)
			fail(channel, CLINUX_STEP_LIMIT, (int)index);
	}
	if (request->change_identity) {
		/* Raw calls: glibc's wrappers signal every thread, and there is only this one. */
		if (syscall(SYS_setgroups, request->group_count, request->groups) < 0)
			fail(channel, CLINUX_STEP_GROUPS, 0);
		if (syscall(SYS_setresgid, request->gid, request->gid, request->gid) < 0)
			fail(channel, CLINUX_STEP_GID, 0);
		if (syscall(SYS_setresuid, request->uid, request->uid, request->uid) < 0)
			fail(channel, CLINUX_STEP_UID, 0);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(channel, CLINUX_STEP_PRIVILEGES, 0);
	/* With the user's own rights: root may not be able to enter a home on NFS. */
	if (chdir(request->directory) < 0)
		fail(channel, CLINUX_STEP_DIRECTORY, 0);
	reset_signals();
	execve(request->executable, request->arguments, request->environment);
	fail(channel, CLINUX_STEP_EXECUTE, 0);
}

/* ---- the parent ---- */

static int64_t milliseconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1: readable or closed; 0: the time is over. */
static int wait_readable(int fd, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - milliseconds_now();
		struct pollfd watched = {.fd = fd, .events = POLLIN};
		int ready = poll(&watched, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return 1;
		if (ready == 0 || errno != EINTR)
			return 0;
	}
}

static void reap_within_a_second(pid_t child)
{
	int64_t deadline = milliseconds_now() + 1000;
	while (waitpid(child, NULL, WNOHANG) == 0 && milliseconds_now() < deadline) {
		struct timespec pause = {.tv_nsec = 500000};
		nanosleep(&pause, NULL);
	}
}

pid_t clinux_spawn(const struct clinux_spawn_request *request, struct clinux_spawn_failure *failure)
{
	int ends[2];
	int moved[256];
	failure->step = CLINUX_STEP_PREPARE;
	failure->detail = 0;
	if (request->descriptor_count > sizeof moved / sizeof moved[0]) {
		failure->error = E2BIG;
		return -1;
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		failure->error = errno;
		return -1;
	}
	/* No handler of ours may run in the child. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = _Fork();
	if (child == 0)
		become(request, ends[1], moved);
	int error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (child < 0) {
		failure->error = error;
		close(ends[0]);
		return -1;
	}

	struct clinux_spawn_failure report;
	ssize_t count = 0;
	if (!wait_readable(ends[0], milliseconds_now() + request->deadline_milliseconds)) {
		failure->step = CLINUX_STEP_DEADLINE;
		failure->error = ETIMEDOUT;
		count = -1;
	} else {
		do
			count = read(ends[0], &report, sizeof report);
		while (count < 0 && errno == EINTR);
	}
	close(ends[0]);
	if (count == 0) { /* closed by exec, or by a death that the caller will see when it reaps */
		failure->step = CLINUX_STEP_NONE;
		failure->error = 0;
		return child;
	}
	if (count == (ssize_t)sizeof report)
		*failure = report;
	kill(child, SIGKILL);
	reap_within_a_second(child);
	return -1;
}
