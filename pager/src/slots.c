/* slots.c: the staging area, where blocks are between the region and the source, and the buffers of loads. */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#include "pager.h"
#include "uffd.h"

/* Blocks wait in slots for a second chance: more of them cost the resident set nothing but order. */
enum { STAGING_BYTES_MAX = 256 << 20 };

static bool is_taken(const struct fallow_pager *pager, uint32_t slot)
{
	return pager->slots_taken[slot / 64] >> (slot % 64) & 1;
}

/* Takes up to `wanted` empty slots that lie side by side. Returns the first, and how many it got; NO_SLOT and 0 when all are
 * in use. */
uint16_t fallow_slots_take(struct fallow_pager *pager, uint32_t wanted, uint32_t *got)
{
	uint32_t best = 0, best_length = 0, length = 0;
	*got = 0;
	if (pager->slots_free == 0)
		return NO_SLOT;
	for (uint32_t step = 0; step < pager->slot_count && best_length < wanted; step++) {
		uint32_t slot = (pager->slot_next + step) % pager->slot_count;
		if (slot == 0)
			length = 0;
		length = is_taken(pager, slot) ? 0 : length + 1;
		if (length > best_length) {
			best_length = length;
			best = slot + 1 - length;
		}
	}
	for (uint32_t slot = best; slot < best + best_length; slot++)
		pager->slots_taken[slot / 64] |= 1ull << (slot % 64);
	pager->slots_free -= best_length;
	pager->slot_next = (best + best_length) % pager->slot_count;
	*got = best_length;
	return best_length > 0 ? (uint16_t)best : NO_SLOT;
}

void fallow_slot_free(struct fallow_pager *pager, uint16_t slot)
{
	pager->slots_taken[slot / 64] &= ~(1ull << (slot % 64));
	pager->slots_free++;
}

int fallow_slots_open(struct fallow_pager *pager)
{
	uint64_t slots = pager->cap_blocks * pager->settings.standby_percent / 100;
	uint64_t most = STAGING_BYTES_MAX / pager->block_bytes;
	if (most > SLOTS_MAX)
		most = SLOTS_MAX;
	if (slots > most)
		slots = most;
	if (slots < 2)
		slots = 2;
	pager->slot_count = pager->slots_free = (uint32_t)slots;
	size_t length = slots * pager->block_bytes;
	pager->staging = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pager->staging == MAP_FAILED) {
		pager->staging = NULL;
		return errno;
	}
	madvise(pager->staging, length, MADV_NOHUGEPAGE);
	if (madvise(pager->staging, length, MADV_DONTFORK) != 0)
		return errno;
	if (!pager->is_async && (pager->features & FALLOW_KERNEL_MOVE)) {
		int error = fallow_uffd_register(pager->uffd, pager->staging, length, false);
		if (error != 0)
			return error;
	}
	length = BUFFERS_MAX * pager->block_bytes;
	pager->buffers = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (pager->buffers == MAP_FAILED) {
		pager->buffers = NULL;
		return errno;
	}
	return madvise(pager->buffers, length, MADV_DONTFORK) != 0 ? errno : 0;
}

void fallow_slots_close(struct fallow_pager *pager)
{
	if (pager->staging != NULL)
		munmap(pager->staging, pager->slot_count * pager->block_bytes);
	if (pager->buffers != NULL)
		munmap(pager->buffers, BUFFERS_MAX * pager->block_bytes);
}

/* The lowest is taken, since it is the warmest. */
char *fallow_buffer_try(struct fallow_pager *pager)
{
	uint32_t taken = atomic_load_explicit(&pager->buffers_taken, memory_order_relaxed);
	while (taken != UINT32_MAX) {
		uint32_t number = (uint32_t)__builtin_ctz(~taken);
		if (atomic_compare_exchange_weak_explicit(&pager->buffers_taken, &taken, taken | 1u << number,
							  memory_order_acquire, memory_order_relaxed))
			return pager->buffers + number * pager->block_bytes;
	}
	return NULL;
}

/* Whoever holds a buffer waits for nothing but its source, which is bounded: so one comes free. */
char *fallow_buffer_take(struct fallow_pager *pager)
{
	char *buffer;
	while ((buffer = fallow_buffer_try(pager)) == NULL)
		sched_yield();
	return buffer;
}

void fallow_buffer_give(struct fallow_pager *pager, char *buffer)
{
	uint32_t number = (uint32_t)((size_t)(buffer - pager->buffers) / pager->block_bytes);
	atomic_fetch_and_explicit(&pager->buffers_taken, ~(1u << number), memory_order_release);
}
