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
