/* cold LIBRARY TIMES PAUSE_MS [node=NAME] [remote]: leases TIMES times, one after the other, calls `echo` with 64 bytes in
 * each lease once, gives it back, and pauses. Prints a line a lease, in microseconds: from the request to the lease (leased), from
 * there to the first result (first), both (cold), from then to the second result (second), and the lease's id. */
#include <fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int fail(const char *what, int code)
{
	fprintf(stderr, "%s: %s: %s\n", what, fallow_code_name(code), fallow_message());
	return 1;
}

static int call(fallow_lease *lease)
{
	char input[64], output[64];
	size_t size = sizeof output;
	memset(input, 'x', sizeof input);
	int code = fallow_invoke(lease, "echo", input, sizeof input, output, &size, NULL, 30);
	if (code)
		return fail("invoke", code);
	return size != sizeof input || memcmp(input, output, size) != 0;
}

int main(int argc, char **argv)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	fallow_client *client;
	int code;
	if (argc < 4)
		return 2;
	for (int i = 4; i < argc; i++) {
		if (strncmp(argv[i], "node=", 5) == 0)
			options.node = argv[i] + 5;
		else if (strcmp(argv[i], "remote") == 0)
			options.flags |= FALLOW_LEASE_REMOTE;
	}
	options.wait_seconds = 30;
	/* Slots as small as the call: what is measured is the start. */
	options.max_input = options.max_output = 4096;
	if ((code = fallow_connect(NULL, &client)))
		return fail("connect", code);
	for (int left = atoi(argv[2]); left > 0; left--) {
		fallow_lease *lease;
		struct fallow_lease_info info = {.size = sizeof info};
		double began = now_us();
		if ((code = fallow_lease_open(client, argv[1], &options, &lease)))
			return fail("lease", code);
		double leased = now_us();
		if (call(lease))
			return 1;
		double first = now_us();
		if (call(lease))
			return 1;
		double second = now_us();
		fallow_lease_describe(lease, &info);
		printf("leased %.0f first %.0f cold %.0f second %.0f %s\n", leased - began, first - leased, first - began,
		       second - first, info.id);
		fflush(stdout);
		fallow_lease_close(lease);
		long pause_ms = atol(argv[3]);
		struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
		nanosleep(&pause, NULL);
	}
	fallow_close(client);
	return 0;
}
