/* arena.c: which blocks of the arena are in use, and where each lives. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "preload.h"

/* Address space per byte of donors' memory: freed ranges need not lie side by side to be used again. */
enum { ADDRESS_FACTOR = 2 };

struct arena preload_arena;

static struct {
	uint32_t place_count, free_count; /* of the donors' memory, in blocks */
	uint32_t *free_places;            /* a stack */
	uint32_t *heap_blocks;            /* where a heap allocation begins: its length in blocks; else 0 */
	uint64_t *pages_used;             /* a bit a page */
	uint32_t next;                    /* where the next search begins */
	uint64_t peak_blocks, allocations, refused;
} table;

static void *array(size_t count, size_t size)
{
	void *memory = preload_sys_mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

int preload_arena_open(struct fallow_pager *pager, const struct fallow_source *donors, int scratch)
{
	struct store *store = &preload_store;
	store->donors = *donors;
	store->scratch = scratch;
	store->block_bytes = preload_arena.block_bytes;
	store->page_bytes = preload_arena.page_bytes;
	table.place_count = table.free_count = (uint32_t)(donors->size / store->block_bytes);
	store->block_count = table.place_count * ADDRESS_FACTOR;
	uint64_t pages = (uint64_t)store->block_count * (store->block_bytes / store->page_bytes);
	store->place = array(store->block_count, sizeof store->place[0]);
	store->written = array(pages / 64 + 1, sizeof store->written[0]);
	store->expelled = array(store->block_count, 1);
	table.free_places = array(table.place_count, sizeof table.free_places[0]);
	table.heap_blocks = array(store->block_count, sizeof table.heap_blocks[0]);
	table.pages_used = array(pages / 64 + 1, sizeof table.pages_used[0]);
	if (store->place == NULL || store->written == NULL || store->expelled == NULL || table.free_places == NULL ||
	    table.heap_blocks == NULL || table.pages_used == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < store->block_count; i++)
		atomic_init(&store->place[i], NO_PLACE);
	for (uint32_t i = 0; i < table.place_count; i++)
		table.free_places[i] = table.place_count - 1 - i;
	preload_store_open(store);
	int error = fallow_region_map(pager, &store->source, 0, store->source.size, &preload_arena.region);
	if (error != 0)
		return error;
	preload_arena.pager = pager;
	uintptr_t base = (uintptr_t)fallow_region_address(preload_arena.region);
	atomic_store(&preload_arena.end, base + store->source.size);
	atomic_store(&preload_arena.base, base);
	return 0;
}

static size_t pages_a_block(void)
{
	return preload_arena.block_bytes / preload_arena.page_bytes;
}

static char *address_of(uint32_t block)
{
	return (char *)atomic_load(&preload_arena.base) + (size_t)block * preload_arena.block_bytes;
}

static uint32_t block_of(uintptr_t address)
{
	return (uint32_t)((address - atomic_load(&preload_arena.base)) / preload_arena.block_bytes);
}

static uint32_t blocks_for(size_t bytes)
{
	size_t blocks = bytes / preload_arena.block_bytes + (bytes % preload_arena.block_bytes != 0);
	return blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
}

static int discard(uint32_t first, uint32_t count)
{
	return fallow_region_discard(preload_arena.region, (uint64_t)first * preload_arena.block_bytes,
				     (uint64_t)count * preload_arena.block_bytes);
}

static bool is_free(uint32_t block)
{
	return atomic_load(&preload_store.place[block]) == NO_PLACE;
}

/* Where `count` free blocks lie side by side; UINT32_MAX: nowhere. */
static uint32_t search(uint32_t count, uint32_t step)
{
	uint32_t blocks = preload_store.block_count;
	for (int round = 0; round < 2; round++) {
		uint32_t at = round == 0 ? (table.next + step - 1) / step * step : 0;
		while (at < blocks && count <= blocks - at) {
			uint32_t run = 0;
			while (run < count && is_free(at + run))
				run++;
			if (run == count)
				return at;
			at += (run + step) / step * step;
		}
	}
	return UINT32_MAX;
}

static void use(uint32_t first, uint32_t count)
{
	size_t pages = pages_a_block();
	for (uint32_t block = first; block < first + count; block++) {
		preload_store_forget(&preload_store, block, 0, (uint32_t)pages);
		atomic_store(&preload_store.expelled[block], 0);
		atomic_store(&preload_store.place[block], table.free_places[--table.free_count]);
		for (uint64_t page = (uint64_t)block * pages; page < (uint64_t)(block + 1) * pages; page++)
			table.pages_used[page / 64] |= 1ull << (page % 64);
	}
	uint64_t used = table.place_count - table.free_count;
	table.peak_blocks = used > table.peak_blocks ? used : table.peak_blocks;
	table.next = first + count < preload_store.block_count ? first + count : 0;
}

/* What is touched after this is unreadable, not old and not zero. */
static void give_back(uint32_t first, uint32_t count)
{
	size_t pages = pages_a_block();
	int error = discard(first, count);
	for (uint32_t block = first; block < first + count; block++) {
		table.heap_blocks[block] = 0;
		for (uint64_t page = (uint64_t)block * pages; page < (uint64_t)(block + 1) * pages; page++)
			table.pages_used[page / 64] &= ~(1ull << (page % 64));
		/* A block that the kernel still works on is lost to later allocations, and to nothing else. */
		if (error == 0 && !is_free(block))
			table.free_places[table.free_count++] = atomic_exchange(&preload_store.place[block], NO_PLACE);
	}
}

void *preload_arena_take(size_t bytes, size_t alignment, bool is_heap)
{
	uint32_t count = blocks_for(bytes), first = UINT32_MAX;
	uint32_t step = alignment > preload_arena.block_bytes ? (uint32_t)(alignment / preload_arena.block_bytes) : 1;
	if (count <= table.free_count && alignment <= 2u << 20)
		first = search(count, step);
	/* A stray touch may have found it unreadable before. */
	if (first == UINT32_MAX || discard(first, count) != 0) {
		table.refused++;
		return NULL;
	}
	use(first, count);
	table.heap_blocks[first] = is_heap ? count : 0;
	table.allocations++;
	return address_of(first);
}

size_t preload_arena_room(const void *pointer)
{
	uintptr_t at = (uintptr_t)pointer;
	uint32_t block = block_of(at);
	return (char *)pointer == address_of(block) ? (size_t)table.heap_blocks[block] * preload_arena.block_bytes : 0;
}

bool preload_arena_free(void *pointer)
{
	size_t room = preload_arena_room(pointer);
	if (room == 0)
		return false;
	give_back(block_of((uintptr_t)pointer), (uint32_t)(room / preload_arena.block_bytes));
	return true;
}

static void swap_places(uint32_t from, uint32_t to, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = atomic_load(&preload_store.place[to + i]);
		atomic_store(&preload_store.place[to + i], atomic_exchange(&preload_store.place[from + i], place));
	}
}

/* Moves blocks by moving their places: what is changed is stored, and read again where it is now. What was read ahead of the new blocks
 * before they had their places is dropped after they have them, not before. */
static bool move_blocks(uint32_t from, uint32_t to, uint32_t count)
{
	size_t pages = pages_a_block();
	if (fallow_region_flush(preload_arena.region) != 0)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		atomic_store(&preload_store.expelled[to + i], atomic_load(&preload_store.expelled[from + i]));
		for (size_t page = 0; page < pages; page++) {
			uint64_t old = (uint64_t)(from + i) * pages + page, new = (uint64_t)(to + i) * pages + page;
			if (atomic_load(&preload_store.written[old / 64]) >> (old % 64) & 1)
				atomic_fetch_or(&preload_store.written[new / 64], 1ull << (new % 64));
		}
	}
	swap_places(from, to, count);
	if (discard(to, count) == 0)
		return true;
	/* Back as it was; and what was read ahead of the old blocks meanwhile goes. */
	swap_places(from, to, count);
	if (discard(from, count) != 0) {
		preload_say("remote memory could not be moved, and where it is now is not known");
		abort();
	}
	return false;
}

void *preload_arena_resize(void *pointer, size_t old_bytes, size_t bytes, bool may_move, bool is_heap)
{
	uint32_t first = block_of((uintptr_t)pointer), old = blocks_for(old_bytes), count = blocks_for(bytes), free_after = 0;
	if (count <= old) {
		if (count < old)
			give_back(first + count, old - count);
		table.heap_blocks[first] = is_heap ? count : 0;
		return pointer;
	}
	while (old + free_after < count && first + old + free_after < preload_store.block_count && is_free(first + old + free_after))
		free_after++;
	if (old + free_after == count && count - old <= table.free_count && discard(first + old, count - old) == 0) {
		use(first + old, count - old);
		table.heap_blocks[first] = is_heap ? count : 0;
		return pointer;
	}
	if (!may_move)
		return NULL;
	void *moved = preload_arena_take(bytes, 1, is_heap);
	if (moved == NULL)
		return NULL;
	if (!move_blocks(first, block_of((uintptr_t)moved), old)) {
		give_back(block_of((uintptr_t)moved), count);
		return NULL;
	}
	give_back(first, old);
	return moved;
}

int preload_arena_unmap(uintptr_t start, size_t length)
{
	size_t pages = pages_a_block(), page_bytes = preload_arena.page_bytes;
	uint64_t page = (start - atomic_load(&preload_arena.base)) / page_bytes, end = page + (length + page_bytes - 1) / page_bytes;
	uint32_t block = (uint32_t)(page / pages), last = (uint32_t)((end - 1) / pages);
	for (; page < end; page++)
		table.pages_used[page / 64] &= ~(1ull << (page % 64));
	for (uint32_t run = 0; block <= last; block += run + 1) {
		for (run = 0; block + run <= last && !is_free(block + run); run++) {
			bool is_used = false;
			for (uint64_t p = (uint64_t)(block + run) * pages; p < (uint64_t)(block + run + 1) * pages; p++)
				is_used |= table.pages_used[p / 64] >> (p % 64) & 1;
			if (is_used)
				break;
		}
		if (run > 0)
			give_back(block, run);
	}
	return 0;
}

int preload_arena_clear(uintptr_t start, size_t length)
{
	size_t bytes = preload_arena.block_bytes, page_bytes = preload_arena.page_bytes;
	uintptr_t base = atomic_load(&preload_arena.base), end = start + length;
	uintptr_t whole = base + (start - base + bytes - 1) / bytes * bytes, whole_end = base + (end - base) / bytes * bytes;
	if (whole >= whole_end) {
		memset((void *)start, 0, length);
		return 0;
	}
	memset((void *)start, 0, whole - start);
	uint32_t first = block_of(whole), count = (uint32_t)((whole_end - whole) / bytes);
	int error = discard(first, count);
	for (uint32_t i = 0; error == 0 && i < count; i++)
		preload_store_forget(&preload_store, first + i, 0, (uint32_t)(bytes / page_bytes));
	/* Between the two it may have been read ahead, as it was. */
	error = error == 0 ? discard(first, count) : error;
	memset((void *)whole_end, 0, end - whole_end);
	return error;
}

void preload_arena_counts(struct arena_counts *counts)
{
	uint64_t bytes = preload_arena.block_bytes;
	*counts = (struct arena_counts){table.place_count * bytes, (table.place_count - table.free_count) * bytes,
					table.peak_blocks * bytes, table.allocations, table.refused};
}
