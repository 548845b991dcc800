/* compress.c: the demo's compression function. Input: bytes; output: the same in zlib's format, at its best level. */
#include <fallow.h>
#include <zlib.h>

FALLOW_LIBRARY;

int32_t compress_bytes(const struct fallow_call *call)
{
	uLong needed = compressBound((uLong)call->input_size);
	*call->output_size = needed;
	if (needed > call->output_capacity)
		return 1; /* the caller is told how much would do */
	if (compress2(call->output, &needed, call->input, (uLong)call->input_size, Z_BEST_COMPRESSION) != Z_OK)
		return 2;
	*call->output_size = needed;
	return 0;
}
