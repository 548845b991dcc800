/* fake_agent.h: processes that listen where the agent would. */
#ifndef FALLOW_FAKE_AGENT_H
#define FALLOW_FAKE_AGENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "fallow_report.h"

enum manner {
	HEALTHY,      /* answers OK with "lending 2 cores" */
	SLOW,         /* answers OK after 60 ms */
	HUNG,         /* takes the record, never answers */
	DEAF,         /* takes nothing, and its queue is full */
	SILENT,       /* takes the record and closes */
	HALF,         /* half a reply */
	LONG,         /* a reply and some more */
	GARBAGE,      /* 384 bytes of noise */
	OTHER_MAGIC,
	OTHER_VERSION,
	ENDLESS_TEXT, /* a message without its NUL */
	ODD_STATUS,
	STUCK,
	INVALID,
	STRANGER,     /* answers OK, but is not root */
	IMPOSTOR      /* the same behind root's socket */
};

struct fake_agent {
	pid_t pid;
	int records; /* read end of a pipe: what arrived */
};

/* Starts one on `socket_path`; it is there when this returns, and ends with this process at the latest. */
struct fake_agent agent_start(const char *socket_path, enum manner manner);
void agent_stop(struct fake_agent *agent);

/* The next record that arrived, waiting at most a second. */
bool agent_next(struct fake_agent *agent, struct fallow_report_request *record);

#endif
