/* sbatch, salloc, srun: good grammar passes, bad grammar refuses with a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake_spank.h"

#define LEAKED "SLURM_SPANK__SLURM_SPANK_OPTION_fallow_"

static char said[sizeof fake.log];

static void begin(spank_context_t context)
{
	unsetenv("FALLOW_SERVERLESS");
	unsetenv("FALLOW_REMOTE_MEM");
	fake_begin(context);
	CHECK(slurm_spank_init(FAKE_HANDLE, 0, NULL) == 0);
	CHECK(fake.registered == 2);
}

static int log_end;

static void hand_over_log(void)
{
	if (write(log_end, fake.log, strlen(fake.log)) < 0)
		_exit(99);
}

/* What the submitting command ends with once its options are known, 0 when it goes on; its words are in `said`. */
static int submit_status(void)
{
	int ends[2], status = -1;
	if (pipe(ends) != 0)
		abort();
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		log_end = ends[1];
		atexit(hand_over_log);
		exit(slurm_spank_init_post_opt(FAKE_HANDLE, 0, NULL) == 0 ? 0 : 1);
	}
	close(ends[1]);
	ssize_t got = read(ends[0], said, sizeof said - 1);
	said[got > 0 ? got : 0] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void command_line(spank_context_t context)
{
	begin(context);
	CHECK(fake_option("serverless", NULL, 0) == 0);
	CHECK(fake_option("serverless", "cpus=1,mem=1G", 0) == 0);
	CHECK(fake_option("remote-mem", "1G,durable", 0) == 0);
	CHECK(fake.log[0] == '\0', "(%s)", fake.log);
	CHECK(submit_status() == 0);
	CHECK(fake_option("serverless", "maybe", 0) == -1);
	CHECK(strstr(fake.log, "error: fallow: --serverless=maybe refused: \"maybe\" is not one of") != NULL, "(%s)", fake.log);
	CHECK(strstr(fake.log, "the right form is --serverless=auto | no | cpus=<n|auto|0>,mem=<size|auto|0>") != NULL);
	CHECK(fake_option("remote-mem", "64GB", 0) == -1);
	CHECK(strstr(fake.log, "the right form is --remote-mem=<size>[,durable|cache]") != NULL, "(%s)", fake.log);
}

static void on_command_line(void)
{
	command_line(S_CTX_LOCAL);
	command_line(S_CTX_ALLOCATOR);
}

static void in_environment(void)
{
	begin(S_CTX_ALLOCATOR);
	setenv("FALLOW_SERVERLESS", "cpus=1,mem=0", 1);
	setenv("FALLOW_REMOTE_MEM", "1G", 1);
	CHECK(submit_status() == 0 && said[0] == '\0', "(%s)", said);
	CHECK(slurm_spank_init_post_opt(FAKE_HANDLE, 0, NULL) == 0);
	CHECK(strcmp(fake_control_env("FALLOW_SERVERLESS"), "cpus=1,mem=0") == 0);
	CHECK(strcmp(fake_control_env("FALLOW_REMOTE_MEM"), "1G") == 0);

	begin(S_CTX_LOCAL);
	setenv("FALLOW_SERVERLESS", "2 cores", 1);
	CHECK(submit_status() == 255);
	CHECK(strstr(said, "error: fallow: the environment variable FALLOW_SERVERLESS=2 cores refused") != NULL, "(%s)", said);
	CHECK(strstr(said, "the right form is FALLOW_SERVERLESS=auto | no") != NULL, "(%s)", said);
	setenv("FALLOW_SERVERLESS", "", 1); /* empty is unset */
	setenv("FALLOW_REMOTE_MEM", "much", 1);
	CHECK(submit_status() == 255 && strstr(said, "FALLOW_REMOTE_MEM=much") != NULL, "(%s)", said);
	setenv("FALLOW_REMOTE_MEM", "", 1);
	CHECK(submit_status() == 0);
}

static void command_line_wins(void)
{
	begin(S_CTX_ALLOCATOR);
	setenv("FALLOW_SERVERLESS", "nonsense", 1);
	CHECK(fake_option("serverless", "auto", 0) == 0);
	CHECK(submit_status() == 0, "(%s)", said);
	CHECK(slurm_spank_init_post_opt(FAKE_HANDLE, 0, NULL) == 0 && fake_control_env("FALLOW_SERVERLESS") == NULL);
}

static void nested(void)
{
	static const char *const names[] = {LEAKED "serverless", LEAKED "remote_mem", "SLURM_SPANK_FALLOW_SERVERLESS",
					    "SLURM_SPANK_FALLOW_REMOTE_MEM", "_SLURM_SPANK_OPTION_fallow_serverless",
					    "_SLURM_SPANK_OPTION_fallow_remote_mem"};
	for (int i = 0; i < 6; i++)
		setenv(names[i], "auto", 1);
	begin(S_CTX_LOCAL); /* a step belongs to the job: srun keeps them */
	for (int i = 0; i < 6; i++)
		CHECK(getenv(names[i]) != NULL, "(%s)", names[i]);
	begin(S_CTX_ALLOCATOR);
	for (int i = 0; i < 6; i++)
		CHECK(getenv(names[i]) == NULL, "(%s)", names[i]);
}

static void elsewhere(void)
{
	static const spank_context_t contexts[] = {S_CTX_ERROR, S_CTX_SLURMD, S_CTX_JOB_SCRIPT};
	for (int i = 0; i < 3; i++) {
		fake_begin(contexts[i]);
		CHECK(slurm_spank_init(FAKE_HANDLE, 0, NULL) == 0 && fake.registered == 0);
		CHECK(slurm_spank_init_post_opt(FAKE_HANDLE, 0, NULL) == 0);
		CHECK(slurm_spank_exit(FAKE_HANDLE, 0, NULL) == 0);
		CHECK(fake.log[0] == '\0', "(%s)", fake.log);
	}
}

const struct test submission_tests[] = {
	{"submission: options on the command line", on_command_line, NULL},
	{"submission: options in the environment", in_environment, NULL},
	{"submission: the command line wins", command_line_wins, NULL},
	{"submission: a nested sbatch does not inherit", nested, NULL},
	{"submission: nothing in other contexts", elsewhere, NULL},
	{NULL, NULL, NULL},
};
