/* fallow_report.h: the record that spank_fallow.so sends to fallowd, and the reply.
 *
 * One header for both sides: the plugin is C, the agent imports it as a C module. Both ends are on one
 * machine, so the byte order is the machine's. The socket is AF_UNIX, SOCK_DGRAM, path
 * <runtime directory>/report.sock, mode 0600, owner root: one message is one record, so a short one is
 * an error and never "half a record, more to come".
 *
 * Exchange: send one fallow_report_request, and with it (SCM_RIGHTS) one end of an AF_UNIX, SOCK_SEQPACKET pair; receive one
 * fallow_report_reply at the other end, which ends when the agent does. Without that end no answer is sent. The agent answers
 *   HELLO, STEP_START  when the cores of the step hold nothing of ours any more (or at once when nothing did);
 *   STEP_RUNNING, STEP_END, JOB_END  at once; the plugin need not wait for these answers.
 * All strings are NUL-terminated within their arrays; a string without its NUL makes the record invalid. */
#ifndef FALLOW_REPORT_H
#define FALLOW_REPORT_H

#include <assert.h>
#include <stdint.h>

#define FALLOW_REPORT_MAGIC 0x574f4c46u /* "FLOW" in memory on a little-endian machine */
#define FALLOW_REPORT_VERSION 1u

/* Kinds of request. */
enum fallow_report_kind {
	FALLOW_REPORT_HELLO = 1,        /* a probe: is anybody there? job_id is 0 */
	FALLOW_REPORT_STEP_START = 2,   /* slurmstepd, as root, before any task exists: wait for "vacated" */
	FALLOW_REPORT_STEP_RUNNING = 3, /* after the first task was forked: cgroup and pid are now true */
	FALLOW_REPORT_STEP_END = 4,     /* slurmstepd exits */
	FALLOW_REPORT_JOB_END = 5       /* from the epilog: the job holds nothing on this node any more */
};

/* Flags of a request. */
#define FALLOW_REPORT_SERVERLESS 0x1u        /* --serverless was given (or FALLOW_SERVERLESS) */
#define FALLOW_REPORT_SERVERLESS_NO 0x2u     /* ... as "no": nothing of this job is lent, whatever site policy says */
#define FALLOW_REPORT_REMOTE_MEM 0x4u        /* --remote-mem was given (or FALLOW_REMOTE_MEM) */
#define FALLOW_REPORT_REMOTE_DURABLE 0x8u    /* ... with ",durable" (otherwise "cache") */
#define FALLOW_REPORT_RESERVE_PERCENT 0x10u  /* reserve_mem is a percentage, not bytes */
#define FALLOW_REPORT_CORES_TRUNCATED 0x20u  /* a core list did not fit: treat as "all cores of the node" */
#define FALLOW_REPORT_CORD_PULLED 0x40u      /* the plugin itself killed our tree since the last report */

/* Values of lend_cpus and lend_mem_bytes besides plain numbers. */
#define FALLOW_LEND_AUTO (-1) /* lend what is measured unused */
#define FALLOW_LEND_UNSET (-2) /* the option was not given */

/* Slurm's special steps as Slurm 22.05 numbers them. */
#define FALLOW_STEP_BATCH 0xfffffffbu
#define FALLOW_STEP_EXTERN 0xfffffffcu
#define FALLOW_STEP_INTERACTIVE 0xfffffffau
#define FALLOW_STEP_NONE 0xffffffffu /* no step: HELLO and JOB_END */

struct fallow_report_request {
	uint32_t magic;   /* FALLOW_REPORT_MAGIC */
	uint16_t version; /* FALLOW_REPORT_VERSION */
	uint16_t kind;    /* enum fallow_report_kind */
	uint32_t flags;
	uint32_t job_id;
	uint32_t step_id;
	uint32_t uid;
	uint32_t gid;
	uint32_t array_job_id;  /* 0: not an array job */
	uint32_t array_task_id; /* meaningful when array_job_id is not 0 */
	uint32_t node_index;    /* this node's index in the job, S_JOB_NODEID */
	uint32_t node_count;    /* S_JOB_NNODES; 0 for a batch step under 22.05 */
	uint32_t task_count;    /* tasks of the step on this node */
	int32_t stepd_pid;      /* slurmstepd */
	int32_t task_pid;       /* STEP_RUNNING: the first task; else 0 */
	uint64_t alloc_mem_mib; /* the job's memory on this node, MiB; 0: unknown or all */
	uint64_t step_mem_mib;
	int64_t lend_cpus;         /* cores >= 0, or FALLOW_LEND_* */
	int64_t lend_mem_bytes;    /* bytes >= 0, or FALLOW_LEND_* */
	int64_t reserve_mem;       /* bytes, or percent with FALLOW_REPORT_RESERVE_PERCENT; -1: not given */
	uint64_t remote_mem_bytes; /* 0 without --remote-mem */
	uint64_t sent_at_ns;       /* CLOCK_MONOTONIC when the plugin sent this */
	char node_name[64];        /* Slurm's NodeName */
	char alloc_cores[512];     /* abstract core ids of the job on this node, "0-3,8" */
	char step_cores[512];      /* abstract core ids of the step */
	char cgroup[2048];         /* the text of /proc/<pid>/cgroup, of stepd or (STEP_RUNNING) of the task */
};

/* What the agent answers. */
enum fallow_report_status {
	FALLOW_REPLY_OK = 1,      /* vacated: the step's cores hold nothing of ours */
	FALLOW_REPLY_STUCK = 2,   /* something of ours did not die in time; message says what. It has been frozen */
	FALLOW_REPLY_INVALID = 3  /* the record was not understood; message says why */
};

struct fallow_report_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t status; /* enum fallow_report_status */
	uint32_t vacated_leases;       /* leases that were revoked for this step */
	uint32_t vacate_us;            /* how long that took, microseconds */
	int64_t lending_cpus;          /* what is lent or may be lent of this job now; 0: nothing */
	int64_t lending_mem_bytes;
	char message[224];             /* one sentence, for FALLOW_LENDING and the log */
	char remote_mem[128];          /* for FALLOW_REMOTE_MEM_GRANTED; empty: the job borrows nothing */
};

static_assert(sizeof(struct fallow_report_request) == 3248, "the request's layout is the protocol");
static_assert(sizeof(struct fallow_report_reply) == 384, "the reply's layout is the protocol");

#endif
