/* The cord, on real cgroups: all inside die, nobody outside does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup_tree.h"
#include "check.h"
#include "cord.h"
#include "deadline.h"
#include "real_tree.h"

#define MOUNT "/sys/fs/cgroup"
#define BUDGET_MS 3000 /* generous: the machine is shared */

static char top[64], inner[96], beside[80];

static void name_trees(void)
{
	snprintf(top, sizeof top, "fallow-test.%d", (int)getpid());
	snprintf(inner, sizeof inner, "%s/lease-1", top);
	snprintf(beside, sizeof beside, "%s-not", top); /* the same beginning */
}

static void make(const char *mount)
{
	name_trees();
	CHECK(tree_make(mount, top) && tree_make(mount, inner) && tree_make(mount, beside));
}

static void unmake(const char *mount)
{
	tree_remove(mount, inner);
	tree_remove(mount, top);
	tree_remove(mount, beside);
}

/* Forking, SIGTERM-ignoring processes in the tree's top and below; neighbours outside. */
static void kills_all(const char *mount, bool frozen_before)
{
	make(mount);
	pid_t one = tree_enter(mount, top, true, 8), two = tree_enter(mount, inner, true, 8);
	pid_t neighbour = tree_enter(mount, beside, false, 0), outsider = tree_enter(NULL, NULL, false, 0);
	fallow_pause_us(20000);
	if (frozen_before)
		CHECK(tree_write(mount, inner, mount == freezer_mount() ? "freezer.state" : "cgroup.freeze",
				 mount == freezer_mount() ? "FROZEN" : "1"));
	int before = check_descriptors(), inside = tree_count(mount, top) + tree_count(mount, inner);
	CHECK(inside >= 4, "(%d)", inside);
	struct fallow_cord_report report = fallow_cord_pull(MOUNT, top, BUDGET_MS);
	CHECK(report.outcome == FALLOW_CORD_PULLED, "(%d, %u left)", report.outcome, report.left);
	CHECK(report.found >= 4 && report.left == 0, "(%u found)", report.found);
	CHECK(tree_count(mount, top) == 0 && tree_count(mount, inner) == 0);
	CHECK(!is_alive(one) && !is_alive(two));
	CHECK(is_alive(neighbour) && is_alive(outsider) && tree_count(mount, beside) == 1);
	CHECK(check_descriptors() == before);
	printf("      %u processes in %u us\n", report.found, report.took_us);
	report = fallow_cord_pull(MOUNT, top, BUDGET_MS);
	CHECK(report.outcome == FALLOW_CORD_EMPTY && report.took_us < 50000, "(%d, %u us)", report.outcome, report.took_us);
	tree_end(neighbour);
	tree_end(outsider);
	unmake(mount);
}

static void v1(void)
{
	kills_all(freezer_mount(), false);
}

static void v1_frozen(void)
{
	kills_all(freezer_mount(), true);
}

static void v2(void)
{
	kills_all(unified_mount(), false);
}

static void v2_frozen(void)
{
	kills_all(unified_mount(), true);
}

/* As on a kernel before 5.14. */
static void v2_without_kill(void)
{
	struct fallow_tree tree;
	const char *mount = unified_mount();
	make(mount);
	pid_t one = tree_enter(mount, top, true, 8), two = tree_enter(mount, inner, true, 8);
	pid_t neighbour = tree_enter(mount, beside, false, 0);
	CHECK(fallow_tree_open(&tree, FALLOW_CGROUP_V2, mount, "", top));
	unsigned long long deadline_ns = fallow_deadline_ns(BUDGET_MS);
	while (!fallow_tree_is_empty(&tree) && fallow_left_ns(deadline_ns) > 0) {
		fallow_tree_kill_by_walk(&tree, fallow_deadline_ns(20));
		fallow_pause_us(1000);
	}
	CHECK(fallow_tree_is_empty(&tree) && fallow_tree_count(&tree) == 0);
	CHECK(!is_alive(one) && !is_alive(two) && is_alive(neighbour));
	fallow_tree_close(&tree);
	tree_end(neighbour);
	unmake(mount);
}

/* Somebody above us froze our tree: nobody in it can die. */
static void stuck(void)
{
	const char *mount = freezer_mount();
	make(mount);
	pid_t inside = tree_enter(mount, inner, false, 0);
	CHECK(tree_write(mount, top, "freezer.state", "FROZEN"));
	unsigned long long began_ns = fallow_now_ns();
	struct fallow_cord_report report = fallow_cord_pull(MOUNT, inner, 100);
	CHECK(report.outcome == FALLOW_CORD_ALIVE && report.left == 1, "(%d)", report.outcome);
	CHECK(check_ms_since(began_ns) < 400, "(%.0f ms)", check_ms_since(began_ns));
	CHECK(tree_write(mount, top, "freezer.state", "THAWED"));
	CHECK(tree_write(mount, inner, "freezer.state", "THAWED"));
	CHECK(waitpid(inside, NULL, 0) == inside); /* the SIGKILL was waiting */
	unmake(mount);
}

static void refusals(void)
{
	static const char *const paths[] = {"", "/", ".", "..", "fallow/../x", "../fallow", "/fallow", "fallow/", "fallow//x",
					    "system.slice", "fallow/."};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		CHECK(fallow_cord_pull(MOUNT, paths[i], 100).outcome == FALLOW_CORD_REFUSED, "(%s)", paths[i]);
	struct fallow_cord_report none = fallow_cord_pull(MOUNT, "fallow-no-such-tree", 100);
	CHECK(none.outcome == FALLOW_CORD_EMPTY && none.took_us < 50000);
	none = fallow_cord_pull("/nonexistent", "fallow", 100);
	CHECK(none.outcome == FALLOW_CORD_EMPTY);
}

/* plugstack.conf names a tree that slurmstepd, or its parent, lives in. */
static void not_ourselves(void)
{
	const char *mount = freezer_mount();
	make(mount);
	pid_t other = tree_enter(mount, inner, false, 0);
	CHECK(tree_write(mount, inner, "cgroup.procs", "0"));
	CHECK(fallow_cord_pull(MOUNT, top, 100).outcome == FALLOW_CORD_REFUSED);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) { /* its parent is in there, it is not */
		if (!tree_write(freezer_mount(), "", "cgroup.procs", "0"))
			_exit(2);
		_exit(fallow_cord_pull(MOUNT, top, 100).outcome == FALLOW_CORD_REFUSED ? 0 : 1);
	}
	int status = -1;
	waitpid(child, &status, 0);
	CHECK(status == 0, "(%d)", status);
	CHECK(is_alive(other));
	/* A cgroup beside it, whose name begins the same, is not in it. */
	CHECK(tree_write(mount, beside, "cgroup.procs", "0"));
	CHECK(fallow_cord_pull(MOUNT, top, BUDGET_MS).outcome == FALLOW_CORD_PULLED);
	CHECK(tree_write(mount, "", "cgroup.procs", "0"));
	tree_end(other);
	unmake(mount);
}

const struct test cord_tests[] = {
	{"cord: v1 freezer, forking and SIGTERM-ignoring processes", v1, no_freezer},
	{"cord: v1 freezer, a part frozen before", v1_frozen, no_freezer},
	{"cord: v2 cgroup.kill", v2, no_unified},
	{"cord: v2, a part frozen before", v2_frozen, no_unified},
	{"cord: v2 without cgroup.kill", v2_without_kill, no_unified},
	{"cord: who does not die costs the budget and no more", stuck, no_freezer},
	{"cord: paths that are not ours", refusals, NULL},
	{"cord: never slurmstepd or slurmd", not_ourselves, no_freezer},
	{NULL, NULL, NULL},
};
