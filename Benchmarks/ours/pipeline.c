/* No-ops a second on one worker, its ring kept full by one thread through futures. Usage: pipeline LIBRARY COUNT [DEPTH] */
#define _GNU_SOURCE
#include "lease.h"

enum { deepest = 256 };

int main(int argc, char **argv)
{
	if (argc < 3)
		return fprintf(stderr, "usage: pipeline LIBRARY COUNT [DEPTH]\n"), 2;
	unsigned long count = strtoul(argv[2], NULL, 10), depth = argc > 3 ? strtoul(argv[3], NULL, 10) : 64;
	fallow_future *futures[deepest] = { 0 };
	double start = 0;
	if (depth < 1 || depth > deepest)
		return 2;
	pin_client();
	fallow_lease *lease = bench_lease(argv[1], 64, (uint32_t)depth, 0);
	for (unsigned long n = 0; n < count + depth; n++) {
		fallow_future **future = &futures[n % depth];
		if (*future) {
			must("wait", fallow_wait(*future, NULL, NULL, 10));
			fallow_future_free(*future);
			*future = NULL;
		}
		if (n == depth)
			start = now_us();
		if (n < count)
			must("submit", fallow_submit(lease, "noop", NULL, 0, NULL, 0, future));
	}
	printf("per_second %.0f\n", (double)(count - depth) / (now_us() - start) * 1e6);
	fallow_lease_close(lease);
	return 0;
}
