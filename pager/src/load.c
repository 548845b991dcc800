/* load.c: from the source into the region. */
#include <errno.h>

#include "pager.h"
#include "uffd.h"

/* With the lock held: a block that was LOADING has arrived, or has not. */
static void settle(struct load *load, int error, bool changed)
{
	struct block *block = load->block;
	struct fallow_pager *pager = block->region->pager;
	block->region->in_motion--;
	if (error == 0) {
		if (load->slot != NO_SLOT)
			fallow_slot_free(pager, load->slot);
		block->state = RESIDENT;
		block->flags = changed ? BLOCK_DIRTY : 0;
		fallow_list_append(&pager->resident, block);
	} else {
		fallow_room_give(pager, load->slot);
		pager->statistics.read_failures++;
		if (load->is_touched)
			fallow_poison(block, error);
		else
			block->state = ABSENT;
	}
}

static void finish(struct fallow_region *region, struct load *load, int error, bool is_write)
{
	struct fallow_pager *pager = region->pager;
	char *address = block_address(load->block);
	size_t length = block_length(load->block);
	bool changed = false;
	if (error == 0)
		error = fallow_install(load->block, load->buffer, load->slot, is_write, &changed);
	if (load->slot == NO_SLOT)
		fallow_buffer_give(pager, load->buffer);
	fallow_lock_take(&pager->lock);
	settle(load, error, changed);
	fallow_lock_give(&pager->lock);
	/* Nothing is in motion any more, so the region may be gone by now. */
	fallow_change_tell(&pager->changed);
	if (!pager->is_sigbus)
		fallow_uffd_wake(pager->uffd, address, length);
}

/* Memory to read into: the pages of a slot, or a buffer. Only the first load waits for a buffer, when it holds none. */
static size_t find_memory(struct fallow_pager *pager, struct load *loads, size_t count)
{
	bool has_buffer = false;
	for (size_t i = 0; i < count; i++) {
		if (loads[i].slot != NO_SLOT) {
			loads[i].buffer = slot_address(pager, loads[i].slot);
			continue;
		}
		loads[i].buffer = has_buffer ? fallow_buffer_try(pager) : fallow_buffer_take(pager);
		if (loads[i].buffer == NULL)
			return i;
		has_buffer = true;
	}
	return count;
}

/* Returns 0 with the extents' own errors set, or the error of all. */
static void read_all(struct fallow_region *region, struct fallow_extent *extents, size_t count)
{
	struct fallow_source *source = &region->source;
	for (int step = 0; step < 2; step++) {
		if (step == 1 && source->confirm == NULL)
			return;
		int error = step == 0 ? source->read(source->context, extents, count)
				      : source->confirm(source->context, extents, count, false);
		bool is_told = false;
		for (size_t i = 0; i < count; i++)
			is_told |= extents[i].error != 0;
		for (size_t i = 0; error != 0 && !is_told && i < count; i++)
			extents[i].error = error;
	}
}

size_t fallow_load(struct fallow_region *region, struct load *loads, size_t count, bool is_write)
{
	size_t failed = 0;
	for (size_t at = 0, some; at < count; at += some) {
		struct fallow_extent extents[LOAD_BATCH];
		some = find_memory(region->pager, loads + at, count - at);
		for (size_t i = 0; i < some; i++) {
			struct block *block = loads[at + i].block;
			extents[i] = (struct fallow_extent){block_source_offset(block), loads[at + i].buffer,
							    block_length(block), 0};
		}
		read_all(region, extents, some);
		/* Buffers are given back before blocks in slots need one each. */
		for (int in_slots = 0; in_slots < 2; in_slots++)
			for (size_t i = 0; i < some; i++)
				if ((loads[at + i].slot != NO_SLOT) == in_slots) {
					failed += extents[i].error != 0;
					finish(region, &loads[at + i], extents[i].error, is_write && at + i == 0);
				}
	}
	return failed;
}
