#include <errno.h>
#include <string.h>

#include "preload.h"

int preload_hold(struct hold *hold, const void *pointer, size_t length, bool for_write)
{
	hold->is_held = false;
#ifdef FALLOW_BROKEN_HOLD /* the tests' negative control */
	length = 0;
#endif
	if (length == 0 || !preload_is_ours(pointer, length))
		return 0;
	uintptr_t base = atomic_load(&preload_arena.base), end = atomic_load(&preload_arena.end), at = (uintptr_t)pointer;
	if (atomic_load(&preload_arena.state) != ARENA_OPEN || at < base || length > end - at) {
		errno = EFAULT;
		return -1;
	}
	*hold = (struct hold){at - base, length, for_write ? FALLOW_PIN_WRITE : FALLOW_PIN_READ, true};
	int error = fallow_region_pin(preload_arena.region, hold->offset, hold->length, hold->flags);
	if (error == 0)
		return 0;
	hold->is_held = false;
	if (error != ENOMEM && error != ECHILD && error != EFAULT)
		preload_say("a system call was handed memory whose contents were lost (%s)", strerrorname_np(error));
	errno = error == ENOMEM ? ENOMEM : error == ECHILD || error == EFAULT ? EFAULT : EIO;
	return -1;
}

void preload_let_go(struct hold *hold)
{
	int saved = errno;
	if (hold->is_held)
		fallow_region_unpin(preload_arena.region, hold->offset, hold->length, hold->flags);
	hold->is_held = false;
	errno = saved;
}
