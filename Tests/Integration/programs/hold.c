/* hold LIBRARY FUNCTION INPUT [cpus=N] [node=NAME] [remote] [wait=S] [term=S] [memory=BYTES] [times=N] [slots=N]
 * [room=BYTES] [in-order]: leases, starts the
 * function on every worker, says "leased ID NODE TRANSPORT" and waits for any of them, or in order. When an invocation ends it says
 * "ended CODE at NANOSECONDS" (real time); with times=N it leases N times over. Exits 0 when every lease was had. */
#include <fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int in_order;

static unsigned long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
}

static int fail(const char *what, int code)
{
	printf("failed %s %s: %s\n", what, fallow_code_name(code), fallow_message());
	return 1;
}

static int once(fallow_client *client, char **argv, const struct fallow_lease_options *options)
{
	fallow_lease *lease;
	fallow_future *futures[64];
	static char output[64][256];
	struct fallow_lease_info info = {.size = sizeof info};
	unsigned cpus = options->cpus ? options->cpus : 1;
	int code = fallow_lease_open(client, argv[1], options, &lease);
	if (code)
		return fail("lease", code);
	if ((code = fallow_lease_describe(lease, &info)))
		return fail("describe", code);
	for (unsigned i = 0; i < cpus; i++) {
		code = fallow_submit(lease, argv[2], argv[3], strlen(argv[3]), output[i], sizeof output[i], &futures[i]);
		if (code)
			return fail("submit", code);
	}
	printf("leased %s %s %s\n", info.id, info.node, info.transport);
	for (unsigned left = cpus; left > 0; left--) {
		size_t size = 0, done = 0;
		int32_t value = 0;
		if (!in_order)
			while ((code = fallow_wait_any(futures, left, &done, 60)) == FALLOW_TIMED_OUT)
				;
		while ((code = fallow_wait(futures[done], &size, &value, 60)) == FALLOW_TIMED_OUT)
			;
		printf("ended %s value %d at %llu: %s\n", fallow_code_name(code), (int)value, now_ns(),
		       code ? fallow_message() : "");
		fallow_future_free(futures[done]);
		memmove(&futures[done], &futures[done + 1], (left - done - 1) * sizeof futures[0]);
	}
	fallow_lease_close(lease);
	return 0;
}

int main(int argc, char **argv)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	fallow_client *client;
	int times = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4)
		return fprintf(stderr, "usage: hold LIBRARY FUNCTION INPUT [cpus=N] ...\n"), 2;
	for (int i = 4; i < argc; i++) {
		if (strncmp(argv[i], "cpus=", 5) == 0)
			options.cpus = (uint32_t)atoi(argv[i] + 5);
		else if (strncmp(argv[i], "node=", 5) == 0)
			options.node = argv[i] + 5;
		else if (strncmp(argv[i], "wait=", 5) == 0)
			options.wait_seconds = atof(argv[i] + 5);
		else if (strncmp(argv[i], "term=", 5) == 0)
			options.term_seconds = atof(argv[i] + 5);
		else if (strncmp(argv[i], "memory=", 7) == 0)
			options.memory = strtoull(argv[i] + 7, NULL, 10);
		else if (strncmp(argv[i], "slots=", 6) == 0)
			options.slots = (uint32_t)atoi(argv[i] + 6);
		else if (strncmp(argv[i], "room=", 5) == 0)
			options.max_input = options.max_output = strtoull(argv[i] + 5, NULL, 10);
		else if (strncmp(argv[i], "times=", 6) == 0)
			times = atoi(argv[i] + 6);
		else if (strcmp(argv[i], "in-order") == 0)
			in_order = 1;
		else if (strcmp(argv[i], "remote") == 0)
			options.flags |= FALLOW_LEASE_REMOTE;
		else
			return fprintf(stderr, "hold: no such argument: %s\n", argv[i]), 2;
	}
	int code = fallow_connect(NULL, &client);
	if (code)
		return fail("connect", code);
	while (times-- > 0)
		if ((code = once(client, argv, &options)))
			break;
	fallow_close(client);
	return code;
}
