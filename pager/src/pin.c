/* pin.c: ranges that stay where they are, for system calls and for devices. */
#include <errno.h>

#include "pager.h"
#include "uffd.h"

enum { PINS_MAX = 255 };

struct range {
	uint32_t first, end;
};

static bool range_of(const struct fallow_region *region, uint64_t offset, uint64_t length, struct range *range)
{
	size_t bytes = region->pager->block_bytes;
	if (offset > region->size || length > region->size - offset)
		return false;
	*range = (struct range){(uint32_t)(offset / bytes), (uint32_t)((offset + length + bytes - 1) / bytes)};
	if (length == 0)
		range->end = range->first;
	return true;
}

/* With the lock held: whether so many more may be pinned. What is left must keep faults going. */
static bool may_pin_more(const struct fallow_pager *pager)
{
	uint64_t left = pager->cap_blocks - pager->pinned_blocks - 1;
	return pager->pinned_blocks < pager->cap_blocks && left >= pager->cap_blocks / 4 && left >= 4;
}

/* With the lock held. EAGAIN: it is not here yet. */
static int pin_resident(struct block *block, bool for_write)
{
	struct fallow_pager *pager = block->region->pager;
	if (block->state != RESIDENT)
		return EAGAIN;
	if (block->pins == PINS_MAX)
		return EOVERFLOW;
	if (block->pins == 0 && !may_pin_more(pager))
		return ENOMEM;
	if (for_write && !pager->is_async &&
	    fallow_uffd_protect(pager->uffd, block_address(block), block_length(block), false) != 0)
		return EAGAIN;
	pager->pinned_blocks += block->pins == 0;
	block->pins++;
	if (for_write) {
		block->write_pins++;
		fallow_twin_drop(block);
		block->flags |= BLOCK_DIRTY;
	}
	return 0;
}

static int pin_block(struct fallow_region *region, uint32_t index, bool for_write)
{
	struct fallow_pager *pager = region->pager;
	uint64_t deadline = fallow_wait_deadline(pager);
	for (;;) {
		struct guard guard;
		fallow_guard_enter(&guard, pager);
		int error = pin_resident(&region->blocks[index], for_write);
		int failed = region->blocks[index].error;
		fallow_guard_leave(&guard);
		if (error != EAGAIN)
			return error;
		if (fallow_clock_ns() >= deadline)
			return ETIMEDOUT;
		sigset_t signals;
		fallow_signals_block(&signals);
		enum outcome outcome = fallow_fault_wait(region, index, for_write);
		fallow_signals_restore(&signals);
		if (outcome == GONE)
			return EINVAL;
		if (outcome == FAILED) {
			fallow_guard_enter(&guard, pager);
			bool is_poisoned = region->blocks[index].state == POISONED;
			failed = region->blocks[index].error;
			fallow_guard_leave(&guard);
			return is_poisoned ? failed : ETIMEDOUT;
		}
	}
}

static void unpin_block(struct block *block, bool for_write)
{
	if (for_write) {
		block->write_pins--;
		block->flags |= BLOCK_DIRTY;
	}
	if (--block->pins == 0)
		block->region->pager->pinned_blocks--;
}

/* Undoes what was done before `end`, with the lock. */
static void unpin_until(struct fallow_region *region, uint32_t first, uint32_t end, bool for_write)
{
	struct guard guard;
	fallow_guard_enter(&guard, region->pager);
	for (uint32_t i = first; i < end; i++)
		unpin_block(&region->blocks[i], for_write);
	fallow_guard_leave(&guard);
}

int fallow_region_pin(struct fallow_region *region, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct range range;
	bool for_write = flags & FALLOW_PIN_WRITE;
	if (!range_of(region, offset, length, &range) || (flags & ~FALLOW_PIN_WRITE) != 0)
		return EINVAL;
	if (fallow_is_child(region->pager))
		return ECHILD;
	if (range.end - range.first > region->pager->cap_blocks)
		return ENOMEM;
	for (uint32_t i = range.first; i < range.end; i++) {
		int error = pin_block(region, i, for_write);
		if (error != 0) {
			unpin_until(region, range.first, i, for_write);
			return error;
		}
	}
	return 0;
}

int fallow_region_unpin(struct fallow_region *region, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct range range;
	struct guard guard;
	bool for_write = flags & FALLOW_PIN_WRITE, is_pinned = true;
	if (!range_of(region, offset, length, &range) || (flags & ~FALLOW_PIN_WRITE) != 0)
		return EINVAL;
	fallow_guard_enter(&guard, region->pager);
	for (uint32_t i = range.first; i < range.end; i++) {
		const struct block *block = &region->blocks[i];
		is_pinned &= for_write ? block->write_pins > 0 : block->pins > block->write_pins;
	}
	for (uint32_t i = range.first; is_pinned && i < range.end; i++)
		unpin_block(&region->blocks[i], for_write);
	fallow_guard_leave(&guard);
	return is_pinned ? 0 : EINVAL;
}
