/* check.h: the smallest runner. Each test runs in a process of its own, which has a bound; a crash is a failure. */
#ifndef FALLOW_CHECK_H
#define FALLOW_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fallow_pager.h"

/* A test; `configuration` says how its pagers are made. Tables end with a name of NULL. */
struct configuration {
	const char *name;
	enum fallow_pager_mode mode;
	enum fallow_pager_tracking tracking;
	uint32_t without;
};

struct test {
	const char *name;
	void (*run)(const struct configuration *configuration);
	bool once; /* in the first configuration alone */
};

extern const struct test data_tests[], race_tests[], failure_tests[], memory_tests[], signal_tests[], pin_tests[],
	interface_tests[], twin_tests[], preload_tests[];
extern const struct configuration configurations[];

/* Notes a failure of the running test; the test goes on. */
void check_failed(const char *file, int line, const char *what, const char *more, ...) __attribute__((format(printf, 4, 5)));

#define CHECK(condition, ...) \
	do { \
		if (!(condition)) \
			check_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
	} while (0)

/* Runs `body` in a child. Returns its wait status; -1: it was still there after `seconds`, and was killed. */
int check_child(void (*body)(void *), void *argument, int seconds);

/* Whether the tests of a name fail in the build that an environment variable names, which has a fault; true when it names none. */
bool fails_when_broken(const char *variable, const char *name);

/* Numbers that follow from a seed alone. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* support.c: a memory file of `size` bytes whose 8-byte words hold word_at(index), sealed; and things made of it. */
static inline uint64_t word_at(uint64_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15ull; /* never 0 */
}
int make_file(size_t size);

/* A source over one memory file, with faults that a test turns on. */
struct faulty {
	struct fallow_source source; /* hand out &faulty.source */
	struct fallow_source under;
	_Atomic int reads, writes;             /* calls so far */
	_Atomic int fail_read_from, fail_read_to; /* numbers of calls, from 1, that fail with EREMOTEIO */
	_Atomic int fail_writes;               /* while nonzero writes fail with this */
	_Atomic uint64_t bad_begin, bad_end;   /* reads that touch this range fail with EIO */
	_Atomic unsigned delay_read_ms, delay_write_ms;
};
void make_faulty(struct faulty *faulty, int file);

struct setup {
	struct fallow_pager *pager;
	struct fallow_region *region;
	volatile uint64_t *words;
	size_t count; /* words */
	int file;
	struct faulty faulty;
};

/* A pager with a cap of `cap` blocks of `block` bytes and one region of `blocks` blocks over a faulty source. */
void set_up(struct setup *setup, const struct configuration *configuration, uint32_t block, unsigned cap, unsigned blocks);
struct fallow_pager_settings settings_of(const struct configuration *configuration, uint32_t block, unsigned cap);
void tear_down(struct setup *setup);

/* Bytes of this process's mappings in [start, start+length) that are in memory, by the kernel's word. */
size_t bytes_here(const void *start, size_t length);
int count_descriptors(void);
size_t count_mappings(void);
size_t resident_kib(void);

#endif
