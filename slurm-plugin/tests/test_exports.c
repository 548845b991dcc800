/* The shared object itself: what it shows, and that it needs libc alone. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char *no_plugin(void)
{
	const char *path = getenv("PLUGIN");
	return path != NULL && path[0] != '\0' ? NULL : "no shared object in this build (PLUGIN is unset)";
}

/* The lines of a tool's output that do not contain any of the words. */
static int lines_without(const char *command, const char *const *words)
{
	char line[512], whole[700];
	int odd = 0, all = 0;
	snprintf(whole, sizeof whole, "%s '%s'", command, getenv("PLUGIN"));
	FILE *output = popen(whole, "r");
	while (output != NULL && fgets(line, sizeof line, output) != NULL) {
		bool known = false;
		for (const char *const *word = words; *word != NULL; word++)
			known = known || strstr(line, *word) != NULL;
		if (!known)
			fprintf(stderr, "      %s", line);
		odd += !known;
		all++;
	}
	if (output != NULL)
		pclose(output);
	CHECK(all > 0, "(%s)", whole);
	return odd;
}

static void exports(void)
{
	static const char *const known[] = {" plugin_name", " plugin_type", " plugin_version", " spank_plugin_version",
					    " slurm_spank_init", " slurm_spank_exit", " slurm_spank_task_post_fork",
					    " slurm_spank_job_epilog", NULL};
	static const char *const needed[] = {"libc.so.6", NULL};
	CHECK(lines_without("nm -D --defined-only", known) == 0);
	CHECK(lines_without("! objdump -p \"$PLUGIN\" | grep NEEDED #", needed) == 0);
}

const struct test export_tests[] = {
	{"exports: SPANK's symbols alone, libc alone", exports, no_plugin},
	{NULL, NULL, NULL},
};
