/* mapping.c: anonymous private mappings, and what programs do with them. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "locked.h"
#include "preload.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void preload_lock(void)
{
	pthread_mutex_lock(&lock);
}

void preload_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* Plain memory and nothing more: no place that was asked for, no stack, no huge pages, no locked pages. */
static bool is_plain(size_t length, int protection, int flags, int descriptor)
{
	const int ignored = MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK;
	return length > preload_settings.threshold_bytes && preload_settings.has_memory &&
	       protection == (PROT_READ | PROT_WRITE) && (flags & ~ignored) == (MAP_PRIVATE | MAP_ANONYMOUS) && descriptor <= 0;
}

static void *failed(int error, const char *sentence)
{
	preload_say("%s", sentence);
	errno = error;
	return MAP_FAILED;
}

EXPORT void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
	bool is_fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	if (is_fixed && preload_is_ours(address, length)) {
		if ((flags & MAP_ANONYMOUS) && (flags & MAP_PRIVATE) && protection == (PROT_READ | PROT_WRITE) &&
		    madvise(address, length, MADV_DONTNEED) == 0)
			return address;
		return failed(ENOMEM, "mmap over a part of remote memory is supported for private anonymous memory alone");
	}
	if (address == NULL && is_plain(length, protection, flags, descriptor)) {
		void *memory = NULL;
		if (preload_ready()) {
			preload_lock();
			memory = preload_arena_take(length, 1, false);
			preload_unlock();
		}
		if (memory != NULL)
			return memory;
		if (!preload_may_fall_back()) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	return preload_sys_mmap(address, length, protection, flags, descriptor, offset);
}

EXPORT void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

/* Whether a range is wholly in the arena; EINVAL when it is in part. */
static bool is_within(const void *address, size_t length)
{
	uintptr_t at = (uintptr_t)address;
	return at >= atomic_load(&preload_arena.base) && length <= atomic_load(&preload_arena.end) - at &&
	       atomic_load(&preload_arena.state) == ARENA_OPEN && at % preload_arena.page_bytes == 0;
}

static int invalid(void)
{
	errno = EINVAL;
	return -1;
}

EXPORT int munmap(void *address, size_t length)
{
	if (!preload_is_ours(address, length))
		return preload_sys_munmap(address, length);
	if (atomic_load(&preload_arena.state) == ARENA_CHILD)
		return 0;
	if (!is_within(address, length) || length == 0)
		return invalid();
	preload_lock();
	preload_arena_unmap((uintptr_t)address, length);
	preload_unlock();
	return 0;
}

EXPORT void *mremap(void *address, size_t old_length, size_t length, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	void *to = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
	va_end(arguments);
	if (!preload_is_ours(address, old_length)) {
		if ((flags & MREMAP_FIXED) && preload_is_ours(to, length))
			return failed(EINVAL, "mremap to a place in remote memory is not supported");
		return preload_sys_mremap(address, old_length, length, flags, to);
	}
	if (!is_within(address, old_length) || length == 0 || (flags & ~MREMAP_MAYMOVE) != 0 ||
	    ((uintptr_t)address - atomic_load(&preload_arena.base)) % preload_arena.block_bytes != 0)
		return failed(EINVAL, "of remote memory, mremap moves or resizes whole mappings, without MREMAP_FIXED or MREMAP_DONTUNMAP");
	preload_lock();
	void *memory = preload_arena_resize(address, old_length, length, flags & MREMAP_MAYMOVE, false);
	preload_unlock();
	if (memory != NULL)
		return memory;
	errno = ENOMEM;
	return MAP_FAILED;
}

EXPORT int madvise(void *address, size_t length, int advice)
{
	if (!preload_is_ours(address, length))
		return preload_sys_madvise(address, length, advice);
	if (!is_within(address, length))
		return invalid();
	int error = 0;
	switch (advice) {
	case MADV_DONTNEED:
		preload_lock();
		error = preload_arena_clear((uintptr_t)address, (length + preload_arena.page_bytes - 1) & ~(preload_arena.page_bytes - 1));
		preload_unlock();
		break;
	case MADV_WILLNEED:
		error = fallow_region_prefetch(preload_arena.region, (uintptr_t)address - atomic_load(&preload_arena.base), length);
		break;
	case MADV_REMOVE:
	case MADV_HWPOISON:
	case MADV_DOFORK:
		error = EINVAL;
		break;
	default:
		break; /* hints */
	}
	errno = error != 0 ? error : errno;
	return error != 0 ? -1 : 0;
}

EXPORT int posix_madvise(void *address, size_t length, int advice)
{
	return preload_is_ours(address, length) ? 0 : LIBC(posix_madvise)(address, length, advice);
}

EXPORT int mprotect(void *address, size_t length, int protection)
{
	if (!preload_is_ours(address, length))
		return preload_sys_mprotect(address, length, protection);
	if (protection == (PROT_READ | PROT_WRITE))
		return 0;
	preload_say("remote memory is readable and writable; mprotect to anything else is not supported");
	errno = EACCES;
	return -1;
}

EXPORT int mlock(const void *address, size_t length)
{
	if (!preload_is_ours(address, length))
		return LIBC(mlock)(address, length);
	preload_say("remote memory cannot be locked (mlock)");
	errno = ENOMEM;
	return -1;
}

EXPORT int msync(void *address, size_t length, int flags)
{
	return preload_is_ours(address, length) ? 0 : LIBC(msync)(address, length, flags);
}
