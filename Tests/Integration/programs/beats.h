/* beats.h: signs of life in a file that functions write and a job's task reads. Each process that beats has a slot with
 * its pid and the time of its last beat, nanoseconds of CLOCK_MONOTONIC, the same clock in every process. */
#ifndef BEATS_H
#define BEATS_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BEATS_SLOTS 4096

struct beat {
	_Alignas(64) atomic_int pid;
	_Atomic uint64_t at_ns;
};
struct beats {
	_Alignas(64) atomic_uint used;
	struct beat slots[BEATS_SLOTS];
};

static inline uint64_t beats_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline struct beats *beats_open(const char *path)
{
	int file = open(path, O_RDWR);
	if (file < 0)
		return NULL;
	void *map = MAP_FAILED;
	if (ftruncate(file, sizeof(struct beats)) == 0)
		map = mmap(NULL, sizeof(struct beats), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	return map == MAP_FAILED ? NULL : map;
}

static inline struct beat *beats_join(const char *path)
{
	struct beats *beats = beats_open(path);
	if (!beats)
		return NULL;
	unsigned slot = atomic_fetch_add(&beats->used, 1);
	return slot < BEATS_SLOTS ? &beats->slots[slot] : NULL;
}

static inline void beats_beat(struct beat *beat)
{
	atomic_store_explicit(&beat->pid, getpid(), memory_order_relaxed);
	atomic_store_explicit(&beat->at_ns, beats_now_ns(), memory_order_release);
}

/* How many processes have beaten after the given time. */
static inline unsigned beats_since(struct beats *beats, uint64_t after_ns)
{
	unsigned count = 0, used = atomic_load(&beats->used);
	for (unsigned slot = 0; slot < used && slot < BEATS_SLOTS; slot++)
		count += atomic_load_explicit(&beats->slots[slot].at_ns, memory_order_acquire) > after_ns;
	return count;
}

#endif
