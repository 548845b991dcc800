/* fake_spank.h: as much of Slurm as the plugin uses, with the answers that Slurm 22.05 was seen to give. */
#ifndef FALLOW_FAKE_SPANK_H
#define FALLOW_FAKE_SPANK_H

#include <stdint.h>
#include <sys/types.h>

#include <slurm/spank.h>

struct fake_spank {
	spank_context_t context;
	uint32_t job, step, array_job, array_task;
	const char *alloc_cores, *step_cores;
	pid_t task_pid;
	int registered; /* options registered */
	struct spank_option options[4];
	char log[8192];   /* all messages, each with its level and a newline */
	char *job_env[64]; /* NAME=value */
	char *control_env[8];
};

extern struct fake_spank fake;

/* Starts over in `context`, as job 7 step 0 on node1 (which it puts into the process's environment). */
void fake_begin(spank_context_t context);

/* Any handle will do. */
#define FAKE_HANDLE ((spank_t)&fake)

/* The job's environment. */
void fake_set_env(const char *name, const char *value);
const char *fake_env(const char *name);
const char *fake_control_env(const char *name);

/* Gives the argument of --serverless or --remote-mem to the plugin's callback, as Slurm does. */
int fake_option(const char *name, const char *argument, int remote);

#endif
