/* The line in plugstack.conf. */
#include <string.h>

#include "arguments.h"
#include "check.h"

static struct fallow_arguments arguments;
static char warning[FALLOW_WARNING_MAX];

static void parse(const char *one)
{
	char *values[] = {(char *)one};
	fallow_arguments_parse(&arguments, one ? 1 : 0, values, warning, sizeof warning);
}

static bool are_defaults(void)
{
	return strcmp(arguments.runtime, "/run/fallow") == 0 &&
	       strcmp(arguments.cgroup, "fallow.slice/fallowd.service/leases") == 0 &&
	       strcmp(arguments.cgroup_mount, "/sys/fs/cgroup") == 0 && arguments.deadline_ms == 250 && arguments.vacate;
}

static void good(void)
{
	parse(NULL);
	CHECK(are_defaults() && warning[0] == '\0');
	parse("runtime=/run/x/%n");
	CHECK(strcmp(arguments.runtime, "/run/x/%n") == 0 && warning[0] == '\0');
	parse("cgroup=/fallow/%n/");
	CHECK(strcmp(arguments.cgroup, "fallow/%n") == 0, "(%s)", arguments.cgroup);
	parse("cgroup_mount=/mnt/cg");
	CHECK(strcmp(arguments.cgroup_mount, "/mnt/cg") == 0);
	parse("deadline_ms=40");
	CHECK(arguments.deadline_ms == 40);
	parse("vacate=off");
	CHECK(!arguments.vacate);
}

static void bad(void)
{
	static const char *const wrong[] = {
		"", "runtime", "runtime=", "runtime=run", "runtime=/", "runtime=/a/../b", "runtime=/a/..", "colour=red", "=",
		"cgroup=", "cgroup=/", "cgroup=..", "cgroup=fallow/..", "cgroup=../fallow", "cgroup=a/b", "cgroup=fallow//x",
		"cgroup=./fallow", "cgroup=system.slice", "cgroup_mount=", "cgroup_mount=sys", "deadline_ms=0", "deadline_ms=",
		"deadline_ms=-1", "deadline_ms=10001", "deadline_ms=9e9", "deadline_ms= 5", "vacate=yes", "vacate=", "runtim=/x"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		parse(wrong[i]);
		CHECK(are_defaults(), "(%s)", wrong[i]);
		CHECK(strstr(warning, "known are runtime=") != NULL, "(%s: %s)", wrong[i], warning);
	}
	char endless[4000];
	memset(endless, 'x', sizeof endless);
	endless[sizeof endless - 1] = '\0';
	memcpy(endless, "runtime=/", 9);
	parse(endless);
	CHECK(are_defaults() && warning[0] != '\0');
	char *many[] = {"a=1", "b=2", "vacate=off", NULL, "c\n=3"};
	fallow_arguments_parse(&arguments, 5, many, warning, sizeof warning);
	CHECK(!arguments.vacate && strstr(warning, "\"a=1\", \"b=2\", \"c?=3\"") != NULL, "(%s)", warning);
}

static void places(void)
{
	struct fallow_places at;
	parse("runtime=/run/%n/%n");
	CHECK(fallow_arguments_place(&arguments, "n-1.x", &at, warning, sizeof warning));
	CHECK(strcmp(at.runtime, "/run/n-1.x/n-1.x") == 0 && strcmp(at.socket, "/run/n-1.x/n-1.x/report.sock") == 0);
	CHECK(strcmp(at.cgroup, "fallow.slice/fallowd.service/leases") == 0 && strcmp(at.node, "n-1.x") == 0);
	static const char *const odd[] = {"", "..", "a/b", "a b", ".hidden", "a\nb",
					  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		CHECK(!fallow_arguments_place(&arguments, odd[i], &at, warning, sizeof warning), "(%s)", odd[i]);
	CHECK(!fallow_arguments_place(&arguments, NULL, &at, warning, sizeof warning));
	CHECK(!fallow_arguments_place(&arguments, "a123456789b123456789c123456789d123456789e123456789", &at, warning,
				      sizeof warning));
	CHECK(strstr(warning, "too long") != NULL, "(%s)", warning);
}

const struct test argument_tests[] = {
	{"arguments: right ones", good, NULL},
	{"arguments: wrong ones keep the default and warn once", bad, NULL},
	{"arguments: the node's name in the paths", places, NULL},
	{NULL, NULL, NULL},
};
