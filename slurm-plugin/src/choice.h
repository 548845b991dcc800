/* choice.h: what the user chose, from the command line and from the environment.
 *
 * The command line wins over the environment, FALLOW_SERVERLESS and FALLOW_REMOTE_MEM. "--serverless=no" on any command
 * line of the job wins over everything. An environment variable that is empty counts as unset. */
#ifndef FALLOW_CHOICE_H
#define FALLOW_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include <slurm/spank.h>

#include "grammar.h"

struct fallow_choice {
	struct fallow_lend lend;
	struct fallow_borrow borrow;
};

/* Registers --serverless and --remote-mem. Must be called from slurm_spank_init, in every context. A bad argument
 * refuses the submission in the local and allocator contexts; in the remote context it is logged and ignored. */
void fallow_choice_register(spank_t spank);

/* At submission: checks the environment variables that would be used and hands them to the job by Slurm's job control
 * environment (so that --export=NONE keeps them). False when one is bad; it has been reported to the user. */
bool fallow_choice_submit(spank_t spank);

/* In sbatch and salloc, before Slurm looks: forgets the options of the job that we are running in, which Slurm leaves
 * in its environment, so that a nested sbatch does not inherit them. */
void fallow_choice_forget_outer_job(void);

/* In slurmstepd, after the options were processed: the choice that holds for this step. */
void fallow_choice_of_step(spank_t spank, struct fallow_choice *choice);

#endif
