/* What the measuring programs share. Each measures one thing for a moment and prints lines of "key number", which
 * Benchmarks/harness reads: p50_us and p99_us (microseconds a round trip), per_second. The client is on CPU 0, whoever
 * answers on CPU 1, unless the environment's BENCH_CLIENT_CPU and BENCH_SERVER_CPU say otherwise. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline void spin_us(double span)
{
	for (double end = now_us() + span; now_us() < end;)
		__builtin_ia32_pause();
}

/* Binds this thread, and those it starts later. */
static inline void pin_to(const char *variable, int otherwise)
{
	const char *text = getenv(variable);
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(text ? atoi(text) : otherwise, &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
		perror("sched_setaffinity"), exit(1);
}
static inline void pin_client(void) { pin_to("BENCH_CLIENT_CPU", 0); }
static inline void pin_server(void) { pin_to("BENCH_SERVER_CPU", 1); }

/* CPU time that a process has used, microseconds: its threads that live, by the scheduler's nanoseconds. -1: it is not there. */
static inline double cpu_us(int pid)
{
	char path[64], line[256];
	double sum = -1, nanoseconds;
	snprintf(path, sizeof path, "cat /proc/%d/task/*/schedstat 2>/dev/null", pid);
	FILE *threads = popen(path, "r");
	while (threads && fgets(line, sizeof line, threads))
		if (sscanf(line, "%lf", &nanoseconds) == 1) sum = (sum < 0 ? 0 : sum) + nanoseconds / 1e3;
	if (threads) pclose(threads);
	return sum;
}

static inline int bench_ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Sorts the times of single round trips, or of means over groups of them. */
static inline double percentile(double *times, size_t count, double share)
{
	qsort(times, count, sizeof *times, bench_ascending);
	size_t at = (size_t)(share * (double)count);
	return times[at < count ? at : count - 1];
}

/* Runs what is given, one round trip, `rounds` times without the clock inside, for the median of means
 * over groups of 100, and `rounds` / 4 times timed one by one, for p99. Round trips of less than a microsecond would
 * otherwise be measured with the clock's 20 to 50 ns. */
#define MEASURE_SHORT(rounds, ...) do { \
	size_t groups_ = (size_t)(rounds) / 100, singles_ = (size_t)(rounds) / 4; \
	double *times_ = (double *)malloc((groups_ + singles_ + 2) * sizeof *times_); \
	for (size_t group_ = 0; group_ < groups_; group_++) { \
		double start_ = now_us(); \
		for (int within_ = 0; within_ < 100; within_++) { __VA_ARGS__; } \
		times_[group_] = (now_us() - start_) / 100; \
	} \
	printf("p50_us %.4f\n", percentile(times_, groups_, 0.5)); \
	for (size_t single_ = 0; single_ < singles_; single_++) { \
		double start_ = now_us(); \
		__VA_ARGS__; \
		times_[single_] = now_us() - start_; \
	} \
	printf("p99_us %.4f\n", percentile(times_, singles_, 0.99)); \
	free(times_); \
} while (0)

/* ... timed one by one, with `before` ahead of each, outside of the time. */
#define MEASURE_LONG(rounds, before, ...) do { \
	size_t count_ = (size_t)(rounds); \
	double *times_ = (double *)malloc((count_ + 1) * sizeof *times_); \
	for (size_t single_ = 0; single_ < count_; single_++) { \
		before; \
		double start_ = now_us(); \
		__VA_ARGS__; \
		times_[single_] = now_us() - start_; \
	} \
	printf("p50_us %.4f\n", percentile(times_, count_, 0.5)); \
	printf("p99_us %.4f\n", percentile(times_, count_, 0.99)); \
	free(times_); \
} while (0)

#endif
