/* install.c: maps a block's bytes into its region, such that no write goes unnoticed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "pager.h"
#include "uffd.h"

_Static_assert(LOAD_BATCH <= 32, "*changed has a bit a block");

/* In steps, since what was changed is often so from its first page on. */
__attribute__((no_sanitize("thread", "address"))) bool fallow_differs(const char *mapped, const char *copy, size_t length)
{
	enum { STEP = 1024 / 8 };
	const volatile uint64_t *a = (const volatile uint64_t *)mapped;
	const uint64_t *b = (const uint64_t *)copy;
	uint64_t difference = 0;
	for (size_t at = 0; at < length / 8 && difference == 0; at += STEP)
		for (size_t i = at; i < at + STEP; i += 4)
			difference |= (a[i] ^ b[i]) | (a[i + 1] ^ b[i + 1]) | (a[i + 2] ^ b[i + 2]) | (a[i + 3] ^ b[i + 3]);
	return difference != 0;
}

/* Moves the slots' pages; what cannot be moved is copied. The slots are empty afterwards. When it fails half-way what was moved goes
 * back, so that the slots hold everything still, with what was written to it meanwhile. */
static int move_in(struct fallow_pager *pager, char *address, char *from, size_t length, bool protect)
{
	size_t moved = 0, back = 0, whole = (length + pager->block_bytes - 1) / pager->block_bytes * pager->block_bytes;
	int error = fallow_uffd_move(pager->uffd, address, from, length, &moved);
	if (error != 0)
		error = fallow_uffd_copy(pager->uffd, address + moved, from + moved, length - moved, protect);
	if (error != 0 && moved > 0)
		fallow_uffd_move(pager->uffd, from, address, moved, &back);
	if (moved < whole && error == 0)
		madvise(from + moved, whole - moved, MADV_DONTNEED);
	return error;
}

/* Copies of what the slots hold, a buffer each: of as many blocks as there are buffers for, one at least. */
static uint32_t take_copies(struct fallow_pager *pager, const char *from, size_t length, char **copies)
{
	uint32_t count = 0;
	for (size_t at = 0; at < length; at += pager->block_bytes) {
		char *copy = count == 0 ? fallow_buffer_take(pager) : fallow_buffer_try(pager);
		if (copy == NULL)
			break;
		memcpy(copy, from + at, length - at < pager->block_bytes ? length - at : pager->block_bytes);
		copies[count++] = copy;
	}
	return count;
}

/* UFFDIO_MOVE makes pages writable at once, so a write may come before the protection. It is found by comparing with copies that were
 * taken before: cheaper than the page allocations of UFFDIO_COPY, since both are in the cache. Sets *done to the bytes that are in. */
static int move_in_unchanged(struct fallow_pager *pager, char *address, char *from, size_t length, uint32_t *changed, size_t *done)
{
	char *copies[LOAD_BATCH];
	uint32_t count = take_copies(pager, from, length, copies);
	*done = count * pager->block_bytes < length ? count * pager->block_bytes : length;
	int error = move_in(pager, address, from, *done, true);
	bool is_open = error == 0 && fallow_uffd_protect(pager->uffd, address, *done, true) != 0;
	*changed = 0;
	for (uint32_t i = 0; i < count; i++) {
		size_t at = i * pager->block_bytes, some = *done - at < pager->block_bytes ? *done - at : pager->block_bytes;
		if (error == 0 && (is_open || fallow_differs(address + at, copies[i], some)))
			*changed |= 1u << i;
		fallow_buffer_give(pager, copies[i]);
	}
	return error;
}

int fallow_install(struct block *first, uint32_t count, char *from, bool in_slots, bool is_write, uint32_t *changed)
{
	struct fallow_pager *pager = first->region->pager;
	char *address = block_address(first);
	size_t length = blocks_length(first, count);
	bool is_changed = is_write && !pager->is_async;
	int error = 0;
	*changed = is_changed ? UINT32_MAX : 0;
	if (!in_slots || !(pager->features & FALLOW_KERNEL_MOVE)) {
		error = fallow_uffd_copy(pager->uffd, address, from, length, !is_changed);
		if (in_slots && error == 0)
			madvise(from, count * pager->block_bytes, MADV_DONTNEED);
	} else if (is_changed) {
		error = move_in(pager, address, from, length, false);
	} else {
		for (size_t at = 0, some; at < length && error == 0; at += some) {
			uint32_t bits;
			error = move_in_unchanged(pager, address + at, from + at, length - at, &bits, &some);
			*changed |= bits << (at / pager->block_bytes);
		}
	}
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
