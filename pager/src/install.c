/* install.c: maps a block's bytes into its region, such that no write goes unnoticed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "pager.h"
#include "uffd.h"

/* Whether the mapped pages are no longer what was put there. Other threads may be writing: any difference will do. */
__attribute__((no_sanitize("thread", "address"))) static bool differs(const char *mapped, const char *copy, size_t length)
{
	const volatile uint64_t *a = (const volatile uint64_t *)mapped;
	const uint64_t *b = (const uint64_t *)copy;
	uint64_t difference = 0;
	for (size_t i = 0; i < length / 8; i += 4)
		difference |= (a[i] ^ b[i]) | (a[i + 1] ^ b[i + 1]) | (a[i + 2] ^ b[i + 2]) | (a[i + 3] ^ b[i + 3]);
	return difference != 0;
}

/* Moves the slot's pages; what cannot be moved is copied. The slot is empty afterwards. */
static int move_in(struct fallow_pager *pager, char *address, char *from, size_t length, bool protect)
{
	size_t moved = 0;
	int error = fallow_uffd_move(pager->uffd, address, from, length, &moved);
	if (error != 0)
		error = fallow_uffd_copy(pager->uffd, address + moved, from + moved, length - moved, protect);
	if (moved < pager->block_bytes && error == 0)
		madvise(from + moved, pager->block_bytes - moved, MADV_DONTNEED);
	return error;
}

/* UFFDIO_MOVE makes pages writable at once, so a write may come before the protection. It is found by comparing with a copy that was
 * taken before: cheaper than the page allocations of UFFDIO_COPY, since both are in the cache. */
int fallow_install(struct block *block, char *from, uint16_t slot, bool is_write, bool *changed)
{
	struct fallow_pager *pager = block->region->pager;
	char *address = block_address(block);
	size_t length = block_length(block);
	bool is_changed = is_write && !pager->is_async;
	*changed = is_changed;
	if (slot == NO_SLOT)
		return fallow_uffd_copy(pager->uffd, address, from, length, !is_changed);
	if (!(pager->features & FALLOW_KERNEL_MOVE)) {
		int error = fallow_uffd_copy(pager->uffd, address, from, length, !is_changed);
		if (error == 0)
			madvise(from, pager->block_bytes, MADV_DONTNEED);
		return error;
	}
	if (is_changed)
		return move_in(pager, address, from, length, false);
	char *copy = fallow_buffer_take(pager);
	memcpy(copy, from, length);
	int error = move_in(pager, address, from, length, true);
	if (error == 0) {
		error = fallow_uffd_protect(pager->uffd, address, length, true);
		*changed = error != 0 || differs(address, copy, length);
		error = 0;
	}
	fallow_buffer_give(pager, copy);
	return error;
}

void fallow_poison(struct block *block, int error)
{
	struct fallow_region *region = block->region;
	struct fallow_pager *pager = region->pager;
	block->state = POISONED;
	block->error = (uint8_t)(error > 0 && error < 256 ? error : EIO);
	block->flags = 0;
	int failed = ENOSYS;
	if (pager->features & FALLOW_KERNEL_POISON)
		failed = fallow_uffd_poison(pager->uffd, block_address(block), block_length(block));
	if (failed != 0) {
		/* Touching a mapping beyond the end of its file is SIGBUS. */
		region->covered = true;
		mmap(block_address(block), block_length(block), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, pager->empty_file, 0);
	}
	fallow_uffd_wake(pager->uffd, block_address(block), block_length(block));
}

int fallow_unpoison(struct block *block)
{
	struct fallow_region *region = block->region;
	char *address = block_address(block);
	size_t length = block_length(block);
	int error = 0;
	if (!region->covered) {
		error = madvise(address, length, MADV_DONTNEED) != 0 ? errno : 0;
	} else {
		/* Inaccessible until it is registered: else a touch would find zeros. */
		if (mmap(address, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
			return errno;
		madvise(address, length, MADV_NOHUGEPAGE);
		madvise(address, length, MADV_DONTFORK);
		error = fallow_uffd_register(region->pager->uffd, address, length, true);
		if (error == 0 && mprotect(address, length, PROT_READ | PROT_WRITE) != 0)
			error = errno;
	}
	if (error == 0) {
		block->state = ABSENT;
		block->error = 0;
	}
	return error;
}
