/* main.c: runs all tests in every configuration, or those whose name contains the first argument. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static int failures;

const struct configuration configurations[] = {
	{"thread,wp_async", FALLOW_MODE_THREAD, FALLOW_TRACKING_WP_ASYNC, 0},
	{"thread,wp_faults", FALLOW_MODE_THREAD, FALLOW_TRACKING_WP_FAULTS, 0},
	{"sigbus,wp_async", FALLOW_MODE_SIGBUS, FALLOW_TRACKING_WP_ASYNC, 0},
	{"sigbus,wp_faults", FALLOW_MODE_SIGBUS, FALLOW_TRACKING_WP_FAULTS, 0},
	{"thread,wp_async,no move or poison", FALLOW_MODE_THREAD, FALLOW_TRACKING_WP_ASYNC, FALLOW_KERNEL_MOVE | FALLOW_KERNEL_POISON},
	{"thread,wp_faults,as on 5.11", FALLOW_MODE_THREAD, FALLOW_TRACKING_AUTO,
	 FALLOW_KERNEL_MOVE | FALLOW_KERNEL_POISON | FALLOW_KERNEL_WP_ASYNC},
	{"sigbus,wp_async,no move or poison", FALLOW_MODE_SIGBUS, FALLOW_TRACKING_WP_ASYNC, FALLOW_KERNEL_MOVE | FALLOW_KERNEL_POISON},
	{"sigbus,wp_faults,as on 5.11", FALLOW_MODE_SIGBUS, FALLOW_TRACKING_AUTO,
	 FALLOW_KERNEL_MOVE | FALLOW_KERNEL_POISON | FALLOW_KERNEL_WP_ASYNC},
	{NULL, 0, 0, 0},
};

void check_failed(const char *file, int line, const char *what, const char *more, ...)
{
	va_list arguments;
	va_start(arguments, more);
	fprintf(stderr, "  %s:%d: not so: %s ", file, line, what);
	vfprintf(stderr, more, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	if (++failures > 20)
		_exit(1);
}

int check_child(void (*body)(void *), void *argument, int seconds)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(argument);
		fflush(NULL);
		_exit(failures != 0);
	}
	for (int waited = 0; waited < seconds * 1000; waited++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return -1;
}

static void run_broken(void *arguments)
{
	const char **words = arguments;
	if (freopen("/dev/null", "w", stderr) != NULL && freopen("/dev/null", "w", stdout) != NULL)
		execl(words[0], words[0], words[1], (char *)NULL);
	_exit(99);
}

bool fails_when_broken(const char *variable, const char *name)
{
	const char *words[] = {getenv(variable), name};
	if (words[0] == NULL)
		return true;
	int status = check_child(run_broken, words, 110);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

struct call {
	const struct test *test;
	const struct configuration *configuration;
};

static void run_one(void *argument)
{
	struct call *call = argument;
	call->test->run(call->configuration);
}

int main(int argc, char **argv)
{
	static const struct test *const tables[] = {interface_tests, data_tests, race_tests, failure_tests, memory_tests, signal_tests,
						    pin_tests, twin_tests, preload_tests};
	const char *wanted = argc > 1 ? argv[1] : "";
	int passed = 0, failed = 0;
	size_t count = sizeof tables / sizeof tables[0] - (getenv("PRELOAD") == NULL); /* a sanitized build has none */
	for (size_t t = 0; t < count; t++)
		for (const struct test *test = tables[t]; test->name != NULL; test++)
			for (const struct configuration *c = configurations; c->name != NULL; c++) {
				char name[200];
				snprintf(name, sizeof name, "%s%s%s", test->name, test->once ? "" : " / ", test->once ? "" : c->name);
				if ((test->once && c != configurations) || strstr(name, wanted) == NULL)
					continue;
				struct call call = {test, c};
				int status = check_child(run_one, &call, 120);
				if (status == 0) {
					passed++;
					continue;
				}
				failed++;
				printf("FAILED: %s (%s %d)\n", name, status == -1 ? "timed out" : WIFSIGNALED(status) ? "signal" : "status",
				       status == -1 ? 0 : WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
				fflush(stdout);
			}
	printf("%d passed, %d failed\n", passed, failed);
	return passed + failed == 0 ? 2 : failed > 0; /* a name that is no test's is no failure of a test */
}
