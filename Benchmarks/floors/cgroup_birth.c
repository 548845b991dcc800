/* What the kernel takes to start a process in a new cgroup, and how long a kill of another cgroup takes that comes 0 to 2 ms after the
 * new one is made: born there (clone3 with CLONE_INTO_CGROUP), as ours are under cgroup v2, or moved there, as under v1. Usage:
 * cgroup_birth FOLDER [ROUNDS]: FOLDER is one of a cgroup v2 hierarchy; needs root. Prints born_p50_us, moved_p50_us,
 * kill_while_born_p50_us and kill_while_moved_p50_us. Between two rounds there is time for the kernel to forget that the last one
 * waited. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char top[256], victim[300];
static atomic_int started;
static double kill_us;
static int delay_us;

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good ? 0 : -1;
}

static void *kill_victim(void *nothing)
{
	char path[320];
	snprintf(path, sizeof path, "%s/cgroup.kill", victim);
	while (!atomic_load(&started))
		usleep(50);
	usleep((useconds_t)delay_us);
	double begin = now_us();
	if (put(path, "1") != 0)
		perror(path), exit(1);
	kill_us = now_us() - begin;
	return nothing;
}

static pid_t born_in(const char *folder)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)fd};
	pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
	if (child != 0)
		close(fd);
	return child;
}

/* Microseconds until the program runs. */
static double start_in(const char *folder, int born)
{
	char procs[320];
	int ends[2];
	snprintf(procs, sizeof procs, "%s/cgroup.procs", folder);
	if (pipe2(ends, O_CLOEXEC) != 0) perror("pipe"), exit(1);
	double begin = now_us();
	pid_t child = born ? born_in(folder) : fork();
	if (child == 0) {
		if (!born && put(procs, "0") != 0)
			_exit(1);
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	if (child < 0) perror("fork"), exit(1);
	close(ends[1]);
	char nothing;
	while (read(ends[0], &nothing, 1) < 0 && errno == EINTR)
		;
	double took = now_us() - begin;
	int status;
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || status != 0) fprintf(stderr, "the process did not run there\n"), exit(1);
	return took;
}

static void remove_folders(void)
{
	rmdir(victim);
	rmdir(top);
}

int main(int argc, char **argv)
{
	if (argc < 2) return 2;
	int rounds = argc > 2 ? atoi(argv[2]) : 20;
	double took[2][256], killed[2][256];
	if (rounds < 1 || rounds > 256) return 2;
	snprintf(top, sizeof top, "%.200s/fallow-bench-%d", argv[1], getpid());
	snprintf(victim, sizeof victim, "%s/victim", top);
	atexit(remove_folders);
	if (mkdir(top, 0755) != 0 || mkdir(victim, 0755) != 0) return perror(top), 1;
	for (int round = 0; round < rounds; round++)
		for (int born = 0; born < 2; born++) {
			char folder[300];
			pthread_t killer;
			snprintf(folder, sizeof folder, "%s/%d", top, round);
			delay_us = round * 2000 / rounds;
			atomic_store(&started, 0);
			if (pthread_create(&killer, NULL, kill_victim, NULL) != 0) return 1;
			usleep(60000);
			atomic_store(&started, 1);
			if (mkdir(folder, 0755) != 0) return perror(folder), 1;
			took[born][round] = start_in(folder, born);
			pthread_join(killer, NULL);
			killed[born][round] = kill_us;
			for (int tries = 0; rmdir(folder) != 0 && tries < 100; tries++)
				usleep(1000);
		}
	printf("born_p50_us %.1f\n", percentile(took[1], (size_t)rounds, 0.5));
	printf("moved_p50_us %.1f\n", percentile(took[0], (size_t)rounds, 0.5));
	printf("kill_while_born_p50_us %.1f\n", percentile(killed[1], (size_t)rounds, 0.5));
	printf("kill_while_moved_p50_us %.1f\n", percentile(killed[0], (size_t)rounds, 0.5));
	return 0;
}
