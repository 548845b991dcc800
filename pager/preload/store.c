/* store.c: the arena's source. Called from signal handlers: no locks, no allocation.
 *
 * A page that was never stored since it was allocated is zero and costs no transfer; what a block's former owner left in the donors'
 * memory is never seen. With a scratch file every block is stored twice, and counts as stored when the file has it; a block whose
 * donors failed once is the file's alone, since the donors' copy may be old. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

enum { BATCH = 256 };

struct store preload_store = {.scratch = -1};

static bool page_is_written(const struct store *store, uint64_t page)
{
	return atomic_load_explicit(&store->written[page / 64], memory_order_relaxed) >> (page % 64) & 1;
}

static void note_written(struct store *store, uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end; page++)
		atomic_fetch_or_explicit(&store->written[page / 64], 1ull << (page % 64), memory_order_relaxed);
}

void preload_store_forget(struct store *store, uint32_t block, uint32_t first_page, uint32_t end_page)
{
	uint64_t base = (uint64_t)block * (store->block_bytes / store->page_bytes);
	for (uint64_t page = base + first_page; page < base + end_page; page++)
		atomic_fetch_and_explicit(&store->written[page / 64], ~(1ull << (page % 64)), memory_order_relaxed);
}

/* Where an extent of the arena lies in the donors' memory. False: its block was freed, or never allocated. */
static bool find_place(const struct store *store, const struct fallow_extent *extent, uint64_t *offset)
{
	uint32_t place = atomic_load_explicit(&store->place[extent->offset / store->block_bytes], memory_order_acquire);
	*offset = (uint64_t)place * store->block_bytes + extent->offset % store->block_bytes;
	return place != NO_PLACE;
}

static int scratch_transfer(const struct store *store, uint64_t offset, char *buffer, size_t length, bool is_write)
{
	for (size_t done = 0; done < length;) {
		off_t at = (off_t)(offset + done);
		ssize_t some = is_write ? preload_sys_pwrite(store->scratch, buffer + done, length - done, at)
					: preload_sys_pread(store->scratch, buffer + done, length - done, at);
		if (some < 0 && errno == EINTR)
			continue;
		if (some <= 0)
			return some < 0 ? errno : ENODATA;
		done += (size_t)some;
	}
	return 0;
}

/* The donors' part of a transfer, with their word that it counts. Errors are in the extents. */
static void with_donors(struct store *store, struct fallow_extent *extents, size_t count, bool is_write)
{
	struct fallow_source *donors = &store->donors;
	for (int step = 0; step < 2 && count > 0; step++) {
		bool is_told = false;
		if (step == 1 && donors->confirm == NULL)
			return;
		int error = step == 1  ? donors->confirm(donors->context, extents, count, is_write)
			    : is_write ? donors->write(donors->context, extents, count)
				       : donors->read(donors->context, extents, count);
		for (size_t i = 0; i < count; i++)
			is_told |= extents[i].error != 0;
		for (size_t i = 0; error != 0 && !is_told && i < count; i++)
			extents[i].error = error;
	}
}

static bool any_written(const struct store *store, uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end; page++)
		if (page_is_written(store, page))
			return true;
	return false;
}

static void clear_unwritten(const struct store *store, const struct fallow_extent *extent)
{
	uint64_t page = extent->offset / store->page_bytes;
	for (size_t at = 0; at < extent->length; at += store->page_bytes, page++)
		if (!page_is_written(store, page))
			memset((char *)extent->buffer + at, 0, store->page_bytes);
}

static int read_some(struct store *store, struct fallow_extent *extents, size_t count)
{
	/* What the donors are asked for, together: a way to another node is long. From the end on: what the scratch file alone has. */
	struct fallow_extent asked[BATCH];
	uint32_t which[BATCH];
	size_t asks = 0, end = BATCH;
	int first_error = 0;
	for (size_t i = 0; i < count; i++) {
		struct fallow_extent *extent = &extents[i];
		uint32_t block = (uint32_t)(extent->offset / store->block_bytes);
		uint64_t page = extent->offset / store->page_bytes, place;
		if (!find_place(store, extent, &place))
			extent->error = EFAULT;
		else if (!any_written(store, page, page + extent->length / store->page_bytes))
			memset(extent->buffer, 0, extent->length);
		else {
			bool is_expelled = atomic_load(&store->expelled[block]) != 0;
			size_t at = is_expelled ? --end : asks++;
			asked[at] = *extent;
			asked[at].offset = place;
			asked[at].error = is_expelled ? EOWNERDEAD : 0;
			which[at] = (uint32_t)i;
		}
	}
	with_donors(store, asked, asks, false);
	for (size_t i = 0; i < BATCH; i++) {
		if (i == asks && (i = end) == BATCH)
			break;
		if (asked[i].error != 0 && store->scratch >= 0) {
			asked[i].error = scratch_transfer(store, asked[i].offset, asked[i].buffer, asked[i].length, false);
			atomic_fetch_add(&store->scratch_reads, 1);
		}
		extents[which[i]].error = asked[i].error;
		if (asked[i].error == 0)
			clear_unwritten(store, &extents[which[i]]);
		else
			atomic_fetch_add(&store->lost_blocks, 1);
	}
	for (size_t i = 0; i < count && first_error == 0; i++)
		first_error = extents[i].error;
	return first_error;
}

static int write_some(struct store *store, struct fallow_extent *extents, size_t count)
{
	struct fallow_extent copies[BATCH];
	uint64_t places[BATCH];
	uint32_t which[BATCH];
	size_t asks = 0;
	int first_error = 0;
	for (size_t i = 0; i < count; i++) {
		struct fallow_extent *extent = &extents[i];
		uint32_t block = (uint32_t)(extent->offset / store->block_bytes);
		extent->error = find_place(store, extent, &places[i]) ? 0 : EFAULT;
		if (extent->error != 0 || atomic_load(&store->expelled[block]))
			continue;
		copies[asks] = *extent;
		copies[asks].offset = places[i];
		which[asks++] = (uint32_t)i;
	}
	with_donors(store, copies, asks, true);
	for (size_t i = 0; i < asks; i++) {
		struct fallow_extent *extent = &extents[which[i]];
		if (copies[i].error != 0 && store->scratch >= 0) /* expelled before it is acknowledged */
			atomic_store(&store->expelled[extent->offset / store->block_bytes], 1);
		else
			extent->error = copies[i].error;
	}
	for (size_t i = 0; i < count; i++) {
		struct fallow_extent *extent = &extents[i];
		uint64_t page = extent->offset / store->page_bytes;
		if (extent->error == 0 && store->scratch >= 0)
			extent->error = scratch_transfer(store, places[i], extent->buffer, extent->length, true);
		if (extent->error == 0)
			note_written(store, page, page + extent->length / store->page_bytes);
		first_error = first_error != 0 ? first_error : extent->error;
	}
	return first_error;
}

static int in_batches(void *context, struct fallow_extent *extents, size_t count,
		      int (*some)(struct store *, struct fallow_extent *, size_t))
{
	int first = 0;
	for (size_t at = 0; at < count; at += BATCH) {
		int error = some(context, extents + at, count - at < BATCH ? count - at : BATCH);
		first = first != 0 ? first : error;
	}
	return first;
}

static int store_read(void *context, struct fallow_extent *extents, size_t count)
{
	return in_batches(context, extents, count, read_some);
}

static int store_write(void *context, struct fallow_extent *extents, size_t count)
{
	return in_batches(context, extents, count, write_some);
}

void preload_store_open(struct store *store)
{
	store->source = (struct fallow_source){store, (uint64_t)store->block_count * store->block_bytes,
					       FALLOW_SOURCE_SIGNAL_SAFE, store_read, store_write, NULL};
}
