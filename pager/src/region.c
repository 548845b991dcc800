/* region.c: mapping and unmapping. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pager.h"
#include "uffd.h"

enum { ALIGNMENT = 2 << 20 };

/* Address space at a multiple of 2 MiB, so that whole page tables can be moved at once. */
static char *reserve(size_t length)
{
	char *wide = mmap(NULL, length + ALIGNMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wide == MAP_FAILED)
		return NULL;
	char *address = (char *)(((uintptr_t)wide + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
	if (address > wide)
		munmap(wide, (size_t)(address - wide));
	munmap(address + length, (size_t)(wide + ALIGNMENT - address));
	return address;
}

static void release(struct fallow_region *region)
{
	if (region->address != NULL)
		munmap(region->address, region->size);
	if (region->blocks != NULL)
		munmap(region->blocks, region->block_count * sizeof region->blocks[0]);
	free(region);
}

/* Maps and registers, before anybody knows of it. */
static int prepare(struct fallow_region *region)
{
	struct fallow_pager *pager = region->pager;
	uint64_t count = (region->size + pager->block_bytes - 1) / pager->block_bytes;
	if (count > UINT32_MAX / 2)
		return ENOMEM;
	region->block_count = (uint32_t)count;
	region->blocks = mmap(NULL, count * sizeof region->blocks[0], PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region->blocks == MAP_FAILED) {
		region->blocks = NULL;
		return ENOMEM;
	}
	region->address = reserve(region->size);
	if (region->address == NULL)
		return ENOMEM;
	madvise(region->address, region->size, MADV_NOHUGEPAGE);
	if (madvise(region->address, region->size, MADV_DONTFORK) != 0)
		return errno;
	for (uint32_t i = 0; i < region->block_count; i++) {
		region->blocks[i].region = region;
		region->blocks[i].slot = NO_SLOT;
		region->blocks[i].twin = NO_TWIN;
	}
	for (int i = 0; i < STREAMS; i++)
		region->streams[i].next = UINT32_MAX;
	return fallow_uffd_register(pager->uffd, region->address, region->size, true);
}

int fallow_region_map(struct fallow_pager *pager, const struct fallow_source *source, uint64_t offset, uint64_t size,
		      struct fallow_region **result)
{
	struct guard guard;
	size_t page = pager->page_bytes;
	*result = NULL;
	if (fallow_is_child(pager))
		return ECHILD;
	if (size == 0 || size % page != 0 || offset % page != 0 || offset > source->size || size > source->size - offset ||
	    size > (1ull << 46) || source->read == NULL || source->write == NULL)
		return EINVAL;
	if (pager->is_sigbus && !(source->flags & FALLOW_SOURCE_SIGNAL_SAFE))
		return ENOTSUP;
	struct fallow_region *region = calloc(1, sizeof *region);
	if (region == NULL)
		return ENOMEM;
	region->pager = pager;
	region->source = *source;
	region->source_offset = offset;
	region->size = size;
	int error = prepare(region);
	fallow_guard_enter(&guard, pager);
	if (error == 0)
		error = fallow_registry_add(region);
	if (error == 0) {
		region->next = pager->regions;
		pager->regions = region;
	}
	fallow_guard_leave(&guard);
	if (error != 0)
		release(region);
	else
		*result = region;
	return error;
}

/* With the lock held: nothing in the background is about this region any more. */
static void withdraw_requests(struct fallow_region *region)
{
	struct fallow_pager *pager = region->pager;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < WISHES; i++)
		if (pager->wishes[i].region == region)
			pager->wishes[i].region = NULL;
	for (uint32_t i = 0; i < pager->starved_count; i++)
		if (pager->starved[i].block->region != region)
			pager->starved[kept++] = pager->starved[i];
	pager->starved_count = kept;
}

static bool is_flushing(const struct fallow_region *region)
{
	for (const struct flush_request *request = region->pager->flushes; request != NULL; request = request->next)
		if (request->region == region)
			return true;
	return false;
}

/* With the lock held. A resident block's pages go with the mapping. */
static void forget(struct block *block)
{
	struct fallow_pager *pager = block->region->pager;
	if (block->pins > 0)
		pager->pinned_blocks--;
	fallow_twin_drop(block);
	if (block->state == RESIDENT) {
		fallow_list_remove(&pager->resident, block);
		pager->used_blocks--;
	} else if (block->state == STANDBY) {
		fallow_list_remove(block->flags & BLOCK_CHANGED ? &pager->dirty : &pager->clean, block);
		fallow_room_empty(pager, block->slot);
	}
	block->state = ABSENT;
}

int fallow_region_close(struct fallow_region *region, uint64_t deadline_ns)
{
	struct fallow_pager *pager = region->pager;
	region->closing = true;
	fallow_change_tell(&pager->changed);
	withdraw_requests(region);
	fallow_lock_give(&pager->lock);
	bool is_alone = fallow_registry_remove(region, deadline_ns);
	fallow_lock_take(&pager->lock);
	if (!is_alone)
		return ETIMEDOUT;
	while (region->in_motion > 0 || is_flushing(region))
		if (!fallow_wait_changed(pager, deadline_ns))
			return ETIMEDOUT;
	withdraw_requests(region);
	/* The memory goes before its room is given to others. */
	munmap(region->address, region->size);
	fallow_uffd_wake(pager->uffd, region->address, region->size);
	region->address = NULL;
	for (uint32_t i = 0; i < region->block_count; i++)
		forget(&region->blocks[i]);
	for (struct fallow_region **at = &pager->regions; *at != NULL; at = &(*at)->next)
		if (*at == region) {
			*at = region->next;
			break;
		}
	release(region);
	fallow_change_tell(&pager->changed);
	return 0;
}

int fallow_region_unmap(struct fallow_region *region)
{
	struct guard guard;
	if (fallow_is_child(region->pager))
		return ECHILD;
	fallow_guard_enter(&guard, region->pager);
	int error = fallow_region_close(region, fallow_wait_deadline(region->pager));
	fallow_guard_leave(&guard);
	return error;
}

void *fallow_region_address(const struct fallow_region *region)
{
	return region->address;
}

uint64_t fallow_region_size(const struct fallow_region *region)
{
	return region->size;
}
