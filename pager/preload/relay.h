/* relay.h: memory of donors on other nodes, which `fallow run` moves to and fro for the program; the layout of the file between them.
 * Sources/FallowCommand/RelayLayout.swift has the same numbers, docs/protocol.md says what they mean. */
#ifndef FALLOW_RELAY_H
#define FALLOW_RELAY_H

#include <stdatomic.h>
#include <stdint.h>

#include "fallow_pager.h"

#define RELAY_MAGIC 0x31306c72656c6c66ull /* "fllrel01" */

enum {
	RELAY_VERSION = 1,
	RELAY_SLOTS_MAX = 64,
	RELAY_HEADERS = 4096, /* where the slots' headers begin, 64 bytes each */
	RELAY_DATA = 8192     /* where the slots' bytes begin */
};

enum relay_state { RELAY_FREE, RELAY_CLAIMED, RELAY_POSTED, RELAY_SERVED, RELAY_DONE };
enum relay_operation { RELAY_READ = 1, RELAY_WRITE = 2 };

struct relay_header {
	uint64_t magic;
	uint32_t version, slots;
	uint64_t capacity_bytes, slot_bytes;
	_Atomic uint32_t closed;   /* not 0: nothing is served any more; an errno value */
	_Atomic uint32_t doorbell; /* counts up with each request; `fallow run` sleeps there */
	_Atomic uint32_t sleeping; /* whether it does */
};

struct relay_slot {
	_Atomic uint32_t state; /* enum relay_state; the program sleeps there */
	uint32_t operation;
	uint64_t offset, length;
	uint32_t error;
	char unused[36];
};

_Static_assert(sizeof(struct relay_slot) == 64, "the layout is the protocol");

/* Opens the relay by its file, which is taken over, and its process. A source of capacity_bytes; signal-safe. 0 or an errno value:
 * EPROTO: it is no relay of this version; ETIMEDOUT: an earlier program's requests did not end. */
int preload_relay_open(int file, int process, struct fallow_source *source);

/* One source behind the other, as one. */
struct joined {
	struct fallow_source first, second;
};
void preload_join(struct joined *joined, struct fallow_source *source);

#endif
