/* compress.c: zlib as functions. Build: cc -shared -fPIC -o compress.so compress.c -lz
 *
 * compress_bytes:   any bytes -> 8 bytes with their number (little-endian), then zlib's stream
 * decompress_bytes: the reverse
 * Both return zlib's code: 0 is Z_OK. */
#include <fallow.h>
#include <string.h>
#include <zlib.h>

FALLOW_LIBRARY;

/* A lease runs a function on one core at a time, but several workers share the process: no static state here. */
int32_t compress_bytes(const struct fallow_call *call)
{
	uint64_t original = call->input_size;
	uLongf room = compressBound(call->input_size);

	if (call->output_capacity < sizeof original + room) {
		*call->output_size = sizeof original + room; /* ask for what is needed at worst */
		return Z_BUF_ERROR;
	}
	int code = compress2((Bytef *)call->output + sizeof original, &room, call->input, call->input_size, 6);
	if (code != Z_OK)
		return code;
	memcpy(call->output, &original, sizeof original);
	*call->output_size = sizeof original + room;
	return Z_OK;
}

int32_t decompress_bytes(const struct fallow_call *call)
{
	uint64_t original;

	if (call->input_size < sizeof original)
		return Z_DATA_ERROR;
	/* The input is whatever somebody sent: it may claim any size. The capacity bounds what is written. */
	memcpy(&original, call->input, sizeof original);
	if (original > call->output_capacity) {
		*call->output_size = original;
		return Z_BUF_ERROR;
	}
	uLongf written = original;
	int code = uncompress(call->output, &written, (const Bytef *)call->input + sizeof original,
	                      call->input_size - sizeof original);
	if (code != Z_OK)
		return code;
	if (written != original)
		return Z_DATA_ERROR;
	*call->output_size = written;
	return Z_OK;
}
