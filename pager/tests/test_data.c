/* test_data.c: what is read is what was written, whatever is evicted meanwhile. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 4 };

/* Thread n owns the words whose index is n modulo THREADS, so blocks and pages are shared and words are not. */
struct worker {
	struct setup *setup;
	uint64_t *shadow, seed;
	unsigned number, steps, wrong;
};

static size_t pick(const struct worker *worker, uint64_t *state)
{
	return next_random(state) % (worker->setup->count / THREADS) * THREADS + worker->number;
}

static void walk(struct worker *worker, size_t from, unsigned words, uint64_t added)
{
	for (size_t i = from; i < worker->setup->count && words-- > 0; i += THREADS) {
		worker->wrong += worker->setup->words[i] != worker->shadow[i];
		if (added != 0)
			worker->setup->words[i] = worker->shadow[i] += added;
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct setup *setup = worker->setup;
	uint64_t state = worker->seed;
	for (unsigned step = 0; step < worker->steps; step++) {
		size_t index = pick(worker, &state);
		unsigned kind = next_random(&state) % 64;
		if (kind < 30) {
			worker->wrong += setup->words[index] != worker->shadow[index];
		} else if (kind < 56) {
			setup->words[index] = worker->shadow[index] = next_random(&state) | 1;
		} else if (kind < 60) {
			walk(worker, index, 3000, kind % 2);
		} else if (kind < 61) {
			fallow_region_prefetch(setup->region, index * 8 / 4096 * 4096, 4096);
		} else if (kind < 62) {
			worker->wrong += fallow_region_flush(setup->region) != 0;
		} else if (fallow_region_pin(setup->region, index * 8, 8, FALLOW_PIN_WRITE) == 0) {
			setup->words[index] = worker->shadow[index] = next_random(&state) | 1;
			worker->wrong += fallow_region_unpin(setup->region, index * 8, 8, FALLOW_PIN_WRITE) != 0;
		}
	}
	return NULL;
}

static unsigned compare_with_file(const struct setup *setup, const uint64_t *shadow)
{
	unsigned wrong = 0;
	uint64_t *stored = mmap(NULL, setup->count * 8, PROT_READ, MAP_SHARED, setup->file, 0);
	for (size_t i = 0; i < setup->count; i++)
		wrong += stored[i] != shadow[i];
	munmap(stored, setup->count * 8);
	return wrong;
}

static struct setup *running;
static uint64_t running_seed;

/* Says what failed before it ends: nothing should. */
static void on_bus(int number)
{
	struct fallow_failure failure = {0};
	struct fallow_pager_statistics s;
	size_t count = fallow_region_failures(running->region, &failure, 1);
	fallow_pager_get_statistics(running->pager, &s);
	fprintf(stderr, "  seed %llu: signal %d, %zu failures, block at %llu: error %d; %llu waits, %llu pinned, %llu dirty of %llu bytes\n",
		(unsigned long long)running_seed, number, count, (unsigned long long)failure.offset, failure.error,
		(unsigned long long)s.waits_for_room, (unsigned long long)s.pinned_bytes, (unsigned long long)s.dirty_bytes,
		(unsigned long long)s.resident_bytes);
	_exit(1);
}

static void one_seed(const struct configuration *configuration, uint64_t seed)
{
	struct setup setup;
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint64_t state = seed, wrong = 0;
	uint32_t block = 4096u << next_random(&state) % 5;
	unsigned cap = 8 + (unsigned)(next_random(&state) % 24), blocks = cap + 1 + (unsigned)(next_random(&state) % (3 * cap));
	struct fallow_pager_statistics statistics;
	running = &setup;
	running_seed = seed;
	signal(SIGBUS, on_bus);
	set_up(&setup, configuration, block, cap, blocks);
	uint64_t *shadow = malloc(setup.count * 8);
	for (size_t i = 0; i < setup.count; i++)
		shadow[i] = word_at(i);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){&setup, shadow, next_random(&state), i, 60, 0};
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		wrong += workers[i].wrong;
	}
	CHECK(wrong == 0, "seed %llu: %llu wrong", (unsigned long long)seed, (unsigned long long)wrong);
	for (size_t i = 0; i < setup.count; i++)
		wrong += setup.words[i] != shadow[i];
	CHECK(wrong == 0, "seed %llu: %llu wrong in the end", (unsigned long long)seed, (unsigned long long)wrong);
	CHECK(fallow_region_flush(setup.region) == 0);
	CHECK(compare_with_file(&setup, shadow) == 0, "seed %llu: the source differs", (unsigned long long)seed);
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.peak_resident_bytes <= (uint64_t)cap * block && statistics.pinned_bytes == 0);
	CHECK(statistics.evicted_blocks > 0, "the test evicted nothing");
	free(shadow);
	tear_down(&setup);
}

/* FALLOW_PAGER_SEEDS: how many in all; FALLOW_PAGER_FIRST_SEED: where to begin. An eighth in each configuration. */
static void seeds(const struct configuration *configuration)
{
	const char *all = getenv("FALLOW_PAGER_SEEDS"), *first = getenv("FALLOW_PAGER_FIRST_SEED");
#ifdef FALLOW_SANITIZED
	uint64_t count = 80;
#else
	uint64_t count = 1000;
#endif
	uint64_t begin = first != NULL ? strtoull(first, NULL, 10) : 1;
	if (all != NULL)
		count = strtoull(all, NULL, 10);
	for (uint64_t seed = begin; seed < begin + (count + 7) / 8; seed++)
		one_seed(configuration, seed * 8 + (uint64_t)(configuration - configurations));
}

/* A reader from the first byte to the last, with read-ahead, sees what is there; and read-ahead hits. */
static void sequential(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_pager_statistics statistics;
	set_up(&setup, configuration, 65536, 128, 512);
	size_t wrong = 0;
	for (size_t i = 0; i < setup.count; i++)
		wrong += setup.words[i] != word_at(i);
	CHECK(wrong == 0, "%zu", wrong);
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.readahead_hits > 400 && statistics.fetched_blocks + statistics.readahead_blocks < 600, "%llu hits, %llu + %llu read",
	      (unsigned long long)statistics.readahead_hits, (unsigned long long)statistics.fetched_blocks,
	      (unsigned long long)statistics.readahead_blocks);
	/* Every second block is no sequence, and nothing is read ahead of it. */
	uint64_t before = statistics.readahead_blocks;
	for (size_t i = 0; i < setup.count; i += 2 * 65536 / 8 + 4096)
		wrong += setup.words[i] != word_at(i);
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.readahead_blocks - before <= 2, "%llu", (unsigned long long)(statistics.readahead_blocks - before));
	tear_down(&setup);
}

/* A region that begins within the source, and whose last block is not whole. */
static void odd_sizes(const struct configuration *configuration)
{
	struct fallow_pager_settings settings = settings_of(configuration, 65536, 8);
	struct fallow_pager *pager;
	struct fallow_region *region;
	struct faulty faulty;
	enum { BLOCKS = 40, OFFSET = 3 * 4096 };
	size_t size = BLOCKS * 65536 - 5 * 4096, wrong = 0;
	int file = make_file(size + OFFSET);
	make_faulty(&faulty, file);
	CHECK(fallow_pager_create(&settings, &pager) == 0);
	CHECK(fallow_region_map(pager, &faulty.source, OFFSET, size, &region) == 0);
	volatile uint64_t *words = fallow_region_address(region);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < size / 8; i += 64) {
			wrong += words[i] != word_at(i + OFFSET / 8) + (uint64_t)round;
			words[i]++;
		}
	CHECK(wrong == 0, "%zu", wrong);
	CHECK(fallow_region_flush(region) == 0);
	for (size_t i = 0; i < size / 8; i += 64) {
		uint64_t stored;
		if (pread(file, &stored, 8, (off_t)(OFFSET + i * 8)) != 8 || stored != word_at(i + OFFSET / 8) + 3)
			wrong++;
	}
	CHECK(wrong == 0, "%zu", wrong);
	CHECK(fallow_pager_destroy(pager) == 0);
	fallow_shm_source_close(&faulty.under);
	close(file);
}

const struct test data_tests[] = {
	{"data: random reads and writes of four threads, seeded", seeds, false},
	{"data: a sequential reader, and one that is not", sequential, false},
	{"data: a region within a source, with a broken last block", odd_sizes, false},
	{NULL, NULL, false},
};
