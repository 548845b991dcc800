/* test_race.c: a write that races with eviction is never lost. The negative control is a build whose detach is not atomic. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { WRITERS = 3, ROUNDS = 40 };

static struct setup shared;
static atomic_bool stop;
static _Atomic unsigned lost;

/* Counts in a few words that lie in blocks which are evicted all the time. */
static void *count_up(void *argument)
{
	size_t number = (size_t)argument;
	uint64_t expected[16];
	for (size_t i = 0; i < 16; i++)
		expected[i] = shared.words[(i * 8 + number) * 64];
	while (!stop)
		for (size_t i = 0; i < 16; i++) {
			volatile uint64_t *word = &shared.words[(i * 8 + number) * 64];
			for (int n = 0; n < 5000; n++) {
				if (*word != expected[i])
					lost++;
				expected[i] = *word + 1;
				*word = expected[i];
			}
		}
	return NULL;
}

static void writes_and_evictions(const struct configuration *configuration)
{
	pthread_t threads[WRITERS];
	uint64_t state = 1;
	set_up(&shared, configuration, 4096, 10, 256);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, count_up, (void *)i);
	/* Touching the others drives the counted ones out. */
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < 128; i++) {
			size_t index = (128 + next_random(&state) % 128) * 512;
			CHECK(shared.words[index] == word_at(index));
		}
	stop = true;
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(lost == 0, "%u writes were lost", lost);
	struct fallow_pager_statistics statistics;
	fallow_pager_get_statistics(shared.pager, &statistics);
	CHECK(statistics.evicted_blocks > 1000, "only %llu evictions", (unsigned long long)statistics.evicted_blocks);
	tear_down(&shared);
}

enum { AHEAD_BLOCKS = 1024, AHEAD_SWEEPS = 60 };

/* Writes to blocks ahead of a reader, whose turn it is to come: a word of each block counts the sweeps. */
static void *write_ahead(void *argument)
{
	size_t number = (size_t)argument + 1;
	for (uint64_t sweep = 0; sweep < AHEAD_SWEEPS; sweep++)
		for (size_t block = 0; block < AHEAD_BLOCKS; block++) {
			volatile uint64_t *word = &shared.words[block * 512 + number * 64];
			uint64_t expected = sweep == 0 ? word_at(block * 512 + number * 64) : sweep;
			lost += *word != expected;
			*word = sweep + 1;
		}
	return NULL;
}

/* What is read ahead comes many blocks at once, and can be written to before all of it is protected. */
static void writes_and_readahead(const struct configuration *configuration)
{
	pthread_t threads[WRITERS];
	size_t wrong = 0;
	set_up(&shared, configuration, 4096, 256, AHEAD_BLOCKS);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, write_ahead, (void *)i);
	for (int sweep = 0; sweep < AHEAD_SWEEPS; sweep++)
		for (size_t block = 0; block < AHEAD_BLOCKS; block++)
			wrong += shared.words[block * 512] != word_at(block * 512);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(lost == 0 && wrong == 0, "%u writes were lost, %zu words wrong", lost, wrong);
	struct fallow_pager_statistics statistics;
	fallow_pager_get_statistics(shared.pager, &statistics);
	CHECK(statistics.readahead_blocks > AHEAD_BLOCKS, "only %llu were read ahead", (unsigned long long)statistics.readahead_blocks);
	tear_down(&shared);
}

static void negative_control(const struct configuration *configuration)
{
	(void)configuration;
	CHECK(fails_when_broken("BROKEN", "race: writes /"), "a detach with a gap was not noticed");
}

const struct test race_tests[] = {
	{"race: writes", writes_and_evictions, false},
	{"race: writes to what is read ahead", writes_and_readahead, false},
	{"race: the build that loses writes is caught", negative_control, true},
	{NULL, NULL, false},
};
