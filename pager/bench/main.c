/* main.c: all rows, or those of the groups named: fault scan eviction policy. They go to standard output, and to the file that
 * FALLOW_BENCH_FILE names, as JSON lines. Figures of one run may be compared with each other, not with those of another. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static FILE *kept;

static int by_value(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}

double median(double *values, size_t count)
{
	qsort(values, count, sizeof values[0], by_value);
	return values[count / 2];
}

double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

double cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A figure that there is, or null. */
static void keep(const char *key, double value)
{
	if (value == 0)
		fprintf(kept, "\"%s\":null,", key);
	else
		fprintf(kept, "\"%s\":%.3f,", key, value);
}

void row(const char *name, double value, const char *unit, double floor, double peer, double target, int met)
{
	const char *judged = target == 0 ? "null" : met ? "true" : "false";
	printf("%-52s %9.2f %-5s", name, value, unit);
	if (floor != 0)
		printf(" floor %8.2f", floor);
	if (peer != 0)
		printf(" peer %8.2f", peer);
	if (target != 0)
		printf(" target %8.2f %s", target, met ? "met" : "missed");
	putchar('\n');
	fflush(stdout);
	if (kept == NULL)
		return;
	fprintf(kept, "{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",", name, value, unit);
	keep("floor", floor);
	keep("peer", peer);
	keep("target", target);
	fprintf(kept, "\"met\":%s}\n", judged);
}

int filled_file(size_t size)
{
	int file = memfd_create("pager-bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *bytes = MAP_FAILED;
	if (file >= 0 && ftruncate(file, (off_t)size) == 0)
		bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (bytes == MAP_FAILED) {
		perror("memory file");
		exit(1);
	}
	memset(bytes, 7, size);
	munmap(bytes, size);
	fcntl(file, F_ADD_SEALS, F_SEAL_GROW);
	return file;
}

void open_over(struct pager_over *over, int file, size_t size, size_t cap, uint32_t block, enum fallow_pager_mode mode)
{
	static const uint32_t not_reclaimed;
	static const uint32_t *const words[1] = {&not_reclaimed};
	struct fallow_shm_settings shm = {.descriptors = &file, .count = 1, .reclaimed = words};
	struct fallow_pager_settings settings;
	fallow_pager_settings_default(&settings);
	settings.resident_cap_bytes = cap;
	settings.block_bytes = block;
	settings.mode = mode;
	int error = fallow_shm_source_open(&shm, &over->source);
	error = error != 0 ? error : fallow_pager_create(&settings, &over->pager);
	error = error != 0 ? error : fallow_region_map(over->pager, &over->source, 0, size, &over->region);
	if (error != 0) {
		fprintf(stderr, "pager: %s\n", strerror(error));
		exit(1);
	}
	over->words = fallow_region_address(over->region);
}

void close_over(struct pager_over *over)
{
	fallow_pager_destroy(over->pager);
	fallow_shm_source_close(&over->source);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} groups[] = {{"fault", fault_rows}, {"scan", scan_rows}, {"eviction", eviction_rows}, {"policy", policy_rows}};
	const char *path = getenv("FALLOW_BENCH_FILE");
	kept = path != NULL ? fopen(path, "we") : NULL;
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		int wanted = argc < 2;
		for (int n = 1; n < argc; n++)
			wanted |= strcmp(argv[n], groups[i].name) == 0;
		if (wanted)
			groups[i].run();
	}
	return kept != NULL && fclose(kept) != 0;
}
