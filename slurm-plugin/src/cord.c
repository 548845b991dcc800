#include "cord.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "cgroup_tree.h"
#include "deadline.h"
#include "text.h"

#define FREEZE_WAIT_MS 20 /* how long one round waits for a freeze: a process in D state never freezes */

/* Whether a line of /proc/<pid>/cgroup lies in the tree. */
static bool is_in_tree(const char *process_file, const char *path)
{
	char text[4096];
	size_t length = strlen(path);
	if (fallow_text_read(AT_FDCWD, process_file, text, sizeof text) <= 0)
		return true; /* not knowable: do not kill */
	for (char *line = text, *next; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		const char *first = strchr(line, ':');
		const char *second = first ? strchr(first + 1, ':') : NULL;
		if (second == NULL || second[1] != '/')
			continue;
		const char *own = second + 2;
		if (strncmp(own, path, length) == 0 && (own[length] == '\0' || own[length] == '/'))
			return true;
	}
	return false;
}

/* slurmstepd must not kill itself, nor slurmd. */
static bool holds_slurm(const char *path)
{
	char parent[48];
	snprintf(parent, sizeof parent, "/proc/%d/cgroup", (int)getppid());
	return is_in_tree("/proc/self/cgroup", path) || is_in_tree(parent, path);
}

/* Kills one tree. Adds what it found and what is left. */
static void empty_tree(const struct fallow_tree *tree, uint64_t deadline_ns, struct fallow_cord_report *report)
{
	if (fallow_tree_is_empty(tree))
		return;
	report->found += fallow_tree_count(tree);
	bool by_kernel = fallow_tree_kill_at_once(tree);
	for (unsigned pause_us = 100; !fallow_tree_is_empty(tree); pause_us = pause_us < 2000 ? pause_us * 2 : 2000) {
		if (fallow_left_ns(deadline_ns) == 0) {
			fallow_tree_freeze(tree);
			report->left += fallow_tree_count(tree);
			report->outcome = FALLOW_CORD_ALIVE;
			return;
		}
		if (!by_kernel) {
			uint64_t round_ns = fallow_deadline_ns(FREEZE_WAIT_MS);
			fallow_tree_kill_by_walk(tree, round_ns < deadline_ns ? round_ns : deadline_ns);
		}
		fallow_pause_us(pause_us);
	}
	if (report->outcome == FALLOW_CORD_EMPTY)
		report->outcome = FALLOW_CORD_PULLED;
}

struct fallow_cord_report fallow_cord_pull(const char *mount, const char *path, unsigned budget_ms)
{
	static const struct {
		enum fallow_hierarchy hierarchy;
		const char *branch;
	} places[] = {
		{FALLOW_CGROUP_V2, ""},
		{FALLOW_CGROUP_V2, "/unified"},
		{FALLOW_CGROUP_V1_FREEZER, "/freezer"},
	};
	struct fallow_cord_report report = {.outcome = FALLOW_CORD_EMPTY};
	uint64_t began_ns = fallow_now_ns(), deadline_ns = fallow_deadline_ns(budget_ms);
	if (!fallow_cgroup_path_is_ours(path) || holds_slurm(path)) {
		report.outcome = FALLOW_CORD_REFUSED;
		return report;
	}
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		struct fallow_tree tree;
		if (!fallow_tree_open(&tree, places[i].hierarchy, mount, places[i].branch, path))
			continue;
		empty_tree(&tree, deadline_ns, &report);
		fallow_tree_close(&tree);
	}
	report.took_us = (unsigned)((fallow_now_ns() - began_ns) / 1000u);
	return report;
}
