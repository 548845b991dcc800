#include "clinux_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* ---- the child: async-signal-safe calls only, no allocation, no locks ---- */

static void fail_with(int channel, const struct clinux_spawn_failure *failure) __attribute__((noreturn));
static void fail_with(int channel, const struct clinux_spawn_failure *failure)
{
	while (write(channel, failure, sizeof *failure) < 0 && errno == EINTR)
		;
	_exit(127);
}

static void fail(int channel, int step, int detail) __attribute__((noreturn));
static void fail(int channel, int step, int detail)
{
	struct clinux_spawn_failure failure = {.step = step, .error = errno, .detail = detail};
	fail_with(channel, &failure);
}

static int write_text(int folder, const char *path, const char *text, size_t length)
{
	int fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
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

/* Puts this process into a cgroup. */
static int enter_cgroup(const char *folder)
{
	int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -1 : write_text(at, "cgroup.procs", "0", 1); /* `at` is closed with all others */
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

static void become(const struct clinux_spawn_request *request, size_t born_in, int channel, int *moved) __attribute__((noreturn));
static void become(const struct clinux_spawn_request *request, size_t born_in, int channel, int *moved)
{
	/* First of all, so that whatever follows is charged to the lease and dies with it. */
	for (size_t index = born_in; index < request->cgroup_count; index++)
		if (enter_cgroup(request->cgroups[index]) < 0)
			fail(channel, CLINUX_STEP_CGROUP, (int)index);
	if (setsid() < 0)
		fail(channel, CLINUX_STEP_SESSION, 0);
	char score[16];
	if (write_text(AT_FDCWD, "/proc/self/oom_score_adj", score, decimal(score, request->oom_score_adjustment)) < 0)
		fail(channel, CLINUX_STEP_OOM_SCORE, 0);
	/* The agent may run with real-time priority; nothing it starts does. */
	struct sched_param ordinary = {.sched_priority = 0};
	if (sched_setscheduler(0, SCHED_OTHER, &ordinary) < 0)
		fail(channel, CLINUX_STEP_SCHEDULER, 0);
	setpriority(PRIO_PROCESS, 0, 0);
	umask(077);
	channel = arrange_descriptors(request, channel, moved);
	struct clinux_spawn_failure failure;
	if (clinux_identity_take(&request->identity, &failure) < 0)
		fail_with(channel, &failure);
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

/* Forks; the child is born in the first cgroup where the kernel can do that, and *born_in is how many it is in then (0 or 1). */
static pid_t give_birth(const struct clinux_spawn_request *request, size_t *born_in)
{
	*born_in = 0;
	int folder = request->cgroup_count > 0 ? open(request->cgroups[0], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct statfs system;
	if (folder >= 0 && (fstatfs(folder, &system) < 0 || system.f_type != CGROUP2_SUPER_MAGIC)) {
		/* Asked for one of v1 the kernel would fork first, and refuse then. */
		close(folder);
		folder = -1;
	}
	if (folder >= 0) {
		/* Not by glibc: the child is told nothing of its new id, and calls nothing that would want it. */
		struct clone_args arguments = {
		    .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)folder};
		*born_in = 1;
		pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
		if (child == 0)
			return 0;
		close(folder);
		if (child > 0)
			return child;
		/* An older kernel, or a filter of system calls; whatever else it is, entering it will tell. */
		*born_in = 0;
	}
	return _Fork();
}

int clinux_spawn_knows_birth_in_cgroups(void)
{
	/* No descriptor has this number: a kernel that would look at it says so, others do not know the flag. */
	struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = INT_MAX};
	pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
	if (child == 0) /* something between us and the kernel does not know the flag */
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	return child < 0 && errno == EBADF;
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
	int64_t deadline = milliseconds_now() + request->deadline_milliseconds;
	size_t born_in;
	pid_t child = give_birth(request, &born_in);
	if (child == 0)
		become(request, born_in, ends[1], moved);
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
	if (!wait_readable(ends[0], deadline)) {
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
