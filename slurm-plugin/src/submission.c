/* submission.c: sbatch, salloc and srun, as the user who submits: the options, and nothing else. */
#include <stdlib.h>

#include "choice.h"
#include "context.h"

/* What sbatch, salloc and srun say when an option of a plugin is refused. */
#define REFUSED_STATUS 255

int fallow_submission_init(spank_t spank, spank_context_t context)
{
	if (context == S_CTX_ALLOCATOR)
		fallow_choice_forget_outer_job();
	fallow_choice_register(spank);
	return 0;
}

int fallow_submission_options_known(spank_t spank)
{
	/* Slurm drops the error of an "optional" plugin here, and would submit what the user did not mean. This process
	 * is the user's own sbatch, salloc or srun, before it asked for anything. */
	if (!fallow_choice_submit(spank))
		exit(REFUSED_STATUS);
	return 0;
}
