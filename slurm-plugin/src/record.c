#include "record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"
#include "text.h"

/* An item of 32 bits; 0 where Slurm has none. */
static uint32_t item(spank_t spank, spank_item_t which)
{
	uint32_t value = 0;
	return spank_get_item(spank, which, &value) == ESPANK_SUCCESS ? value : 0;
}

static uint64_t memory_mib(spank_t spank, spank_item_t which)
{
	uint64_t value = 0;
	return spank_get_item(spank, which, &value) == ESPANK_SUCCESS ? value : 0;
}

static void put_cores(spank_t spank, spank_item_t which, char to[512], uint32_t *flags)
{
	char *cores = NULL; /* Slurm's own string: not ours to free */
	if (spank_get_item(spank, which, &cores) != ESPANK_SUCCESS || cores == NULL)
		return;
	if (!fallow_text_copy(to, 512, cores))
		*flags |= FALLOW_REPORT_CORES_TRUNCATED;
}

static void put_choice(const struct fallow_choice *choice, struct fallow_report_request *record)
{
	const struct fallow_lend *lend = &choice->lend;
	const struct fallow_borrow *borrow = &choice->borrow;
	if (lend->given)
		record->flags |= FALLOW_REPORT_SERVERLESS;
	if (lend->refused)
		record->flags |= FALLOW_REPORT_SERVERLESS_NO;
	if (lend->reserve_percent)
		record->flags |= FALLOW_REPORT_RESERVE_PERCENT;
	record->lend_cpus = lend->cpus;
	record->lend_mem_bytes = lend->mem_bytes;
	record->reserve_mem = lend->reserve_mem;
	if (borrow->given && borrow->bytes > 0) {
		record->flags |= FALLOW_REPORT_REMOTE_MEM | (borrow->durable ? FALLOW_REPORT_REMOTE_DURABLE : 0);
		record->remote_mem_bytes = borrow->bytes;
	}
}

static void put_cgroup(pid_t pid, struct fallow_report_request *record)
{
	char path[48];
	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	ssize_t length = fallow_text_read(AT_FDCWD, path, record->cgroup, sizeof record->cgroup);
	/* A text that was cut ends at its last whole line. */
	if (length == (ssize_t)sizeof record->cgroup - 1) {
		char *last = strrchr(record->cgroup, '\n');
		if (last != NULL)
			last[1] = '\0';
	}
}

static void begin(spank_t spank, enum fallow_report_kind kind, const char *node, struct fallow_report_request *record)
{
	memset(record, 0, sizeof *record);
	record->magic = FALLOW_REPORT_MAGIC;
	record->version = FALLOW_REPORT_VERSION;
	record->kind = (uint16_t)kind;
	record->job_id = item(spank, S_JOB_ID);
	record->step_id = FALLOW_STEP_NONE;
	record->uid = item(spank, S_JOB_UID);
	record->gid = item(spank, S_JOB_GID);
	record->lend_cpus = record->lend_mem_bytes = FALLOW_LEND_UNSET;
	record->reserve_mem = -1;
	(void)fallow_text_copy(record->node_name, sizeof record->node_name, node);
}

void fallow_record_of_step(spank_t spank, enum fallow_report_kind kind, const char *node,
			   const struct fallow_choice *choice, pid_t pid, struct fallow_report_request *record)
{
	begin(spank, kind, node, record);
	record->step_id = item(spank, S_JOB_STEPID);
	record->array_job_id = item(spank, S_JOB_ARRAY_ID);
	record->array_task_id = item(spank, S_JOB_ARRAY_TASK_ID);
	record->node_index = item(spank, S_JOB_NODEID);
	record->node_count = item(spank, S_JOB_NNODES);
	record->task_count = item(spank, S_JOB_LOCAL_TASK_COUNT);
	record->stepd_pid = (int32_t)getpid();
	record->task_pid = pid == getpid() ? 0 : (int32_t)pid;
	record->alloc_mem_mib = memory_mib(spank, S_JOB_ALLOC_MEM);
	record->step_mem_mib = memory_mib(spank, S_STEP_ALLOC_MEM);
	put_cores(spank, S_JOB_ALLOC_CORES, record->alloc_cores, &record->flags);
	put_cores(spank, S_STEP_ALLOC_CORES, record->step_cores, &record->flags);
	put_cgroup(pid, record);
	if (choice != NULL)
		put_choice(choice, record);
}

void fallow_record_of_job_end(spank_t spank, const char *node, struct fallow_report_request *record)
{
	begin(spank, FALLOW_REPORT_JOB_END, node, record);
}

void fallow_record_stamp(struct fallow_report_request *record)
{
	record->sent_at_ns = fallow_now_ns();
}
