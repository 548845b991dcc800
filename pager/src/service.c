/* service.c: the thread that makes room, reads ahead and flushes. It alone evicts. */
#include <errno.h>
#include <stdlib.h>

#include "pager.h"
#include "uffd.h"

enum { WISH_BATCH = 8 };

/* With the lock held. Has blocks leave until enough room is left. Returns whether it got anywhere. */
static bool make_room(struct fallow_pager *pager)
{
	uint64_t enough, coming;
	bool moved = false;
	/* Those who wait in the kernel cannot ask again. */
	pager->evict_wanted |= pager->starved_count > 0;
	if (!pager->evict_wanted)
		return false;
	fallow_room_judge(pager);
	enough = pager->room_goal;
	coming = fallow_room_left(pager) + pager->dirty.count;
	if (coming < enough)
		moved = fallow_detach(pager, (size_t)(enough - coming)) > 0;
	if (pager->dirty.count > 0 && fallow_room_left(pager) < enough && fallow_clock_ns() >= pager->write_retry_ns) {
		int error = 0;
		fallow_write_standby(pager, NULL, &error);
		moved |= error == 0;
	}
	if (fallow_room_left(pager) >= enough || (!moved && pager->dirty.count == 0))
		pager->evict_wanted = false; /* enough, or nothing can leave: the next fault asks again */
	return moved;
}

/* With the lock held: reads a few blocks of the oldest wish. */
static bool grant_wish(struct fallow_pager *pager)
{
	struct load loads[WISH_BATCH];
	size_t count = 0;
	if (pager->wish_count == 0)
		return false;
	struct wish *wish = &pager->wishes[pager->wish_first];
	struct fallow_region *region = wish->region;
	while (region != NULL && wish->count > 0 && count < WISH_BATCH) {
		struct block *block = &region->blocks[wish->first];
		if (block->state == ABSENT) {
			if (fallow_room_left(pager) <= pager->slot_count / 8 || !fallow_room_take(pager, &loads[count].slot)) {
				wish->count = 0;
				pager->room_is_scarce = true;
				break;
			}
			block->state = LOADING;
			if (wish->for_writing)
				fallow_twin_take(block);
			loads[count].is_touched = false;
			loads[count++].block = block;
		}
		wish->first++;
		wish->count--;
	}
	if (region == NULL || wish->count == 0) {
		pager->wish_first = (pager->wish_first + 1) % WISHES;
		pager->wish_count--;
	}
	if (count == 0)
		return true;
	pager->statistics.readahead_blocks += count;
	region->in_motion += (uint32_t)count;
	fallow_room_watch(pager);
	fallow_lock_give(&pager->lock);
	fallow_load(region, loads, count, false);
	fallow_lock_take(&pager->lock);
	return true;
}

/* With the lock held: faults that waited for room look again, or have waited too long. */
static void feed_starved(struct fallow_pager *pager)
{
	uint64_t limit = (uint64_t)pager->settings.wait_limit_ms * 1000000u, now = fallow_clock_ns();
	uint32_t kept = 0;
	bool has_room = fallow_room_left(pager) > 0;
	for (uint32_t i = 0; i < pager->starved_count; i++) {
		struct block *block = pager->starved[i].block;
		if (!has_room && now - pager->starved[i].since_ns >= limit)
			fallow_fault_starve(block);
		else if (has_room || block->state != ABSENT)
			fallow_uffd_wake(pager->uffd, block_address(block), block_length(block));
		else
			pager->starved[kept++] = pager->starved[i];
	}
	pager->starved_count = kept;
}

/* With the lock held. */
static bool flush_one(struct fallow_pager *pager)
{
	struct flush_request *request = pager->flushes;
	if (request == NULL)
		return false;
	request->error = fallow_flush_region(request->region);
	for (struct flush_request **at = &pager->flushes; *at != NULL; at = &(*at)->next)
		if (*at == request) {
			*at = request->next;
			break;
		}
	if (request->abandoned)
		free(request);
	else
		request->done = true;
	fallow_change_tell(&pager->changed);
	return true;
}

void *fallow_service(void *argument)
{
	struct fallow_pager *pager = argument;
	fallow_lock_take(&pager->lock);
	while (!pager->stopping) {
		uint32_t turn = fallow_change_turn(&pager->service);
		bool is_busy = make_room(pager);
		if (pager->starved_count > 0)
			feed_starved(pager);
		is_busy |= flush_one(pager) || grant_wish(pager);
		if (is_busy)
			continue;
		uint64_t pause = pager->starved_count > 0 || pager->evict_wanted ? 5000000u : 1000000000u;
		fallow_lock_give(&pager->lock);
		fallow_change_wait(&pager->service, turn, fallow_clock_ns() + pause);
		fallow_lock_take(&pager->lock);
	}
	fallow_lock_give(&pager->lock);
	return NULL;
}
