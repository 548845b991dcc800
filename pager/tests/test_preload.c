/* test_preload.c: programs left as they are. PRELOAD is the library, LEND plays `fallow run`, PROBE is the program. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* Bytes of `lend`, of which the program needs 32 MiB, and may have 8 MiB here at a time. */
#define DONORS "3"
#define DONOR_BYTES "25165824"
#define LOCAL_BYTES "8388608"

struct program {
	const char *library, *mode, *lose_ms, *name, *local;
	char *said; /* what it wrote on standard error and output, 4,096 bytes */
};

static void start(void *argument)
{
	const struct program *program = argument;
	dup2(open("/dev/null", O_RDONLY), 0);
	execl(getenv("LEND"), "lend", program->library, DONORS, DONOR_BYTES, program->local, program->mode, program->lose_ms,
	      getenv("PROBE"), program->name, (char *)NULL);
	_exit(64);
}

/* Runs a case, and returns its exit status, 128+n, or -1 after a minute. */
static int run(const struct program *program)
{
	int out = fileno(tmpfile()), old_out = dup(1), old_err = dup(2);
	dup2(out, 1);
	dup2(out, 2);
	int status = check_child(start, (void *)(uintptr_t)program, 60);
	dup2(old_out, 1);
	dup2(old_err, 2);
	if (program->said != NULL) {
		ssize_t length = pread(out, program->said, 4095, 0);
		program->said[length > 0 ? length : 0] = 0;
	}
	return status < 0 || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

static void expect(const char *name, const char *mode, const char *lose_ms, int wanted, const char *words)
{
	char said[4096];
	struct program program = {getenv("PRELOAD"), mode, lose_ms, name, LOCAL_BYTES, said};
	int status = run(&program);
	CHECK(status == wanted, "%s: status %d, not %d: %s", name, status, wanted, said);
	CHECK(words == NULL || strstr(said, words) != NULL, "%s said: %s", name, said);
}

#define CASE(name, wanted, words) \
	static void name(const struct configuration *configuration) \
	{ \
		(void)configuration; \
		expect(#name, "cache", "0", wanted, words); \
	}

CASE(allocate, 0, NULL)
CASE(reallocate, 0, NULL)
CASE(mappings, 0, NULL)
CASE(files, 0, NULL)
CASE(streams, 0, NULL)
CASE(sockets, 0, NULL)
CASE(forks, 0, "a child has to exec")
CASE(threads, 0, NULL)
CASE(closing, 0, NULL)
CASE(handler, 42, NULL)
CASE(twice, 128 + SIGABRT, "freed twice")
CASE(after_free, 128 + SIGBUS, "freed before")
CASE(whole, 0, NULL)
CASE(used_up, 0, "the remote memory is used up")

/* The donors go while it works: with one copy it ends by SIGBUS and says why, with two it goes on, and all is right. */
static void lost(const struct configuration *configuration)
{
	(void)configuration;
	expect("lose", "cache", "700", 128 + SIGBUS, "lost with its donor");
	expect("lose", "durable", "700", 0, "kept");
}

static void durable(const struct configuration *configuration)
{
	static const char *const names[] = {"allocate", "reallocate", "mappings", "files"};
	(void)configuration;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		expect(names[i], "durable", "0", 0, NULL);
}

/* Most of the memory behind a relay of three slots, at other nodes: as with memory files. */
static void relayed(const struct configuration *configuration)
{
	static const char *const names[] = {"allocate", "reallocate", "mappings", "files", "threads", "used_up", "whole"};
	(void)configuration;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		expect(names[i], "relay", "0", 0, NULL);
		expect(names[i], "durable-relay", "0", 0, NULL);
	}
}

/* What lies behind a relay is lost: SIGBUS, or the scratch file; one that answers no more is given up within its bound. */
static void relay_lost(const struct configuration *configuration)
{
	(void)configuration;
	expect("lose", "relay", "700", 128 + SIGBUS, "lost with its donor");
	expect("lose", "durable-relay", "700", 0, "kept");
	time_t began = time(NULL);
	expect("lose", "hang", "700", 128 + SIGBUS, "lost with its donor");
	/* The relay's own bound is 10 s; the pager's, which would end it too, 30. */
	CHECK(time(NULL) - began < 22, "%ld s", (long)(time(NULL) - began));
}

/* By the kernel's count; the same look finds a cap that is too high. */
static void resident(const struct configuration *configuration)
{
	char said[4096];
	struct program higher = {getenv("PRELOAD"), "cache", "0", "resident", "33554432", said};
	(void)configuration;
	setenv("PROBE_LIMIT_MIB", "20", 1);
	expect("resident", "cache", "0", 0, NULL);
	int status = run(&higher);
	CHECK(status == 3, "with a cap of 32 MiB more than 20 MiB must be found: status %d: %s", status, said);
}

/* A library that holds nothing for system calls must be found out. */
static void broken_hold(const struct configuration *configuration)
{
	char said[4096];
	struct program broken = {getenv("PRELOAD_BROKEN"), "cache", "0", "files", LOCAL_BYTES, said};
	(void)configuration;
	int status = run(&broken);
	CHECK(status == 1 && strstr(said, "Bad address") != NULL, "status %d: %s", status, said);
}

/* The settings of nobody: the program runs as ever. */
static void without(const struct configuration *configuration)
{
	int status;
	(void)configuration;
	pid_t child = fork();
	if (child == 0) {
		setenv("LD_PRELOAD", getenv("PRELOAD"), 1);
		execl(getenv("PROBE"), "probe", "files", (char *)NULL);
		_exit(64);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

/* No runtime but the C library's, and little of it. */
static void library(const struct configuration *configuration)
{
	char command[512], line[256];
	struct stat status;
	int needed = 0;
	(void)configuration;
	snprintf(command, sizeof command, "readelf -d %s", getenv("PRELOAD"));
	FILE *pipe = popen(command, "re");
	while (pipe != NULL && fgets(line, sizeof line, pipe) != NULL)
		if (strstr(line, "(NEEDED)") != NULL) {
			needed++;
			CHECK(strstr(line, "[libc.so.6]") != NULL || strstr(line, "[ld-linux") != NULL, "%s", line);
		}
	CHECK(pipe != NULL && pclose(pipe) == 0 && needed >= 1);
	CHECK(stat(getenv("PRELOAD"), &status) == 0 && status.st_size < 1 << 20);
}

const struct test preload_tests[] = {
	{"preload: malloc, calloc, memalign, realloc", allocate, true},
	{"preload: realloc moves and grows", reallocate, true},
	{"preload: mmap, munmap in parts, mremap, madvise", mappings, true},
	{"preload: read, write, vectors, getrandom", files, true},
	{"preload: streams", streams, true},
	{"preload: sockets and pipes", sockets, true},
	{"preload: fork, exec, a child that touches", forks, true},
	{"preload: threads that block all signals", threads, true},
	{"preload: a program that closes all descriptors", closing, true},
	{"preload: the program's own SIGBUS handler", handler, true},
	{"preload: freed twice", twice, true},
	{"preload: touched after free", after_free, true},
	{"preload: all that there is", whole, true},
	{"preload: more than there is", used_up, true},
	{"preload: donors lost, one copy and two", lost, true},
	{"preload: two copies", durable, true},
	{"preload: memory behind a relay", relayed, true},
	{"preload: a relay's memory lost, a relay that hangs", relay_lost, true},
	{"preload: what is here stays within the cap", resident, true},
	{"preload: a library that holds nothing is found out", broken_hold, true},
	{"preload: without settings", without, true},
	{"preload: the library itself", library, true},
	{NULL, NULL, false},
};
