#include "clinux_futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Not the _PRIVATE forms: the word lies in memory that several processes map. */
int clinux_futex_wait(const void *word, uint32_t expected, int64_t nanoseconds)
{
	if (nanoseconds < 0)
		nanoseconds = 0;
	struct timespec limit = { .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000 };
	if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &limit, NULL, 0) == 0)
		return 0;
	return errno;
}

int clinux_futex_wake(const void *word, int count)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
	return woken < 0 ? -errno : (int)woken;
}

#ifndef SYS_futex_waitv /* Linux 5.16 */
#define SYS_futex_waitv 449
#endif

/* linux/futex.h of Debian 12 has these; older ones do not. */
struct waited {
	uint64_t expected;
	uint64_t address;
	uint32_t flags; /* 2: a word of 32 bits */
	uint32_t reserved;
};

int clinux_futex_wait_any(const void *const *words, int count, uint32_t expected, int64_t nanoseconds)
{
	enum { most = 128 };
	struct waited all[most] = { 0 };
	struct timespec limit;

	if (count == 1)
		return clinux_futex_wait(words[0], expected, nanoseconds);
	if (count < 1 || count > most)
		return ENOSYS;
	for (int i = 0; i < count; i++) {
		all[i].expected = expected;
		all[i].address = (uintptr_t)words[i];
		all[i].flags = 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &limit); /* the limit is a moment, not a span */
	if (nanoseconds > 0) {
		int64_t sum = limit.tv_nsec + nanoseconds % 1000000000;
		limit.tv_sec += nanoseconds / 1000000000 + sum / 1000000000;
		limit.tv_nsec = sum % 1000000000;
	}
	if (syscall(SYS_futex_waitv, all, count, 0, &limit, CLOCK_MONOTONIC) >= 0)
		return 0;
	return errno;
}
