/* detach.c: takes blocks out of their regions, whole: after it, a write is either in the slot or faults.
 *
 * UFFDIO_MOVE takes pages one by one, without stopping the process's other faults; it forgets what WP_ASYNC noted of writes.
 * mremap(MREMAP_DONTUNMAP) moves page tables and keeps those notes, provided that the userfaultfd follows the pages
 * (EVENT_REMAP): else Linux 6.14 and newer clear them. So WP_ASYNC needs mremap, and everything else takes UFFDIO_MOVE where it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pager.h"
#include "uffd.h"

/* Blocks that lie side by side, in the region and in their slots. */
struct piece {
	struct block *first;
	uint32_t count;
	bool moved;
};

/* UFFDIO_MOVE for a piece; when it fails half-way the rest goes back. */
static int move_out(struct fallow_pager *pager, char *slot, char *address, size_t length)
{
	size_t moved = 0, back = 0;
	int error = fallow_uffd_move(pager->uffd, slot, address, length, &moved);
	if (error != 0 && moved > 0 && fallow_uffd_move(pager->uffd, address, slot, moved, &back) != 0)
		fallow_uffd_copy(pager->uffd, address + back, slot + back, moved - back, false);
	if (error != 0)
		madvise(slot, length, MADV_DONTNEED);
	return error;
}

static int take_out(struct fallow_pager *pager, const struct piece *piece)
{
	char *slot = slot_address(pager, piece->first->slot), *address = block_address(piece->first);
	size_t length = blocks_length(piece->first, piece->count);
#ifdef FALLOW_BROKEN_DETACH /* the tests' negative control: a write between the two is lost */
	memcpy(slot, address, length);
	usleep(100);
	return madvise(address, length, MADV_DONTNEED) != 0 ? errno : 0;
#endif
	if (!pager->is_async && (pager->features & FALLOW_KERNEL_MOVE))
		return move_out(pager, slot, address, length);
	void *where = mremap(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, slot);
	if (where == MAP_FAILED)
		return errno;
	madvise(slot, length, MADV_DONTFORK);
	return 0;
}

/* After it is out: what of it was written, and nobody can write any more. */
static void look_at_notes(struct fallow_pager *pager, const struct piece *piece)
{
	for (uint32_t i = 0; i < piece->count; i++) {
		struct block *block = piece->first + i;
		struct run run;
		char *reached;
		int found = fallow_scan(pager, slot_address(pager, block->slot), block_length(block), false, &run, 1, &reached);
		if (found != 0)
			block->flags |= found > 0 ? BLOCK_DIRTY_PAGES : BLOCK_DIRTY;
	}
}

/* The same of those that were not protected. */
static void look_at_twins(struct fallow_pager *pager, const struct piece *piece)
{
	for (uint32_t i = 0; i < piece->count; i++) {
		struct block *block = piece->first + i;
		if (block->twin != NO_TWIN && fallow_twin_differs(block, slot_address(pager, block->slot)))
			block->flags |= BLOCK_DIRTY;
	}
}

static int by_address(const void *one, const void *other)
{
	const char *a = block_address(*(struct block *const *)one), *b = block_address(*(struct block *const *)other);
	return (a > b) - (a < b);
}

/* With the lock held: the oldest blocks that may leave. The others are put in line anew. */
static size_t choose(struct fallow_pager *pager, struct block **chosen, size_t wanted)
{
	size_t count = 0, looks = pager->resident.count;
	if (wanted > pager->slots_free)
		wanted = pager->slots_free;
	while (count < wanted && looks-- > 0) {
		struct block *block = pager->resident.first;
		fallow_list_remove(&pager->resident, block);
		if (block->pins > 0 || (block->flags & BLOCK_FLUSHING)) {
			fallow_list_append(&pager->resident, block);
			continue;
		}
		block->state = DETACHING;
		block->region->in_motion++;
		chosen[count++] = block;
	}
	return count;
}

/* With the lock held: cuts the sorted blocks into pieces, and gives each block its slot. */
static size_t cut(struct fallow_pager *pager, struct block **sorted, size_t count, struct piece *pieces)
{
	size_t number = 0;
	for (size_t at = 0; at < count;) {
		uint32_t side_by_side = 1, got = 0;
		while (at + side_by_side < count && sorted[at + side_by_side] == sorted[at] + side_by_side &&
		       sorted[at]->region == sorted[at + side_by_side]->region)
			side_by_side++;
		if (sorted[at]->region->covered)
			side_by_side = 1; /* its mapping is in parts */
		uint16_t slot = fallow_slots_take(pager, side_by_side, &got);
		for (uint32_t i = 0; i < got; i++)
			sorted[at + i]->slot = (uint16_t)(slot + i);
		pieces[number++] = (struct piece){sorted[at], got, false};
		at += got;
	}
	return number;
}

/* With the lock held. */
static void settle(struct fallow_pager *pager, struct block *block, bool moved)
{
	block->region->in_motion--;
	fallow_twin_drop(block);
	if (!moved) { /* a device or a system call holds on to a page: it stays, and counts as changed */
		fallow_slot_free(pager, block->slot);
		block->slot = NO_SLOT;
		block->state = RESIDENT;
		block->flags |= BLOCK_DIRTY;
		fallow_list_append(&pager->resident, block);
		return;
	}
	block->state = STANDBY;
	pager->statistics.evicted_blocks++;
	fallow_list_append(block->flags & BLOCK_CHANGED ? &pager->dirty : &pager->clean, block);
}

size_t fallow_detach(struct fallow_pager *pager, size_t wanted)
{
	struct block *chosen[LOAD_BATCH];
	struct piece pieces[LOAD_BATCH];
	size_t out = 0, count = choose(pager, chosen, wanted < LOAD_BATCH ? wanted : LOAD_BATCH);
	qsort(chosen, count, sizeof chosen[0], by_address);
	size_t number = cut(pager, chosen, count, pieces);
	fallow_lock_give(&pager->lock);
	for (size_t i = 0; i < number; i++) {
		pieces[i].moved = take_out(pager, &pieces[i]) == 0;
		if (pieces[i].moved && pager->is_async)
			look_at_notes(pager, &pieces[i]);
		else if (pieces[i].moved)
			look_at_twins(pager, &pieces[i]);
	}
	fallow_lock_take(&pager->lock);
	for (size_t i = 0; i < number; i++) {
		for (uint32_t n = 0; n < pieces[i].count; n++)
			settle(pager, pieces[i].first + n, pieces[i].moved);
		out += pieces[i].moved ? pieces[i].count : 0;
		if (!pager->is_sigbus)
			fallow_uffd_wake(pager->uffd, block_address(pieces[i].first), blocks_length(pieces[i].first, pieces[i].count));
	}
	fallow_change_tell(&pager->changed);
	return out;
}
