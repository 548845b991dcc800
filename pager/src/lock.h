/* lock.h: a mutex and a condition over futexes, usable in a signal handler, since every signal is blocked while it is held. */
#ifndef FALLOW_LOCK_H
#define FALLOW_LOCK_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0 free, 1 held, 2 held and somebody waits. */
struct fallow_lock {
	_Atomic uint32_t word;
};

/* Something that changes: whoever waits reads `turn`, looks, and waits while the turn is the same. */
struct fallow_change {
	_Atomic uint32_t turn;
	_Atomic uint32_t waiting;
};

/* Takes and gives back. The caller has all signals blocked. */
void fallow_lock_take(struct fallow_lock *lock);
void fallow_lock_give(struct fallow_lock *lock);

/* Blocks every signal of this thread; the old mask goes to `old`. */
void fallow_signals_block(sigset_t *old);
void fallow_signals_restore(const sigset_t *old);

/* The present turn, to be read while the lock is held. */
static inline uint32_t fallow_change_turn(struct fallow_change *change)
{
	return atomic_load(&change->turn);
}

/* Tells everybody who waits that something changed. */
void fallow_change_tell(struct fallow_change *change);

/* Waits until the turn is another, or `deadline_ns` (CLOCK_MONOTONIC) has passed. May return early. */
void fallow_change_wait(struct fallow_change *change, uint32_t turn, uint64_t deadline_ns);

/* Now, nanoseconds of CLOCK_MONOTONIC. Async-signal-safe. */
uint64_t fallow_clock_ns(void);

#endif
