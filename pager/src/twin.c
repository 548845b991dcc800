/* twin.c: blocks that may be written to without a fault, and the copies ("twins", as in Munin and TreadMarks) that tell whether they were.
 *
 * Lifting the protection of a block costs a fault and a flush of the other CPUs' translations. What is read ahead of a sequential
 * writer is therefore never protected; its bytes, as they were read, are kept until it is known whether they were changed: once
 * nobody can write any more, a block was written if and only if it differs from its twin. (Bytes that were written as they had been are not
 * a change: the source has them.) Asking the source again instead would need no copies, but would take for ours what
 * another wrote there, and say nothing when it fails.
 *
 * Twins are taken in turn. Whoever takes the oldest settles the block that has it, so they are bounded, and a writer who went
 * elsewhere holds on to nothing. A block has a twin while it is LOADING, RESIDENT or DETACHING; a block with one that is RESIDENT
 * is not protected, and not known to be changed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "pager.h"
#include "uffd.h"

enum { TWINS_BYTES_MAX = 2 << 20, TWINS_LEAST = 2 };

static char *twin_address(const struct fallow_pager *pager, uint8_t twin)
{
	return pager->twin_memory + twin * pager->block_bytes;
}

int fallow_twins_open(struct fallow_pager *pager)
{
	uint64_t count = TWINS_BYTES_MAX / pager->block_bytes;
	if (count > TWINS_MAX)
		count = TWINS_MAX;
	if (count > pager->cap_blocks / 8)
		count = pager->cap_blocks / 8;
	if (count < TWINS_LEAST || pager->is_async) /* there the kernel notes writes, without a fault */
		return 0;
	size_t length = count * pager->block_bytes;
	pager->twin_memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pager->twin_memory == MAP_FAILED) {
		pager->twin_memory = NULL;
		return errno;
	}
	pager->twin_count = (uint32_t)count;
	return madvise(pager->twin_memory, length, MADV_DONTFORK) != 0 ? errno : 0;
}

void fallow_twins_close(struct fallow_pager *pager)
{
	if (pager->twin_memory != NULL)
		munmap(pager->twin_memory, pager->twin_count * pager->block_bytes);
}

void fallow_twin_take(struct block *block)
{
	struct fallow_pager *pager = block->region->pager;
	struct block *before = pager->twin_of[pager->twin_next];
	if (pager->twin_count == 0 || (before != NULL && before->state != RESIDENT))
		return; /* that one is on its way in or out */
	if (before != NULL)
		fallow_twin_settle(before);
	block->twin = (uint8_t)pager->twin_next;
	pager->twin_of[block->twin] = block;
	pager->twin_next = (pager->twin_next + 1) % pager->twin_count;
}

void fallow_twin_fill(const struct block *block, const char *bytes)
{
	memcpy(twin_address(block->region->pager, block->twin), bytes, block_length(block));
}

bool fallow_twin_differs(const struct block *block, const char *bytes)
{
	return fallow_differs(bytes, twin_address(block->region->pager, block->twin), block_length(block));
}

void fallow_twin_drop(struct block *block)
{
	if (block->twin == NO_TWIN)
		return;
	block->region->pager->twin_of[block->twin] = NULL;
	block->twin = NO_TWIN;
}

/* A difference is looked for before the protection, which a changed block does not need, and after it, when none can come any more. */
void fallow_twin_settle(struct block *block)
{
	char *address = block_address(block);
	if (block->twin == NO_TWIN)
		return;
	bool is_changed = fallow_twin_differs(block, address);
#ifdef FALLOW_BROKEN_TWIN /* the tests' negative control: a write between the look and the protection is lost */
	usleep(100);
	is_changed |= fallow_uffd_protect(block->region->pager->uffd, address, block_length(block), true) != 0;
#else
	if (!is_changed)
		is_changed = fallow_uffd_protect(block->region->pager->uffd, address, block_length(block), true) != 0 ||
			     fallow_twin_differs(block, address);
#endif
	if (is_changed)
		block->flags |= BLOCK_DIRTY;
	fallow_twin_drop(block);
}
