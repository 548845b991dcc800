#include "clinux_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int clinux_memfd_create(const char *name, uint64_t size_bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int failure = clinux_memfd_truncate(fd, size_bytes);
	if (failure < 0) {
		close(fd);
		return failure;
	}
	return fd;
}

int clinux_memfd_seal_growth(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int clinux_memfd_is_growth_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	return seals < 0 ? -errno : (seals & F_SEAL_GROW) != 0;
}

int64_t clinux_memfd_size(int fd)
{
	struct stat status;
	return fstat(fd, &status) < 0 ? -errno : (int64_t)status.st_size;
}

int clinux_memfd_truncate(int fd, uint64_t size_bytes)
{
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	int result;
	do
		result = ftruncate(fd, (off_t)size_bytes);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

void *clinux_memory_map(int fd, uint64_t offset_bytes, size_t size_bytes, int prefault, int *error)
{
	int flags = MAP_SHARED | (prefault ? MAP_POPULATE : 0);
	void *address = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset_bytes);
	if (address == MAP_FAILED) {
		*error = errno;
		return NULL;
	}
	/* A forked child of ours must not keep a lease's pages. */
	if (madvise(address, size_bytes, MADV_DONTFORK) < 0) {
		*error = errno;
		munmap(address, size_bytes);
		return NULL;
	}
	*error = 0;
	return address;
}

int clinux_memory_unmap(void *address, size_t size_bytes)
{
	return munmap(address, size_bytes) < 0 ? -errno : 0;
}
