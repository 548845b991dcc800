#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A waiter looks this often before it sleeps: transfers over shared memory are over within microseconds, and a wake-up
 * across cores costs more than that. */
enum { LOOKS_BEFORE_SLEEP = 200 };

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
	syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
}

void fallow_lock_take(struct fallow_lock *lock)
{
	for (int look = 0; look < LOOKS_BEFORE_SLEEP; look++) {
		uint32_t free = 0;
		if (atomic_compare_exchange_weak_explicit(&lock->word, &free, 1, memory_order_acquire, memory_order_relaxed))
			return;
		relax();
	}
	/* Held only for short work without transfers, so this needs no bound of its own. */
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
		futex_wait(&lock->word, 2, NULL);
}

void fallow_lock_give(struct fallow_lock *lock)
{
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
		futex_wake(&lock->word, 1);
}

void fallow_signals_block(sigset_t *old)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

void fallow_signals_restore(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void fallow_change_tell(struct fallow_change *change)
{
	atomic_fetch_add(&change->turn, 1);
	if (atomic_load(&change->waiting) != 0)
		futex_wake(&change->turn, INT_MAX);
}

void fallow_change_wait(struct fallow_change *change, uint32_t turn, uint64_t deadline_ns)
{
	for (int look = 0; look < LOOKS_BEFORE_SLEEP; look++) {
		if (atomic_load(&change->turn) != turn)
			return;
		relax();
	}
	uint64_t now = fallow_clock_ns();
	if (now >= deadline_ns)
		return;
	uint64_t left = deadline_ns - now;
	struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	atomic_fetch_add(&change->waiting, 1);
	futex_wait(&change->turn, turn, &timeout);
	atomic_fetch_sub(&change->waiting, 1);
}

uint64_t fallow_clock_ns(void)
{
	struct timespec now = {0, 0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
