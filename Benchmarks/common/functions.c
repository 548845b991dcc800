/* The functions that the benchmarks invoke. */
#define _GNU_SOURCE
#include "measure.h"
#include <fallow.h>
#include <string.h>

FALLOW_LIBRARY;

int32_t noop(const struct fallow_call *call)
{
	(void)call;
	return 0;
}

int32_t echo(const struct fallow_call *call)
{
	*call->output_size = call->input_size;
	if (call->input_size <= call->output_capacity)
		memcpy(call->output, call->input, call->input_size);
	return 0;
}

/* 20 us of work on the core. */
int32_t work_20us(const struct fallow_call *call)
{
	(void)call;
	spin_us(20);
	return 0;
}
