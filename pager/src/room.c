/* room.c: how much may be in memory. `used_blocks` never exceeds the cap, since room is taken before memory is. */
#include <sys/mman.h>

#include "pager.h"

static bool can_move(const struct fallow_pager *pager)
{
	return (pager->features & FALLOW_KERNEL_MOVE) != 0;
}

/* Empties a slot. */
static void discard(struct fallow_pager *pager, uint16_t slot)
{
	madvise(slot_address(pager, slot), pager->block_bytes, MADV_DONTNEED);
	fallow_slot_free(pager, slot);
}

bool fallow_room_take(struct fallow_pager *pager, uint16_t *slot)
{
	*slot = NO_SLOT;
	if (pager->spare_count > 0) {
		*slot = pager->spare[--pager->spare_count];
		return true;
	}
	if (pager->used_blocks < pager->cap_blocks) {
		pager->used_blocks++;
		uint64_t bytes = pager->used_blocks * pager->block_bytes;
		if (bytes > pager->statistics.peak_resident_bytes)
			pager->statistics.peak_resident_bytes = bytes;
		return true;
	}
	struct block *oldest = pager->clean.first;
	if (oldest == NULL)
		return false;
	fallow_list_remove(&pager->clean, oldest);
	oldest->state = ABSENT;
	*slot = oldest->slot;
	oldest->slot = NO_SLOT;
	pager->statistics.dropped_clean_blocks++;
	/* A slot that is not full of pages would have to be filled where nothing may fault. */
	if (!can_move(pager) || block_length(oldest) < pager->block_bytes) {
		discard(pager, *slot);
		*slot = NO_SLOT;
	}
	return true;
}

void fallow_room_empty(struct fallow_pager *pager, uint16_t slot)
{
	discard(pager, slot);
	pager->used_blocks--;
}

void fallow_room_give(struct fallow_pager *pager, uint16_t slot)
{
	if (slot != NO_SLOT && can_move(pager)) {
		pager->spare[pager->spare_count++] = slot;
		return;
	}
	if (slot != NO_SLOT)
		discard(pager, slot);
	pager->used_blocks--;
}

uint64_t fallow_room_left(const struct fallow_pager *pager)
{
	return pager->spare_count + (pager->cap_blocks - pager->used_blocks) + pager->clean.count;
}

/* When nearly every fault is on a block that had just been taken out, what is in use fits into the cap: taking more out, and storing
 * it, is wasted. Then little room is made; as soon as blocks come from the source, or wait, much. */
void fallow_room_judge(struct fallow_pager *pager)
{
	const struct fallow_pager_statistics *statistics = &pager->statistics;
	uint64_t most = (pager->slot_count * 3 + 3) / 4, least = pager->slot_count / 6 + 4;
	uint64_t hits = statistics->standby_hits - pager->judged_hits;
	uint64_t needs = statistics->fetched_blocks + statistics->readahead_blocks - pager->judged_needs;
	uint64_t waits = statistics->waits_for_room - pager->judged_waits;
	if (pager->room_goal == 0)
		pager->room_goal = most;
	if (hits + needs < pager->slot_count / 4 + 8 && waits == 0 && !pager->room_is_scarce)
		return;
	if (pager->room_is_scarce || needs * 4 > hits)
		pager->room_goal *= 2;
	else if (hits > needs * 8)
		pager->room_goal /= 2;
	if (pager->room_goal < least)
		pager->room_goal = least;
	if (pager->room_goal > most)
		pager->room_goal = most;
	pager->judged_hits += hits;
	pager->judged_needs += needs;
	pager->judged_waits += waits;
	pager->room_is_scarce = false;
}

void fallow_room_watch(struct fallow_pager *pager)
{
	if (pager->room_goal == 0)
		fallow_room_judge(pager);
	if (pager->evict_wanted || fallow_room_left(pager) >= (pager->room_goal * 2 + 2) / 3)
		return;
	pager->evict_wanted = true;
	fallow_change_tell(&pager->service);
}
