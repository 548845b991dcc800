/* remote.c: remote memory through fallow.h. remote DURABILITY MIB [SCRATCH-FOLDER]: writes all of a region, reads it, says so, and
 * does both again for each line that it is given. What it says: "ready", "same", "lost N" (blocks), "zeros" or "other". */
#include <fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16 };

static void fill(unsigned char *bytes, uint64_t block, unsigned version)
{
	for (size_t i = 0; i < BLOCK; i++)
		bytes[i] = (unsigned char)((block * 131 + i * 7 + version * 17 + (i >> 8)) % 255 + 1);
}

static void leave(const char *what)
{
	printf("failed %s: %s\n", what, fallow_message());
	exit(1);
}

/* Reads every block: how many are lost; ends the program when any differs from what was written. */
static unsigned check(fallow_memory *memory, uint64_t blocks, unsigned version)
{
	static unsigned char got[BLOCK], expected[BLOCK], zeros[BLOCK];
	unsigned lost = 0;
	for (uint64_t block = 0; block < blocks; block++) {
		int code = fallow_memory_get(memory, block * BLOCK, got, BLOCK);
		if (code == FALLOW_DATA_LOST) {
			lost++;
			continue;
		}
		if (code != FALLOW_OK)
			leave("get");
		fill(expected, block, version);
		if (memcmp(got, expected, BLOCK) != 0) {
			puts(memcmp(got, zeros, BLOCK) == 0 ? "zeros" : "other");
			exit(1);
		}
	}
	return lost;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	uint64_t size = strtoull(argv[2], NULL, 10) << 20, blocks = size / BLOCK;
	struct fallow_memory_options options = FALLOW_MEMORY_OPTIONS;
	options.durability = strcmp(argv[1], "scratch") == 0 ? FALLOW_MEMORY_SCRATCH : strcmp(argv[1], "pair") == 0 ? FALLOW_MEMORY_PAIR : FALLOW_MEMORY_CACHE;
	options.donor_size = 64 << 20;
	options.scratch_folder = argc > 3 ? argv[3] : NULL;
	fallow_client *client;
	fallow_memory *memory;
	if (fallow_connect(NULL, &client) != FALLOW_OK)
		leave("connect");
	if (fallow_memory_open(client, size, &options, &memory) != FALLOW_OK)
		leave("open");
	static unsigned char bytes[BLOCK];
	for (uint64_t block = 0; block < blocks; block++) {
		fill(bytes, block, 1);
		if (fallow_memory_put(memory, block * BLOCK, bytes, BLOCK) != FALLOW_OK)
			leave("put");
	}
	if (check(memory, blocks, 1) != 0)
		leave("check");
	puts("ready");
	char line[80];
	while (fgets(line, sizeof line, stdin) != NULL) {
		unsigned lost = check(memory, blocks, 1);
		struct fallow_memory_statistics told = { .size = sizeof told };
		if (fallow_memory_get_statistics(memory, &told) != FALLOW_OK)
			leave("statistics");
		if (lost == 0)
			printf("same, %u of %u donors lost\n", told.lost_donors, told.donors);
		else
			printf("lost %u, %u of %u donors lost\n", lost, told.lost_donors, told.donors);
	}
	if (fallow_memory_close(memory) != FALLOW_OK || fallow_memory_close(memory) != FALLOW_INVALID)
		leave("close");
	fallow_close(client);
	return 0;
}
