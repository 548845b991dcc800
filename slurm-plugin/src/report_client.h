/* report_client.h: one exchange with the agent over report.sock, never longer than the caller allows. */
#ifndef FALLOW_REPORT_CLIENT_H
#define FALLOW_REPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fallow_report.h"

/* How an exchange ended. */
enum fallow_answer {
	FALLOW_ANSWER_VALID,  /* *reply is a well-formed reply */
	FALLOW_ANSWER_ABSENT, /* nobody is there: no socket, refused, or it went away without a word. Costs no time */
	FALLOW_ANSWER_HUNG,   /* the deadline passed */
	FALLOW_ANSWER_GARBLED /* something answered that is not an agent of our version */
};

#define FALLOW_WHY_MAX 128

/* Sends, waits for the reply; returns at `deadline_ns` (CLOCK_MONOTONIC) at the latest. `why` gets half a
 * sentence for the log unless the answer is valid. Never raises SIGPIPE, leaves no descriptor open. */
enum fallow_answer fallow_report_ask(const char *socket_path, const struct fallow_report_request *request,
				     uint64_t deadline_ns, struct fallow_report_reply *reply, char why[FALLOW_WHY_MAX]);

/* How long a report that wants no answer may wait for room: the kernel queues ten, and more steps may end at once. */
#define FALLOW_POST_MS 10

/* Sends without waiting for an answer. If the agent's queue stays full for `wait_ms` the report is dropped (false). */
bool fallow_report_post(const char *socket_path, const struct fallow_report_request *request, unsigned wait_ms);

#endif
