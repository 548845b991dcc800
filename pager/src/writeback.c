/* writeback.c: changed blocks go to their sources, from slots (evicted ones) or from where they are (flush). */
#include <errno.h>

#include "pager.h"
#include "uffd.h"

enum { EXTENTS_MAX = 256, BATCH = 32, PAUSE_FIRST_NS = 10000000, PAUSE_MOST_NS = 1000000000 };

/* One transfer under way. The extents of block n are those with owner n. */
struct batch {
	struct block *blocks[BATCH];
	size_t count, extent_count;
	struct fallow_extent extents[EXTENTS_MAX];
	uint8_t owner[EXTENTS_MAX];
};

static bool add_extent(struct batch *batch, size_t owner, char *from, char *start, size_t length)
{
	if (batch->extent_count == EXTENTS_MAX)
		return false;
	batch->owner[batch->extent_count] = (uint8_t)owner;
	batch->extents[batch->extent_count++] = (struct fallow_extent){
		block_source_offset(batch->blocks[owner]) + (uint64_t)(start - from), start, length, 0};
	return true;
}

/* The whole block, or its written pages; `from` is where the block's bytes are. With `clear` they are protected again before. */
static void add_block(struct batch *batch, size_t owner, char *from, bool whole, bool clear)
{
	struct block *block = batch->blocks[owner];
	struct fallow_pager *pager = block->region->pager;
	size_t length = block_length(block), before = batch->extent_count;
	char *at = from;
	while (pager->is_async && (clear || !whole) && at < from + length) {
		struct run runs[16];
		int found = fallow_scan(pager, at, (size_t)(from + length - at), clear, runs, 16, &at);
		for (int i = 0; i < found && !whole; i++)
			/* An extent is kept for each block that is still to come. */
			if (batch->extent_count + (batch->count - owner) >= EXTENTS_MAX ||
			    !add_extent(batch, owner, from, runs[i].start, runs[i].length))
				whole = true;
		if (found < 0) {
			whole = true;
			break;
		}
	}
	if (whole) {
		batch->extent_count = before;
		add_extent(batch, owner, from, from, length);
	}
}

/* Without the lock. Sets errors[n] for each block: 0 or why it could not be written. */
static void send(struct batch *batch, int *errors)
{
	struct fallow_source *source = &batch->blocks[0]->region->source;
	for (size_t i = 0; i < batch->count; i++)
		errors[i] = 0;
	for (int step = 0; step < 2 && batch->extent_count > 0; step++) {
		if (step == 1 && source->confirm == NULL)
			return;
		bool is_told = false;
		int error = step == 0 ? source->write(source->context, batch->extents, batch->extent_count)
				      : source->confirm(source->context, batch->extents, batch->extent_count, true);
		for (size_t i = 0; i < batch->extent_count; i++) {
			is_told |= batch->extents[i].error != 0;
			if (batch->extents[i].error != 0)
				errors[batch->owner[i]] = batch->extents[i].error;
		}
		for (size_t i = 0; error != 0 && !is_told && i < batch->count; i++)
			errors[i] = error;
	}
}

/* With the lock held: counts, and notes what failed. Returns the first error. */
static int account(struct fallow_pager *pager, struct batch *batch, const int *errors)
{
	int first = 0;
	for (size_t i = 0; i < batch->extent_count; i++)
		if (errors[batch->owner[i]] == 0)
			pager->statistics.written_bytes += batch->extents[i].length;
	for (size_t i = 0; i < batch->count; i++) {
		struct block *block = batch->blocks[i];
		block->flags &= (uint8_t)~BLOCK_WRITE_FAILED;
		block->error = 0;
		if (errors[i] == 0) {
			pager->statistics.written_blocks++;
			continue;
		}
		first = first != 0 ? first : errors[i];
		block->flags |= BLOCK_WRITE_FAILED;
		block->error = (uint8_t)(errors[i] > 0 && errors[i] < 256 ? errors[i] : EIO);
		pager->statistics.write_failures++;
	}
	if (first == 0) {
		pager->write_pause_ns = 0;
	} else {
		uint64_t pause = pager->write_pause_ns * 2;
		pause = pause < PAUSE_FIRST_NS ? PAUSE_FIRST_NS : pause;
		pager->write_pause_ns = pause > PAUSE_MOST_NS ? PAUSE_MOST_NS : pause;
		pager->write_retry_ns = fallow_clock_ns() + pager->write_pause_ns;
	}
	return first;
}

size_t fallow_write_standby(struct fallow_pager *pager, const struct fallow_region *only, int *error)
{
	struct batch batch;
	int errors[BATCH];
	batch.count = batch.extent_count = 0;
	for (struct block *block = pager->dirty.first, *next; block != NULL && batch.count < BATCH; block = next) {
		next = block->next;
		if (only != NULL && block->region != only)
			continue;
		only = block->region; /* one batch, one source */
		fallow_list_remove(&pager->dirty, block);
		block->state = WRITING;
		block->region->in_motion++;
		batch.blocks[batch.count++] = block;
	}
	*error = 0;
	if (batch.count == 0)
		return 0;
	fallow_lock_give(&pager->lock);
	for (size_t i = 0; i < batch.count; i++)
		add_block(&batch, i, slot_address(pager, batch.blocks[i]->slot), batch.blocks[i]->flags & BLOCK_DIRTY, false);
	send(&batch, errors);
	fallow_lock_take(&pager->lock);
	*error = account(pager, &batch, errors);
	for (size_t i = 0; i < batch.count; i++) {
		struct block *block = batch.blocks[i];
		block->region->in_motion--;
		block->state = STANDBY;
		if (errors[i] == 0)
			block->flags &= (uint8_t)~BLOCK_CHANGED;
		fallow_list_append(errors[i] == 0 ? &pager->clean : &pager->dirty, block);
		if (!pager->is_sigbus)
			fallow_uffd_wake(pager->uffd, block_address(block), block_length(block));
	}
	fallow_change_tell(&pager->changed);
	return batch.count;
}

/* Writes the batch's resident blocks from where they are. A write that comes meanwhile makes them changed again. */
static int flush_batch(struct fallow_pager *pager, struct batch *batch)
{
	int errors[BATCH], error;
	bool whole[BATCH];
	if (batch->count == 0)
		return 0;
	batch->extent_count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct block *block = batch->blocks[i];
		whole[i] = (block->flags & BLOCK_DIRTY) || block->write_pins > 0;
		if (!pager->is_async && block->write_pins == 0)
			fallow_uffd_protect(pager->uffd, block_address(block), block_length(block), true);
		if (block->write_pins == 0)
			block->flags &= (uint8_t)~BLOCK_DIRTY;
	}
	fallow_lock_give(&pager->lock);
	for (size_t i = 0; i < batch->count; i++)
		add_block(batch, i, block_address(batch->blocks[i]), whole[i], pager->is_async);
	send(batch, errors);
	fallow_lock_take(&pager->lock);
	error = account(pager, batch, errors);
	for (size_t i = 0; i < batch->count; i++) {
		batch->blocks[i]->region->in_motion--;
		batch->blocks[i]->flags &= (uint8_t)~BLOCK_FLUSHING;
		if (errors[i] != 0)
			batch->blocks[i]->flags |= BLOCK_DIRTY;
	}
	batch->count = 0;
	fallow_change_tell(&pager->changed);
	return error;
}

/* On the service thread, which is the only one that evicts: no block leaves behind its back. */
int fallow_flush_region(struct fallow_region *region)
{
	struct fallow_pager *pager = region->pager;
	struct batch batch;
	int first = 0, error = 0;
	bool is_late = false;
	uint64_t deadline = fallow_wait_deadline(pager);
	while (first == 0 && fallow_write_standby(pager, region, &error) > 0)
		first = error;
	batch.count = 0;
	for (uint32_t i = 0; i < region->block_count && !region->closing && !is_late; i++) {
		struct block *block = &region->blocks[i];
		while (block->state == LOADING && !region->closing && !is_late)
			is_late = !fallow_wait_changed(pager, deadline);
		if (block->state == STANDBY && (block->flags & BLOCK_CHANGED) && first == 0)
			first = block->error != 0 ? block->error : EAGAIN;
		if (block->state == RESIDENT)
			fallow_twin_settle(block);
		if (block->state != RESIDENT || (!pager->is_async && !(block->flags & BLOCK_DIRTY) && block->write_pins == 0))
			continue;
		block->flags |= BLOCK_FLUSHING;
		region->in_motion++;
		batch.blocks[batch.count++] = block;
		if (batch.count == BATCH && (error = flush_batch(pager, &batch)) != 0 && first == 0)
			first = error;
	}
	error = flush_batch(pager, &batch); /* late or not: what is in it may not leave before */
	return is_late ? ETIMEDOUT : first != 0 ? first : error;
}
