/* A large echo, one in flight. Usage: large LIBRARY ROUNDS BYTES copied|buffers
 * "copied": payload and result are the program's own memory, and are copied into and out of the slots; "buffers": they lie in
 * the lease's arena, where the function reads and writes them. The client writes the payload before each call and compares the
 * result after it, outside of the time, so that the bytes have to cross between the cores. */
#define _GNU_SOURCE
#include "lease.h"

struct echo {
	fallow_lease *lease;
	char *input, *output;
	size_t bytes;
};

static void prepare(struct echo *echo)
{
	if (memcmp(echo->input, echo->output, echo->bytes) != 0)
		fprintf(stderr, "the echo differs\n"), exit(1);
	memset(echo->input, echo->input[0] + 1, echo->bytes);
}

static void copied(struct echo *echo)
{
	size_t size = echo->bytes;
	must("invoke", fallow_invoke(echo->lease, "echo", echo->input, echo->bytes, echo->output, &size, NULL, 10));
}

#ifdef BENCH_HAS_BUFFERS
static void in_place(struct echo *echo)
{
	size_t size = echo->bytes;
	must("invoke", fallow_invoke_buffers(echo->lease, "echo", echo->input, echo->bytes, echo->output, &size, NULL, 10));
}
static char *buffer(struct echo *echo)
{
	void *memory;
	must("buffer", fallow_buffer_alloc(echo->lease, echo->bytes, &memory));
	return memory;
}
#else
static void in_place(struct echo *echo) { (void)echo; }
static char *buffer(struct echo *echo)
{
	(void)echo;
	fprintf(stderr, "this fallow.h has no fallow_buffer_alloc\n");
	exit(1);
}
#endif

int main(int argc, char **argv)
{
	if (argc < 5)
		return fprintf(stderr, "usage: large LIBRARY ROUNDS BYTES copied|buffers\n"), 2;
	int buffers = strcmp(argv[4], "buffers") == 0;
	struct echo echo = { .bytes = (size_t)atol(argv[3]) };
	pin_client();
	echo.lease = bench_lease(argv[1], echo.bytes, 4, buffers ? 4 * echo.bytes : 0);
	echo.input = buffers ? buffer(&echo) : malloc(echo.bytes);
	echo.output = buffers ? buffer(&echo) : malloc(echo.bytes);
	memset(echo.input, 0, echo.bytes);
	memset(echo.output, 0, echo.bytes);
	if (buffers)
		MEASURE_LONG(atol(argv[2]), prepare(&echo), in_place(&echo));
	else
		MEASURE_LONG(atol(argv[2]), prepare(&echo), copied(&echo));
	fallow_lease_close(echo.lease);
	return 0;
}
