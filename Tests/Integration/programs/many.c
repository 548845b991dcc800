/* many LIBRARY COUNT [remote]: COUNT invocations through one worker, several in flight; then payloads of 1 B to 8 MiB. Every reply
 * is compared byte for byte with what the function must have made of the request. */
#include <fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 8
#define LARGEST ((size_t)8 << 20)

static int fail(const char *what, int code)
{
	fprintf(stderr, "many: %s: %s: %s\n", what, fallow_code_name(code), fallow_message());
	return 1;
}

static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (unsigned char)(seed >> 56);
	}
}

static int same(const unsigned char *request, const unsigned char *reply, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (reply[i] != (unsigned char)(request[i] + 1))
			return 0;
	return 1;
}

static int many(fallow_lease *lease, unsigned long count)
{
	static unsigned char requests[DEPTH][64], replies[DEPTH][64];
	fallow_future *futures[DEPTH] = {0};
	for (unsigned long i = 0; i < count + DEPTH; i++) {
		unsigned slot = i % DEPTH;
		if (futures[slot]) {
			size_t size = 0;
			int32_t value = 0;
			int code = fallow_wait(futures[slot], &size, &value, 20);
			if (code)
				return fail("wait", code);
			if (size != sizeof requests[slot] || value != 7 || !same(requests[slot], replies[slot], size))
				return fprintf(stderr, "many: the reply of invocation %lu differs\n", i - DEPTH), 1;
			fallow_future_free(futures[slot]);
			futures[slot] = NULL;
		}
		if (i >= count)
			continue;
		fill(requests[slot], sizeof requests[slot], i);
		int code = fallow_submit(lease, "increment", requests[slot], sizeof requests[slot], replies[slot],
					 sizeof replies[slot], &futures[slot]);
		if (code)
			return fail("submit", code);
	}
	printf("invocations %lu\n", count);
	return 0;
}

static int sizes(fallow_lease *lease)
{
	unsigned char *request = malloc(LARGEST), *reply = malloc(LARGEST);
	unsigned count = 0;
	for (size_t power = 1; power <= LARGEST; power *= 2)
		for (int around = -1; around <= 1; around++) {
			size_t size = power + (size_t)around, got = LARGEST;
			int32_t value = 0;
			if (size < 1 || size > LARGEST)
				continue;
			fill(request, size, size);
			memset(reply, 0, size);
			int code = fallow_invoke(lease, "increment", request, size, reply, &got, &value, 20);
			if (code)
				return fail("invoke", code);
			if (got != size || value != 7 || !same(request, reply, size))
				return fprintf(stderr, "many: the reply of %zu bytes differs\n", size), 1;
			count++;
		}
	size_t got = LARGEST;
	int code = fallow_invoke(lease, "increment", request, LARGEST + 1, reply, &got, NULL, 20);
	if (code != FALLOW_TOO_LARGE)
		return fail("one byte too many was not refused", code);
	got = 100;
	code = fallow_invoke(lease, "increment", request, 1000, reply, &got, NULL, 20);
	if (code != FALLOW_RESULT_TOO_LARGE || got != 1000)
		return fail("a result beyond the capacity", code);
	printf("sizes %u\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	fallow_client *client;
	fallow_lease *lease;
	if (argc < 3)
		return fprintf(stderr, "usage: many LIBRARY COUNT [remote]\n"), 2;
	options.max_input = options.max_output = LARGEST;
	options.memory = (uint64_t)1 << 30;
	options.wait_seconds = 10;
	options.flags = argc > 3 ? FALLOW_LEASE_REMOTE : 0;
	int code = fallow_connect(NULL, &client);
	if (code)
		return fail("connect", code);
	if ((code = fallow_lease_open(client, argv[1], &options, &lease)))
		return fail("lease", code);
	code = many(lease, strtoul(argv[2], NULL, 10)) || sizes(lease);
	fallow_lease_close(lease);
	fallow_close(client);
	return code;
}
