/* main.c: runs all tests, or those whose name contains the first argument. */
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "deadline.h"

static int failures;
static char folder[64];

void check_failed(const char *file, int line, const char *what, const char *more, ...)
{
	va_list arguments;
	va_start(arguments, more);
	fprintf(stderr, "  %s:%d: not so: %s ", file, line, what);
	vfprintf(stderr, more, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	failures++;
}

const char *check_folder(void)
{
	return folder;
}

double check_ms_since(unsigned long long began_ns)
{
	return (double)(fallow_now_ns() - began_ns) / 1e6;
}

int check_descriptors(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory != NULL && readdir(directory) != NULL)
		count++;
	if (directory != NULL)
		closedir(directory);
	return count;
}

static int delete_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

static bool passes(const struct test *test)
{
	int status = 0;
	snprintf(folder, sizeof folder, "/tmp/fallow-plugin-test.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return false;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		alarm(20);
		test->run();
		fflush(NULL);
		_exit(failures == 0 ? 0 : 1);
	}
	bool ended = child > 0 && waitpid(child, &status, 0) == child;
	nftw(folder, delete_one, 8, FTW_DEPTH | FTW_PHYS);
	if (ended && WIFSIGNALED(status))
		fprintf(stderr, "  ended by signal %d\n", WTERMSIG(status));
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char *argv[])
{
	const struct test *tables[] = {grammar_tests,	 argument_tests, client_tests, breaker_tests, cord_tests,
				       submission_tests, remote_tests,	 choice_tests,
				       epilog_tests,	 export_tests};
	int passed = 0, failed = 0, skipped = 0;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		for (const struct test *test = tables[i]; test->name != NULL; test++) {
			if (argc > 1 && strstr(test->name, argv[1]) == NULL)
				continue;
			const char *reason = test->skip ? test->skip() : NULL;
			if (reason != NULL) {
				printf("skip  %s: %s\n", test->name, reason);
				skipped++;
				continue;
			}
			unsigned long long began_ns = fallow_now_ns();
			bool good = passes(test);
			printf("%s  %s (%.0f ms)\n", good ? "ok  " : "FAIL", test->name, check_ms_since(began_ns));
			*(good ? &passed : &failed) += 1;
		}
	}
	if (skipped > 0)
		printf("%d skipped for the reasons above\n", skipped);
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
