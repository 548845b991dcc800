/* clinux_futex.h: sleeping on, and waking, a 32-bit word in memory shared between processes (futex(2)).
 * C because glibc has no wrapper for it and syscall() is variadic, which Swift does not import. */
#ifndef CLINUX_FUTEX_H
#define CLINUX_FUTEX_H
#include <stdint.h>

/* Sleeps while *word == expected, at most nanoseconds. 0 when woken, else an errno: EAGAIN (the word differs), EINTR,
 * ETIMEDOUT, EFAULT. */
int clinux_futex_wait(const void *word, uint32_t expected, int64_t nanoseconds);
/* Sleeps while every one of the words is expected, at most nanoseconds. As above; ENOSYS when the kernel cannot (before 5.16)
 * or there are more than 128 words. */
int clinux_futex_wait_any(const void *const *words, int count, uint32_t expected, int64_t nanoseconds);
/* Wakes at most count sleepers; how many, or a negated errno. */
int clinux_futex_wake(const void *word, int count);
#endif
