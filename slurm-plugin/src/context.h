/* context.h: what the plugin does in each of Slurm's contexts. Each returns what SPANK wants to hear: 0, always. */
#ifndef FALLOW_CONTEXT_H
#define FALLOW_CONTEXT_H

#include <slurm/spank.h>

/* submission.c: srun (local), sbatch and salloc (allocator), as the user. */
int fallow_submission_init(spank_t spank, spank_context_t context);
int fallow_submission_options_known(spank_t spank);

/* remote.c: slurmstepd, as root, once per step. */
int fallow_remote_init(spank_t spank, int argc, char *argv[]);
int fallow_remote_before_tasks(spank_t spank);
int fallow_remote_task_forked(spank_t spank);
int fallow_remote_exit(spank_t spank);

/* job_script.c: the epilog, as root, once per job and node. There is no prolog: Slurm would start one more process
 * before each job's first step, for which a job would wait. */
int fallow_job_script_epilog(spank_t spank, int argc, char *argv[]);

#endif
