/* pack LIBRARY CPUS FILE...: compresses files by compress_bytes of examples/functions/compress.c, as many at once as
 * there are workers, and checks every result here by decompressing it. Prints "packed FILES files, BYTES to BYTES bytes on NODE". */
#include <fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LARGEST ((size_t)4 << 20)
#define MOST_WORKERS 16

struct job {
	const char *path;
	unsigned char *bytes, *packed;
	size_t size;
	fallow_future *future;
};

static int fail(const char *what, int code)
{
	fprintf(stderr, "pack: %s: %s: %s\n", what, fallow_code_name(code), fallow_message());
	return 1;
}

static int read_whole(struct job *job)
{
	FILE *file = fopen(job->path, "rb");
	if (!file)
		return perror(job->path), 1;
	job->size = fread(job->bytes, 1, LARGEST, file);
	fclose(file);
	return 0;
}

static int finish(struct job *job, size_t *total, size_t *packed_total)
{
	size_t size = 0;
	int32_t value = 0;
	uLong unpacked_size = LARGEST;
	unsigned char *unpacked = malloc(LARGEST);
	int code = fallow_wait(job->future, &size, &value, 60);
	if (code || value)
		return fail(job->path, code);
	/* The result begins with the original's size, 8 bytes. */
	if (!unpacked || size < 8 || uncompress(unpacked, &unpacked_size, job->packed + 8, (uLong)size - 8) != Z_OK ||
	    unpacked_size != job->size || memcmp(unpacked, job->bytes, job->size) != 0)
		return fprintf(stderr, "pack: %s came back different\n", job->path), 1;
	*total += job->size;
	*packed_total += size;
	fallow_future_free(job->future);
	job->future = NULL;
	free(unpacked);
	return 0;
}

int main(int argc, char **argv)
{
	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	struct fallow_lease_info info = {.size = sizeof info};
	static struct job jobs[MOST_WORKERS];
	size_t total = 0, packed_total = 0, room = 8 + compressBound(LARGEST);
	fallow_client *client;
	fallow_lease *lease;
	if (argc < 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > MOST_WORKERS)
		return fprintf(stderr, "usage: pack LIBRARY CPUS FILE...\n"), 2;
	options.cpus = (uint32_t)atoi(argv[2]);
	options.max_input = LARGEST;
	options.max_output = room;
	options.slots = 2;
	options.wait_seconds = 10;
	int code = fallow_connect(NULL, &client);
	if (code)
		return fail("connect", code);
	if ((code = fallow_lease_open(client, argv[1], &options, &lease)) || (code = fallow_lease_describe(lease, &info)))
		return fail("lease", code);
	for (int i = 3; i < argc; i++) {
		struct job *job = &jobs[(unsigned)i % options.cpus];
		if (job->future && finish(job, &total, &packed_total))
			return 1;
		job->path = argv[i];
		if (!job->bytes && (!(job->bytes = malloc(LARGEST)) || !(job->packed = malloc(room))))
			return perror("pack"), 1;
		if (read_whole(job))
			return 1;
		code = fallow_submit(lease, "compress_bytes", job->bytes, job->size, job->packed, room, &job->future);
		if (code)
			return fail("submit", code);
	}
	for (unsigned i = 0; i < MOST_WORKERS; i++)
		if (jobs[i].future && finish(&jobs[i], &total, &packed_total))
			return 1;
	printf("packed %d files, %zu to %zu bytes on %s\n", argc - 3, total, packed_total, info.node);
	fallow_lease_close(lease);
	fallow_close(client);
	return 0;
}
