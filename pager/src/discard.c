/* discard.c: forgetting what a range holds, without a write-back. */
#include <errno.h>
#include <sys/mman.h>

#include "pager.h"

static bool is_passing(const struct block *block)
{
	return block->state == LOADING || block->state == DETACHING || block->state == WRITING ||
	       (block->flags & BLOCK_FLUSHING) != 0;
}

static bool is_loose(const struct block *block)
{
	return block->state == RESIDENT && block->pins == 0 && !is_passing(block);
}

/* With the lock held: drops the resident blocks from `first` on that lie side by side, before `end`. Returns where they end. */
static uint32_t drop_resident(struct fallow_region *region, uint32_t first, uint32_t end)
{
	struct fallow_pager *pager = region->pager;
	uint32_t at = first;
	size_t length = 0;
	while (at < end && is_loose(&region->blocks[at]))
		length += block_length(&region->blocks[at++]);
	/* The memory goes before its room is given to others. */
	madvise(block_address(&region->blocks[first]), length, MADV_DONTNEED);
	for (uint32_t i = first; i < at; i++) {
		fallow_list_remove(&pager->resident, &region->blocks[i]);
		fallow_twin_drop(&region->blocks[i]);
		region->blocks[i].state = ABSENT;
		region->blocks[i].flags = region->blocks[i].error = 0;
		pager->used_blocks--;
	}
	return at;
}

/* With the lock held. EAGAIN: look at the same block again. */
static int drop_other(struct fallow_region *region, struct block *block, uint64_t deadline_ns)
{
	struct fallow_pager *pager = region->pager;
	if (block->pins > 0)
		return EBUSY;
	if (is_passing(block))
		return fallow_wait_changed(pager, deadline_ns) ? EAGAIN : ETIMEDOUT;
	if (block->state == STANDBY) {
		fallow_list_remove(block->flags & BLOCK_CHANGED ? &pager->dirty : &pager->clean, block);
		fallow_room_empty(pager, block->slot);
		block->slot = NO_SLOT;
		block->state = ABSENT;
		block->flags = block->error = 0;
		return 0;
	}
	return block->state == POISONED ? fallow_unpoison(block) : 0;
}

int fallow_region_discard(struct fallow_region *region, uint64_t offset, uint64_t length)
{
	struct fallow_pager *pager = region->pager;
	uint64_t bytes = pager->block_bytes;
	struct guard guard;
	int error = 0;
	if (offset > region->size || length > region->size - offset || offset % bytes != 0 ||
	    (length % bytes != 0 && offset + length != region->size))
		return EINVAL;
	if (fallow_is_child(pager))
		return ECHILD;
	uint32_t at = (uint32_t)(offset / bytes), end = (uint32_t)((offset + length + bytes - 1) / bytes);
	fallow_guard_enter(&guard, pager);
	uint64_t deadline = fallow_wait_deadline(pager);
	while (at < end && error == 0) {
		if (is_loose(&region->blocks[at])) {
			at = drop_resident(region, at, end);
			continue;
		}
		error = drop_other(region, &region->blocks[at], deadline);
		at += error == 0;
		error = error == EAGAIN ? 0 : error;
	}
	fallow_guard_leave(&guard);
	fallow_change_tell(&pager->changed);
	return error;
}
