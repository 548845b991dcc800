/* One exchange with the agent, in all the ways it can go. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "deadline.h"
#include "fake_agent.h"
#include "report_client.h"

#define DEADLINE_MS 150
#define AT_ONCE_MS 80.0     /* generous: the machine is shared */
#define LATEST_MS (DEADLINE_MS + 150.0)

static char path[128], why[FALLOW_WHY_MAX];
static struct fallow_report_request request = {.magic = FALLOW_REPORT_MAGIC, .version = FALLOW_REPORT_VERSION};
static struct fallow_report_reply reply;

static enum fallow_answer ask(double *took_ms)
{
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	unsigned long long began_ns = fallow_now_ns();
	enum fallow_answer answer = fallow_report_ask(path, &request, fallow_deadline_ns(DEADLINE_MS), &reply, why);
	*took_ms = check_ms_since(began_ns);
	return answer;
}

static void ask_one(enum manner manner, enum fallow_answer expected, const char *says, double least_ms, double most_ms)
{
	double took_ms;
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	struct fake_agent agent = agent_start(path, manner);
	int before = check_descriptors();
	enum fallow_answer answer = ask(&took_ms);
	CHECK(answer == expected, "(manner %d answered %d: %s)", manner, answer, why);
	CHECK(strstr(why, says) != NULL, "(manner %d said: %s)", manner, why);
	CHECK(took_ms >= least_ms && took_ms <= most_ms, "(manner %d took %.1f ms)", manner, took_ms);
	CHECK(check_descriptors() == before, "(manner %d left a descriptor)", manner);
	agent_stop(&agent);
}

static void healthy(void)
{
	ask_one(HEALTHY, FALLOW_ANSWER_VALID, "", 0, AT_ONCE_MS);
	CHECK(strcmp(reply.message, "lending 2 cores") == 0 && reply.lending_cpus == 2);
	ask_one(SLOW, FALLOW_ANSWER_VALID, "", 59, LATEST_MS);
}

static void absent(void)
{
	double took_ms;
	CHECK(ask(&took_ms) == FALLOW_ANSWER_ABSENT && took_ms < AT_ONCE_MS, "(%.1f ms, %s)", took_ms, why);
	struct fake_agent agent = agent_start(path, HEALTHY);
	agent_stop(&agent); /* the socket's file stays, nobody listens */
	CHECK(ask(&took_ms) == FALLOW_ANSWER_ABSENT && took_ms < AT_ONCE_MS, "(%.1f ms, %s)", took_ms, why);
	CHECK(strstr(why, "refused") != NULL, "(%s)", why);
	unlink(path);
	FILE *file = fopen(path, "w"); /* a file that is no socket */
	if (file != NULL)
		fclose(file);
	CHECK(ask(&took_ms) == FALLOW_ANSWER_ABSENT && took_ms < AT_ONCE_MS);
	unlink(path);
	struct sockaddr_un stream = {.sun_family = AF_UNIX}; /* a socket of another kind */
	snprintf(stream.sun_path, sizeof stream.sun_path, "%.100s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&stream, sizeof stream) == 0 && listen(fd, 4) == 0);
	CHECK(ask(&took_ms) == FALLOW_ANSWER_GARBLED && took_ms < AT_ONCE_MS && strstr(why, "another release") != NULL, "(%s)", why);
	ask_one(SILENT, FALLOW_ANSWER_ABSENT, "", 0, AT_ONCE_MS);
}

static void hung(void)
{
	ask_one(HUNG, FALLOW_ANSWER_HUNG, "did not answer", DEADLINE_MS - 1, LATEST_MS);
	ask_one(DEAF, FALLOW_ANSWER_HUNG, "took no report", DEADLINE_MS - 10, LATEST_MS);
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
}

static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
	struct itimerval each_ms = {{0, 1000}, {0, 1000}};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &each_ms, NULL);
	ask_one(HUNG, FALLOW_ANSWER_HUNG, "did not answer", DEADLINE_MS - 1, LATEST_MS);
	ask_one(DEAF, FALLOW_ANSWER_HUNG, "took no report", DEADLINE_MS - 10, LATEST_MS);
	ask_one(SLOW, FALLOW_ANSWER_VALID, "", 0, LATEST_MS);
}

static void garbled(void)
{
	ask_one(HALF, FALLOW_ANSWER_GARBLED, "wrong size", 0, AT_ONCE_MS);
	ask_one(LONG, FALLOW_ANSWER_GARBLED, "wrong size", 0, AT_ONCE_MS);
	ask_one(GARBAGE, FALLOW_ANSWER_GARBLED, "not an agent's", 0, AT_ONCE_MS);
	ask_one(OTHER_MAGIC, FALLOW_ANSWER_GARBLED, "not an agent's", 0, AT_ONCE_MS);
	ask_one(OTHER_VERSION, FALLOW_ANSWER_GARBLED, "another version", 0, AT_ONCE_MS);
	ask_one(ENDLESS_TEXT, FALLOW_ANSWER_GARBLED, "no end", 0, AT_ONCE_MS);
	ask_one(ODD_STATUS, FALLOW_ANSWER_GARBLED, "status is unknown", 0, AT_ONCE_MS);
}

static const char *not_root(void)
{
	return geteuid() == 0 ? NULL : "needs root, to listen as somebody else";
}

static void stranger(void)
{
	ask_one(STRANGER, FALLOW_ANSWER_GARBLED, "who listens is not root", 0, AT_ONCE_MS);
	ask_one(IMPOSTOR, FALLOW_ANSWER_GARBLED, "who answers is not root", 0, AT_ONCE_MS);
}

static void post(void)
{
	snprintf(path, sizeof path, "%s/report.sock", check_folder());
	unsigned long long began_ns = fallow_now_ns();
	CHECK(!fallow_report_post(path, &request, FALLOW_POST_MS));
	struct fake_agent agent = agent_start(path, DEAF);
	int before = check_descriptors();
	began_ns = fallow_now_ns();
	CHECK(!fallow_report_post(path, &request, FALLOW_POST_MS));
	double took_ms = check_ms_since(began_ns);
	CHECK(took_ms >= FALLOW_POST_MS - 1 && took_ms < AT_ONCE_MS, "(%.1f ms)", took_ms);
	began_ns = fallow_now_ns();
	for (int i = 0; i < 100; i++)
		CHECK(!fallow_report_post(path, &request, 0));
	CHECK(check_ms_since(began_ns) < AT_ONCE_MS, "(%.1f ms for 100 reports)", check_ms_since(began_ns));
	agent_stop(&agent);
	agent = agent_start(path, HUNG);
	CHECK(fallow_report_post(path, &request, FALLOW_POST_MS));
	struct fallow_report_request arrived;
	CHECK(agent_next(&agent, &arrived) && memcmp(&arrived, &request, sizeof request) == 0);
	CHECK(check_descriptors() == before);
	agent_stop(&agent);
}

const struct test client_tests[] = {
	{"client: a healthy agent", healthy, NULL},
	{"client: an absent agent costs nothing", absent, NULL},
	{"client: a hung agent costs the deadline", hung, NULL},
	{"client: signals do not stretch the deadline", interrupted, NULL},
	{"client: garbage is known as such, at once", garbled, NULL},
	{"client: only root may answer", stranger, not_root},
	{"client: a report without an answer waits for room, briefly", post, NULL},
	{NULL, NULL, NULL},
};
