/* The worker's side of the gate: a no-op, and functions that mark where the no-ops counted begin and end. */
#define _GNU_SOURCE
#include "marks.h"
#include <fallow.h>
#include <time.h>

FALLOW_LIBRARY;

static uint64_t before;

int32_t noop(const struct fallow_call *call)
{
	(void)call;
	return 0;
}

/* Keeps the worker until the requests behind this one are all in its ring: no poll of it is in vain then. */
int32_t hold(const struct fallow_call *call)
{
	(void)call;
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	return 0;
}

int32_t begin(const struct fallow_call *call)
{
	before = gate_begin("worker", *(const int32_t *)call->input);
	return 0;
}

int32_t end(const struct fallow_call *call)
{
	*(uint64_t *)call->output = gate_end("worker", *(const int32_t *)call->input, before);
	*call->output_size = sizeof(uint64_t);
	return 0;
}
