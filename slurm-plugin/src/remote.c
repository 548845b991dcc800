/* remote.c: slurmstepd. Before the first task of a step exists, the step's cores are free of us: the agent says so, or
 * the cord makes it so. After that everything is only told, and no answer waited for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "breaker.h"
#include "choice.h"
#include "context.h"
#include "cord.h"
#include "deadline.h"
#include "log.h"
#include "record.h"
#include "report_client.h"
#include "text.h"

#define CORD_BUDGET_MS 500

/* One slurmstepd runs one step: this is its state. */
static struct {
	struct fallow_arguments arguments;
	struct fallow_places places;
	struct fallow_choice choice;
	bool placed;         /* places are known */
	bool running_told;   /* STEP_RUNNING was sent */
	bool agent_hung;     /* in this job: nothing waits for it any more */
} step;

int fallow_remote_init(spank_t spank, int argc, char *argv[])
{
	char warning[FALLOW_WARNING_MAX];
	fallow_choice_register(spank);
	fallow_arguments_parse(&step.arguments, argc, argv, warning, sizeof warning);
	if (warning[0] != '\0')
		slurm_info("fallow: %s", warning);
	/* slurmd puts SLURMD_NODENAME into slurmstepd's own environment. The job's environment has one too, but that may
	 * be the submitting node's. */
	step.placed = fallow_arguments_place(&step.arguments, getenv("SLURMD_NODENAME"), &step.places, warning,
					     sizeof warning);
	if (!step.placed)
		slurm_info("fallow: %s; nothing is reported", warning);
	return 0;
}

/* Kills what is ours, if anything is; says what it did. */
static bool pull_cord(const char *why)
{
	struct fallow_cord_report cord =
		fallow_cord_pull(step.arguments.cgroup_mount, step.places.cgroup, CORD_BUDGET_MS);
	switch (cord.outcome) {
	case FALLOW_CORD_EMPTY:
		return false;
	case FALLOW_CORD_PULLED:
		slurm_info("fallow: %s; killed all of %s (%u processes, %u us)", why, step.places.cgroup, cord.found,
			   cord.took_us);
		return true;
	case FALLOW_CORD_ALIVE:
		slurm_info("fallow: %s; killed %s, but %u of %u processes did not die in %u ms and are frozen", why,
			   step.places.cgroup, cord.left, cord.found, CORD_BUDGET_MS);
		return true;
	case FALLOW_CORD_REFUSED:
		slurm_info("fallow: %s; cgroup=%s is not ours or holds slurmstepd: nothing killed", why,
			   step.places.cgroup);
		return false;
	}
	return false;
}

/* Tells the agent what it need not answer. */
static void post(struct fallow_report_request *record)
{
	fallow_record_stamp(record);
	fallow_report_post(step.places.socket, record, step.agent_hung ? 0 : FALLOW_POST_MS);
}

/* The agent cannot be relied on for the rest of this job: later steps shall not wait. */
static void trip_breaker(uint32_t job_id, const char *why)
{
	step.agent_hung = true;
	if (!fallow_breaker_trip(step.places.runtime, job_id, why))
		slurm_info("fallow: %s/breaker.%u cannot be written (%s): each step of the job will wait anew",
			   step.places.runtime, job_id, strerror(errno));
}

/* Tells the job what was decided; without an answer nothing is, whatever an outer job's variable says. */
static void tell_job(spank_t spank, const struct fallow_report_reply *reply)
{
	char text[sizeof reply->message], remote[sizeof reply->remote_mem];
	if (reply == NULL) {
		spank_unsetenv(spank, "FALLOW_LENDING");
		spank_unsetenv(spank, "FALLOW_REMOTE_MEM_GRANTED");
		return;
	}
	fallow_text_show(text, sizeof text, reply->message);
	spank_setenv(spank, "FALLOW_LENDING", text, 1);
	fallow_text_show(remote, sizeof remote, reply->remote_mem);
	if (remote[0] != '\0')
		spank_setenv(spank, "FALLOW_REMOTE_MEM_GRANTED", remote, 1);
	else
		spank_unsetenv(spank, "FALLOW_REMOTE_MEM_GRANTED");
}

/* Asks the agent to vacate. True with the reply's sentence in *reply when it did. */
static bool ask_to_vacate(struct fallow_report_request *record, struct fallow_report_reply *reply)
{
	char why[FALLOW_WHY_MAX + sizeof reply->message];
	bool broken = true;
	fallow_record_stamp(record);
	enum fallow_answer answer = fallow_report_ask(
		step.places.socket, record, fallow_deadline_ns(step.arguments.deadline_ms), reply, why);
	if (answer == FALLOW_ANSWER_VALID && reply->status == FALLOW_REPLY_OK)
		return true;
	if (answer == FALLOW_ANSWER_VALID) {
		char shown[sizeof reply->message];
		fallow_text_show(shown, sizeof shown, reply->message);
		snprintf(why, sizeof why, "%s: %s",
			 reply->status == FALLOW_REPLY_STUCK ? "the agent could not vacate" : "the agent refused the report",
			 shown);
	}
	if (answer == FALLOW_ANSWER_ABSENT) {
		broken = false; /* costs nothing to try again */
		slurm_debug("fallow: %s", why);
	} else {
		slurm_info("fallow: %s (waited at most %u ms)", why, step.arguments.deadline_ms);
	}
	bool pulled = pull_cord(why);
	if (broken)
		trip_breaker(record->job_id, why);
	if (pulled) {
		record->flags |= FALLOW_REPORT_CORD_PULLED;
		post(record);
	}
	return false;
}

int fallow_remote_before_tasks(spank_t spank)
{
	struct fallow_report_request record;
	struct fallow_report_reply reply;
	fallow_choice_of_step(spank, &step.choice);
	if (!step.placed || !step.arguments.vacate)
		return 0;
	fallow_record_of_step(spank, FALLOW_REPORT_STEP_START, step.places.node, &step.choice, getpid(), &record);
	if (fallow_breaker_is_tripped(step.places.runtime, record.job_id)) {
		step.agent_hung = true;
		if (pull_cord("the agent hung earlier in this job"))
			record.flags |= FALLOW_REPORT_CORD_PULLED;
		post(&record);
		tell_job(spank, NULL);
		return 0;
	}
	tell_job(spank, ask_to_vacate(&record, &reply) ? &reply : NULL);
	return 0;
}

int fallow_remote_task_forked(spank_t spank)
{
	struct fallow_report_request record;
	pid_t pid = 0;
	if (!step.placed || step.running_told)
		return 0;
	step.running_told = true;
	if (spank_get_item(spank, S_TASK_PID, &pid) != ESPANK_SUCCESS || pid <= 0)
		pid = getpid(); /* the extern step's task is Slurm's own */
	fallow_record_of_step(spank, FALLOW_REPORT_STEP_RUNNING, step.places.node, &step.choice, pid, &record);
	post(&record);
	return 0;
}

int fallow_remote_exit(spank_t spank)
{
	struct fallow_report_request record;
	if (!step.placed)
		return 0;
	fallow_record_of_step(spank, FALLOW_REPORT_STEP_END, step.places.node, &step.choice, getpid(), &record);
	post(&record);
	return 0;
}
