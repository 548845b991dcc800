/* readahead.c: sequential readers are told by where they fault.
 *
 * Nobody is told of accesses that do not fault. But a reader that used everything that was read ahead faults exactly on the
 * block after it, and one that did not faults elsewhere. So a window doubles when the fault is where it was due, and a fault elsewhere begins
 * without one. Half of a window is read by whoever faults, half in the background, meanwhile. */
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

void fallow_readahead_plan(struct fallow_region *region, uint32_t index, uint32_t *now, uint32_t *later)
{
	struct fallow_pager *pager = region->pager;
	uint32_t limit = most(pager);
	bool is_due = false;
	*now = *later = 0;
	if (limit == 0)
		return;
	struct stream *stream = find(region, index, &is_due);
	stream->used_at = ++region->stream_clock;
	if (stream->next > index) { /* late: help along */
		uint32_t left = stream->next - 1 - index;
		*now = left < 8 ? left : 8;
		return;
	}
	if (is_due) {
		pager->statistics.readahead_hits += stream->window;
		stream->window = stream->window == 0 ? 2 : stream->window * 2;
		if (stream->window > limit)
			stream->window = limit;
	}
	*now = stream->window / 2;
	*later = stream->window - *now;
	stream->next = index + 1 + stream->window;
}

void fallow_wish(struct fallow_pager *pager, struct fallow_region *region, uint32_t first, uint32_t count, bool is_readahead)
{
	if (pager->wish_count == WISHES || first >= region->block_count)
		return; /* a hint may be dropped */
	if (count > region->block_count - first)
		count = region->block_count - first;
	pager->wishes[(pager->wish_first + pager->wish_count++) % WISHES] = (struct wish){region, first, count, is_readahead};
	fallow_change_tell(&pager->service);
}
