/* statistics.c: counters, and the pager in words. */
#include <stdio.h>

#include "pager.h"

static uint64_t dirty_blocks(const struct fallow_pager *pager)
{
	uint64_t count = pager->dirty.count;
	for (const struct block *block = pager->resident.first; block != NULL; block = block->next)
		count += (block->flags & BLOCK_CHANGED) != 0;
	return count;
}

void fallow_pager_get_statistics(struct fallow_pager *pager, struct fallow_pager_statistics *statistics)
{
	struct guard guard;
	fallow_guard_enter(&guard, pager);
	*statistics = pager->statistics;
	statistics->resident_bytes = pager->used_blocks * pager->block_bytes;
	statistics->pinned_bytes = pager->pinned_blocks * pager->block_bytes;
	statistics->dirty_bytes = dirty_blocks(pager) * pager->block_bytes;
	fallow_guard_leave(&guard);
}

size_t fallow_pager_describe(const struct fallow_pager *pager, char *text, size_t capacity)
{
	bool can_move = pager->features & FALLOW_KERNEL_MOVE;
	int length = snprintf(text, capacity,
			      "%s mode; writes noted by %s; blocks of %zu KiB leave by %s and come by %s; unreadable ones are %s; "
			      "%s descriptor",
			      pager->is_sigbus ? "SIGBUS" : "thread", pager->is_async ? "WP_ASYNC" : "write-protect faults",
			      pager->block_bytes / 1024, can_move && !pager->is_async ? "UFFDIO_MOVE" : "mremap",
			      can_move ? "UFFDIO_MOVE" : "UFFDIO_COPY",
			      pager->features & FALLOW_KERNEL_POISON ? "poisoned" : "covered by an empty file",
			      pager->settings.userfaultfd_device >= 0 ? "full" : "user-mode-only");
	return length > 0 ? (size_t)length : 0;
}
