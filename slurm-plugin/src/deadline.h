/* deadline.h: points in time on CLOCK_MONOTONIC, in nanoseconds. Every wait of the plugin ends at one of them. */
#ifndef FALLOW_DEADLINE_H
#define FALLOW_DEADLINE_H

#include <stdint.h>
#include <time.h>

/* Now, nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t fallow_now_ns(void)
{
	struct timespec now = {0, 0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The point that lies `ms` milliseconds ahead. */
static inline uint64_t fallow_deadline_ns(unsigned ms)
{
	return fallow_now_ns() + (uint64_t)ms * 1000000u;
}

/* Nanoseconds left until `deadline_ns`; 0 when it has passed. */
static inline uint64_t fallow_left_ns(uint64_t deadline_ns)
{
	uint64_t now = fallow_now_ns();
	return now < deadline_ns ? deadline_ns - now : 0;
}

/* Sleeps for `us` microseconds, or less when a signal arrives: callers loop on a deadline. */
static inline void fallow_pause_us(unsigned us)
{
	struct timespec pause = {(time_t)(us / 1000000u), (long)(us % 1000000u) * 1000L};
	nanosleep(&pause, NULL);
}

#endif
