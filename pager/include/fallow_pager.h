/* fallow_pager.h: memory regions whose contents live elsewhere ("remote memory"), used by loads and stores.
 *
 * A pager keeps at most `resident_cap_bytes` of its regions in this process's memory. What is touched and not here is
 * read from the region's source; what has to go is written back if it was changed. Plain C, no runtime, Linux 5.11 or newer.
 *
 * Conventions. Functions return 0 or an errno value, never -1, unless said otherwise. Sizes and offsets are bytes.
 * Functions may be called from any thread. None but fallow_region_at is async-signal-safe, and none may be called from
 * inside a source's functions. Every wait ends: at the latest after `wait_limit_ms` plus what the source itself takes.
 *
 * What a program sees that touches a region:
 *   - data, after a wait;
 *   - SIGBUS, when the source could not give the data. Never zeros that the source does not hold.
 * System calls that are handed an address whose page is not here fail with EFAULT: pin the range first, or give the pager
 * a descriptor of /dev/userfaultfd (thread mode). A forked child does not have the regions at all. A thread that touches a
 * region in SIGBUS mode must not have SIGBUS blocked, as the kernel then ends the process.
 */
#ifndef FALLOW_PAGER_H
#define FALLOW_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FALLOW_PAGER_VERSION 1

struct fallow_pager;  /* a resident set, its threads and its regions */
struct fallow_region; /* a range of addresses backed by a source */

/* ---------------------------------------------------------------- sources */

/* A piece of a transfer. */
struct fallow_extent {
	uint64_t offset; /* in the source, bytes */
	void *buffer;    /* where to read to or to write from */
	size_t length;   /* bytes */
	int error;       /* set by the source: 0, or why this piece failed */
};

/* `read` and `write` may be called from a SIGBUS handler: they use async-signal-safe functions alone, and take no lock that
 * a thread may hold while it touches a region. Without this flag a source is served in thread mode only. */
#define FALLOW_SOURCE_SIGNAL_SAFE 0x1u

/* Where a region's contents live. The functions are called from several threads at once, each bounded in time by the
 * source itself (the pager cannot interrupt them), and must not touch regions.
 * All return 0 when every piece was done; otherwise an errno value, with `error` of each failed piece set. If none is
 * set, all count as failed. */
struct fallow_source {
	void *context;  /* handed to the functions */
	uint64_t size;  /* bytes that the source holds */
	uint32_t flags; /* FALLOW_SOURCE_* */
	/* Fills the buffers. A piece that could not be read whole is an error. */
	int (*read)(void *context, struct fallow_extent *extents, size_t count);
	/* Stores the buffers. When it returns 0, later reads give these bytes. */
	int (*write)(void *context, struct fallow_extent *extents, size_t count);
	/* Called after `read`, before any byte is believed, and after `write`, before the block counts as stored: are the
	 * bytes what they seem? A donor whose memory is being taken back says no here. NULL: always. */
	int (*confirm)(void *context, struct fallow_extent *extents, size_t count, bool was_written);
};

/* Memory files (memfd) as a source, striped by `stripe_bytes`: bytes [n*stripe, (n+1)*stripe) lie in file n mod count, at
 * (n div count)*stripe. This is how donors' memory on the same node is reached. */
struct fallow_shm_settings {
	const int *descriptors; /* duplicated; sealed against growing (F_SEAL_GROW), or EPERM: a write to a file that was
				 * truncated would otherwise make it longer, and succeed */
	size_t count;           /* 1 to 1024 */
	uint64_t stripe_bytes;  /* 0: 65,536; else a multiple of the page; with one file of no meaning */
	/* For each file the address of a word that becomes nonzero before the first page of the file is taken away, or NULL.
	 * It must stay readable until the source is closed. NULL as a whole: no words. */
	const uint32_t *const *reclaimed;
	/* Holes are zeros, as in a new sparse file. Without this a hole is a page that was taken away: an error (ENODATA).
	 * Looking costs one system call a block; with a reclaimed word it is not needed and not done. */
	bool holes_are_zeros;
	bool takes_over;      /* the descriptors themselves are used, and closed at the end; with an error some are closed */
	uint64_t data_offset; /* where in each file the data begin, a multiple of the page; what lies before is left alone */
};

/* Makes a source of memory files. Signal-safe in the sense above; a truncated file is ENODATA, a set word EOWNERDEAD.
 * Errors: EINVAL (no file, empty file, bad stripe or offset), EPERM (seal missing), EMFILE, ENOMEM. */
int fallow_shm_source_open(const struct fallow_shm_settings *settings, struct fallow_source *source);

/* Gives back what the source holds. No region may use it any more. */
void fallow_shm_source_close(struct fallow_source *source);

/* ---------------------------------------------------------------- pagers */

enum fallow_pager_mode {
	FALLOW_MODE_AUTO = 0,   /* SIGBUS for sources that are signal-safe is a choice of the program: AUTO is THREAD */
	FALLOW_MODE_THREAD = 1, /* threads of the pager serve the faults */
	FALLOW_MODE_SIGBUS = 2  /* the faulting thread serves itself, in a signal handler: faster; shm sources */
};

enum fallow_pager_tracking {
	FALLOW_TRACKING_AUTO = 0,     /* THREAD: WP_ASYNC where the kernel has it; SIGBUS: WP_FAULTS, which is cheaper there */
	FALLOW_TRACKING_WP_ASYNC = 1, /* the kernel notes written pages; write-back is by page */
	FALLOW_TRACKING_WP_FAULTS = 2 /* the first write to a block faults; write-back is by block */
};

/* What a kernel may have. */
#define FALLOW_KERNEL_USERFAULTFD 0x1u  /* userfaultfd for this user, with write protection (5.11) */
#define FALLOW_KERNEL_SIGBUS 0x2u       /* UFFD_FEATURE_SIGBUS (4.14) */
#define FALLOW_KERNEL_POISON 0x4u       /* UFFDIO_POISON (6.6) */
#define FALLOW_KERNEL_WP_ASYNC 0x8u     /* UFFD_FEATURE_WP_ASYNC and PAGEMAP_SCAN (6.7) */
#define FALLOW_KERNEL_MOVE 0x10u        /* UFFDIO_MOVE (6.8) */
#define FALLOW_KERNEL_EVENT_REMAP 0x20u /* UFFD_FEATURE_EVENT_REMAP (4.11) */

struct fallow_pager_settings {
	uint32_t version;               /* FALLOW_PAGER_VERSION */
	uint32_t block_bytes;           /* a power of two, a page to 2 MiB; what is moved at once */
	uint64_t resident_cap_bytes;    /* most memory that regions take here; at least 8 blocks */
	uint32_t readahead_blocks;      /* most blocks read ahead of a sequential reader; 0: none */
	uint32_t standby_percent;       /* of the cap: blocks taken out but still here, 5 to 50 */
	uint32_t wait_limit_ms;         /* the bound of every wait but the source's own */
	uint32_t handler_threads;       /* thread mode: 1 to 16 */
	enum fallow_pager_mode mode;
	enum fallow_pager_tracking tracking;
	int userfaultfd_device;         /* an open /dev/userfaultfd, so that system calls may touch regions; -1: none */
	uint32_t kernel_features_off;   /* FALLOW_KERNEL_* to do without, as on an older kernel */
};

/* The defaults: 64 KiB blocks, 2 MiB of read-ahead, 25 % standby, 30 s, one thread; the cap is 0 and must be set. */
void fallow_pager_settings_default(struct fallow_pager_settings *settings);

/* Makes a pager: one service thread, and in thread mode (or with WP_ASYNC) the handler threads. All have every signal blocked.
 * Errors: EINVAL (a setting out of its range), ENOSYS (the kernel lacks what the settings need; fallow_pager_kernel_text says
 * what), EPERM, EMFILE, ENOMEM, EAGAIN (no more threads). */
int fallow_pager_create(const struct fallow_pager_settings *settings, struct fallow_pager **pager);

/* Ends the pager and its regions; what was changed and not flushed is lost. Nobody may be using the regions. Errors:
 * ETIMEDOUT: a source did not return within the limit, the pager stays; ECHILD: after fork, in the child. */
int fallow_pager_destroy(struct fallow_pager *pager);

/* ---------------------------------------------------------------- regions */

/* Maps `size` bytes of the source from `offset` on. Both are multiples of the page, size at least one page and within the
 * source. The source structure is copied; its context must outlive the region. Errors: EINVAL, ENOTSUP (the source is not
 * signal-safe, in SIGBUS mode), ENOSPC (1,024 regions in this process), ENOMEM. */
int fallow_region_map(struct fallow_pager *pager, const struct fallow_source *source, uint64_t offset, uint64_t size,
		      struct fallow_region **region);

/* Unmaps; changes that were not flushed are lost. A thread that waits in a fault of this region, or touches it afterwards,
 * gets SIGSEGV or SIGBUS. Blocks until transfers under way have ended. ETIMEDOUT: a source holds on to one; call again. */
int fallow_region_unmap(struct fallow_region *region);

/* Where it begins (a multiple of 2 MiB), and its length in bytes. */
void *fallow_region_address(const struct fallow_region *region);
uint64_t fallow_region_size(const struct fallow_region *region);

/* The region that holds an address, or NULL. Async-signal-safe. The caller sees to it that it is not unmapped meanwhile. */
struct fallow_region *fallow_region_at(const void *address);

/* Writes all that was changed before the call, and waits. Blocks stay where they are. Returns the first error; blocks that
 * could not be written are still here, still changed, and are tried again later. ETIMEDOUT: not done in the limit. */
int fallow_region_flush(struct fallow_region *region);

/* Asks for a range to be read in the background; a hint: nothing is promised and nothing waits. EINVAL: outside. */
int fallow_region_prefetch(struct fallow_region *region, uint64_t offset, uint64_t length);

/* Forgets what the range holds, without writing it back: the next touch reads the source anew, and unreadable ranges are tried
 * again. Both ends are multiples of the block (or the region's end). Nobody may be touching the range. Errors: EINVAL;
 * EBUSY: something of it is pinned; ETIMEDOUT. With an error a part may be forgotten. */
int fallow_region_discard(struct fallow_region *region, uint64_t offset, uint64_t length);

#define FALLOW_PIN_READ 0x0u
#define FALLOW_PIN_WRITE 0x1u /* system calls or devices will write there: the range counts as changed until unpinned */

/* Reads a range in and keeps it: until unpinned its pages are here at the same place, for system calls and for RDMA. Pins
 * count, up to 255 a block (EOVERFLOW). Errors: EINVAL; ENOMEM: all pins together would leave less than a quarter of the cap (and
 * four blocks) to the rest; ETIMEDOUT; or why the source failed. With an error nothing is pinned. */
int fallow_region_pin(struct fallow_region *region, uint64_t offset, uint64_t length, uint32_t flags);

/* Undoes one pin of exactly such a range. A range that was pinned for writing is unpinned with the same flags. EINVAL:
 * it is not pinned; nothing is changed then. */
int fallow_region_unpin(struct fallow_region *region, uint64_t offset, uint64_t length, uint32_t flags);

/* A range that could not be read or written. */
struct fallow_failure {
	uint64_t offset, length; /* bytes, in the region */
	int error;               /* errno, as the source said; ENOMEM: no room could be made in time */
	bool was_write;          /* true: the bytes are here, and could not be written back yet */
};

/* Which ranges are failed just now, in order; neighbours with the same error are one. Returns how many there are,
 * and stores the first `capacity` of them. */
size_t fallow_region_failures(struct fallow_region *region, struct fallow_failure *failures, size_t capacity);

/* Lets the unreadable ranges that begin in [offset, offset+length) be tried again by the next touch. EINVAL. */
int fallow_region_retry(struct fallow_region *region, uint64_t offset, uint64_t length);

/* ---------------------------------------------------------------- what is going on */

struct fallow_pager_statistics {
	uint64_t faults;              /* touches that had to be served, of any kind */
	uint64_t fetched_blocks;      /* read from sources on demand */
	uint64_t readahead_blocks;    /* read from sources ahead of use */
	uint64_t readahead_hits;      /* sequential windows that were used to the end, in blocks */
	uint64_t standby_hits;        /* touched again before they were gone: no transfer */
	uint64_t write_faults;        /* first writes to blocks, with WP_FAULTS */
	uint64_t evicted_blocks;      /* taken out of regions */
	uint64_t dropped_clean_blocks; /* forgotten without a write-back */
	uint64_t written_blocks;      /* written back, by eviction or flush */
	uint64_t written_bytes;
	uint64_t read_failures, write_failures; /* blocks */
	uint64_t resident_bytes;      /* now, standby included; never above the cap */
	uint64_t peak_resident_bytes;
	uint64_t dirty_bytes;         /* known to be changed now; with WP_ASYNC only what eviction has looked at, and of what was read
				       * ahead of a writer only what he has passed */
	uint64_t pinned_bytes;
	uint64_t waits_for_room;      /* faults that had to wait for an eviction */
};

/* Copies the counters. */
void fallow_pager_get_statistics(struct fallow_pager *pager, struct fallow_pager_statistics *statistics);

/* FALLOW_KERNEL_* that this kernel offers to this process. */
uint32_t fallow_pager_kernel_features(void);

/* Sentences for people: which of the features are there, which are missing, since which kernel they exist and what is
 * done without them. Returns the length that the whole text has, as snprintf does. */
size_t fallow_pager_kernel_text(char *text, size_t capacity);

/* One line: the mode, tracking and primitives that this pager uses. Returns as snprintf does. */
size_t fallow_pager_describe(const struct fallow_pager *pager, char *text, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
