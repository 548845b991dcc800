/* fault.c: what a touch of a block leads to. */
#include <errno.h>

#include "pager.h"
#include "uffd.h"

/* Threads that wait in a fault of a passing state were left waiting by the handler: they look again. */
static void wake(struct block *block)
{
	if (!block->region->pager->is_sigbus)
		fallow_uffd_wake(block->region->pager->uffd, block_address(block), block_length(block));
}

/* With the lock held. The first write to a block: from here on it is changed, and writes go on unhindered. A changed block
 * may be protected too (a failed write-back), so the protection is always lifted. */
static enum outcome touch_resident(struct block *block, bool is_write)
{
	struct fallow_pager *pager = block->region->pager;
	if (is_write && !pager->is_async) {
		pager->statistics.write_faults += !(block->flags & BLOCK_DIRTY);
		block->flags |= BLOCK_DIRTY;
		fallow_twin_drop(block);
		if (fallow_uffd_protect(pager->uffd, block_address(block), block_length(block), false) != 0)
			return PASSING;
	}
	return SERVED;
}

/* With the lock held, which is given away. A block on its way out comes back. */
static enum outcome put_back(struct block *block, bool is_write)
{
	struct fallow_pager *pager = block->region->pager;
	uint16_t slot = block->slot;
	bool was_changed = block->flags & BLOCK_CHANGED;
	uint32_t changed = 0;
	fallow_list_remove(was_changed ? &pager->dirty : &pager->clean, block);
	block->state = LOADING;
	block->region->in_motion++;
	pager->statistics.standby_hits++;
	fallow_lock_give(&pager->lock);

	int error = fallow_install(block, 1, slot_address(pager, slot), true, is_write || was_changed, &changed);

	fallow_lock_take(&pager->lock);
	block->region->in_motion--;
	if (error != 0) {
		/* It may have been written to before what was moved went back. */
		block->flags |= BLOCK_DIRTY;
		block->state = STANDBY;
		fallow_list_append(&pager->dirty, block);
	} else {
		block->slot = NO_SLOT;
		fallow_slot_free(pager, slot);
		block->state = RESIDENT;
		block->flags &= BLOCK_WRITE_FAILED;
		block->flags |= was_changed || changed ? BLOCK_DIRTY : 0;
		fallow_list_append(&pager->resident, block);
		fallow_room_watch(pager);
	}
	fallow_lock_give(&pager->lock);
	fallow_change_tell(&pager->changed);
	wake(block);
	return error == 0 ? SERVED : PASSING;
}

/* With the lock held. A fault that a handler thread cannot serve now: the service thread sees to it. */
static void note_starved(struct block *block)
{
	struct fallow_pager *pager = block->region->pager;
	for (uint32_t i = 0; i < pager->starved_count; i++)
		if (pager->starved[i].block == block)
			return;
	if (pager->starved_count < STARVED) {
		pager->starved[pager->starved_count].block = block;
		pager->starved[pager->starved_count++].since_ns = fallow_clock_ns();
	}
}

/* With the lock held, which is given away. Reads the block, and more when it is part of a sequence. */
static enum outcome fetch(struct fallow_region *region, uint32_t index, bool is_write)
{
	struct fallow_pager *pager = region->pager;
	struct load loads[LOAD_BATCH];
	size_t count = 1;
	loads[0].block = &region->blocks[index];
	loads[0].is_touched = true;
	if (!fallow_room_take(pager, &loads[0].slot)) {
		if (!pager->is_sigbus)
			note_starved(loads[0].block);
		pager->statistics.waits_for_room++;
		pager->evict_wanted = true;
		fallow_lock_give(&pager->lock);
		fallow_change_tell(&pager->service);
		return NO_ROOM;
	}
	struct readahead ahead = fallow_readahead_plan(region, index);
	for (uint32_t i = 1; i <= ahead.now && count < LOAD_BATCH && index + i < region->block_count; i++) {
		struct block *block = &region->blocks[index + i];
		if (block->state != ABSENT)
			continue;
		if (fallow_room_left(pager) <= pager->slot_count / 8 || !fallow_room_take(pager, &loads[count].slot)) {
			pager->room_is_scarce = true;
			break;
		}
		loads[count].is_touched = false;
		loads[count++].block = block;
	}
	for (size_t i = 0; i < count; i++) {
		loads[i].block->state = LOADING;
		if (ahead.for_writing && !(is_write && i == 0))
			fallow_twin_take(loads[i].block);
	}
	region->in_motion += (uint32_t)count;
	pager->statistics.fetched_blocks++;
	pager->statistics.readahead_blocks += count - 1;
	if (ahead.later > 0)
		fallow_wish(pager, region, index + 1 + ahead.now, ahead.later, ahead.for_writing);
	fallow_room_watch(pager);
	fallow_lock_give(&pager->lock);
	fallow_load(region, loads, count, is_write);
	return SERVED;
}

enum outcome fallow_fault(struct fallow_region *region, uint32_t index, bool is_write)
{
	struct fallow_pager *pager = region->pager;
	struct block *block = &region->blocks[index];
	enum outcome outcome = PASSING;
	fallow_lock_take(&pager->lock);
	pager->statistics.faults++;
	if (region->closing)
		outcome = GONE;
	else if (block->state == ABSENT)
		return fetch(region, index, is_write);
	else if (block->state == STANDBY)
		return put_back(block, is_write);
	else if (block->state == RESIDENT)
		outcome = touch_resident(block, is_write);
	else if (block->state == POISONED)
		outcome = FAILED;
	fallow_lock_give(&pager->lock);
	if (outcome != PASSING)
		wake(block);
	return outcome;
}

enum outcome fallow_fault_wait(struct fallow_region *region, uint32_t index, bool is_write)
{
	struct fallow_pager *pager = region->pager;
	uint64_t deadline = 0;
	for (;;) {
		uint32_t turn = fallow_change_turn(&pager->changed);
		enum outcome outcome = fallow_fault(region, index, is_write);
		if (outcome != PASSING && outcome != NO_ROOM)
			return outcome;
		if (deadline == 0)
			deadline = fallow_wait_deadline(pager);
		if (fallow_clock_ns() >= deadline) {
			fallow_lock_take(&pager->lock);
			if (outcome == NO_ROOM)
				fallow_fault_starve(&region->blocks[index]);
			fallow_lock_give(&pager->lock);
			return FAILED;
		}
		/* What stood in the way may go without a word (a pin, a pause after a failed write), so ask again now and then. */
		uint64_t soon = fallow_clock_ns() + 10000000u;
		fallow_change_wait(&pager->changed, turn, soon < deadline ? soon : deadline);
	}
}

void fallow_fault_starve(struct block *block)
{
	if (block->state == ABSENT)
		fallow_poison(block, ENOMEM);
}
