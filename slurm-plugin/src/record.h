/* record.h: fills the report's record from what SPANK knows. */
#ifndef FALLOW_RECORD_H
#define FALLOW_RECORD_H

#include <sys/types.h>

#include <slurm/spank.h>

#include "choice.h"
#include "fallow_report.h"

/* A record about the step that this slurmstepd runs. `choice` may be NULL. What Slurm does not know here stays 0. The
 * cgroup is that of process `pid`. Blocks on nothing but /proc. */
void fallow_record_of_step(spank_t spank, enum fallow_report_kind kind, const char *node,
			   const struct fallow_choice *choice, pid_t pid, struct fallow_report_request *record);

/* The record of the epilog: prolog and epilog know the job and its owner alone. */
void fallow_record_of_job_end(spank_t spank, const char *node, struct fallow_report_request *record);

/* Stamps the record with the time of sending. */
void fallow_record_stamp(struct fallow_report_request *record);

#endif
