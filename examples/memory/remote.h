/* remote.h: what the three programs share: memory from libfallow-pager (fallow_pager.h) or from malloc, and a checksum.
 *
 * Each takes LOCAL_MIB: the resident cap of its pager; 0: plain malloc, to compare with. The memory files that stand for donors are
 * this process's own; on a cluster their descriptors come from a lease. */
#ifndef FALLOW_EXAMPLES_REMOTE_H
#define FALLOW_EXAMPLES_REMOTE_H
#define _GNU_SOURCE

#include <fallow_pager.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct fallow_pager *remote_pager;
static double remote_began;

static inline double remote_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void remote_stop(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(1);
}

/* `local_mib` 0: no pager. `block_bytes` is what comes and goes at once: 64 KiB where memory is gone through in order, a page where it
 * is touched at random. */
static inline void remote_open(uint64_t local_mib, uint32_t block_bytes)
{
	struct fallow_pager_settings settings;
	remote_began = remote_now();
	if (local_mib == 0)
		return;
	fallow_pager_settings_default(&settings);
	settings.mode = FALLOW_MODE_SIGBUS;
	settings.resident_cap_bytes = local_mib << 20;
	settings.block_bytes = block_bytes;
	int error = fallow_pager_create(&settings, &remote_pager);
	if (error != 0)
		remote_stop("the pager", error);
}

/* Zeroed memory of whole blocks. */
static inline void *remote_take(size_t bytes)
{
	struct fallow_source source;
	struct fallow_region *region;
	bytes = (bytes + 65535) / 65536 * 65536;
	if (remote_pager == NULL)
		return calloc(1, bytes);
	int file = memfd_create("donor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0 || ftruncate(file, (off_t)bytes) != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_GROW) != 0)
		remote_stop("the memory file", 12);
	struct fallow_shm_settings shm = {.descriptors = &file, .count = 1, .holes_are_zeros = true};
	int error = fallow_shm_source_open(&shm, &source);
	if (error == 0)
		error = fallow_region_map(remote_pager, &source, 0, bytes, &region);
	if (error != 0)
		remote_stop("the region", error);
	close(file);
	return fallow_region_address(region);
}

static inline uint64_t remote_sum(uint64_t sum, const void *memory, size_t bytes)
{
	const uint64_t *words = memory;
	for (size_t i = 0; i < bytes / 8; i++)
		sum = (sum ^ words[i]) * 0x100000001b3ull;
	return sum;
}

/* The result on standard output, what it took on standard error. */
static inline void remote_report(const char *name, uint64_t sum, size_t bytes)
{
	struct fallow_pager_statistics s = {0};
	if (remote_pager != NULL)
		fallow_pager_get_statistics(remote_pager, &s);
	printf("%s %016llx\n", name, (unsigned long long)sum);
	fprintf(stderr, "{\"program\":\"%s\",\"seconds\":%.3f,\"bytes\":%zu,\"peak_local_bytes\":%llu,\"faults\":%llu}\n", name,
		remote_now() - remote_began, bytes, (unsigned long long)s.peak_resident_bytes, (unsigned long long)s.faults);
}

static inline uint64_t remote_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

#endif
