/* Where a counted stretch begins and ends, for all three ways of counting at once: callgrind (its client requests cost a few
 * instructions outside of it), strace (writes to no descriptor, which show in its log), and count.c's allocations. */
#ifndef GATE_MARKS_H
#define GATE_MARKS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

/* This thread's allocations and releases so far; there when count.c is preloaded. */
extern uint64_t gate_allocations(void) __attribute__((weak));

static inline uint64_t gate_begin(const char *side, int calls)
{
	char text[64];
	int length = snprintf(text, sizeof text, "gate begin %s %d", side, calls);
	(void)!write(-1, text, (size_t)length);
	uint64_t allocations = gate_allocations ? gate_allocations() : 0;
	CALLGRIND_ZERO_STATS;
	return allocations;
}

static inline uint64_t gate_end(const char *side, int calls, uint64_t before)
{
	char text[64];
	int length = snprintf(text, sizeof text, "gate end %s %d", side, calls);
	if (RUNNING_ON_VALGRIND)
		CALLGRIND_DUMP_STATS_AT(text);
	uint64_t allocations = (gate_allocations ? gate_allocations() : 0) - before;
	(void)!write(-1, text, (size_t)length);
	return allocations;
}

#endif
