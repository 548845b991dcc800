/* descriptors.c: a program that closes all descriptors must not close ours: a region without its userfaultfd would be zeros. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "preload.h"

enum { KEPT_MAX = 2048, HIGH = 800 };
static _Atomic int kept[KEPT_MAX];
static _Atomic int kept_count, kept_least = 1 << 30;

void preload_descriptor_note(int descriptor)
{
	int at = atomic_fetch_add(&kept_count, 1);
	if (at < KEPT_MAX)
		atomic_store(&kept[at], descriptor);
	int least = atomic_load(&kept_least);
	while (descriptor < least && !atomic_compare_exchange_weak(&kept_least, &least, descriptor))
		;
}

int preload_descriptor_keep(int descriptor)
{
	struct rlimit limit;
	int above = HIGH;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < HIGH + 100)
		above = (int)(limit.rlim_cur / 2);
	int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, above);
	int error = errno;
	preload_sys_close(descriptor);
	errno = error;
	if (moved >= 0)
		preload_descriptor_note(moved);
	return moved;
}

bool preload_descriptor_is_ours(int descriptor)
{
	if (descriptor < atomic_load_explicit(&kept_least, memory_order_relaxed) || atomic_load(&preload_arena.state) == ARENA_CHILD)
		return false;
	int count = atomic_load(&kept_count);
	for (int i = 0; i < count && i < KEPT_MAX; i++)
		if (atomic_load(&kept[i]) == descriptor)
			return true;
	return false;
}

EXPORT int close(int descriptor)
{
	if (!preload_descriptor_is_ours(descriptor))
		return LIBC(close)(descriptor);
	errno = EBADF;
	return -1;
}

EXPORT int dup2(int from, int to)
{
	if (!preload_descriptor_is_ours(to))
		return LIBC(dup2)(from, to);
	errno = EBUSY;
	return -1;
}

EXPORT int dup3(int from, int to, int flags)
{
	if (!preload_descriptor_is_ours(to))
		return LIBC(dup3)(from, to, flags);
	errno = EBUSY;
	return -1;
}

/* Leaves ours out of the range. */
EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	for (;;) {
		unsigned ours = UINT32_MAX;
		int count = atomic_load(&kept_count);
		for (int i = 0; i < count && i < KEPT_MAX && atomic_load(&preload_arena.state) != ARENA_CHILD; i++) {
			unsigned one = (unsigned)atomic_load(&kept[i]);
			if (one >= first && one <= last && one < ours)
				ours = one;
		}
		if (ours == UINT32_MAX)
			return first <= last ? LIBC(close_range)(first, last, flags) : 0;
		if (ours > first && LIBC(close_range)(first, ours - 1, flags) != 0)
			return -1;
		first = ours + 1;
		if (first > last)
			return 0;
	}
}

EXPORT void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, UINT32_MAX - 1, 0);
}
