/* test_memory.c: the cap is kept, nothing leaks, children have nothing. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "pager.h"

static atomic_bool stop;

static void *churn(void *argument)
{
	struct setup *setup = argument;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	while (!stop) {
		size_t index = next_random(&state) % setup->count;
		if (index % 3 == 0)
			setup->words[index] = index;
		else
			(void)setup->words[index];
		if (index % 50 == 0)
			for (size_t i = index; i < setup->count && i < index + 40000; i += 512)
				(void)setup->words[i];
	}
	return NULL;
}

/* The kernel's own count of what is mapped in the region and in the slots, many times while four threads work. Pages move between the two
 * while they are counted, and one that moves ahead of the count is counted twice: a count that is too high must be so hundreds of times in a
 * row to be believed. What was too high for longer than that would be a leak, and is. */
static void cap(const struct configuration *configuration)
{
	struct setup setup;
	pthread_t threads[4];
	struct fallow_pager_statistics statistics;
	enum { CAP = 64, BLOCK = 16384 };
	set_up(&setup, configuration, BLOCK, CAP, 400);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, &setup);
	size_t most = 0;
	statistics.evicted_blocks = 0;
	for (int round = 0; round < 400 || (statistics.evicted_blocks < 1000 && round < 100000); round++) {
		size_t least = SIZE_MAX;
		for (int again = 0; again < 300 && least > CAP * BLOCK; again++) {
			size_t here = bytes_here((const void *)setup.words, setup.count * 8) +
				      bytes_here(setup.pager->staging, setup.pager->slot_count * setup.pager->block_bytes);
			least = here < least ? here : least;
		}
		most = least > most ? least : most;
		fallow_pager_get_statistics(setup.pager, &statistics);
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* The service thread may still be taking blocks out. */
	size_t quiet = SIZE_MAX;
	for (int again = 0; again < 2000 && quiet > CAP * BLOCK; again++) {
		usleep(again > 0 ? 1000 : 0);
		quiet = bytes_here((const void *)setup.words, setup.count * 8) +
			bytes_here(setup.pager->staging, setup.pager->slot_count * setup.pager->block_bytes);
	}
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(most <= CAP * BLOCK, "%zu KiB of %d were mapped", most / 1024, CAP * BLOCK / 1024);
	CHECK(most >= CAP * BLOCK / 2, "only %zu KiB", most / 1024);
	CHECK(quiet <= CAP * BLOCK, "%zu KiB in the end", quiet / 1024);
	CHECK(statistics.peak_resident_bytes <= CAP * BLOCK && statistics.evicted_blocks > 500);
	tear_down(&setup);
}

static void leaks(const struct configuration *configuration)
{
	struct setup setup;
	set_up(&setup, configuration, 4096, 8, 32);
	int descriptors = 0;
	size_t mappings = 0, memory = 0; /* a sanitizer keeps freed memory for a while, so it is not looked at there */
	for (int cycle = 0; cycle < 1250; cycle++) {
		struct fallow_region *region;
		if (cycle == 100) {
			descriptors = count_descriptors();
			mappings = count_mappings();
			memory = resident_kib();
		}
		if (fallow_region_map(setup.pager, &setup.faulty.source, 0, 32 * 4096, &region) != 0) {
			CHECK(false, "cycle %d", cycle);
			return;
		}
		volatile uint64_t *words = fallow_region_address(region);
		for (size_t i = 0; i < 4; i++)
			words[(size_t)(cycle * 7 + (int)i * 5) % 32 * 512]++;
		CHECK(fallow_region_unmap(region) == 0);
	}
	CHECK(count_descriptors() == descriptors);
	CHECK(count_mappings() <= mappings + 8, "%zu, %zu before", count_mappings(), mappings);
#ifdef FALLOW_SANITIZED
	(void)memory;
#else
	CHECK(resident_kib() <= memory + 512, "%zu KiB, %zu before", resident_kib(), memory);
#endif
	tear_down(&setup);
	descriptors = count_descriptors();
	for (int cycle = 0; cycle < 40; cycle++) {
		set_up(&setup, configuration, 4096, 8, 32);
		setup.words[cycle] = 1;
		tear_down(&setup);
	}
	CHECK(count_descriptors() == descriptors);
}

static void child_of_region(void *argument)
{
	struct setup *setup = argument;
	struct fallow_region *region;
	signal(SIGSEGV, SIG_DFL);
	if (fallow_region_flush(setup->region) != ECHILD || fallow_region_unmap(setup->region) != ECHILD ||
	    fallow_pager_destroy(setup->pager) != ECHILD || fallow_region_pin(setup->region, 0, 8, 0) != ECHILD ||
	    fallow_region_map(setup->pager, &setup->faulty.source, 0, 4096, &region) != ECHILD)
		_exit(7);
	(void)setup->words[5];
	_exit(8); /* it read something */
}

static void forked(const struct configuration *configuration)
{
	struct setup setup;
	set_up(&setup, configuration, 4096, 16, 64);
	setup.words[5] = 99;
	int status = check_child(child_of_region, &setup, 20);
	CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) || (WIFEXITED(status) && WEXITSTATUS(status) == 1),
	      "status %x", (unsigned)status);
	size_t wrong = 0;
	for (size_t i = 0; i < setup.count; i++)
		wrong += setup.words[i] != (i == 5 ? 99 : word_at(i));
	CHECK(wrong == 0, "%zu", wrong);
	tear_down(&setup);
}

const struct test memory_tests[] = {
	{"memory: the cap is never exceeded", cap, false},
	{"memory: 10,000 cycles of map and unmap leak nothing", leaks, false},
	{"memory: a forked child has no region, and reads no zeros", forked, false},
	{NULL, NULL, false},
};
