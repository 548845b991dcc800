/* requests.c: flush, prefetch, failures and retry. */
#include <errno.h>
#include <stdlib.h>

#include "pager.h"

static bool is_within(const struct fallow_region *region, uint64_t offset, uint64_t length)
{
	return offset <= region->size && length <= region->size - offset;
}

int fallow_region_flush(struct fallow_region *region)
{
	struct fallow_pager *pager = region->pager;
	struct guard guard;
	struct flush_request *request = calloc(1, sizeof *request), **at;
	int error = ETIMEDOUT;
	if (request == NULL)
		return ENOMEM;
	if (fallow_is_child(pager)) {
		free(request);
		return ECHILD;
	}
	request->region = region;
	fallow_guard_enter(&guard, pager);
	/* A little more than the service thread's own bound, so that its answer is heard. */
	uint64_t deadline = fallow_wait_deadline(pager) + 1000000000u;
	for (at = &pager->flushes; *at != NULL; at = &(*at)->next)
		;
	*at = request;
	fallow_change_tell(&pager->service);
	while (!request->done && fallow_wait_changed(pager, deadline))
		;
	if (request->done) {
		error = request->error;
		free(request);
	} else {
		request->abandoned = true;
	}
	fallow_guard_leave(&guard);
	return error;
}

int fallow_region_prefetch(struct fallow_region *region, uint64_t offset, uint64_t length)
{
	struct fallow_pager *pager = region->pager;
	struct guard guard;
	if (!is_within(region, offset, length))
		return EINVAL;
	if (length == 0 || fallow_is_child(pager))
		return 0;
	uint32_t first = (uint32_t)(offset / pager->block_bytes);
	uint32_t last = (uint32_t)((offset + length - 1) / pager->block_bytes);
	fallow_guard_enter(&guard, pager);
	fallow_wish(pager, region, first, last - first + 1, false);
	fallow_guard_leave(&guard);
	return 0;
}

/* What a block has failed at, or false. */
static bool failure_of(const struct block *block, struct fallow_failure *failure)
{
	if (block->state != POISONED && !(block->flags & BLOCK_WRITE_FAILED))
		return false;
	*failure = (struct fallow_failure){(uint64_t)block_index(block) * block->region->pager->block_bytes, block_length(block),
					   block->error, block->state != POISONED};
	return true;
}

size_t fallow_region_failures(struct fallow_region *region, struct fallow_failure *failures, size_t capacity)
{
	struct guard guard;
	struct fallow_failure last = {0}, one;
	size_t count = 0;
	fallow_guard_enter(&guard, region->pager);
	for (uint32_t i = 0; i < region->block_count; i++) {
		if (!failure_of(&region->blocks[i], &one))
			continue;
		if (count > 0 && last.offset + last.length == one.offset && last.error == one.error &&
		    last.was_write == one.was_write)
			last.length += one.length;
		else {
			last = one;
			count++;
		}
		if (count <= capacity)
			failures[count - 1] = last;
	}
	fallow_guard_leave(&guard);
	return count;
}

int fallow_region_retry(struct fallow_region *region, uint64_t offset, uint64_t length)
{
	struct fallow_pager *pager = region->pager;
	struct guard guard;
	int error = 0;
	if (!is_within(region, offset, length))
		return EINVAL;
	fallow_guard_enter(&guard, pager);
	for (uint32_t i = 0; i < region->block_count && error == 0; i++) {
		uint64_t begin = (uint64_t)i * pager->block_bytes;
		if (begin >= offset && begin - offset < length && region->blocks[i].state == POISONED)
			error = fallow_unpoison(&region->blocks[i]);
	}
	pager->write_retry_ns = 0;
	fallow_change_tell(&pager->service);
	fallow_guard_leave(&guard);
	return error;
}
