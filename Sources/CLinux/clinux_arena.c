#include "clinux_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

static const int size_seals = F_SEAL_GROW | F_SEAL_SHRINK;

int clinux_arena_create(const char *name, int64_t byte_count)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, byte_count) != 0 || fcntl(fd, F_ADD_SEALS, size_seals | F_SEAL_SEAL) != 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

int clinux_arena_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & size_seals) == size_seals && (seals & F_SEAL_WRITE) == 0;
}

int clinux_arena_punch(int fd, int64_t offset, int64_t byte_count)
{
	while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, byte_count) != 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int clinux_arena_populate(void *address, uint64_t byte_count)
{
	if (madvise(address, byte_count, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return errno;
	/* An older kernel: touch a word of every page, without changing what a peer may have put there. */
	for (uint64_t offset = 0; offset < byte_count; offset += 4096)
		__atomic_fetch_or((uint32_t *)((char *)address + offset), 0, __ATOMIC_RELAXED);
	return 0;
}

int clinux_arena_huge_pages(void *address, uint64_t byte_count)
{
	return madvise(address, byte_count, MADV_HUGEPAGE) == 0 ? 0 : errno;
}

int clinux_arena_skip_in_core_dumps(void *address, uint64_t byte_count)
{
	return madvise(address, byte_count, MADV_DONTDUMP) == 0 ? 0 : errno;
}
