/* test_failure.c: sources that fail. A touch is SIGBUS then, never zeros, and a program can ask what failed. */
#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "pager.h"

static sigjmp_buf back;

static void jump_back(int number)
{
	siglongjmp(back, number);
}

/* Before the pager is made, so that it is the handler behind the pager's. */
static void catch_sigbus(void)
{
	struct sigaction action = {.sa_handler = jump_back};
	sigaction(SIGBUS, &action, NULL);
}

/* True and the word, or false after SIGBUS. */
static bool load(volatile uint64_t *word, uint64_t *value)
{
	if (sigsetjmp(back, 1) != 0)
		return false;
	*value = *word;
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void failing_calls(const struct configuration *configuration)
{
	struct setup setup;
	uint64_t value = 0;
	catch_sigbus();
	set_up(&setup, configuration, 4096, 16, 64);
	setup.faulty.fail_read_from = 11;
	setup.faulty.fail_read_to = 15;
	size_t failed = 0, wrong = 0;
	for (size_t i = 0; i < 64; i += 2) { /* no sequence, so a call is a block */
		if (!load(&setup.words[i * 512 + 7], &value))
			failed++;
		else
			wrong += value != word_at(i * 512 + 7);
	}
	CHECK(failed == 5 && wrong == 0, "%zu failed, %zu wrong", failed, wrong);
	CHECK(!load(&setup.words[20 * 512], &value), "it is poisoned for good");
	struct fallow_failure failures[8];
	CHECK(fallow_region_failures(setup.region, failures, 8) == 5);
	CHECK(failures[0].offset == 20 * 4096 && failures[0].length == 4096 && failures[0].error == EREMOTEIO && !failures[0].was_write);
	CHECK(fallow_region_retry(setup.region, 0, fallow_region_size(setup.region)) == 0);
	CHECK(fallow_region_failures(setup.region, failures, 8) == 0);
	CHECK(load(&setup.words[20 * 512], &value) && value == word_at(20 * 512));
	for (size_t i = 0; i < setup.count; i += 64)
		wrong += !load(&setup.words[i], &value) || value != word_at(i);
	CHECK(wrong == 0, "%zu", wrong);
	tear_down(&setup);
}

/* Reads the first word of each block from `first` to before `end`; counts those that could not be read, and those that were wrong. */
static void look(const struct setup *setup, size_t first, size_t end, size_t *failed, size_t *wrong)
{
	uint64_t value = 0;
	for (size_t block = first; block < end; block++)
		if (!load(&setup->words[block * 512], &value))
			++*failed;
		else
			*wrong += value != word_at(block * 512);
}

/* One block of a batch that is read ahead is bad: it alone fails. */
static void bad_range(const struct configuration *configuration)
{
	struct setup setup;
	size_t wrong = 0, failed = 0;
	catch_sigbus();
	set_up(&setup, configuration, 4096, 128, 512);
	setup.faulty.bad_begin = 300 * 4096;
	setup.faulty.bad_end = 302 * 4096;
	look(&setup, 0, 512, &failed, &wrong);
	struct fallow_failure failure;
	CHECK(failed == 2 && wrong == 0, "%zu failed, %zu wrong", failed, wrong);
	CHECK(fallow_region_failures(setup.region, &failure, 1) == 1);
	CHECK(failure.offset == 300 * 4096 && failure.length == 2 * 4096 && failure.error == EIO);
	tear_down(&setup);
}

/* Blocks that were bad while they were read ahead, and that nobody had touched, are good when somebody does: so the arena's are, which
 * has none behind its last allocation until the next one. */
static void bad_only_ahead(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_failure failure;
	struct fallow_pager_statistics statistics;
	size_t wrong = 0, failed = 0;
	catch_sigbus();
	set_up(&setup, configuration, 4096, 128, 512);
	setup.faulty.bad_begin = 300 * 4096;
	setup.faulty.bad_end = 512 * 4096;
	look(&setup, 0, 300, &failed, &wrong);
	for (uint64_t until = now_ms() + 5000; now_ms() < until;) {
		fallow_pager_get_statistics(setup.pager, &statistics);
		if (statistics.read_failures > 0)
			break;
		usleep(1000);
	}
	CHECK(statistics.read_failures > 0, "nothing was read ahead");
	CHECK(fallow_region_failures(setup.region, &failure, 1) == 0);
	setup.faulty.bad_end = setup.faulty.bad_begin;
	look(&setup, 300, 512, &failed, &wrong);
	CHECK(failed == 0 && wrong == 0, "%zu failed, %zu wrong", failed, wrong);
	tear_down(&setup);
}

static void touch_first(void *argument)
{
	struct setup *setup = argument;
	uint64_t value = 0;
	CHECK(load(&setup->words[3], &value) && value == word_at(3));
}

/* A source that hangs for its own bound, and gives the data or fails. */
static void slow_source(const struct configuration *configuration)
{
	struct setup setup;
	uint64_t value = 0, began;
	catch_sigbus();
	set_up(&setup, configuration, 4096, 16, 64);
	setup.faulty.delay_read_ms = 300;
	began = now_ms();
	touch_first(&setup);
	CHECK(now_ms() - began >= 290 && now_ms() - began < 5000);
	setup.faulty.fail_read_from = 1;
	setup.faulty.fail_read_to = 1000;
	began = now_ms();
	CHECK(!load(&setup.words[30 * 512], &value));
	CHECK(now_ms() - began < 5000);
	tear_down(&setup);
}

/* Donors' memory that was taken back, in the three ways there are. */
enum taking { TRUNCATED, PUNCHED, WORD };

static void taken_back(const struct configuration *configuration, enum taking taking)
{
	struct fallow_pager_settings settings = settings_of(configuration, 4096, 16);
	struct fallow_pager *pager;
	struct fallow_region *region;
	struct fallow_source source;
	static _Alignas(64) uint32_t words[2];
	const uint32_t *const reclaimed[2] = {&words[0], &words[1]};
	uint64_t value = 0;
	catch_sigbus();
	int files[2] = {make_file(64 * 4096), make_file(64 * 4096)};
	struct fallow_shm_settings shm = {.descriptors = files, .count = 2, .stripe_bytes = 4096, .reclaimed = taking == WORD ? reclaimed : NULL};
	words[0] = words[1] = 0;
	CHECK(fallow_shm_source_open(&shm, &source) == 0 && source.size == 128 * 4096);
	CHECK(fallow_pager_create(&settings, &pager) == 0);
	CHECK(fallow_region_map(pager, &source, 0, source.size, &region) == 0);
	volatile uint64_t *memory = fallow_region_address(region);
	/* Stripes: block n is page n/2 of file n mod 2. */
	CHECK(load(&memory[9 * 512 + 1], &value) && value == word_at(4 * 512 + 1));
	memory[9 * 512 + 1] = 4711;
	if (taking == TRUNCATED)
		CHECK(ftruncate(files[1], 0) == 0);
	if (taking == WORD)
		__atomic_store_n(&words[1], 1, __ATOMIC_SEQ_CST);
	if (taking != TRUNCATED)
		CHECK(fallocate(files[1], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 * 4096) == 0);
	size_t wrong = 0;
	for (size_t block = 20; block < 128; block++) {
		bool is_there = load(&memory[block * 512 + 2], &value);
		wrong += is_there != (block % 2 == 0) || (is_there && value != word_at(block / 2 * 512 + 2));
	}
	CHECK(wrong == 0, "%zu", wrong);
	/* What was changed could not be stored, is said so, and is still here. */
	CHECK(fallow_region_flush(region) == (taking == WORD ? EOWNERDEAD : ENODATA));
	CHECK(load(&memory[9 * 512 + 1], &value) && value == 4711);
	struct fallow_failure failures[100];
	size_t count = fallow_region_failures(region, failures, 100);
	CHECK(count == 55 && failures[0].offset == 9 * 4096 && failures[0].was_write && failures[1].offset == 21 * 4096, "%zu", count);
	CHECK(fallow_pager_destroy(pager) == 0);
	fallow_shm_source_close(&source);
}

static void truncated(const struct configuration *configuration)
{
	taken_back(configuration, TRUNCATED);
}

static void punched(const struct configuration *configuration)
{
	taken_back(configuration, PUNCHED);
}

static void word_set(const struct configuration *configuration)
{
	taken_back(configuration, WORD);
}

/* While write-backs fail nothing is lost, faults that need room fail in time, and when they work again all goes on. */
static void failing_writes(const struct configuration *configuration)
{
	struct setup setup;
	uint64_t value = 0;
	catch_sigbus();
	set_up(&setup, configuration, 4096, 16, 64);
	CHECK(fallow_pager_destroy(setup.pager) == 0);
	struct fallow_pager_settings settings = settings_of(configuration, 4096, 16);
	settings.wait_limit_ms = 400;
	CHECK(fallow_pager_create(&settings, &setup.pager) == 0);
	CHECK(fallow_region_map(setup.pager, &setup.faulty.source, 0, setup.count * 8, &setup.region) == 0);
	setup.words = fallow_region_address(setup.region);
	setup.faulty.fail_writes = EIO;
	size_t stored = 0, failed = 0, wrong = 0;
	for (size_t block = 0; block < 64 && failed < 3; block++) {
		if (!load(&setup.words[block * 512], &value)) {
			failed++;
			continue;
		}
		setup.words[block * 512] = block + 1;
		stored++;
	}
	CHECK(stored >= 12 && stored <= 16 && failed == 3, "%zu stored, %zu failed", stored, failed);
	for (size_t block = 0; block < stored; block++)
		wrong += !load(&setup.words[block * 512], &value) || value != block + 1;
	CHECK(wrong == 0, "%zu", wrong);
	struct fallow_pager_statistics statistics;
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.write_failures > 0 && statistics.resident_bytes <= 16 * 4096);
	CHECK(fallow_region_flush(setup.region) == EIO);
	setup.faulty.fail_writes = 0;
	CHECK(fallow_region_retry(setup.region, 0, setup.count * 8) == 0);
	CHECK(fallow_region_flush(setup.region) == 0);
	CHECK(fallow_region_failures(setup.region, NULL, 0) == 0);
	for (size_t block = 0; block < 64; block++)
		wrong += !load(&setup.words[block * 512], &value) ||
			 value != (block < stored ? block + 1 : word_at(block * 512));
	CHECK(wrong == 0, "%zu", wrong);
	tear_down(&setup);
}

static void *touch_slowly(void *word)
{
	return (void *)(uintptr_t)*(volatile uint64_t *)word;
}

/* A flush that comes upon a block which does not arrive in time says so, and holds on to nothing. */
static void late_flush(const struct configuration *configuration)
{
	struct setup setup;
	pthread_t thread;
	uint64_t value = 0;
	set_up(&setup, configuration, 4096, 16, 64);
	CHECK(fallow_pager_destroy(setup.pager) == 0);
	struct fallow_pager_settings settings = settings_of(configuration, 4096, 16);
	settings.wait_limit_ms = 300;
	CHECK(fallow_pager_create(&settings, &setup.pager) == 0);
	CHECK(fallow_region_map(setup.pager, &setup.faulty.source, 0, setup.count * 8, &setup.region) == 0);
	setup.words = fallow_region_address(setup.region);
	for (size_t block = 0; block < 3; block++)
		setup.words[block * 512] = block + 1;
	setup.faulty.delay_read_ms = 1500;
	CHECK(pthread_create(&thread, NULL, touch_slowly, (void *)&setup.words[20 * 512]) == 0);
	while (*(volatile uint8_t *)&setup.region->blocks[20].state != LOADING)
		usleep(1000);
	int said = fallow_region_flush(setup.region);
	CHECK(said == ETIMEDOUT, "%s", strerror(said));
	pthread_join(thread, NULL);
	setup.faulty.delay_read_ms = 0;
	CHECK(fallow_region_flush(setup.region) == 0);
	for (size_t block = 0; block < 3; block++)
		CHECK(pread(setup.file, &value, 8, (off_t)block * 4096) == 8 && value == block + 1);
	CHECK(fallow_region_unmap(setup.region) == 0);
	CHECK(fallow_region_map(setup.pager, &setup.faulty.source, 0, setup.count * 8, &setup.region) == 0);
	tear_down(&setup);
}

const struct test failure_tests[] = {
	{"failure: calls that fail poison their block, until it is tried again", failing_calls, false},
	{"failure: a bad range within what is read ahead", bad_range, false},
	{"failure: read ahead and not touched, it is nobody's", bad_only_ahead, false},
	{"failure: a source that takes its time", slow_source, false},
	{"failure: a donor's file is truncated", truncated, false},
	{"failure: a donor's file is punched", punched, false},
	{"failure: a donor's word says that it is being taken back", word_set, false},
	{"failure: write-backs fail, and work again", failing_writes, false},
	{"failure: a flush that is late holds on to nothing", late_flush, false},
	{NULL, NULL, false},
};
