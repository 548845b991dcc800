#include "clinux_thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct start {
	void (*body)(void *context);
	void *context;
	char name[16];
};

static void *begin(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	pthread_setname_np(pthread_self(), start.name);
	start.body(start.context);
	return NULL;
}

int clinux_thread_start(void (*body)(void *context), void *context, const char *name, int cpu, uint64_t *thread)
{
	struct start *start = calloc(1, sizeof *start);
	pthread_attr_t attributes;
	pthread_t id;
	int error;

	if (!start)
		return -ENOMEM;
	start->body = body;
	start->context = context;
	strncpy(start->name, name, sizeof start->name - 1);
	error = pthread_attr_init(&attributes);
	if (error) {
		free(start);
		return -error;
	}
	if (cpu >= 0) {
		size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
		cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);

		if (!set) {
			error = ENOMEM;
		} else {
			CPU_ZERO_S(size, set);
			CPU_SET_S((size_t)cpu, size, set);
			error = pthread_attr_setaffinity_np(&attributes, size, set);
			CPU_FREE(set);
		}
	}
	if (!error)
		error = pthread_create(&id, &attributes, begin, start);
	pthread_attr_destroy(&attributes);
	if (error) {
		free(start);
		return -error;
	}
	*thread = (uint64_t)id;
	return 0;
}

int clinux_thread_join(uint64_t thread)
{
	return -pthread_join((pthread_t)thread, NULL);
}

int clinux_thread_pin(const unsigned char *mask, size_t size_bytes)
{
	return sched_setaffinity(0, size_bytes, (const cpu_set_t *)mask) < 0 ? -errno : 0;
}

int clinux_thread_run_first(void)
{
	struct sched_param lowest = {.sched_priority = 1};
	struct rlimit computing = {.rlim_cur = 2000000, .rlim_max = 2000000};

	if (setrlimit(RLIMIT_RTTIME, &computing) < 0)
		return -errno;
	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) < 0 ? -errno : 0;
}

int64_t clinux_thread_preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}
