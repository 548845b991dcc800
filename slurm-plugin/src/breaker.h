/* breaker.h: the circuit breaker, a file <runtime>/breaker.<job id>. While it is there, no step of that job on this node
 * waits for the agent again. Whoever trips it is the plugin; a healthy agent deletes all of <runtime>/breaker.* before it
 * lends again; the epilog deletes its job's. */
#ifndef FALLOW_BREAKER_H
#define FALLOW_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the breaker of `job_id` is tripped. */
bool fallow_breaker_is_tripped(const char *runtime, uint32_t job_id);

/* Trips it; the file holds `why` as one line. False with errno when the file could not be made. */
bool fallow_breaker_trip(const char *runtime, uint32_t job_id, const char *why);

/* Deletes it, if it is there. */
void fallow_breaker_reset(const char *runtime, uint32_t job_id);

#endif
