/* Round trips of a function, one in flight, by fallow_invoke. Usage: invoke LIBRARY FUNCTION BYTES ROUNDS [GAP_US]
 * BYTES of payload go there, and come back if the function echoes. With a gap, so much passes between two calls: longer than
 * the worker polls, it is asleep when a call comes. */
#define _GNU_SOURCE
#include "lease.h"

int main(int argc, char **argv)
{
	if (argc < 5)
		return fprintf(stderr, "usage: invoke LIBRARY FUNCTION BYTES ROUNDS [GAP_US]\n"), 2;
	const char *function = argv[2];
	size_t bytes = (size_t)atol(argv[3]), size = 0;
	long rounds = atol(argv[4]);
	double gap = argc > 5 ? atof(argv[5]) : 0;
	char *input = calloc(1, bytes + 1), *output = calloc(1, bytes + 1);
	pin_client();
	fallow_lease *lease = bench_lease(argv[1], bytes ? bytes : 64, 16, 0);
#define CALL do { \
	size = bytes; \
	int code_ = fallow_invoke(lease, function, input, bytes, output, &size, NULL, 10); \
	if (code_) must("invoke", code_); \
} while (0)
	for (long n = 0; n < rounds / 10 + 10; n++)
		CALL;
	if (gap > 0)
		MEASURE_LONG(rounds, spin_us(gap), CALL);
	else
		MEASURE_SHORT(rounds, CALL);
	fallow_lease_close(lease);
	return 0;
}
