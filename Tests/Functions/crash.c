/* Functions that misbehave, each in its own way, for tests. */
#include "fallow.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

FALLOW_LIBRARY;

int32_t segfault(const struct fallow_call *call)
{
	(void)call;
	*(volatile int *)8 = 1;
	return 0;
}

int32_t aborts(const struct fallow_call *call)
{
	(void)call;
	abort();
}

int32_t exits(const struct fallow_call *call)
{
	(void)call;
	exit(0);
}

int32_t loops(const struct fallow_call *call)
{
	(void)call;
	for (volatile int i = 0;; i++)
		;
}

/* Fills memory, in steps of 16 MiB, up to the bytes in the input (uint64); without input for ever. */
int32_t allocates(const struct fallow_call *call)
{
	uint64_t limit = UINT64_MAX;
	const size_t step = 16u << 20;

	if (call->input_size == sizeof limit)
		memcpy(&limit, call->input, sizeof limit);
	for (uint64_t held = 0; held < limit; held += step) {
		void *memory = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 1;
		memset(memory, 1, step);
	}
	return 0;
}

/* Leaves a child of another session behind that ignores what can be ignored and spins; gives its pid. */
int32_t forks(const struct fallow_call *call)
{
	pid_t child = fork();

	if (child == 0) {
		setsid();
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		for (volatile int i = 0;; i++)
			;
	}
	int32_t pid = (int32_t)child;
	memcpy(call->output, &pid, sizeof pid);
	*call->output_size = sizeof pid;
	return child < 0;
}

/* Prints as many MiB as the input says (uint32), 1024 without input. */
int32_t prints(const struct fallow_call *call)
{
	uint32_t mebibytes = 1024;
	static char line[65536];

	if (call->input_size == sizeof mebibytes)
		memcpy(&mebibytes, call->input, sizeof mebibytes);
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	for (uint64_t i = 0; i < (uint64_t)mebibytes * 16; i++)
		fwrite(line, 1, sizeof line, stdout);
	fflush(stdout);
	return 0;
}

/* Says that it needs more room than there is. */
int32_t needs_more(const struct fallow_call *call)
{
	*call->output_size = call->output_capacity + 1000;
	return 7;
}

/* Says nonsense about its result's size. */
int32_t absurd_size(const struct fallow_call *call)
{
	*call->output_size = SIZE_MAX;
	return 0;
}

/* Closes every descriptor it can. */
int32_t closes_all(const struct fallow_call *call)
{
	(void)call;
	for (int i = 0; i < 1024; i++)
		close(i);
	return 0;
}
