/* Many threads that call a function of 20 us on one worker, each its next as soon as the last is back. Usage:
 * callers LIBRARY THREADS MILLISECONDS. Prints calls a second, and the calls' times. */
#define _GNU_SOURCE
#include "lease.h"
#include <pthread.h>
#include <stdatomic.h>

enum { most = 1 << 16 };

struct caller {
	pthread_t thread;
	size_t count;
	double *times;
};
static fallow_lease *lease;
static _Atomic int phase; /* 0: warming up, 1: counted, 2: over */

static void *call(void *argument)
{
	struct caller *caller = argument;
	while (atomic_load(&phase) < 2) {
		int counted = atomic_load(&phase) == 1;
		double start = now_us();
		size_t size = 0;
		must("invoke", fallow_invoke(lease, "work_20us", NULL, 0, NULL, &size, NULL, 20));
		if (counted && atomic_load(&phase) == 1 && caller->count < most)
			caller->times[caller->count++] = now_us() - start;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return fprintf(stderr, "usage: callers LIBRARY THREADS MILLISECONDS\n"), 2;
	int threads = atoi(argv[2]);
	struct caller *callers = calloc((size_t)threads, sizeof *callers);
	pin_client();
	lease = bench_lease(argv[1], 64, 64, 0);
	for (int i = 0; i < threads; i++) {
		callers[i].times = malloc(most * sizeof(double));
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]) != 0)
			return perror("pthread_create"), 1;
	}
	usleep(100000);
	double start = now_us();
	atomic_store(&phase, 1);
	usleep((useconds_t)atol(argv[3]) * 1000);
	atomic_store(&phase, 2);
	double span = now_us() - start;
	size_t total = 0, at = 0;
	for (int i = 0; i < threads; i++) {
		pthread_join(callers[i].thread, NULL);
		total += callers[i].count;
	}
	double *times = malloc((total + 1) * sizeof *times);
	for (int i = 0; i < threads; i++)
		for (size_t n = 0; n < callers[i].count; n++)
			times[at++] = callers[i].times[n];
	printf("per_second %.0f\n", (double)total / span * 1e6);
	printf("p50_us %.1f\n", percentile(times, total, 0.5));
	printf("p99_us %.1f\n", percentile(times, total, 0.99));
	fallow_lease_close(lease);
	return 0;
}
