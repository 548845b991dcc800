/* The circuit breaker's file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "breaker.h"
#include "check.h"

static void life(void)
{
	char path[128];
	struct stat status;
	snprintf(path, sizeof path, "%s/breaker.7", check_folder());
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(fallow_breaker_trip(check_folder(), 7, "the agent did not answer"));
	CHECK(fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(!fallow_breaker_is_tripped(check_folder(), 8));
	CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600 && status.st_size == 25);
	CHECK(fallow_breaker_trip(check_folder(), 7, "again"));
	CHECK(stat(path, &status) == 0 && status.st_size == 6);
	fallow_breaker_reset(check_folder(), 7);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	fallow_breaker_reset(check_folder(), 7);
}

static void hostile(void)
{
	char path[128], target[128];
	snprintf(path, sizeof path, "%s/breaker.7", check_folder());
	snprintf(target, sizeof target, "%s/precious", check_folder());
	CHECK(symlink(target, path) == 0);
	CHECK(!fallow_breaker_trip(check_folder(), 7, "why"));
	CHECK(access(target, F_OK) != 0);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(!fallow_breaker_trip("/nonexistent/fallow", 7, "why") && errno == ENOENT);
	CHECK(!fallow_breaker_is_tripped("/nonexistent/fallow", 7));
}

const struct test breaker_tests[] = {
	{"breaker: tripped, seen, reset", life, NULL},
	{"breaker: no link is followed, no folder is made", hostile, NULL},
	{NULL, NULL, NULL},
};
