#include "real_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadline.h"

static const char *first_writable(const char *const *mounts, const char *mark)
{
	char path[128];
	for (; *mounts != NULL; mounts++) {
		snprintf(path, sizeof path, "%s/%s", *mounts, mark);
		if (access(path, F_OK) != 0)
			continue;
		snprintf(path, sizeof path, "%s/fallow-probe.%d", *mounts, (int)getpid());
		if (mkdir(path, 0755) != 0)
			continue;
		rmdir(path);
		return *mounts;
	}
	return NULL;
}

const char *freezer_mount(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup/freezer", NULL};
	return first_writable(mounts, "cgroup.procs");
}

const char *unified_mount(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL};
	return first_writable(mounts, "cgroup.controllers");
}

const char *no_freezer(void)
{
	return freezer_mount() ? NULL : "no v1 freezer hierarchy that we may write to";
}

const char *no_unified(void)
{
	return unified_mount() ? NULL : "no v2 hierarchy that we may write to";
}

bool tree_make(const char *mount, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", mount, name);
	return mkdir(path, 0755) == 0;
}

void tree_remove(const char *mount, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", mount, name);
	for (int i = 0; i < 200 && rmdir(path) != 0; i++)
		fallow_pause_us(5000);
}

bool tree_write(const char *mount, const char *name, const char *file, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s/%s", mount, name, file);
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return good;
}

int tree_count(const char *mount, const char *name)
{
	char path[256], line[64];
	int count = 0;
	snprintf(path, sizeof path, "%s/%s/cgroup.procs", mount, name);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		count++;
	if (file != NULL)
		fclose(file);
	return count;
}

static void stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* Burns CPU in slices, so that a shared machine survives the test. */
static void burn(void)
{
	for (;;) {
		unsigned long long until_ns = fallow_deadline_ns(2);
		while (fallow_now_ns() < until_ns)
			;
		fallow_pause_us(3000);
	}
}

static void keep_forking(int children)
{
	for (int alive = 0;;) {
		while (alive < children) {
			pid_t child = fork();
			if (child == 0)
				burn();
			if (child < 0)
				break;
			alive++;
		}
		while (alive > 0 && waitpid(-1, NULL, WNOHANG) > 0)
			alive--;
		fallow_pause_us(200);
	}
}

pid_t tree_enter(const char *mount, const char *name, bool forking, int children)
{
	int ready[2];
	char byte = 0;
	if (pipe(ready) != 0)
		abort();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stubborn();
		if (name != NULL && !tree_write(mount, name, "cgroup.procs", "0"))
			_exit(9);
		if (write(ready[1], &byte, 1) != 1)
			_exit(9);
		close(ready[0]);
		close(ready[1]);
		if (forking)
			keep_forking(children);
		burn();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fprintf(stderr, "  no process could enter %s/%s\n", mount, name ? name : "");
	close(ready[0]);
	return pid;
}

bool is_alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

void tree_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
