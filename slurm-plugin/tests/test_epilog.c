/* The epilog: no init before it, and only the job's id and owner are known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker.h"
#include "check.h"
#include "deadline.h"
#include "fake_agent.h"
#include "fake_spank.h"

static char runtime[160], path[128];
static char *arguments[] = {runtime, "cgroup=fallow-test/%n"};

static void begin(void)
{
	snprintf(runtime, sizeof runtime, "runtime=%s", check_folder());
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	fake_begin(S_CTX_JOB_SCRIPT);
}

static void reports(void)
{
	struct fallow_report_request record;
	begin();
	struct fake_agent agent = agent_start(path, HEALTHY);
	CHECK(fallow_breaker_trip(check_folder(), 7, "x") && fallow_breaker_trip(check_folder(), 8, "x"));
	CHECK(slurm_spank_job_epilog(FAKE_HANDLE, 2, arguments) == 0);
	CHECK(agent_next(&agent, &record));
	CHECK(record.kind == FALLOW_REPORT_JOB_END && record.job_id == 7 && record.step_id == FALLOW_STEP_NONE);
	CHECK(record.magic == FALLOW_REPORT_MAGIC && record.version == FALLOW_REPORT_VERSION && record.sent_at_ns != 0);
	CHECK(record.uid == 1000 && record.gid == 1001 && strcmp(record.node_name, "node1") == 0);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7), "its own breaker goes");
	CHECK(fallow_breaker_is_tripped(check_folder(), 8), "another job's stays");
	CHECK(fake.log[0] == '\0', "(%s)", fake.log);
	agent_stop(&agent);
}

static void never_waits(void)
{
	static const enum manner manners[] = {DEAF, HUNG, SILENT, GARBAGE};
	begin();
	unsigned long long began_ns = fallow_now_ns();
	CHECK(slurm_spank_job_epilog(FAKE_HANDLE, 2, arguments) == 0);
	CHECK(check_ms_since(began_ns) < 80);
	for (int i = 0; i < 4; i++) {
		struct fake_agent agent = agent_start(path, manners[i]);
		began_ns = fallow_now_ns();
		CHECK(slurm_spank_job_epilog(FAKE_HANDLE, 2, arguments) == 0);
		CHECK(check_ms_since(began_ns) < 80, "(%.0f ms, manner %d)", check_ms_since(began_ns), manners[i]);
		agent_stop(&agent);
	}
}

static void odd_surroundings(void)
{
	begin();
	unsetenv("SLURMD_NODENAME");
	CHECK(slurm_spank_job_epilog(FAKE_HANDLE, 2, arguments) == 0);
	CHECK(strstr(fake.log, "info: fallow: Slurm's NodeName is not known") != NULL, "(%s)", fake.log);
	begin();
	char *wrong[] = {runtime, "speed=high"};
	CHECK(slurm_spank_job_epilog(FAKE_HANDLE, 2, wrong) == 0);
	CHECK(strstr(fake.log, "info: fallow: plugstack.conf: \"speed=high\" ignored") != NULL, "(%s)", fake.log);
}

const struct test epilog_tests[] = {
	{"epilog: the job's end is told, its breaker reset", reports, NULL},
	{"epilog: never waits", never_waits, NULL},
	{"epilog: odd surroundings", odd_surroundings, NULL},
	{NULL, NULL, NULL},
};
