/* fallow.h: functions in the leftovers of a Slurm cluster, from C, C++ and whatever calls C.
 *
 * Two sides share this header. A FUNCTION is a C symbol in a shared library of yours; see "Writing functions". A
 * PROGRAM leases executors from the cluster and invokes functions there; see "Calling functions".
 *
 * Every call that can fail returns a code of enum fallow_code (0 is success); fallow_message() then gives one sentence
 * about the last failure in this thread. Every wait has a bound. Objects may be used by several threads; an object is
 * freed by one thread, after the others are done with it. There are no threads of the library in your process, but for one
 * in a durable region of remote memory.
 *
 * fork(): the child shares neither connection nor leases; calls with objects of the parent fail there with
 * FALLOW_INVALID. While such a child lives without exec, it holds the parent's connection open. */
#ifndef FALLOW_H
#define FALLOW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FALLOW_ABI_VERSION 1u

/* ------------------------------------------------------------------ Writing functions */

/* What a function is given. The function writes its result to output and its size to *output_size. */
struct fallow_call {
	const void *input;      /* input_size bytes; 8-byte aligned */
	size_t input_size;
	void *output;           /* output_capacity bytes; 8-byte aligned */
	size_t output_capacity; /* what the caller is ready to take */
	size_t *output_size;    /* in: 0; out: bytes of result. More than output_capacity says "I needed this much": the
	                           caller gets FALLOW_RESULT_TOO_LARGE with the size, and nothing beyond the capacity
	                           must have been written */
};

/* A function. What it returns is handed to the caller as it is; 0 means well by custom. */
typedef int32_t fallow_function(const struct fallow_call *call);

/* Put FALLOW_LIBRARY; once into a library whose functions have the form above. A library without it holds functions
 * of rFaaS's form, uint32_t name(void *input, uint32_t input_size, void *output), which returns the result's size. */
#ifdef __cplusplus
#define FALLOW_LIBRARY extern "C" __attribute__((visibility("default"))) const uint32_t fallow_library_abi = FALLOW_ABI_VERSION
#else
#define FALLOW_LIBRARY __attribute__((visibility("default"))) const uint32_t fallow_library_abi = FALLOW_ABI_VERSION
#endif

/* ------------------------------------------------------------------ Calling functions */

enum fallow_code {
	FALLOW_OK = 0,
	FALLOW_INVALID = 1,          /* an argument makes no sense; the message says which and what would */
	FALLOW_NO_AGENT = 2,         /* no fallowd answers on this node */
	FALLOW_NO_CAPACITY = 3,      /* the cluster has nothing to lend just now */
	FALLOW_REFUSED = 4,          /* the site's rules say no */
	FALLOW_LIBRARY_UNUSABLE = 5, /* the library cannot be opened or loaded */
	FALLOW_UNKNOWN_FUNCTION = 6, /* the library has no such function */
	FALLOW_TOO_LARGE = 7,        /* the payload is larger than the lease's max_input */
	FALLOW_RESULT_TOO_LARGE = 8, /* the result is larger than the capacity; the size needed is given; the function ran */
	FALLOW_FULL = 9,             /* every slot is in flight: wait for one of the futures first */
	FALLOW_TIMED_OUT = 10,       /* not answered in time; the function may still run: outcome unknown */
	FALLOW_NOT_STARTED = 11,     /* the lease ended before the function was started: safe to invoke again elsewhere */
	FALLOW_OUTCOME_UNKNOWN = 12, /* the lease ended while the function may have been running */
	FALLOW_LEASE_ENDED = 13,     /* the lease is over (term, reclaim, release): nothing was sent */
	FALLOW_INTERNAL = 14,        /* a bug of ours or of the system; the message says what is known */
	FALLOW_DATA_LOST = 15        /* bytes of remote memory went with their donors; lost until they are written again */
};

typedef struct fallow_client fallow_client; /* the connection to this node's agent */
typedef struct fallow_lease fallow_lease;   /* workers on one node of the cluster, with a library loaded */
typedef struct fallow_future fallow_future; /* one invocation under way */

/* What a lease should be. Zero in a field means its default. Initialise with FALLOW_LEASE_OPTIONS. */
struct fallow_lease_options {
	uint32_t size;          /* sizeof(struct fallow_lease_options) */
	uint32_t cpus;          /* cores, one worker each; default 1 */
	uint64_t memory;        /* bytes for the executor with all its workers; default 512 MiB */
	double term_seconds;    /* how long at most; default and upper limit are the site's */
	double wait_seconds;    /* wait this long for capacity; default 0: an answer at once */
	uint64_t max_input;     /* bytes of payload at most; default 1 MiB */
	uint64_t max_output;    /* bytes of result at most; default 1 MiB */
	uint32_t slots;         /* invocations in flight per worker, a power of two; default 16 */
	uint32_t flags;         /* FALLOW_LEASE_* */
	const char *node;       /* this node of the cluster only; default NULL: any */
	uint64_t buffers;       /* bytes for fallow_buffer_alloc, part of memory; default 0. (Programs built before this or
	                           the next was here have a smaller size and are served as before.) */
	double poll_seconds;    /* how long a worker polls for the next call before it sleeps, at most 1; default and upper
	                           limit are the site's; below 0: never. What it polls is CPU time of the lease's. */
};
#define FALLOW_LEASE_OPTIONS { sizeof(struct fallow_lease_options), 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0 }
#define FALLOW_LEASE_REMOTE 0x1u /* not on this node, even when it has capacity */

/* What a lease is. */
struct fallow_lease_info {
	uint32_t size;        /* sizeof(struct fallow_lease_info), set by the caller */
	uint32_t cpus;
	uint64_t memory;
	uint64_t max_input;
	uint64_t max_output;
	double seconds_left;  /* of the term; 0 when the lease is over */
	char id[17];
	char node[64];
	char transport[16];   /* "shm", "fabric" or "verbs" */
};

/* Connects to this node's agent. socket_path NULL: $FALLOW_CLIENT_SOCKET, else the configured runtime directory's
 * client.sock. Everything leased through the client ends when it is closed, or when the process ends, however it ends. */
int fallow_connect(const char *socket_path, fallow_client **client);
void fallow_close(fallow_client *client);

/* Leases executors and loads the library at library_path (opened here, with your rights) into them. Blocks until the
 * workers are connected: milliseconds when there is capacity, wait_seconds more when there is none. */
int fallow_lease_open(fallow_client *client, const char *library_path, const struct fallow_lease_options *options,
                      fallow_lease **lease);
int fallow_lease_describe(fallow_lease *lease, struct fallow_lease_info *info);
/* Asks for a new term, counted from now; what the site granted is in seconds_left then. */
int fallow_lease_renew(fallow_lease *lease, double term_seconds);
/* Gives the capacity back. Futures not yet done end with FALLOW_LEASE_ENDED, FALLOW_NOT_STARTED or
 * FALLOW_OUTCOME_UNKNOWN; they stay valid until freed. NULL is allowed. */
void fallow_lease_close(fallow_lease *lease);

/* Invokes a function and waits for its result. *output_size: in, the capacity of output; out, the bytes of result (or
 * the bytes needed, with FALLOW_RESULT_TOO_LARGE). return_value may be NULL. timeout_seconds <= 0: the rest of the term. */
int fallow_invoke(fallow_lease *lease, const char *function, const void *input, size_t input_size, void *output,
                  size_t *output_size, int32_t *return_value, double timeout_seconds);

/* Starts an invocation on an idle worker. input is copied before this returns; output must stay until the future is done. */
int fallow_submit(fallow_lease *lease, const char *function, const void *input, size_t input_size, void *output,
                  size_t output_capacity, fallow_future **future);
/* One call of several. */
struct fallow_item {
	const void *input;
	size_t input_size;
	void *output;
	size_t output_capacity;
};
/* Starts count invocations of one function, spread over the workers, with one wake-up a worker. *started: how many were
 * started, the first ones; their futures are in futures, the others are NULL there. FALLOW_FULL: not all found slots. With
 * any other code nothing was started, or the lease ended meanwhile and *started of them say so themselves. */
int fallow_submit_many(fallow_lease *lease, const char *function, const struct fallow_item *items, size_t count,
                       fallow_future **futures, size_t *started);
/* Waits for one future; returns its code (FALLOW_TIMED_OUT: not done yet, wait again). Results may be NULL. For all waits
 * for futures: timeout_seconds 0 only looks, < 0 is the rest of the term. */
int fallow_wait(fallow_future *future, size_t *output_size, int32_t *return_value, double timeout_seconds);
/* Waits until one of the futures is done, and gives its index. Futures may belong to different leases of one client. */
int fallow_wait_any(fallow_future *const *futures, size_t count, size_t *index, double timeout_seconds);
/* Waits until all are done. Their own codes are had by fallow_wait. */
int fallow_wait_all(fallow_future *const *futures, size_t count, double timeout_seconds);
/* Forgets a future. When it is not done, its output is not touched any more. NULL is allowed. */
void fallow_future_free(fallow_future *future);

/* Buffers: memory of the lease that functions on the same node read and write in place; calls copy nothing. (On another node
 * they are copied, and the same calls work.) A buffer begins at a page and may be as large as the lease's `buffers`; what one
 * call takes of it is bounded by max_input and max_output as ever. It may be used after the lease's end, and reads as zeros
 * then: fallow_buffer_check tells. Every buffer is to be freed, also after the lease was closed.
 * FALLOW_TOO_LARGE: no gap of this size; FALLOW_LEASE_ENDED; FALLOW_INVALID. */
int fallow_buffer_alloc(fallow_lease *lease, size_t size, void **buffer);
/* FALLOW_INVALID when no buffer begins there (freed before, or from elsewhere). NULL is allowed. A buffer that a call still
 * uses (one that timed out) is not given out again before that call is over. */
int fallow_buffer_free(void *buffer);
/* Whether all that was read from the buffer until now was what lay there: FALLOW_OK, or FALLOW_LEASE_ENDED. */
int fallow_buffer_check(const void *buffer);
/* As fallow_invoke and fallow_submit, with input and output in buffers of this lease: anywhere within one, the same or two.
 * Elsewhere is FALLOW_INVALID; NULL of size 0 is allowed. Both belong to the function until the call is done: the input must
 * not change, and after a time-out the output may still. */
int fallow_invoke_buffers(fallow_lease *lease, const char *function, const void *input, size_t input_size, void *output,
                          size_t *output_size, int32_t *return_value, double timeout_seconds);
int fallow_submit_buffers(fallow_lease *lease, const char *function, const void *input, size_t input_size, void *output,
                          size_t output_capacity, fallow_future **future);

/* ------------------------------------------------------------------ Remote memory
 *
 * Memory of other processes' nodes that this program writes and reads by offset. What was never put reads as zeros; what was
 * lost with its donors is FALLOW_DATA_LOST until it is put again, and never zeros. Every wait is bounded: a donor that answers
 * nothing for patience_seconds is given up. A durable region has one thread of the library in your process, asleep while all
 * is well. Handles of regions that were closed are told from others: using one, or closing it twice, is FALLOW_INVALID. */

typedef struct fallow_memory fallow_memory;                   /* a region */
typedef struct fallow_memory_transfer fallow_memory_transfer; /* a put or get under way */

/* What a region is to be. Zero in a field means its default. Initialise with FALLOW_MEMORY_OPTIONS. */
struct fallow_memory_options {
	uint32_t size;              /* sizeof(struct fallow_memory_options) */
	uint32_t durability;        /* FALLOW_MEMORY_*; default FALLOW_MEMORY_CACHE */
	uint64_t donor_size;        /* the most that one donor holds, each is taken back whole; default: the site's */
	uint64_t stripe;            /* bytes that lie together at one donor, a power of two from 4 KiB to 2 MiB; default 64 KiB */
	double term_seconds;        /* how long at most; default and upper limit are the site's */
	double wait_seconds;        /* wait this long for capacity; default 0: an answer at once */
	double patience_seconds;    /* a donor that completes nothing for so long is given up; default 2, with _CACHE 8 */
	const char *scratch_folder; /* with FALLOW_MEMORY_SCRATCH and _DURABLE: where a nameless file of the region's size is made */
	uint32_t flags;             /* FALLOW_LEASE_REMOTE, or 0 */
	uint32_t reserved;
};
#define FALLOW_MEMORY_OPTIONS { sizeof(struct fallow_memory_options), 0, 0, 0, 0, 0, 0, NULL, 0, 0 }
#define FALLOW_MEMORY_CACHE 0u   /* one copy: what a donor held is gone with it, and said to be */
#define FALLOW_MEMORY_PAIR 1u    /* two donors that share no fate: survives any one, and all in memory that no job holds */
#define FALLOW_MEMORY_SCRATCH 2u /* a file of this process's beside a donor: survives every donor */
#define FALLOW_MEMORY_DURABLE 3u /* _PAIR where a second set of donors is to be had that shares no fate with the first; else _SCRATCH */

/* Leases memory and makes a region of size bytes of it. Blocks until all of it is allocated, tenths of a second a GiB. The
 * region ends with the client. */
int fallow_memory_open(fallow_client *client, uint64_t size, const struct fallow_memory_options *options,
                       fallow_memory **memory);

/* For regions of fallow_pager.h in thread mode: a descriptor of /dev/userfaultfd, opened by the node's agent. With it as
 * userfaultfd_device system calls may touch what is not here, without a pin. Close-on-exec, and yours to close once the pager is
 * made. FALLOW_REFUSED: the site does not hand it out; FALLOW_INTERNAL: the kernel has none (Linux 6.1 and later do). */
int fallow_userfaultfd(fallow_client *client, int *device);

/* Gives the memory back. Transfers that are under way end with FALLOW_LEASE_ENDED; they stay valid until freed. */
int fallow_memory_close(fallow_memory *memory);

/* Writes or reads size bytes at an offset and waits. FALLOW_INVALID beyond the region; FALLOW_DATA_LOST, of a put: the rest of
 * a block that is written in part was lost; FALLOW_NO_CAPACITY: too few donors are left for the durability. */
int fallow_memory_put(fallow_memory *memory, uint64_t offset, const void *data, size_t size);
int fallow_memory_get(fallow_memory *memory, uint64_t offset, void *data, size_t size);

/* One of several pieces; of a put the data is only read. */
struct fallow_memory_piece {
	uint64_t offset;
	void *data;
	size_t size;
};
/* Scatter and gather: all pieces, at all donors at once. Fails when one of them fails. */
int fallow_memory_putv(fallow_memory *memory, const struct fallow_memory_piece *pieces, size_t count);
int fallow_memory_getv(fallow_memory *memory, const struct fallow_memory_piece *pieces, size_t count);
/* Begins the same. The data must stay until the transfer is done. */
int fallow_memory_submit_put(fallow_memory *memory, const struct fallow_memory_piece *pieces, size_t count,
                             fallow_memory_transfer **transfer);
int fallow_memory_submit_get(fallow_memory *memory, const struct fallow_memory_piece *pieces, size_t count,
                             fallow_memory_transfer **transfer);
/* FALLOW_TIMED_OUT: not done yet, wait again; else the transfer's own code. 0 only looks, < 0 waits until it is known. */
int fallow_memory_wait(fallow_memory_transfer *transfer, double timeout_seconds);
/* Waits, within the patience with donors, until the data is not used any more. NULL is allowed. */
void fallow_memory_transfer_free(fallow_memory_transfer *transfer);

struct fallow_memory_statistics {
	uint32_t size; /* sizeof(struct fallow_memory_statistics), set by the caller */
	uint32_t donors;
	uint32_t lost_donors;
	uint32_t reserved;
	uint64_t bytes;
	uint64_t gets;
	uint64_t puts;
	uint64_t got_bytes;
	uint64_t put_bytes;
	uint64_t lost_bytes;        /* of blocks whose last copy went and that were not put since */
	uint64_t unprotected_bytes; /* that lack a copy just now */
};
int fallow_memory_get_statistics(fallow_memory *memory, struct fallow_memory_statistics *statistics);

/* The name of a code, such as "FALLOW_NO_CAPACITY"; never NULL. */
const char *fallow_code_name(int code);
/* One sentence about the last failure in this thread; valid until the next call in this thread; never NULL. */
const char *fallow_message(void);

#ifdef __cplusplus
}
#endif

#endif
