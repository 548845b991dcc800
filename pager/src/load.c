/* load.c: from the source into the region. */
#include <errno.h>
#include <sys/mman.h>

#include "pager.h"
#include "uffd.h"

enum { RUN_BYTES = 512 << 10 };

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
		/* The twin will tell whether an unprotected one is changed. */
		block->flags = changed && block->twin == NO_TWIN ? BLOCK_DIRTY : 0;
		fallow_list_append(&pager->resident, block);
	} else {
		fallow_twin_drop(block);
		fallow_room_give(pager, load->slot);
		pager->statistics.read_failures++;
		if (load->is_touched)
			fallow_poison(block, error);
		else
			block->state = ABSENT;
	}
}

/* Loads of blocks that lie side by side, and so does the memory that they were read into. */
static void install(struct fallow_region *region, struct load *loads, uint32_t count, int error, bool is_write)
{
	struct fallow_pager *pager = region->pager;
	char *address = block_address(loads->block);
	size_t length = blocks_length(loads->block, count);
	bool has_twin = loads->block->twin != NO_TWIN, in_slots = loads->slot != NO_SLOT;
	bool is_open = (in_slots || has_twin || pager->is_async) && error == 0;
	uint32_t changed = 0;
	if (error == 0) {
		for (uint32_t i = 0; i < count && has_twin; i++)
			fallow_twin_fill(loads[i].block, loads[i].buffer);
		error = fallow_install(loads->block, count, loads->buffer, in_slots, is_write || has_twin, &changed);
		if (error != 0) /* a part may be there */
			madvise(address, length, MADV_DONTNEED);
	}
	/* ... and, before it was protected, have been written to: that is a loss, which must be told. */
	for (uint32_t i = 0; i < count && error != 0 && is_open; i++)
		loads[i].is_touched = true;
	for (uint32_t i = 0; i < count && !in_slots; i++)
		fallow_buffer_give(pager, loads[i].buffer);
	fallow_lock_take(&pager->lock);
	for (uint32_t i = 0; i < count; i++)
		settle(&loads[i], error, changed >> i & 1);
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

/* How many of the loads can be installed at once: they lie side by side. More than RUN_BYTES would not stay in the cache. */
static uint32_t run_length(const struct load *loads, const struct fallow_extent *extents, size_t count)
{
	size_t bytes = loads->block->region->pager->block_bytes, most = RUN_BYTES / bytes;
	uint32_t length = 1;
	/* Mappings in parts (of poisoned blocks; of slots, after mremap) are not moved or filled at once. */
	if (loads->block->region->covered || (loads->block->region->pager->is_async && loads->slot != NO_SLOT))
		return 1;
	while (length < count && length < most && extents[length].error == 0 && loads[length].block == loads->block + length &&
	       loads[length].buffer == loads->buffer + length * bytes && (loads[length].slot == NO_SLOT) == (loads->slot == NO_SLOT) &&
	       (loads[length].block->twin == NO_TWIN) == (loads->block->twin == NO_TWIN))
		length++;
	return length;
}

/* Installs what was read, and settles what was not. Returns how many failed. */
static size_t finish(struct fallow_region *region, struct load *loads, const struct fallow_extent *extents, size_t count,
		     bool in_slots, bool is_write)
{
	size_t failed = 0;
	for (size_t i = 0, length; i < count; i += length) {
		length = 1;
		if ((loads[i].slot != NO_SLOT) != in_slots)
			continue;
		bool for_write = is_write && i == 0;
		if (extents[i].error == 0 && !for_write)
			length = run_length(loads + i, extents + i, count - i);
		failed += extents[i].error != 0;
		install(region, loads + i, (uint32_t)length, extents[i].error, for_write);
	}
	return failed;
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
		failed += finish(region, loads + at, extents, some, false, is_write && at == 0);
		failed += finish(region, loads + at, extents, some, true, is_write && at == 0);
	}
	return failed;
}
