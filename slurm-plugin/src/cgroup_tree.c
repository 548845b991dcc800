#include "cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deadline.h"
#include "text.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#define DEEPEST 32         /* levels below the top that are looked into */
#define LISTING_MAX 16384  /* bytes of one cgroup.procs that are looked at in one round */
#define BATCH 64           /* processes killed between two readings of cgroup.procs */

bool fallow_tree_open(struct fallow_tree *tree, enum fallow_hierarchy hierarchy, const char *mount, const char *branch,
		      const char *path)
{
	char whole[PATH_MAX];
	const char *mark = hierarchy == FALLOW_CGROUP_V2 ? "cgroup.events" : "freezer.state";
	tree->hierarchy = hierarchy;
	tree->root = -1;
	if (snprintf(whole, sizeof whole, "%s%s/%s", mount, branch, path) >= (int)sizeof whole)
		return false;
	tree->root = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (tree->root >= 0 && faccessat(tree->root, mark, F_OK, 0) != 0)
		fallow_tree_close(tree);
	return tree->root >= 0;
}

void fallow_tree_close(struct fallow_tree *tree)
{
	if (tree->root >= 0)
		close(tree->root);
	tree->root = -1;
}

/* Calls `visit` for the directory `cgroup` and all below it. */
static void walk(int cgroup, unsigned depth, void (*visit)(int cgroup, void *context), void *context)
{
	visit(cgroup, context);
	int copy = depth < DEEPEST ? openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	if (directory == NULL) {
		if (copy >= 0)
			close(copy);
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int child = openat(cgroup, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child < 0)
			continue;
		walk(child, depth + 1, visit, context);
		close(child);
	}
	closedir(directory);
}

static void put(int cgroup, const char *file, const char *text)
{
	int fd = openat(cgroup, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	while (write(fd, text, strlen(text)) < 0 && errno == EINTR)
		;
	close(fd);
}

/* Reads the next pid of a listing, or 0 at its end. */
static pid_t next_pid(const char **listing)
{
	char *end = NULL;
	long pid = strtol(*listing, &end, 10);
	if (end == *listing || pid <= 0 || pid > INT_MAX)
		return 0;
	*listing = end;
	return (pid_t)pid;
}

static bool is_listed(const char *listing, pid_t wanted)
{
	for (pid_t pid; (pid = next_pid(&listing)) != 0;)
		if (pid == wanted)
			return true;
	return false;
}

static void count_in(int cgroup, void *context)
{
	char listing[LISTING_MAX];
	const char *at = listing;
	if (fallow_text_read(cgroup, "cgroup.procs", listing, sizeof listing) <= 0)
		return;
	while (next_pid(&at) != 0)
		++*(unsigned *)context;
}

unsigned fallow_tree_count(const struct fallow_tree *tree)
{
	unsigned count = 0;
	walk(tree->root, 0, count_in, &count);
	return count;
}

bool fallow_tree_is_empty(const struct fallow_tree *tree)
{
	char events[256];
	if (tree->hierarchy == FALLOW_CGROUP_V2 &&
	    fallow_text_read(tree->root, "cgroup.events", events, sizeof events) > 0)
		return strstr(events, "populated 0") != NULL;
	return fallow_tree_count(tree) == 0;
}

bool fallow_tree_kill_at_once(const struct fallow_tree *tree)
{
	if (tree->hierarchy != FALLOW_CGROUP_V2)
		return false;
	int fd = openat(tree->root, "cgroup.kill", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool killed = write(fd, "1", 1) == 1;
	close(fd);
	return killed;
}

static void kill_in(int cgroup, void *context)
{
	char listing[LISTING_MAX], again[LISTING_MAX];
	(void)context;
	if (fallow_text_read(cgroup, "cgroup.procs", listing, sizeof listing) <= 0)
		return;
	for (const char *at = listing;;) {
		pid_t pids[BATCH];
		int handles[BATCH];
		unsigned count = 0;
		for (pid_t pid; count < BATCH && (pid = next_pid(&at)) != 0;) {
			int handle = (int)syscall(SYS_pidfd_open, pid, 0);
			if (handle < 0)
				continue;
			pids[count] = pid;
			handles[count++] = handle;
		}
		if (count == 0)
			return;
		(void)fallow_text_read(cgroup, "cgroup.procs", again, sizeof again);
		for (unsigned i = 0; i < count; i++) {
			if (is_listed(again, pids[i]))
				syscall(SYS_pidfd_send_signal, handles[i], SIGKILL, NULL, 0);
			close(handles[i]);
		}
	}
}

static void thaw_in(int cgroup, void *context)
{
	bool v2 = *(const enum fallow_hierarchy *)context == FALLOW_CGROUP_V2;
	put(cgroup, v2 ? "cgroup.freeze" : "freezer.state", v2 ? "0" : "THAWED");
}

void fallow_tree_freeze(const struct fallow_tree *tree)
{
	bool v2 = tree->hierarchy == FALLOW_CGROUP_V2;
	put(tree->root, v2 ? "cgroup.freeze" : "freezer.state", v2 ? "1" : "FROZEN");
}

static bool is_frozen(const struct fallow_tree *tree)
{
	char text[256];
	bool v2 = tree->hierarchy == FALLOW_CGROUP_V2;
	if (fallow_text_read(tree->root, v2 ? "cgroup.events" : "freezer.state", text, sizeof text) <= 0)
		return true;
	return strstr(text, v2 ? "frozen 1" : "FROZEN") != NULL;
}

void fallow_tree_kill_by_walk(const struct fallow_tree *tree, uint64_t deadline_ns)
{
	enum fallow_hierarchy hierarchy = tree->hierarchy;
	fallow_tree_freeze(tree);
	while (!is_frozen(tree) && fallow_left_ns(deadline_ns) > 0)
		fallow_pause_us(200);
	walk(tree->root, 0, kill_in, NULL);
	/* v1's frozen processes die only when thawed; a child that was frozen by itself stays so: thaw each. */
	walk(tree->root, 0, thaw_in, &hierarchy);
}
