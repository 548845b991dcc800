/* scan.c: a sequential reader over a region four times the cap, beside a cold mmap of a file; and eviction of dirty pages. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

enum { SIZE = 256 << 20, CAP = 64 << 20, ROUNDS = 5 };

static volatile uint64_t sink;

/* One load a cache line: the reader itself should not be what is measured. */
static double scan(const volatile uint64_t *words, size_t size)
{
	uint64_t sum = 0;
	double began = now_us();
	for (size_t i = 0; i < size / 8; i += 8)
		sum += words[i];
	sink = sum;
	return (double)size / (now_us() - began) / 1e3;
}

/* A file on the disk whose pages were dropped from the cache. 0: there is no place for one. */
static double cold_mmap(void)
{
	char path[] = "/var/tmp/pager-bench-XXXXXX";
	size_t size = 64 << 20;
	int file = mkstemp(path);
	static char block[1 << 20];
	if (file < 0)
		return 0;
	unlink(path);
	memset(block, 7, sizeof block);
	for (size_t at = 0; at < size; at += sizeof block)
		if (write(file, block, sizeof block) != (ssize_t)sizeof block)
			size = 0;
	double rate = 0;
	if (size > 0 && fsync(file) == 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0) {
		void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
		rate = scan(bytes, size);
		munmap(bytes, size);
	}
	close(file);
	return rate;
}

/* `per_cpu`: the same per second of CPU time of all threads; a busy machine does not change that. */
static double scan_round(int file, enum fallow_pager_mode mode, double *per_cpu)
{
	struct pager_over over;
	open_over(&over, file, SIZE, CAP, 65536, mode);
	scan(over.words, SIZE);
	double began = cpu_us(), rate = scan(over.words, SIZE);
	*per_cpu = (double)SIZE / (cpu_us() - began) / 1e3;
	close_over(&over);
	return rate;
}

void scan_rows(void)
{
	double cold[ROUNDS], sigbus[ROUNDS], thread[ROUNDS], ratio[ROUNDS], sigbus_cpu[ROUNDS], thread_cpu[ROUNDS];
	int file = filled_file(SIZE);
	for (int i = 0; i < ROUNDS; i++) {
		cold[i] = cold_mmap();
		sigbus[i] = scan_round(file, FALLOW_MODE_SIGBUS, &sigbus_cpu[i]);
		thread[i] = scan_round(file, FALLOW_MODE_THREAD, &thread_cpu[i]);
		ratio[i] = cold[i] > 0 ? sigbus[i] / cold[i] : 0;
	}
	double peer = median(cold, ROUNDS), value = median(sigbus, ROUNDS), times = median(ratio, ROUNDS);
	row("sequential scan, shm, SIGBUS", value, "GB/s", 0, peer, 3, value >= 3);
	row("sequential scan over cold mmap, SIGBUS", times, "x", 0, 1, 7, times >= 7);
	row("sequential scan, shm, SIGBUS, per CPU second", median(sigbus_cpu, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("sequential scan, shm, thread, per CPU second", median(thread_cpu, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("sequential scan, shm, thread", median(thread, ROUNDS), "GB/s", 0, peer, 0, 1);
	close(file);
}

/* A writer that changes every page of a region four times the cap: what it gets through is what eviction gets out. */
static double write_round(int file, enum fallow_pager_mode mode, double *per_cpu)
{
	struct pager_over over;
	struct fallow_pager_statistics before, after;
	open_over(&over, file, SIZE, CAP, 65536, mode);
	for (size_t i = 0; i < SIZE / 8; i += 512)
		over.words[i] = i;
	fallow_pager_get_statistics(over.pager, &before);
	double began = now_us(), began_cpu = cpu_us();
	for (size_t i = 0; i < SIZE / 8; i += 512)
		over.words[i] = i + 1;
	double us = now_us() - began, cpu = cpu_us() - began_cpu;
	fallow_pager_get_statistics(over.pager, &after);
	*per_cpu = (double)(after.written_bytes - before.written_bytes) / cpu / 1e3;
	close_over(&over);
	return (double)(after.written_bytes - before.written_bytes) / us / 1e3;
}

/* The way to the source alone. */
static double flush_round(int file, double *per_cpu)
{
	struct pager_over over;
	open_over(&over, file, SIZE, CAP, 65536, FALLOW_MODE_SIGBUS);
	size_t half = CAP / 2;
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < half / 8; i += 512)
			over.words[i] = i + (size_t)round;
	double began = now_us(), began_cpu = cpu_us();
	int error = fallow_region_flush(over.region);
	double us = now_us() - began;
	*per_cpu = (double)half / (cpu_us() - began_cpu) / 1e3;
	close_over(&over);
	return error == 0 ? (double)half / us / 1e3 : 0;
}

void eviction_rows(void)
{
	double sigbus[ROUNDS], thread[ROUNDS], flush[ROUNDS], sigbus_cpu[ROUNDS], thread_cpu[ROUNDS], flush_cpu[ROUNDS];
	int file = filled_file(SIZE);
	for (int i = 0; i < ROUNDS; i++) {
		sigbus[i] = write_round(file, FALLOW_MODE_SIGBUS, &sigbus_cpu[i]);
		thread[i] = write_round(file, FALLOW_MODE_THREAD, &thread_cpu[i]);
		flush[i] = flush_round(file, &flush_cpu[i]);
	}
	double value = median(sigbus, ROUNDS);
	row("eviction of dirty pages under a writer, shm, SIGBUS", value, "GB/s", 0, 0, 3, value >= 3);
	row("eviction of dirty pages under a writer, shm, thread", median(thread, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("read and eviction of dirty pages, SIGBUS, per CPU second", median(sigbus_cpu, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("read and eviction of dirty pages, thread, per CPU second", median(thread_cpu, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("flush of dirty pages, per CPU second", median(flush_cpu, ROUNDS), "GB/s", 0, 0, 0, 1);
	row("flush of dirty pages, shm, SIGBUS", median(flush, ROUNDS), "GB/s", 0, 0, 0, 1);
	close(file);
}
