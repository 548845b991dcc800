/* fault.c: a random fault in SIGBUS mode, beside the smallest program that does UFFDIO_COPY from the memory file in a handler.
 * The pager is measured once with a cap that holds everything (every page has to be allocated, as in the floor) and once in the steady
 * state, with a cap of a quarter: then it uses pages that were evicted before, and the service thread evicts. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "kernel.h"
#include "uffd.h"

enum { SIZE = 64 << 20, ROUNDS = 7 };

static char *floor_region, *floor_source;
static size_t floor_block;
static int floor_uffd;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	size_t offset = (size_t)((char *)info->si_addr - floor_region) / floor_block * floor_block;
	struct uffdio_copy copy = {.dst = (uintptr_t)floor_region + offset, .src = (uintptr_t)floor_source + offset, .len = floor_block};
	if (ioctl(floor_uffd, UFFDIO_COPY, &copy) != 0)
		_exit(9);
}

/* Blocks in an order that is no sequence, each once. The median of the single faults, so that a busy machine, which takes the CPU away
 * for a time slice now and then, does not count. */
static double touch_all(volatile char *bytes, size_t block)
{
	size_t blocks = SIZE / block, step = blocks / 2 + 1;
	while (step % 2 == 0)
		step++;
	step = step * 7 % blocks | 1;
	static double times[SIZE / 4096];
	for (size_t i = 0, at = 0; i < blocks; i++, at = (at + step) % blocks) {
		double began = now_us();
		(void)bytes[at * block + 64];
		times[i] = now_us() - began;
	}
	return median(times, blocks);
}

static double floor_round(int file, size_t block)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO}, before;
	sigaction(SIGBUS, &action, &before);
	floor_block = block;
	floor_uffd = fallow_uffd_open(-1, FALLOW_KERNEL_USERFAULTFD | FALLOW_KERNEL_SIGBUS);
	floor_region = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	floor_source = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
	madvise(floor_region, SIZE, MADV_NOHUGEPAGE);
	madvise(floor_source, SIZE, 22 /* MADV_POPULATE_READ: the floor has no faults but those that are measured */);
	fallow_uffd_register(floor_uffd, floor_region, SIZE, true);
	double us = touch_all(floor_region, block);
	munmap(floor_region, SIZE);
	munmap(floor_source, SIZE);
	close(floor_uffd);
	sigaction(SIGBUS, &before, NULL);
	return us;
}

static double pager_round(int file, size_t block, size_t cap)
{
	struct pager_over over;
	open_over(&over, file, SIZE, cap, (uint32_t)block, FALLOW_MODE_SIGBUS);
	if (cap < SIZE)
		touch_all((volatile char *)over.words, block);
	double us = touch_all((volatile char *)over.words, block);
	close_over(&over);
	return us;
}

void fault_rows(void)
{
	int file = filled_file(SIZE);
	for (size_t block = 4096; block <= 65536; block *= 16) {
		double floors[ROUNDS], fresh[ROUNDS], steady[ROUNDS], fresh_ratio[ROUNDS], steady_ratio[ROUNDS];
		char name[80];
		for (int i = 0; i < ROUNDS; i++) {
			floors[i] = floor_round(file, block);
			fresh[i] = pager_round(file, block, SIZE + 16 * block);
			steady[i] = pager_round(file, block, SIZE / 4);
			fresh_ratio[i] = fresh[i] / floors[i];
			steady_ratio[i] = steady[i] / floors[i];
		}
		double floor = median(floors, ROUNDS), ratio = median(fresh_ratio, ROUNDS);
		snprintf(name, sizeof name, "fault %zu KiB, shm, SIGBUS, first touch", block / 1024);
		row(name, median(fresh, ROUNDS), "us", floor, 0, 1.15 * floor, ratio <= 1.15);
		ratio = median(steady_ratio, ROUNDS);
		snprintf(name, sizeof name, "fault %zu KiB, shm, SIGBUS, with eviction", block / 1024);
		row(name, median(steady, ROUNDS), "us", floor, 0, 1.15 * floor, ratio <= 1.15);
	}
	close(file);
}
