/* pager.h: what the files of the pager share.
 *
 * Every block of every region is in one state. All fields here are guarded by `pager->lock` unless they say otherwise; transfers,
 * and the kernel's requests that take long, happen without it, while the block is in a state that others keep off.
 *
 *   ABSENT ──fault, read-ahead──► LOADING ──► RESIDENT ──oldest──► DETACHING ──► STANDBY ──► ABSENT
 *      ▲                            │ ▲                                          │  ▲ │
 *      └── retry ── POISONED ◄──────┘ └───────────── touched again ──────────────┘  │ ▼
 *                                                                             WRITING, when it is changed
 *
 * RESIDENT blocks are mapped in the region, in the order of their coming (`resident`). STANDBY blocks lie in slots of the staging
 * area, unmapped from the region: a touch finds them and puts them back, newest in `resident`. That is the second chance: a
 * user's process is told of no access but a fault, so the fault on a standby block is the sign of use.
 */
#ifndef FALLOW_INTERNAL_H
#define FALLOW_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fallow_pager.h"
#include "lock.h"

enum block_state { ABSENT, LOADING, RESIDENT, DETACHING, STANDBY, WRITING, POISONED };

#define BLOCK_DIRTY 0x1u        /* the whole block has to be written back */
#define BLOCK_DIRTY_PAGES 0x2u  /* WP_ASYNC, in a slot: the slot's own written pages have to be */
#define BLOCK_WRITE_FAILED 0x4u /* the last write-back failed; `error` says why */
#define BLOCK_FLUSHING 0x8u     /* being written from where it is: must not leave */
#define BLOCK_CHANGED (BLOCK_DIRTY | BLOCK_DIRTY_PAGES)

enum { NO_TWIN = 0xff, TWINS_MAX = 32, NO_SLOT = 0xffff, SLOTS_MAX = 4096 };
enum { BUFFERS_MAX = 32, STREAMS = 8, WISHES = 64, STARVED = 256, LOAD_BATCH = 32 };

struct block {
	struct block *next, *previous; /* in the list that belongs to its state */
	struct fallow_region *region;
	uint16_t slot; /* STANDBY, WRITING; LOADING when it comes from one */
	uint8_t pins, write_pins;
	uint8_t state, flags, error;
	uint8_t twin; /* twin.c: what tells whether an unprotected block was changed; NO_TWIN: none */
};

/* Blocks in order, oldest first. */
struct block_list {
	struct block *first, *last;
	size_t count;
};

/* One who goes through a region in order: where the next fault is due, how much is read ahead then, and whether to be written to. */
struct stream {
	uint32_t next, window;
	bool for_writing;
	uint64_t used_at;
};

struct fallow_region {
	struct fallow_pager *pager;
	struct fallow_region *next; /* of the pager */
	struct fallow_source source;
	uint64_t source_offset, size;
	char *address;
	struct block *blocks;
	uint32_t block_count;
	uint32_t in_motion; /* blocks LOADING, DETACHING, WRITING or flushing */
	bool closing, covered; /* covered: poison is a mapping, since there is no UFFDIO_POISON */
	struct stream streams[STREAMS];
	uint64_t stream_clock;
};

/* What the service thread was asked for. */
struct wish {
	struct fallow_region *region; /* NULL: withdrawn */
	uint32_t first, count;
	bool for_writing;
};

struct flush_request {
	struct flush_request *next;
	struct fallow_region *region;
	int error;
	bool done, abandoned;
};

struct fallow_pager {
	struct fallow_lock lock;
	struct fallow_change changed; /* a block left a passing state, or there is room */
	struct fallow_change service; /* the service thread has something to do */
	struct fallow_pager_settings settings;
	uint32_t features; /* FALLOW_KERNEL_* in use */
	bool is_sigbus, is_async;
	int uffd, pagemap, empty_file, stop_event;
	size_t block_bytes, page_bytes;
	uint32_t *alive; /* wiped by fork: 0 in a child */

	uint64_t cap_blocks, used_blocks; /* used: resident, in slots, or on their way in */
	uint64_t pinned_blocks;
	char *staging; /* slot_count blocks of address space */
	uint32_t slot_count, slot_next, slots_free, spare_count;
	uint64_t slots_taken[SLOTS_MAX / 64];
	uint16_t spare[SLOTS_MAX]; /* slots with pages that belong to nobody: room for a load, without an allocation */
	struct block_list resident, clean, dirty; /* clean, dirty: STANDBY */

	char *buffers; /* copies of blocks, one for a load under way; each is buffers + n * block_bytes */
	_Atomic uint32_t buffers_taken;

	char *twin_memory; /* twin_count blocks */
	struct block *twin_of[TWINS_MAX];
	uint32_t twin_count, twin_next;

	struct fallow_region *regions;
	struct wish wishes[WISHES];
	uint32_t wish_first, wish_count;
	struct flush_request *flushes;
	struct {
		struct block *block;
		uint64_t since_ns;
	} starved[STARVED]; /* thread mode: faults that wait for room */
	uint32_t starved_count;
	uint64_t write_pause_ns, write_retry_ns; /* after failed write-backs: how long to leave it, and until when */
	bool stopping, evict_wanted;
	/* room.c: how many blocks eviction makes room for, and what that is judged by. */
	uint64_t room_goal, judged_hits, judged_needs, judged_waits;
	bool room_is_scarce; /* read-ahead was refused */
	pthread_t service_thread, handlers[16];
	uint32_t handler_count;
	bool has_service;

	struct fallow_pager_statistics statistics;
};

static inline size_t fallow_page_bytes(void)
{
	return (size_t)getpagesize();
}

static inline char *slot_address(const struct fallow_pager *pager, uint32_t slot)
{
	return pager->staging + (size_t)slot * pager->block_bytes;
}

static inline uint32_t block_index(const struct block *block)
{
	return (uint32_t)(block - block->region->blocks);
}

static inline char *block_address(const struct block *block)
{
	return block->region->address + (size_t)block_index(block) * block->region->pager->block_bytes;
}

/* The last block of a region may be shorter. */
static inline size_t block_length(const struct block *block)
{
	size_t bytes = block->region->pager->block_bytes;
	uint64_t left = block->region->size - (uint64_t)block_index(block) * bytes;
	return left < bytes ? (size_t)left : bytes;
}

static inline size_t blocks_length(const struct block *first, uint32_t count)
{
	return (count - 1) * first->region->pager->block_bytes + block_length(first + count - 1);
}

static inline uint64_t block_source_offset(const struct block *block)
{
	return block->region->source_offset + (uint64_t)block_index(block) * block->region->pager->block_bytes;
}

/* list.c */
void fallow_list_append(struct block_list *list, struct block *block);
void fallow_list_remove(struct block_list *list, struct block *block);

/* guard.c: every function of the API holds the lock between these two, with the signals blocked. */
struct guard {
	struct fallow_pager *pager;
	sigset_t signals;
};
void fallow_guard_enter(struct guard *guard, struct fallow_pager *pager);
void fallow_guard_leave(struct guard *guard);
/* Gives the lock back, waits for a change, takes it again. False when the deadline has passed. */
bool fallow_wait_changed(struct fallow_pager *pager, uint64_t deadline_ns);
uint64_t fallow_wait_deadline(const struct fallow_pager *pager);
bool fallow_is_child(const struct fallow_pager *pager);

/* slots.c */
uint16_t fallow_slots_take(struct fallow_pager *pager, uint32_t wanted, uint32_t *got);
void fallow_slot_free(struct fallow_pager *pager, uint16_t slot);
int fallow_slots_open(struct fallow_pager *pager);
void fallow_slots_close(struct fallow_pager *pager);
char *fallow_buffer_try(struct fallow_pager *pager); /* NULL: all are in use */
char *fallow_buffer_take(struct fallow_pager *pager); /* by threads that hold none */
void fallow_buffer_give(struct fallow_pager *pager, char *buffer);

/* room.c: how much may be here. */
/* Room for one block: a slot that holds pages, or NO_SLOT for a page allocation to come. False when there is none now. */
bool fallow_room_take(struct fallow_pager *pager, uint16_t *slot);
/* Gives room back that was taken, with its slot's pages or without. */
void fallow_room_give(struct fallow_pager *pager, uint16_t slot);
/* The same, after freeing what the slot holds. */
void fallow_room_empty(struct fallow_pager *pager, uint16_t slot);
/* Blocks that could be loaded without evicting. */
uint64_t fallow_room_left(const struct fallow_pager *pager);
/* Fits the goal of eviction to what faults have asked for lately. */
void fallow_room_judge(struct fallow_pager *pager);
/* Has the service thread make room when there is little. */
void fallow_room_watch(struct fallow_pager *pager);

/* fault.c */
enum outcome { SERVED, PASSING, NO_ROOM, FAILED, GONE };
/* Serves a touch of a block. Takes and gives the lock itself. PASSING: somebody else is at it; look again after a change. */
enum outcome fallow_fault(struct fallow_region *region, uint32_t index, bool is_write);
/* The same, and waits for others and for room. FAILED as well when the wait's limit passes; then the block is poisoned. */
enum outcome fallow_fault_wait(struct fallow_region *region, uint32_t index, bool is_write);
/* Gives up on a block that no room was found for. With the lock held. */
void fallow_fault_starve(struct block *block);

/* load.c */
struct load {
	struct block *block;
	bool is_touched; /* else it is read ahead: a failure is nobody's, and found again by who touches the block */
	uint16_t slot;
	char *buffer;
};
/* Reads LOADING blocks of one region from the source and installs them. The lock is not held. Returns how many failed. */
size_t fallow_load(struct fallow_region *region, struct load *loads, size_t count, bool is_write);

/* twin.c: all but _fill and _differs with the lock held. */
int fallow_twins_open(struct fallow_pager *pager);
void fallow_twins_close(struct fallow_pager *pager);
/* A twin for a block that is LOADING, which is then not protected; or none, when there is none to be had. */
void fallow_twin_take(struct block *block);
/* Makes the twin of these bytes, before anybody can write to them; and whether they are others now. */
void fallow_twin_fill(const struct block *block, const char *bytes);
bool fallow_twin_differs(const struct block *block, const char *bytes);
/* Finds out whether a RESIDENT block was changed; if it was not, it is protected. Nothing is done without a twin. */
void fallow_twin_settle(struct block *block);
/* The same is known from elsewhere, or of no interest. */
void fallow_twin_drop(struct block *block);

/* install.c */
/* Maps what `from` holds as `count` blocks side by side, LOAD_BATCH at most, without the lock. `in_slots`: that is slots, which are
 * empty then. Sets a bit in *changed for each block that may have been written to meanwhile. 0 or errno. */
int fallow_install(struct block *first, uint32_t count, char *from, bool in_slots, bool is_write, uint32_t *changed);
/* Whether the bytes are no longer those of the copy. Other threads may be writing them: any difference will do. */
bool fallow_differs(const char *mapped, const char *copy, size_t length);
/* Makes touches of the block SIGBUS, and wakes who waits. With the lock held. */
void fallow_poison(struct block *block, int error);
int fallow_unpoison(struct block *block);

/* detach.c: moves a batch of the oldest resident blocks into slots. With the lock held; gives it away meanwhile. */
size_t fallow_detach(struct fallow_pager *pager, size_t wanted);

/* writeback.c. With the lock held; give it away meanwhile. */
size_t fallow_write_standby(struct fallow_pager *pager, const struct fallow_region *only, int *error);
int fallow_flush_region(struct fallow_region *region);

/* scan.c: the kernel's notes of written pages. */
struct run {
	char *start;
	size_t length;
};
/* Runs of written pages in a range; with `clear` they are write-protected again at once. Returns how many, at most
 * `capacity`, or -1 with errno; *reached says up to where it looked. */
int fallow_scan(struct fallow_pager *pager, char *start, size_t length, bool clear, struct run *runs, size_t capacity,
		char **reached);

/* readahead.c. With the lock held. How many blocks after `index` to read at once, and to wish for in the background; and whether they
 * are expected to be written to, and so get twins. */
struct readahead {
	uint32_t now, later;
	bool for_writing;
};
struct readahead fallow_readahead_plan(struct fallow_region *region, uint32_t index);
void fallow_wish(struct fallow_pager *pager, struct fallow_region *region, uint32_t first, uint32_t count, bool for_writing);

/* service.c, handler_thread.c, handler_sigbus.c, registry.c */
void *fallow_service(void *pager);
void *fallow_handler(void *pager);
int fallow_handlers_start(struct fallow_pager *pager);
int fallow_sigbus_install(void);
void fallow_sigbus_remove(void);
int fallow_registry_add(struct fallow_region *region);
bool fallow_registry_remove(struct fallow_region *region, uint64_t deadline_ns);
/* The region at an address, kept from vanishing until fallow_registry_release; -1 and NULL when there is none. */
struct fallow_region *fallow_registry_hold(const void *address, int *ticket);
void fallow_registry_release(int ticket);

/* region.c. With the lock held. */
int fallow_region_close(struct fallow_region *region, uint64_t deadline_ns);

#endif
