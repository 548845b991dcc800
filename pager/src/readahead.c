/* readahead.c: sequential readers are told by where they fault.
 *
 * Nobody is told of accesses that do not fault. But a reader that used everything that was read ahead faults exactly on the
 * block after it, and one that did not faults elsewhere. So a window doubles when the fault is where it was due, and a fault elsewhere begins
 * without one. Half of a window is read by whoever faults, half in the background, meanwhile. When most of a window was
 * written, the next one is read to be written to. */
#include "pager.h"

static uint32_t most(const struct fallow_pager *pager)
{
	uint64_t blocks = pager->settings.readahead_blocks;
	if (blocks > pager->slot_count / 2)
		blocks = pager->slot_count / 2;
	if (blocks > pager->cap_blocks / 8)
		blocks = pager->cap_blocks / 8;
	return (uint32_t)blocks;
}

static struct stream *find(struct fallow_region *region, uint32_t index, bool *is_due)
{
	struct stream *oldest = &region->streams[0];
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &region->streams[i];
		*is_due = stream->next == index;
		/* Within the window: the background has not come so far yet. */
		if (*is_due || (index < stream->next && stream->next - index <= stream->window))
			return stream;
		if (stream->used_at < oldest->used_at)
			oldest = stream;
	}
	oldest->window = 0;
	oldest->next = index;
	return oldest;
}

/* Whether most of the blocks before `index` are changed, of so many as the last window and the fault before it brought, and as are still
 * here. They were passed, so now is the time to settle them. */
static bool was_written(struct fallow_region *region, uint32_t index, uint32_t count)
{
	uint32_t here = 0, written = 0;
	count = count < index ? count : index;
	for (struct block *block = &region->blocks[index - count]; block < &region->blocks[index]; block++) {
		if (block->state != RESIDENT)
			continue;
		fallow_twin_settle(block);
		here++;
		written += (block->flags & BLOCK_DIRTY) != 0;
	}
	return written * 2 > here;
}

struct readahead fallow_readahead_plan(struct fallow_region *region, uint32_t index)
{
	struct fallow_pager *pager = region->pager;
	uint32_t limit = most(pager);
	bool is_due = false;
	if (limit == 0)
		return (struct readahead){0};
	struct stream *stream = find(region, index, &is_due);
	stream->used_at = ++region->stream_clock;
	if (stream->next > index) { /* late: help along */
		uint32_t left = stream->next - 1 - index;
		return (struct readahead){left < 8 ? left : 8, 0, stream->for_writing};
	}
	stream->for_writing = is_due && pager->twin_count > 0 && was_written(region, index, stream->window + 1);
	if (stream->for_writing && limit > pager->twin_count / 2)
		limit = pager->twin_count / 2; /* so that two such streams do not take each other's */
	if (is_due) {
		pager->statistics.readahead_hits += stream->window;
		stream->window = stream->window == 0 ? 2 : stream->window * 2;
		if (stream->window > limit)
			stream->window = limit;
	}
	stream->next = index + 1 + stream->window;
	return (struct readahead){stream->window / 2, stream->window - stream->window / 2, stream->for_writing};
}

void fallow_wish(struct fallow_pager *pager, struct fallow_region *region, uint32_t first, uint32_t count, bool for_writing)
{
	if (pager->wish_count == WISHES || first >= region->block_count)
		return; /* a hint may be dropped */
	if (count > region->block_count - first)
		count = region->block_count - first;
	pager->wishes[(pager->wish_first + pager->wish_count++) % WISHES] = (struct wish){region, first, count, for_writing};
	fallow_change_tell(&pager->service);
}
