/* policy.c: how often a block had to be fetched, for sizes of the standby list. 5 % is as near to plain FIFO as there is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { BLOCKS = 4096, CAP = BLOCKS / 4, TOUCHES = 60000 };

static uint64_t state = 1;

static double uniform(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(state >> 11) / 9007199254740992.0;
}

/* Zipf with exponent 1 over the blocks, spread over the region. With `scans` every 5,000 touches a quarter of it is read through. */
static double fetched_share(int file, uint32_t standby, int scans)
{
	static double sums[BLOCKS];
	struct fallow_pager_settings settings;
	struct fallow_shm_settings shm = {.descriptors = &file, .count = 1, .holes_are_zeros = true};
	struct fallow_source source;
	struct fallow_pager *pager;
	struct fallow_region *region;
	struct fallow_pager_statistics before, after;
	double sum = 0;
	for (int i = 0; i < BLOCKS; i++)
		sums[i] = sum += 1.0 / (i + 1);
	fallow_pager_settings_default(&settings);
	settings.mode = FALLOW_MODE_SIGBUS;
	settings.block_bytes = 4096;
	settings.resident_cap_bytes = CAP * 4096;
	settings.standby_percent = standby;
	settings.readahead_blocks = 0;
	state = 1;
	if (fallow_shm_source_open(&shm, &source) != 0 || fallow_pager_create(&settings, &pager) != 0 ||
	    fallow_region_map(pager, &source, 0, BLOCKS * 4096ull, &region) != 0)
		exit(1);
	volatile char *bytes = fallow_region_address(region);
	for (int touch = 0; touch < TOUCHES; touch++) {
		double wanted = uniform() * sum;
		int low = 0, high = BLOCKS - 1;
		while (low < high) {
			int middle = (low + high) / 2;
			if (sums[middle] < wanted)
				low = middle + 1;
			else
				high = middle;
		}
		if (touch == TOUCHES / 3)
			fallow_pager_get_statistics(pager, &before);
		(void)bytes[(size_t)low * 2654435761u % BLOCKS * 4096];
		for (int i = 0; scans && touch % 5000 == 0 && i < BLOCKS / 4; i++)
			(void)bytes[(size_t)((touch / 5000 * (BLOCKS / 4) + i) % BLOCKS) * 4096];
	}
	fallow_pager_get_statistics(pager, &after);
	fallow_pager_destroy(pager);
	fallow_shm_source_close(&source);
	return 100.0 * (double)(after.fetched_blocks - before.fetched_blocks) / (TOUCHES - TOUCHES / 3);
}

void policy_rows(void)
{
	static const uint32_t standby[] = {5, 10, 25, 50};
	int file = filled_file(BLOCKS * 4096);
	for (int scans = 0; scans < 2; scans++)
		for (size_t i = 0; i < sizeof standby / sizeof standby[0]; i++) {
			char name[80];
			snprintf(name, sizeof name, "fetched, Zipf%s, cap 25 %%, standby %u %%", scans ? " and scans" : "", standby[i]);
			row(name, fetched_share(file, standby[i], scans), "%", 0, 0, 0, 1);
		}
	close(file);
}
