/* A large echo, one in flight. Usage: large LIBRARY ROUNDS [BYTES]. The client writes the payload before each call and compares
 * the result after it, outside of the time, so that the bytes have to cross between the cores. */
#define _GNU_SOURCE
#include "lease.h"

static void prepare(char *input, const char *output, size_t bytes)
{
	if (memcmp(input, output, bytes) != 0)
		fprintf(stderr, "the echo differs\n"), exit(1);
	memset(input, input[0] + 1, bytes);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return fprintf(stderr, "usage: large LIBRARY ROUNDS [BYTES]\n"), 2;
	long rounds = atol(argv[2]);
	size_t bytes = argc > 3 ? (size_t)atol(argv[3]) : 1 << 20, size = 0;
	pin_client();
	fallow_lease *lease = bench_lease(argv[1], bytes, 4);
	char *input = malloc(bytes), *output = malloc(bytes);
	memset(input, 0, bytes);
	memset(output, 0, bytes);
	MEASURE_LONG(rounds, prepare(input, output, bytes), {
		size = bytes;
		int code = fallow_invoke(lease, "echo", input, bytes, output, &size, NULL, 10);
		must("invoke", code);
	});
	fallow_lease_close(lease);
	return 0;
}
