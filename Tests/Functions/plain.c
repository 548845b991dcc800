/* Well-behaved functions of our ABI, for tests. */
#include "fallow.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

int32_t reverse(const struct fallow_call *call)
{
	const uint8_t *in = call->input;
	uint8_t *out = call->output;

	*call->output_size = call->input_size;
	if (call->input_size > call->output_capacity)
		return 0;
	for (size_t i = 0; i < call->input_size; i++)
		out[i] = in[call->input_size - 1 - i];
	return 0;
}

/* Returns the number in the input. */
int32_t returns(const struct fallow_call *call)
{
	int32_t value = 0;

	if (call->input_size == sizeof value)
		memcpy(&value, call->input, sizeof value);
	return value;
}

/* Sleeps as many milliseconds as the input says (uint32), then echoes. */
int32_t nap(const struct fallow_call *call)
{
	uint32_t milliseconds = 0;

	if (call->input_size >= sizeof milliseconds)
		memcpy(&milliseconds, call->input, sizeof milliseconds);
	struct timespec span = { milliseconds / 1000, (milliseconds % 1000) * 1000000L };
	while (nanosleep(&span, &span) != 0 && errno == EINTR)
		;
	return echo(call);
}

/* Whether input and output are 8-byte aligned: 0 when they are. */
int32_t alignment(const struct fallow_call *call)
{
	return (int32_t)(((uintptr_t)call->input | (uintptr_t)call->output) & 7);
}

/* The CPUs this thread may use, as a count, and the pid. */
int32_t whoami(const struct fallow_call *call)
{
	int32_t pid = (int32_t)getpid();

	memcpy(call->output, &pid, sizeof pid);
	*call->output_size = sizeof pid;
	return 0;
}

int not_a_function = 42;
