/* test_twin.c: what is read ahead of a sequential writer is not protected. It is stored if it was written, and only then. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "pager.h"

/* A writer who has come to WRITTEN is in the midst of a window: that block and a few behind it are open. */
enum { CAP = 128, BLOCKS = 512, WRITTEN = 56 };

static const uint64_t others = 0x5eed; /* what another has written to the source */

static volatile uint64_t *word_of(const struct setup *setup, size_t block)
{
	return &setup->words[block * (setup->pager->block_bytes / 8) + 8];
}

static off_t offset_of(const struct setup *setup, size_t block)
{
	return (off_t)(block * setup->pager->block_bytes + 64);
}

static uint64_t stored(const struct setup *setup, size_t block)
{
	uint64_t word = 0;
	CHECK(pread(setup->file, &word, 8, offset_of(setup, block)) == 8);
	return word;
}

static uint64_t faults(const struct setup *setup)
{
	struct fallow_pager_statistics statistics;
	fallow_pager_get_statistics(setup->pager, &statistics);
	return statistics.faults;
}

/* Waits until the service thread has done what it was asked for. Returns how many blocks have a twin then. */
static unsigned twins_at_rest(const struct setup *setup)
{
	struct fallow_pager *pager = setup->pager;
	for (unsigned used, busy = 1;; usleep(1000)) {
		struct guard guard;
		fallow_guard_enter(&guard, pager);
		busy = setup->region->in_motion + pager->wish_count + pager->evict_wanted;
		used = 0;
		for (uint32_t i = 0; i < pager->twin_count; i++)
			used += pager->twin_of[i] != NULL;
		fallow_guard_leave(&guard);
		if (busy == 0)
			return used;
	}
}

/* Writes to the blocks in order, so that those behind them are read ahead for writing; says how many are. */
static unsigned write_in_order(const struct setup *setup, size_t first, size_t end)
{
	for (size_t block = first; block < end; block++)
		*word_of(setup, block) = block + 1;
	unsigned used = twins_at_rest(setup);
	CHECK(used > 0 || setup->pager->is_async, "nothing was read ahead for writing");
	CHECK(used <= TWINS_MAX && used * 8 <= setup->pager->cap_blocks, "%u twins", used);
	return used;
}

/* Touches the last blocks in an order that is no sequence, until the first ones are gone. */
static void drive_out(const struct setup *setup)
{
	for (size_t i = 0; i < 256; i++)
		(void)*word_of(setup, 256 + i * 37 % 256);
	CHECK(twins_at_rest(setup) == 0, "what left has no twin");
}

static void not_written(const struct configuration *configuration, uint32_t bytes, bool flushed)
{
	struct setup setup;
	set_up(&setup, configuration, bytes, CAP, BLOCKS);
	write_in_order(&setup, 0, WRITTEN);
	for (size_t block = WRITTEN; block < 256; block++)
		CHECK(pwrite(setup.file, &others, 8, offset_of(&setup, block)) == 8);
	if (!flushed)
		drive_out(&setup);
	CHECK(fallow_region_flush(setup.region) == 0);
	for (size_t block = 0; block < 256; block++)
		CHECK(stored(&setup, block) == (block < WRITTEN ? block + 1 : others), "block %zu of %u bytes", block, bytes);
	/* Those that stayed are protected now, or known to be changed: a write is noticed. */
	for (size_t block = WRITTEN; block < WRITTEN + 16; block++)
		*word_of(&setup, block) = block + 1;
	CHECK(fallow_region_flush(setup.region) == 0);
	for (size_t block = WRITTEN; block < WRITTEN + 16; block++)
		CHECK(stored(&setup, block) == block + 1, "block %zu of %u bytes", block, bytes);
	tear_down(&setup);
}

static void evicted(const struct configuration *configuration)
{
	not_written(configuration, 4096, false);
	not_written(configuration, 65536, false);
}

static void flushed(const struct configuration *configuration)
{
	not_written(configuration, 4096, true);
	not_written(configuration, 65536, true);
}

/* Blocks that are open are written, and then evicted or flushed, without a fault that would tell. */
static void written_late(const struct configuration *configuration)
{
	struct setup setup;
	unsigned opened = 0; /* on a busy machine a twin may be where the service thread has not settled a load yet, and cannot be had */
	for (int round = 0; round < 4; round++) {
		set_up(&setup, configuration, 4096, CAP, BLOCKS);
		write_in_order(&setup, 0, WRITTEN);
		uint64_t before = faults(&setup);
		for (size_t block = WRITTEN; block < WRITTEN + 4; block++)
			*word_of(&setup, block) = block + 1;
		opened += faults(&setup) == before || setup.pager->is_async;
		if (round % 2 == 0)
			drive_out(&setup);
		CHECK(fallow_region_flush(setup.region) == 0);
		for (size_t block = 0; block < 256; block++)
			CHECK(stored(&setup, block) == (block < WRITTEN + 4 ? block + 1 : word_at(block * 512 + 8)), "block %zu", block);
		for (size_t block = 0; block < WRITTEN + 4; block++)
			CHECK(*word_of(&setup, block) == block + 1, "block %zu", block);
		tear_down(&setup);
	}
	CHECK(opened > 0, "they were never open");
}

/* A writer who leaves blocks out: each of the others is stored, once, and nothing else is. */
static void some_left_out(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_pager_statistics statistics;
	for (size_t every = 3; every < 9; every++) {
		uint64_t written = 0;
		set_up(&setup, configuration, 4096, CAP, BLOCKS);
		for (size_t block = 0; block < BLOCKS; block++) {
			if (block % every == 0) {
				CHECK(*word_of(&setup, block) == word_at(block * 512 + 8));
				continue;
			}
			*word_of(&setup, block) = block + 1;
			written++;
		}
		CHECK(fallow_region_flush(setup.region) == 0);
		for (size_t block = 0; block < BLOCKS; block++)
			CHECK(stored(&setup, block) == (block % every == 0 ? word_at(block * 512 + 8) : block + 1), "block %zu", block);
		fallow_pager_get_statistics(setup.pager, &statistics);
		/* With WP_ASYNC a flush counts what it looked at. */
		CHECK(setup.pager->is_async || statistics.written_blocks == written, "every %zu: %llu stored, %llu written", every,
		      (unsigned long long)statistics.written_blocks, (unsigned long long)written);
		CHECK(setup.pager->is_async || statistics.write_faults < written / 2, "%llu faults", (unsigned long long)statistics.write_faults);
		tear_down(&setup);
	}
}

enum { RACERS = 3, SWEEPS = 25, LEFT_OUT = 4 };

/* A flush reads what is being written, and knows it. */
#define RACES __attribute__((no_sanitize("thread")))

static struct setup shared;
static atomic_bool stop;
static _Atomic size_t position;
static _Atomic unsigned lost;

/* Counts in the blocks that the writer leaves out, about where it is: when they are opened, settled or about to leave. */
RACES static void *race(void *argument)
{
	size_t number = (size_t)argument + 1;
	static uint64_t expected[RACERS][BLOCKS];
	uint64_t state = number;
	while (!stop) {
		size_t block = (position + BLOCKS + 16 - next_random(&state) % 48) % BLOCKS / LEFT_OUT * LEFT_OUT;
		volatile uint64_t *word = word_of(&shared, block) + number;
		uint64_t *should = &expected[number - 1][block];
		if (*should == 0)
			*should = word_at(block * 512 + 8 + number);
		lost += *word != *should;
		*word = ++*should;
	}
	for (size_t block = 0; block < BLOCKS; block += LEFT_OUT)
		lost += expected[number - 1][block] != 0 && *(word_of(&shared, block) + number) != expected[number - 1][block];
	return NULL;
}

/* Goes through all blocks in order, and writes to those that are not left out. Returns how many words were not what they should be. */
RACES static size_t go_through(uint64_t sweep)
{
	size_t wrong = 0;
	for (size_t block = 0; block < BLOCKS; block++) {
		volatile uint64_t *word = word_of(&shared, block);
		position = block;
		wrong += *word != (sweep == 0 || block % LEFT_OUT == 0 ? word_at(block * 512 + 8) : sweep);
		if (block % LEFT_OUT != 0)
			*word = sweep + 1;
	}
	return wrong;
}

static void *flush_often(void *argument)
{
	while (!stop) {
		CHECK(fallow_region_flush(shared.region) == 0);
		usleep(3000);
	}
	return argument;
}

static void writes_while_settled(const struct configuration *configuration)
{
	pthread_t threads[RACERS + 1];
	size_t wrong = 0;
	set_up(&shared, configuration, 4096, CAP, BLOCKS);
	for (size_t i = 0; i < RACERS; i++)
		pthread_create(&threads[i], NULL, race, (void *)i);
	pthread_create(&threads[RACERS], NULL, flush_often, NULL);
	for (uint64_t sweep = 0; sweep < SWEEPS; sweep++)
		wrong += go_through(sweep);
	stop = true;
	for (size_t i = 0; i <= RACERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(lost == 0 && wrong == 0, "%u writes were lost, %zu words wrong", lost, wrong);
	CHECK(fallow_region_flush(shared.region) == 0);
	for (size_t block = 0; block < BLOCKS; block++) {
		uint64_t words[RACERS + 1];
		CHECK(pread(shared.file, words, sizeof words, offset_of(&shared, block)) == sizeof words);
		for (size_t i = 0; i <= RACERS; i++)
			wrong += words[i] != word_of(&shared, block)[i];
	}
	CHECK(wrong == 0, "%zu words were not stored", wrong);
	tear_down(&shared);
}

enum { WRITERS = 6, OF_EACH = 80 };

static void *write_own(void *argument)
{
	size_t first = (size_t)argument * OF_EACH;
	for (size_t block = first; block < first + OF_EACH; block++)
		*word_of(&shared, block) = block + 1;
	return NULL;
}

/* Writers who need more twins at once than there are, while the blocks that have them are on their way. */
static void many_writers(const struct configuration *configuration)
{
	pthread_t threads[WRITERS];
	set_up(&shared, configuration, 4096, CAP, BLOCKS);
	shared.faulty.delay_read_ms = 3;
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, write_own, (void *)i);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	CHECK(fallow_region_flush(shared.region) == 0);
	for (size_t block = 0; block < BLOCKS; block++)
		CHECK(stored(&shared, block) == (block < WRITERS * OF_EACH ? block + 1 : word_at(block * 512 + 8)), "block %zu", block);
	tear_down(&shared);
}

static void negative_control(const struct configuration *configuration)
{
	(void)configuration;
	CHECK(fails_when_broken("BROKEN_TWIN", "flushed and evicted / sigbus,wp_faults"), "a write before the protection was not missed");
}

static sigjmp_buf back;

static void jump_back(int number)
{
	siglongjmp(back, number);
}

static bool touch(volatile uint64_t *word, bool writes)
{
	if (sigsetjmp(back, 1) != 0)
		return false;
	if (writes)
		*word = 1;
	else
		(void)*word;
	return true;
}

static void catch_sigbus(void)
{
	struct sigaction action = {.sa_handler = jump_back};
	sigaction(SIGBUS, &action, NULL);
}

/* When the source is gone, what was written is a loss that is told, and what was only open is none. */
static void source_gone(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_failure failures[8];
	catch_sigbus();
	set_up(&setup, configuration, 4096, CAP, BLOCKS);
	write_in_order(&setup, 0, WRITTEN);
	CHECK(ftruncate(setup.file, 0) == 0);
	CHECK(fallow_region_flush(setup.region) == ENODATA);
	size_t count = fallow_region_failures(setup.region, failures, 8);
	CHECK(count == 1 && failures[0].offset == 0 && failures[0].length == WRITTEN * 4096 && failures[0].was_write,
	      "%zu, the first of %llu bytes", count, (unsigned long long)failures[0].length);
	for (size_t block = 0; block < WRITTEN; block++)
		CHECK(*word_of(&setup, block) == block + 1);
	tear_down(&setup);
}

/* Blocks that cannot be read, in the middle of what a writer goes through: they fail when they are touched, and hold no twin. */
static void bad_range(const struct configuration *configuration)
{
	struct setup setup;
	size_t failed = 0;
	catch_sigbus();
	set_up(&setup, configuration, 4096, CAP, BLOCKS);
	setup.faulty.bad_begin = 100 * 4096;
	setup.faulty.bad_end = 103 * 4096;
	for (size_t block = 0; block < 200; block++)
		failed += !touch(word_of(&setup, block), true);
	CHECK(failed == 3, "%zu", failed);
	twins_at_rest(&setup);
	CHECK(fallow_region_flush(setup.region) == 0 && twins_at_rest(&setup) == 0);
	setup.faulty.bad_end = 0;
	CHECK(fallow_region_retry(setup.region, 0, setup.count * 8) == 0);
	for (size_t block = 0; block < 200; block++)
		CHECK(*word_of(&setup, block) == (block >= 100 && block < 103 ? word_at(block * 512 + 8) : 1));
	tear_down(&setup);
}

/* Regions and ranges that vanish while blocks of theirs are open. */
static void forgotten(const struct configuration *configuration)
{
	struct setup setup;
	set_up(&setup, configuration, 4096, CAP, BLOCKS);
	write_in_order(&setup, 0, WRITTEN);
	CHECK(fallow_region_discard(setup.region, 0, setup.count * 8) == 0 && twins_at_rest(&setup) == 0);
	for (size_t block = 0; block < 200; block++)
		CHECK(*word_of(&setup, block) == word_at(block * 512 + 8), "block %zu", block);
	for (int round = 0; round < 20; round++) {
		write_in_order(&setup, 0, WRITTEN);
		CHECK(fallow_region_unmap(setup.region) == 0);
		CHECK(fallow_region_map(setup.pager, &setup.faulty.source, 0, setup.count * 8, &setup.region) == 0);
		setup.words = fallow_region_address(setup.region);
	}
	CHECK(twins_at_rest(&setup) == 0);
	tear_down(&setup);
}

static void child_of_writer(void *argument)
{
	struct setup *setup = argument;
	CHECK(fallow_region_flush(setup->region) == ECHILD);
}

/* A fork leaves open blocks open, and what tells of them with the parent. */
static void forked(const struct configuration *configuration)
{
	struct setup setup;
	set_up(&setup, configuration, 4096, CAP, BLOCKS);
	unsigned used = write_in_order(&setup, 0, WRITTEN);
	CHECK(check_child(child_of_writer, &setup, 20) == 0);
	CHECK(twins_at_rest(&setup) == used);
	*word_of(&setup, WRITTEN) = WRITTEN + 1;
	CHECK(fallow_region_flush(setup.region) == 0);
	for (size_t block = 0; block < WRITTEN + 4; block++)
		CHECK(stored(&setup, block) == (block <= WRITTEN ? block + 1 : word_at(block * 512 + 8)), "block %zu", block);
	tear_down(&setup);
}

/* What a system call writes to open blocks is as good as a store, pinned or not. */
static void system_calls(const struct configuration *configuration)
{
	struct setup setup;
	char bytes[4096];
	int pair[2];
	memset(bytes, 0x5a, sizeof bytes);
	set_up(&setup, configuration, 4096, CAP, BLOCKS);
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	write_in_order(&setup, 0, WRITTEN);
	for (size_t block = WRITTEN; block < WRITTEN + 6; block += 2) {
		char *open = (char *)(uintptr_t)&setup.words[block * 512];
		bool is_pinned = block % 4 == 0;
		CHECK(!is_pinned || fallow_region_pin(setup.region, block * 4096, 4096, FALLOW_PIN_WRITE) == 0);
		CHECK(write(pair[1], bytes, 4096) == 4096);
		if (read(pair[0], open, 4096) != 4096) { /* not open after all, which the kernel says */
			CHECK(!is_pinned && errno == EFAULT && read(pair[0], bytes, 4096) == 4096, "%s", strerror(errno));
			memset(open, 0x5a, 4096);
		}
		CHECK(!is_pinned || fallow_region_unpin(setup.region, block * 4096, 4096, FALLOW_PIN_WRITE) == 0);
	}
	drive_out(&setup);
	CHECK(fallow_region_flush(setup.region) == 0);
	for (size_t block = WRITTEN; block < WRITTEN + 6; block += 2)
		CHECK(stored(&setup, block) == 0x5a5a5a5a5a5a5a5aull, "block %zu: %llx", block, (unsigned long long)stored(&setup, block));
	close(pair[0]), close(pair[1]);
	tear_down(&setup);
}

const struct test twin_tests[] = {
	{"twin: what was open and not written is not stored when it is evicted", evicted, false},
	{"twin: what was open and not written is not stored by a flush", flushed, false},
	{"twin: what was open and is written is stored", written_late, false},
	{"twin: a writer who leaves blocks out", some_left_out, false},
	{"twin: writes while blocks are opened, settled, flushed and evicted", writes_while_settled, false},
	{"twin: more writers than there are twins for", many_writers, false},
	{"twin: the build that misses writes is caught", negative_control, true},
	{"twin: the source is gone", source_gone, false},
	{"twin: a bad range", bad_range, false},
	{"twin: discard and unmap", forgotten, false},
	{"twin: fork", forked, false},
	{"twin: system calls", system_calls, false},
	{NULL, NULL, false},
};
