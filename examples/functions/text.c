/* text.c: the smallest functions there are. Build: cc -shared -fPIC -o text.so text.c */
#include <fallow.h>
#include <string.h>

FALLOW_LIBRARY; /* "the functions here have fallow.h's form" */

/* Does nothing. What is left is the cost of the call. */
int32_t noop(const struct fallow_call *call)
{
	(void)call;
	return 0;
}

/* Gives the input back. */
int32_t echo(const struct fallow_call *call)
{
	/* Saying more than the capacity is how a function asks for more room: the caller hears FALLOW_RESULT_TOO_LARGE
	 * with this size. Nothing beyond the capacity may be written. */
	*call->output_size = call->input_size;
	if (call->input_size <= call->output_capacity)
		memcpy(call->output, call->input, call->input_size);
	return 0;
}

/* Gives the input back, last byte first. */
int32_t reverse(const struct fallow_call *call)
{
	const char *in = call->input;
	char *out = call->output;

	*call->output_size = call->input_size;
	if (call->input_size > call->output_capacity)
		return 0;
	for (size_t i = 0; i < call->input_size; i++)
		out[i] = in[call->input_size - 1 - i];
	return 0;
}
