/* The gate's client: no-ops by fallow_invoke, counted on one side. Usage: client client|worker LIBRARY BLOCKS CALLS
 * Blocks of CALLS and of 2 x CALLS no-ops take turns, so that what a block costs beside its calls can be taken off. Prints
 * "SIDE CALLS ALLOCATIONS" for each block. */
#define _GNU_SOURCE
#include "marks.h"
#include <fallow.h>
#include <stdlib.h>

enum { slots = 64 };

static void must(const char *what, int code)
{
	if (code)
		fprintf(stderr, "%s: %s: %s\n", what, fallow_code_name(code), fallow_message()), exit(1);
}

static void count_client(fallow_lease *lease, int calls)
{
	uint64_t before = gate_begin("client", calls);
	for (int n = 0; n < calls; n++) {
		size_t size = 0;
		must("invoke", fallow_invoke(lease, "noop", NULL, 0, NULL, &size, NULL, 10));
	}
	uint64_t allocations = gate_end("client", calls, before);
	printf("client %d %llu\n", calls, (unsigned long long)allocations);
}

static void count_worker(fallow_lease *lease, int32_t calls)
{
	fallow_future *futures[slots];
	uint64_t allocations = 0;
	int count = 0;
	must("hold", fallow_submit(lease, "hold", NULL, 0, NULL, 0, &futures[count++]));
	must("begin", fallow_submit(lease, "begin", &calls, sizeof calls, NULL, 0, &futures[count++]));
	for (int n = 0; n < calls; n++)
		must("noop", fallow_submit(lease, "noop", NULL, 0, NULL, 0, &futures[count++]));
	must("end", fallow_submit(lease, "end", &calls, sizeof calls, &allocations, sizeof allocations, &futures[count++]));
	must("wait", fallow_wait_all(futures, (size_t)count, 60));
	for (int n = 0; n < count; n++) {
		must("future", fallow_wait(futures[n], NULL, NULL, 0));
		fallow_future_free(futures[n]);
	}
	printf("worker %d %llu\n", calls, (unsigned long long)allocations);
}

int main(int argc, char **argv)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	fallow_client *client;
	fallow_lease *lease;
	if (argc < 5)
		return fprintf(stderr, "usage: client client|worker LIBRARY BLOCKS CALLS\n"), 2;
	int on_client = strcmp(argv[1], "client") == 0, blocks = atoi(argv[3]), calls = atoi(argv[4]);
	void (*count)(fallow_lease *, int) = on_client ? count_client : count_worker;
	if (calls < 1 || 2 * calls + 3 > slots)
		return fprintf(stderr, "client: 1 to %d calls\n", (slots - 3) / 2), 2;
	options.slots = slots;
	options.max_input = options.max_output = 64;
	must("connect", fallow_connect(NULL, &client));
	must("lease", fallow_lease_open(client, argv[2], &options, &lease));
	/* Everything is looked up and touched once before anything is counted. */
	for (int n = 0; n < 2; n++)
		count(lease, calls);
	for (int n = 0; n < blocks; n++) {
		count(lease, calls);
		count(lease, 2 * calls);
	}
	fallow_lease_close(lease);
	fallow_close(client);
	return 0;
}
