/* slurmstepd: where the choice comes from, the command line, the job's environment or an outer command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake_agent.h"
#include "fake_spank.h"

static char runtime[160], path[128];
static char *arguments[] = {runtime, "cgroup=fallow-test-no-such-tree"};

static void begin(void)
{
	snprintf(runtime, sizeof runtime, "runtime=%s", check_folder());
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	fake_begin(S_CTX_REMOTE);
	CHECK(slurm_spank_init(FAKE_HANDLE, 2, arguments) == 0);
}

static void before_tasks(void)
{
	CHECK(slurm_spank_init_post_opt(FAKE_HANDLE, 2, arguments) == 0);
}

static struct fallow_report_request record_with(const char *option, const char *own, const char *carried,
						const char *job_option)
{
	struct fallow_report_request record = {0};
	int ends[2];
	if (pipe(ends) != 0)
		abort();
	fflush(NULL);
	pid_t child = fork(); /* the command line is remembered per process */
	if (child == 0) {
		begin();
		if (option != NULL)
			CHECK(fake_option("serverless", option, 1) == 0);
		fake_set_env("FALLOW_SERVERLESS", own);
		fake_set_env("SLURM_SPANK_FALLOW_SERVERLESS", carried);
		fake_set_env("SLURM_SPANK__SLURM_SPANK_OPTION_fallow_serverless", job_option);
		struct fake_agent agent = agent_start(path, HEALTHY);
		before_tasks();
		if (!agent_next(&agent, &record) || write(ends[1], &record, sizeof record) < 0)
			_exit(1);
		agent_stop(&agent);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &record, sizeof record) < 0)
		record.flags = ~0u;
	close(ends[0]);
	waitpid(child, NULL, 0);
	return record;
}

static void choices(void)
{
	const uint32_t given = FALLOW_REPORT_SERVERLESS, no = given | FALLOW_REPORT_SERVERLESS_NO;
	struct fallow_report_request record = record_with(NULL, "cpus=3,mem=0", NULL, NULL);
	CHECK(record.flags == given && record.lend_cpus == 3, "the environment is read");
	record = record_with(NULL, NULL, "cpus=4,mem=0", NULL);
	CHECK(record.flags == given && record.lend_cpus == 4, "... also with --export=NONE");
	record = record_with("cpus=5,mem=0", "cpus=3,mem=0", "cpus=4,mem=0", NULL);
	CHECK(record.flags == given && record.lend_cpus == 5, "the command line wins");
	record = record_with("no", "auto", NULL, NULL);
	CHECK(record.flags == no && record.lend_cpus == 0, "no wins");
	record = record_with("auto", NULL, NULL, "no");
	CHECK(record.flags == no && record.lend_cpus == 0, "a step cannot undo its job's no");
	record = record_with("auto", NULL, NULL, "(null)");
	CHECK(record.flags == given && record.lend_cpus == FALLOW_LEND_AUTO, "");
	record = record_with("", NULL, NULL, NULL);
	CHECK(record.flags == given && record.lend_cpus == FALLOW_LEND_AUTO, "bare");
	record = record_with(NULL, "nonsense", "cpus=4,mem=0", NULL);
	CHECK(record.flags == given && record.lend_cpus == 4, "a bad variable is passed over");
	record = record_with("nonsense", NULL, NULL, NULL);
	CHECK(record.flags == 0 && record.lend_cpus == FALLOW_LEND_UNSET, "a bad option is ignored here");
	char endless[400];
	memset(endless, 'x', sizeof endless);
	endless[sizeof endless - 1] = '\0';
	record = record_with(NULL, endless, NULL, NULL);
	CHECK(record.flags == 0 && record.job_id == 7, "an endless variable is ignored");
}

static void warned(void)
{
	begin();
	fake_set_env("FALLOW_SERVERLESS", "nonsense");
	before_tasks();
	CHECK(strstr(fake.log, "info: fallow: FALLOW_SERVERLESS=nonsense ignored") != NULL, "(%s)", fake.log);
	CHECK(fake_option("remote-mem", "much", 1) == 0);
	CHECK(strstr(fake.log, "info: fallow: --remote-mem=much ignored") != NULL, "(%s)", fake.log);
}

const struct test choice_tests[] = {
	{"choice: where it comes from", choices, NULL},
	{"choice: a bad one only warns", warned, NULL},
	{NULL, NULL, NULL},
};
