#include "choice.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "text.h"

#define VALUE_MAX 256
#define WHY_MAX 160

enum { SERVERLESS = 1, REMOTE_MEM = 2 };

/* How each choice is called, by option number. */
static const struct {
	const char *option;   /* as typed */
	const char *variable; /* in the environment */
	const char *carried;  /* as Slurm hands our job control variable to the job's environment */
	const char *leaked;   /* as Slurm leaves the option of a job in that job's environment */
	const char *handed;   /* as salloc and srun leave it in the environment of what they start */
	const char *form;
	const char *example;
} names[] = {
	[SERVERLESS] = {"--serverless", "FALLOW_SERVERLESS", "SLURM_SPANK_FALLOW_SERVERLESS",
			"SLURM_SPANK__SLURM_SPANK_OPTION_fallow_serverless", "_SLURM_SPANK_OPTION_fallow_serverless",
			FALLOW_SERVERLESS_FORM, "cpus=2,mem=4G"},
	[REMOTE_MEM] = {"--remote-mem", "FALLOW_REMOTE_MEM", "SLURM_SPANK_FALLOW_REMOTE_MEM",
			"SLURM_SPANK__SLURM_SPANK_OPTION_fallow_remote_mem", "_SLURM_SPANK_OPTION_fallow_remote_mem",
			FALLOW_REMOTE_MEM_FORM, "64G,durable"},
};

/* What the command line said, filled by the option callbacks (which Slurm may call twice). */
static struct fallow_choice commanded = {
	.lend = {.cpus = -2, .mem_bytes = -2, .reserve_mem = -1},
};

static bool parse(int which, const char *text, struct fallow_choice *choice, char *why)
{
	if (which == SERVERLESS)
		return fallow_parse_serverless(text, &choice->lend, why, WHY_MAX);
	return fallow_parse_remote_mem(text, &choice->borrow, why, WHY_MAX);
}

static bool is_given(int which, const struct fallow_choice *choice)
{
	return which == SERVERLESS ? choice->lend.given : choice->borrow.given;
}

static int on_option(int which, const char *argument, int remote)
{
	char why[WHY_MAX] = "", shown[64];
	if (parse(which, argument, &commanded, why))
		return 0;
	fallow_text_show(shown, sizeof shown, argument ? argument : "");
	if (remote) {
		slurm_info("fallow: %s=%s ignored: %s", names[which].option, shown, why);
		return 0;
	}
	slurm_error("fallow: %s=%s refused: %s; the right form is %s=%s, for example %s=%s", names[which].option, shown,
		    why, names[which].option, names[which].form, names[which].option, names[which].example);
	return -1;
}

void fallow_choice_register(spank_t spank)
{
	static struct spank_option options[] = {
		{"serverless", FALLOW_SERVERLESS_FORM,
		 "lend idle cores and memory of this job to functions (alone: auto, what is measured unused)", 2,
		 SERVERLESS, on_option},
		{"remote-mem", FALLOW_REMOTE_MEM_FORM, "borrow memory from other nodes", 1, REMOTE_MEM, on_option},
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
			slurm_info("fallow: --%s could not be registered", options[i].name);
}

static bool submit_one(spank_t spank, int which)
{
	struct fallow_choice unused;
	char why[WHY_MAX] = "", shown[64];
	const char *value = getenv(names[which].variable);
	if (value == NULL || value[0] == '\0' || is_given(which, &commanded))
		return true;
	if (parse(which, value, &unused, why)) {
		spank_job_control_setenv(spank, names[which].variable, value, 1);
		return true;
	}
	fallow_text_show(shown, sizeof shown, value);
	slurm_error("fallow: the environment variable %s=%s refused: %s; the right form is %s=%s, for example %s=%s",
		    names[which].variable, shown, why, names[which].variable, names[which].form, names[which].variable,
		    names[which].example);
	return false;
}

bool fallow_choice_submit(spank_t spank)
{
	bool serverless = submit_one(spank, SERVERLESS);
	return submit_one(spank, REMOTE_MEM) && serverless;
}

void fallow_choice_forget_outer_job(void)
{
	for (int which = SERVERLESS; which <= REMOTE_MEM; which++) {
		unsetenv(names[which].leaked);
		unsetenv(names[which].handed);
		unsetenv(names[which].carried);
	}
}

/* The environment's word, where the command line gave none. */
static void add_environment(spank_t spank, int which, struct fallow_choice *choice)
{
	const char *const variables[] = {names[which].variable, names[which].carried};
	for (size_t i = 0; i < 2 && !is_given(which, choice); i++) {
		char value[VALUE_MAX], why[WHY_MAX] = "", shown[64];
		spank_err_t found = spank_getenv(spank, variables[i], value, sizeof value);
		if ((found != ESPANK_SUCCESS && found != ESPANK_NOSPACE) || value[0] == '\0')
			continue;
		if (found == ESPANK_SUCCESS && parse(which, value, choice, why))
			continue;
		value[sizeof value - 1] = '\0';
		fallow_text_show(shown, sizeof shown, value);
		slurm_info("fallow: %s=%s ignored: %s", variables[i], shown,
			   found == ESPANK_NOSPACE ? "it is too long" : why);
	}
}

void fallow_choice_of_step(spank_t spank, struct fallow_choice *choice)
{
	char value[VALUE_MAX];
	*choice = commanded;
	add_environment(spank, SERVERLESS, choice);
	add_environment(spank, REMOTE_MEM, choice);
	/* A step cannot undo its job's "no". */
	if (spank_getenv(spank, names[SERVERLESS].leaked, value, sizeof value) == ESPANK_SUCCESS &&
	    strcmp(value, "no") == 0)
		(void)fallow_parse_serverless("no", &choice->lend, value, sizeof value);
}
