/* slurmstepd: what a step meets before its first task, for every state the agent can be in. Each step is a process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "breaker.h"
#include "check.h"
#include "deadline.h"
#include "fake_agent.h"
#include "fake_spank.h"
#include "real_tree.h"

#define DEADLINE_MS 150
#define AT_ONCE_MS 80.0
#define LATEST_MS (DEADLINE_MS + 150.0)

static char runtime[160], cgroup[96], path[128], tree[64];
static char *arguments[] = {runtime, cgroup, "deadline_ms=150", "vacate=on"};

static void begin(void)
{
	snprintf(runtime, sizeof runtime, "runtime=%s", check_folder());
	snprintf(tree, sizeof tree, "fallow-test.%d.node1", (int)getpid());
	snprintf(cgroup, sizeof cgroup, "cgroup=fallow-test.%d.%%n", (int)getpid());
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	fake_begin(S_CTX_REMOTE);
	CHECK(slurm_spank_init(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(fake.registered == 2);
}

static double before_tasks(void)
{
	unsigned long long began_ns = fallow_now_ns();
	CHECK(slurm_spank_init_post_opt(FAKE_HANDLE, 4, arguments) == 0);
	return check_ms_since(began_ns);
}

static void healthy(void)
{
	struct fallow_report_request record;
	begin();
	struct fake_agent agent = agent_start(path, HEALTHY);
	CHECK(fake_option("serverless", "cpus=2,mem=auto,reserve-mem=10%", 1) == 0);
	CHECK(fake_option("serverless", "cpus=2,mem=auto,reserve-mem=10%", 1) == 0); /* Slurm calls twice */
	CHECK(fake_option("remote-mem", "1G,durable", 1) == 0);
	double took_ms = before_tasks();
	CHECK(took_ms < AT_ONCE_MS, "(%.1f ms)", took_ms);
	CHECK(fake_env("FALLOW_LENDING") != NULL && strcmp(fake_env("FALLOW_LENDING"), "lending 2 cores") == 0);
	CHECK(fake_env("FALLOW_REMOTE_MEM_GRANTED") != NULL && strcmp(fake_env("FALLOW_REMOTE_MEM_GRANTED"), "asked=1G,durable") == 0);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(agent_next(&agent, &record) && record.kind == FALLOW_REPORT_STEP_START);
	CHECK(record.job_id == 7 && record.step_id == 0 && record.uid == 1000 && record.gid == 1001);
	CHECK(record.array_job_id == 0 && record.array_task_id == 0, "(%u)", record.array_job_id);
	CHECK(record.node_index == 2 && record.node_count == 3 && record.task_count == 4);
	CHECK(record.stepd_pid == getpid() && record.task_pid == 0);
	CHECK(record.alloc_mem_mib == 2000 && record.step_mem_mib == 1000);
	CHECK(record.flags == (FALLOW_REPORT_SERVERLESS | FALLOW_REPORT_RESERVE_PERCENT | FALLOW_REPORT_REMOTE_MEM |
			       FALLOW_REPORT_REMOTE_DURABLE), "(%#x)", record.flags);
	CHECK(record.lend_cpus == 2 && record.lend_mem_bytes == FALLOW_LEND_AUTO && record.reserve_mem == 10);
	CHECK(record.remote_mem_bytes == 1ull << 30);
	CHECK(strcmp(record.alloc_cores, "0-3") == 0 && strcmp(record.step_cores, "0-1") == 0);
	CHECK(strcmp(record.node_name, "node1") == 0 && strstr(record.cgroup, "::/") != NULL);
	CHECK(strstr(fake.log, "info:") == NULL && strstr(fake.log, "error:") == NULL, "(%s)", fake.log);
	agent_stop(&agent);
}

static void step_life(void)
{
	struct fallow_report_request record;
	begin();
	struct fake_agent agent = agent_start(path, HEALTHY);
	fake.array_job = 70;
	fake.array_task = 3;
	before_tasks();
	fake.task_pid = agent.pid; /* any other process */
	CHECK(slurm_spank_task_post_fork(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(slurm_spank_task_post_fork(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(agent_next(&agent, &record) && record.kind == FALLOW_REPORT_STEP_START);
	CHECK(record.array_job_id == 70 && record.array_task_id == 3 && record.flags == 0);
	CHECK(record.lend_cpus == FALLOW_LEND_UNSET && record.lend_mem_bytes == FALLOW_LEND_UNSET);
	CHECK(agent_next(&agent, &record) && record.kind == FALLOW_REPORT_STEP_RUNNING);
	CHECK(record.task_pid == agent.pid && record.cgroup[0] != '\0');
	CHECK(agent_next(&agent, &record) && record.kind == FALLOW_REPORT_STEP_END, "once per step");
	agent_stop(&agent);
}

static void long_core_list(void)
{
	struct fallow_report_request record;
	char cores[2000];
	begin();
	for (int i = 0; i < 500; i++)
		memcpy(cores + i * 2, "1,", 3);
	fake.alloc_cores = cores;
	fake.step_cores = NULL;
	struct fake_agent agent = agent_start(path, HEALTHY);
	before_tasks();
	CHECK(agent_next(&agent, &record) && (record.flags & FALLOW_REPORT_CORES_TRUNCATED) && record.alloc_cores[0] == '\0');
	agent_stop(&agent);
}

static void absent(void)
{
	begin();
	fake_set_env("FALLOW_LENDING", "an outer job's");
	fake_set_env("FALLOW_REMOTE_MEM_GRANTED", "an outer job's");
	double took_ms = before_tasks();
	CHECK(took_ms < AT_ONCE_MS, "(%.1f ms)", took_ms);
	CHECK(fake_env("FALLOW_LENDING") == NULL && fake_env("FALLOW_REMOTE_MEM_GRANTED") == NULL);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7), "nothing to spare later steps");
	CHECK(strstr(fake.log, "info:") == NULL, "(a missing agent is no news: %s)", fake.log);
	CHECK(slurm_spank_task_post_fork(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
	struct fake_agent agent = agent_start(path, SILENT);
	CHECK(before_tasks() < AT_ONCE_MS);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	agent_stop(&agent);
}

/* A later step of `job`, as slurmstepd: a new process. Returns how long its job waited. */
static double later_step(uint32_t job)
{
	int ends[2];
	double took_ms = -1;
	if (pipe(ends) != 0)
		abort();
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		fake.job = job;
		took_ms = before_tasks();
		if (write(ends[1], &took_ms, sizeof took_ms) < 0)
			_exit(1);
		_exit(0);
	}
	if (read(ends[0], &took_ms, sizeof took_ms) < 0)
		took_ms = -1;
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	return took_ms;
}

static void hangs(enum manner manner)
{
	begin();
	struct fake_agent agent = agent_start(path, manner);
	double took_ms = before_tasks();
	CHECK(took_ms >= DEADLINE_MS - 10 && took_ms <= LATEST_MS, "(%.1f ms)", took_ms);
	CHECK(fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(fake_env("FALLOW_LENDING") == NULL && fake_env("FALLOW_REMOTE_MEM_GRANTED") == NULL);
	CHECK(strstr(fake.log, "info: fallow: the agent") != NULL, "(%s)", fake.log);
	unsigned long long began_ns = fallow_now_ns();
	CHECK(slurm_spank_task_post_fork(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(check_ms_since(began_ns) < AT_ONCE_MS, "(%.1f ms)", check_ms_since(began_ns));
	double all_ms = 0;
	for (int i = 0; i < 100; i++)
		all_ms += later_step(7);
	CHECK(all_ms < 1500, "(100 later steps waited %.0f ms in all)", all_ms);
	took_ms = later_step(8);
	CHECK(took_ms >= DEADLINE_MS - 10 && took_ms <= LATEST_MS, "(another job: %.1f ms)", took_ms);
	agent_stop(&agent);
	agent = agent_start(path, HEALTHY);
	fallow_breaker_reset(check_folder(), 7); /* as the healthy agent does */
	CHECK(before_tasks() < AT_ONCE_MS && fake_env("FALLOW_LENDING") != NULL);
	agent_stop(&agent);
}

static void hung(void)
{
	hangs(HUNG);
}

static void deaf(void)
{
	hangs(DEAF);
}

static void wrong_answers(void)
{
	static const enum manner manners[] = {HALF,	    LONG,	GARBAGE, OTHER_MAGIC, OTHER_VERSION,
					      ENDLESS_TEXT, ODD_STATUS, STUCK,	 INVALID};
	begin();
	for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++) {
		struct fake_agent agent = agent_start(path, manners[i]);
		fallow_breaker_reset(check_folder(), 7);
		fake.log[0] = '\0';
		double took_ms = before_tasks();
		CHECK(took_ms < AT_ONCE_MS, "(manner %d: %.1f ms)", manners[i], took_ms);
		CHECK(fallow_breaker_is_tripped(check_folder(), 7), "(manner %d)", manners[i]);
		CHECK(fake_env("FALLOW_LENDING") == NULL, "(manner %d)", manners[i]);
		CHECK(strstr(fake.log, "info: fallow: the a") != NULL, "(manner %d: %s)", manners[i], fake.log);
		CHECK(strstr(fake.log, "error:") == NULL, "nothing reaches the job's output");
		agent_stop(&agent);
	}
}

/* Executors are alive in the tree when the step starts. */
static void cord_in(enum manner manner, bool present, bool tripped)
{
	const char *mount = freezer_mount() ? freezer_mount() : unified_mount();
	struct fallow_report_request record;
	struct fake_agent agent = {0, -1};
	begin();
	CHECK(tree_make(mount, tree));
	pid_t executor = tree_enter(mount, tree, true, 6), outsider = tree_enter(NULL, NULL, false, 0);
	if (present)
		agent = agent_start(path, manner);
	if (tripped)
		CHECK(fallow_breaker_trip(check_folder(), 7, "earlier"));
	double took_ms = before_tasks();
	CHECK(took_ms < 1500, "(%.0f ms)", took_ms);
	CHECK(tree_count(mount, tree) == 0, "(%d alive)", tree_count(mount, tree));
	CHECK(!is_alive(executor) && is_alive(outsider));
	CHECK(strstr(fake.log, "killed all of fallow-test.") != NULL, "(%s)", fake.log);
	if (present && !tripped)
		CHECK(agent_next(&agent, &record) && !(record.flags & FALLOW_REPORT_CORD_PULLED));
	if (present)
		CHECK(agent_next(&agent, &record) && (record.flags & FALLOW_REPORT_CORD_PULLED), "the agent hears of it");
	if (present)
		agent_stop(&agent);
	tree_end(outsider);
	tree_remove(mount, tree);
}

static const char *no_tree(void)
{
	return freezer_mount() || unified_mount() ? NULL : "no cgroup hierarchy that we may write to";
}

static void cord_hung(void)
{
	cord_in(HUNG, true, false);
}

static void cord_garbage(void)
{
	cord_in(GARBAGE, true, false);
}

static void cord_stuck(void)
{
	cord_in(STUCK, true, false);
}

static void cord_absent(void)
{
	cord_in(HEALTHY, false, false);
}

static void cord_tripped(void)
{
	cord_in(HUNG, true, true);
}

/* A healthy agent's word is taken: its executors on other cores live. */
static void cord_healthy(void)
{
	const char *mount = freezer_mount() ? freezer_mount() : unified_mount();
	begin();
	CHECK(tree_make(mount, tree));
	pid_t executor = tree_enter(mount, tree, false, 0);
	struct fake_agent agent = agent_start(path, HEALTHY);
	before_tasks();
	CHECK(is_alive(executor) && tree_count(mount, tree) == 1);
	agent_stop(&agent);
	tree_end(executor);
	tree_remove(mount, tree);
}

static void vacate_off(void)
{
	begin();
	arguments[3] = "vacate=off";
	CHECK(slurm_spank_init(FAKE_HANDLE, 4, arguments) == 0);
	struct fake_agent agent = agent_start(path, HUNG);
	struct fallow_report_request record;
	CHECK(before_tasks() < AT_ONCE_MS);
	CHECK(!fallow_breaker_is_tripped(check_folder(), 7));
	CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(agent_next(&agent, &record) && record.kind == FALLOW_REPORT_STEP_END, "no start was reported");
	agent_stop(&agent);
}

static void no_node_name(void)
{
	begin();
	unsetenv("SLURMD_NODENAME");
	fake_set_env("SLURMD_NODENAME", "node0"); /* the job's may be the submitting node's: not to be believed */
	CHECK(slurm_spank_init(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(before_tasks() < AT_ONCE_MS);
	CHECK(slurm_spank_task_post_fork(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
	CHECK(strstr(fake.log, "NodeName is not known") != NULL, "(%s)", fake.log);
}

static void no_runtime_folder(void)
{
	begin();
	char *missing[] = {"runtime=/nonexistent/fallow", cgroup};
	CHECK(slurm_spank_init(FAKE_HANDLE, 2, missing) == 0);
	CHECK(before_tasks() < AT_ONCE_MS);
	CHECK(slurm_spank_exit(FAKE_HANDLE, 2, missing) == 0);
}

static void descriptors(void)
{
	begin();
	struct fake_agent agent = agent_start(path, HEALTHY);
	struct fallow_report_request record;
	int before = check_descriptors();
	for (int i = 0; i < 50; i++) {
		before_tasks();
		CHECK(slurm_spank_exit(FAKE_HANDLE, 4, arguments) == 0);
		while (agent_next(&agent, &record) && record.kind != FALLOW_REPORT_STEP_END)
			;
	}
	CHECK(check_descriptors() == before);
	agent_stop(&agent);
}

const struct test remote_tests[] = {
	{"step: a healthy agent gets the whole record", healthy, NULL},
	{"step: start, running once, end", step_life, NULL},
	{"step: a core list that does not fit", long_core_list, NULL},
	{"step: no agent costs nothing", absent, NULL},
	{"step: a hung agent costs one deadline per job", hung, NULL},
	{"step: a full backlog costs one deadline per job", deaf, NULL},
	{"step: wrong answers cost nothing and trip the breaker", wrong_answers, NULL},
	{"step: hung agent, live executors: the cord", cord_hung, no_tree},
	{"step: garbage agent, live executors: the cord", cord_garbage, no_tree},
	{"step: stuck agent, live executors: the cord", cord_stuck, no_tree},
	{"step: absent agent, live executors: the cord", cord_absent, no_tree},
	{"step: tripped breaker, live executors: the cord", cord_tripped, no_tree},
	{"step: healthy agent, live executors: they live", cord_healthy, no_tree},
	{"step: vacate=off", vacate_off, NULL},
	{"step: without NodeName nothing is touched", no_node_name, NULL},
	{"step: no runtime folder", no_runtime_folder, NULL},
	{"step: no descriptor is left", descriptors, NULL},
	{NULL, NULL, NULL},
};
