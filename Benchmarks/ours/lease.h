/* The lease of a measuring program: one worker over the transport that BENCH_TRANSPORT names (shm), so that no row is
 * measured over another one by mistake. */
#ifndef BENCH_LEASE_H
#define BENCH_LEASE_H

#include "../common/measure.h"
#include <fallow.h>
#include <string.h>

static inline void must(const char *what, int code)
{
	if (code)
		fprintf(stderr, "%s: %s: %s\n", what, fallow_code_name(code), fallow_message()), exit(1);
}

static inline fallow_lease *bench_lease(const char *library, uint64_t bytes, uint32_t slots, uint64_t buffers)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	struct fallow_lease_info info = { .size = sizeof info };
	const char *transport = getenv("BENCH_TRANSPORT");
	fallow_client *client;
	fallow_lease *lease;
	options.max_input = options.max_output = bytes;
	options.slots = slots;
#ifdef BENCH_HAS_BUFFERS
	options.buffers = buffers;
#else
	(void)buffers;
#endif
	options.wait_seconds = 5;
	must("connect", fallow_connect(NULL, &client));
	must("lease", fallow_lease_open(client, library, &options, &lease));
	must("describe", fallow_lease_describe(lease, &info));
	if (strcmp(info.transport, transport ? transport : "shm") != 0)
		fprintf(stderr, "the lease is over %s\n", info.transport), exit(1);
	return lease;
}

#endif
