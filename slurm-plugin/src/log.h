/* log.h: where messages go. At submission slurm_error reaches the user's terminal, which is wanted for a refusal. In
 * slurmstepd slurm_info reaches slurmd's log and never the job's output, so everything said there is slurm_info, and
 * timings are slurm_debug2. All messages begin with "fallow: ". */
#ifndef FALLOW_LOG_H
#define FALLOW_LOG_H

#include <slurm/spank.h>

#endif
