/* preload.h: what the files of libfallow-preload.so share.
 *
 * The library puts a program's large allocations into one region of the pager, the arena, whose contents live in donors'
 * memory files. The arena is address space, in blocks; each block in use has a place, a block of the donors' memory. Everything
 * smaller, and everything before main, is the C library's.
 *
 * Environment (set by `fallow run`):
 *   FALLOW_RUN_MEMORY      donors: PID:FD:INODE:DATA_OFFSET:RECLAIMED_OFFSET[,...]; the file is /proc/PID/fd/FD and must have that
 *                          inode; data begin at DATA_OFFSET; at RECLAIMED_OFFSET is the word that is set before pages are taken
 *                          away, or - when there is none
 *   FALLOW_RUN_RELAY       PID:FD:INODE of the relay (relay.h): memory of donors on other nodes, behind that of FALLOW_RUN_MEMORY;
 *                          unset: none
 *   FALLOW_RUN_CLAIM       PID:FD:INODE: the file whose lock says which process uses the memory
 *   FALLOW_RUN_LOCAL       bytes of it that may be in this process at a time
 *   FALLOW_RUN_BLOCK       bytes that come and go at once (default 64 KiB)
 *   FALLOW_RUN_THRESHOLD   allocations of more bytes than this are ours (default 1 MiB)
 *   FALLOW_RUN_FALLBACK    fail: an allocation that does not fit fails, ENOMEM; local: the C library serves it
 *   FALLOW_RUN_SCRATCH     durable: PID:FD:INODE of a file that holds a second copy of everything; unset: no second copy
 *   FALLOW_RUN_PARENT      pid of `fallow run`
 *   FALLOW_RUN_STATISTICS  1: a line at exit; else a file that gets a line of JSON at exit
 */
#ifndef FALLOW_PRELOAD_H
#define FALLOW_PRELOAD_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fallow_pager.h"

#define EXPORT __attribute__((visibility("default")))

enum arena_state { ARENA_UNUSED, ARENA_OPEN, ARENA_REFUSED, ARENA_CHILD };

struct arena {
	_Atomic uintptr_t base, end; /* 0 before it is open: so no address is ours */
	_Atomic int state;           /* enum arena_state */
	struct fallow_pager *pager;
	struct fallow_region *region;
	size_t block_bytes, page_bytes;
	uint64_t hold_most; /* bytes that one system call holds at a time */
};
extern struct arena preload_arena;

struct preload_settings {
	char donors[16384], relay[64], claim[64], scratch[64], statistics[256];
	uint64_t local_bytes, block_bytes, threshold_bytes;
	bool has_memory, falls_back, is_direct; /* is_direct: `fallow run` started this very process */
};
extern struct preload_settings preload_settings;

/* Whether any byte of a range is ours. */
static inline bool preload_is_ours(const void *pointer, size_t length)
{
	uintptr_t at = (uintptr_t)pointer, base = atomic_load_explicit(&preload_arena.base, memory_order_acquire);
	uintptr_t end = atomic_load_explicit(&preload_arena.end, memory_order_relaxed);
	return base != 0 && at < end && (at >= base || (at < base && length > base - at));
}

/* arena.c: ranges of the arena. All but preload_arena_open are the allocator's, under its lock. */
int preload_arena_open(struct fallow_pager *pager, const struct fallow_source *donors, int scratch);
/* A range of whole blocks, zero, or NULL. `alignment` is a power of two. `is_heap`: it is freed as a whole. */
void *preload_arena_take(size_t bytes, size_t alignment, bool is_heap);
/* Bytes that a heap allocation has room for; 0: none begins there. */
size_t preload_arena_room(const void *pointer);
/* Gives a heap allocation back. False: none begins there. */
bool preload_arena_free(void *pointer);
/* Makes a heap allocation or a mapping longer or shorter; it may move when `may_move`. NULL and the old one stays. */
void *preload_arena_resize(void *pointer, size_t old_bytes, size_t bytes, bool may_move, bool is_heap);
/* Pages that are used no more; blocks without a page in use are given back. */
int preload_arena_unmap(uintptr_t start, size_t length);
/* Pages that are zero from now on. */
int preload_arena_clear(uintptr_t start, size_t length);
struct arena_counts {
	uint64_t capacity_bytes, used_bytes, peak_bytes, allocations, refused;
};
void preload_arena_counts(struct arena_counts *counts);

/* store.c: the source of the arena: donors' memory and the scratch file behind the block table. */
enum { NO_PLACE = UINT32_MAX };
struct store {
	struct fallow_source source;     /* what the pager gets */
	struct fallow_source donors;
	int scratch;                     /* -1: none */
	size_t block_bytes, page_bytes;
	uint32_t block_count;            /* of the arena */
	_Atomic uint32_t *place;         /* of each block of the arena, in blocks of the donors' memory; set last, for reading ahead looks here */
	_Atomic uint64_t *written;       /* a bit a page: it was stored since it was allocated; others are zero */
	_Atomic uint8_t *expelled;       /* a byte a block: the donors' copy does not count any more */
	_Atomic uint64_t lost_blocks, scratch_reads;
};
void preload_store_open(struct store *store);
void preload_store_forget(struct store *store, uint32_t block, uint32_t first_page, uint32_t end_page);
extern struct store preload_store;

/* setup.c */
void preload_settings_read(void);
/* Opens the arena at the first need, in a program that runs. False: allocations are the C library's. */
bool preload_ready(void);
/* An allocation that did not fit: whether the C library may serve it. */
bool preload_may_fall_back(void);
const char *preload_program(void);
void preload_stop_in_child(void);

/* hold.c: ranges that stay while the kernel works on them. */
struct hold {
	uint64_t offset, length;
	uint32_t flags;
	bool is_held;
};
/* 0, or -1 with errno: EFAULT, EIO (its contents were lost), ENOMEM. Ranges that are not ours are no matter. */
int preload_hold(struct hold *hold, const void *pointer, size_t length, bool for_write);
void preload_let_go(struct hold *hold);

/* signals.c */
void preload_signals_open(void);
void preload_signals_in_child(uintptr_t base, uintptr_t end);

/* descriptors.c: ours are out of the program's reach. */
int preload_descriptor_keep(int descriptor); /* moves it up, out of the way; returns where it is, or -1 */
void preload_descriptor_note(int descriptor);
bool preload_descriptor_is_ours(int descriptor);

/* report.c: sentences on standard error, without the C library's streams. Async-signal-safe. */
void preload_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void preload_report_open(void);
void preload_report(void);

/* The C library's own, by system call where the pager itself needs them (see Makefile). */
void *preload_sys_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset);
int preload_sys_munmap(void *address, size_t length);
int preload_sys_madvise(void *address, size_t length, int advice);
void *preload_sys_mremap(void *address, size_t old_length, size_t length, int flags, void *to);
int preload_sys_mprotect(void *address, size_t length, int protection);
int preload_sys_close(int descriptor);
ssize_t preload_sys_read(int descriptor, void *buffer, size_t length);
ssize_t preload_sys_pread(int descriptor, void *buffer, size_t length, off_t offset);
ssize_t preload_sys_pwrite(int descriptor, const void *buffer, size_t length, off_t offset);
int preload_sys_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int preload_sys_sigmask(int how, const sigset_t *set, sigset_t *old);
void *preload_find(const char *name);

/* Calls the C library's function of a name that we export too. */
#define LIBC(name) \
	({ \
		static _Atomic(void *) found; \
		void *function = atomic_load_explicit(&found, memory_order_relaxed); \
		if (function == NULL) { \
			function = preload_find(#name); \
			atomic_store_explicit(&found, function, memory_order_relaxed); \
		} \
		(__typeof__(&name))function; \
	})

#endif
