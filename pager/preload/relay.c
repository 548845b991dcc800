/* relay.c: the program's end of a relay. Called from signal handlers: no locks, no allocation, and no wait without a bound.
 *
 * A request is a slot: claimed, filled, posted; taken and done by `fallow run`; read and freed. What is known to have failed has changed
 * nothing; of a write that nobody answered nothing is known, so it is the last: had it a late effect, it could undo a newer one. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "preload.h"
#include "relay.h"

/* Waits are counted in slices: a program that was stopped together with `fallow run` has not waited meanwhile. */
enum { SLICE_MS = 20, SLICES = 500, AT_ONCE = 32 };

static struct {
	struct relay_header *header;
	struct relay_slot *slots;
	char *data;
	int process; /* a pidfd */
	_Atomic uint32_t next;
} relay;

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
	struct timespec slice = {0, SLICE_MS * 1000000};
	syscall(SYS_futex, word, FUTEX_WAIT, seen, &slice, NULL, 0);
}

/* 0, or why nothing comes any more. */
static int fate(void)
{
	struct pollfd watched = {relay.process, POLLIN, 0};
	struct timespec none = {0, 0};
	uint32_t closed = atomic_load(&relay.header->closed);
	if (closed != 0)
		return (int)closed;
	return syscall(SYS_ppoll, &watched, 1, &none, NULL, 0) > 0 ? EOWNERDEAD : 0;
}

static bool claim(uint32_t *index)
{
	uint32_t start = atomic_fetch_add_explicit(&relay.next, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < relay.header->slots; i++) {
		uint32_t at = (start + i) % relay.header->slots, state = RELAY_FREE;
		if (atomic_compare_exchange_strong(&relay.slots[at].state, &state, RELAY_CLAIMED)) {
			*index = at;
			return true;
		}
	}
	return false;
}

static int claim_one(uint32_t *index)
{
	for (int slice = 0; slice < SLICES; slice++) {
		struct timespec pause = {0, 1000000};
		for (int tries = 0; tries < SLICE_MS; tries++) {
			if (claim(index))
				return 0;
			syscall(SYS_nanosleep, &pause, NULL);
		}
		int error = fate();
		if (error != 0)
			return error;
	}
	return ETIMEDOUT;
}

static void post(uint32_t index, const struct fallow_extent *extent, bool is_write)
{
	struct relay_slot *slot = &relay.slots[index];
	slot->operation = is_write ? RELAY_WRITE : RELAY_READ;
	slot->offset = extent->offset;
	slot->length = extent->length;
	slot->error = 0;
	if (is_write)
		memcpy(relay.data + index * relay.header->slot_bytes, extent->buffer, extent->length);
	atomic_store(&slot->state, RELAY_POSTED);
}

static void ring(void)
{
	atomic_fetch_add(&relay.header->doorbell, 1);
	if (atomic_load(&relay.header->sleeping) != 0)
		syscall(SYS_futex, &relay.header->doorbell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Nobody takes the request: it is withdrawn. Somebody has, and does not answer: then nothing is asked any more. */
static int give_up(struct relay_slot *slot, int error)
{
	uint32_t posted = RELAY_POSTED, none = 0;
	if (atomic_compare_exchange_strong(&slot->state, &posted, RELAY_FREE))
		return error;
	if (posted == RELAY_DONE)
		return 0;
	atomic_compare_exchange_strong(&relay.header->closed, &none, (uint32_t)error);
	return error;
}

static int await(uint32_t index, struct fallow_extent *extent, bool is_write)
{
	struct relay_slot *slot = &relay.slots[index];
	for (int slice = 0;; slice++) {
		uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
		if (state == RELAY_DONE)
			break;
		int error = slice == 0 ? 0 : slice > SLICES ? ETIMEDOUT : fate();
		if (error != 0 && (error = give_up(slot, error)) != 0)
			return error;
		if (atomic_load(&slot->state) == state)
			futex_wait(&slot->state, state);
	}
	int error = (int)slot->error;
	if (error == 0 && !is_write)
		memcpy(extent->buffer, relay.data + index * relay.header->slot_bytes, extent->length);
	atomic_store_explicit(&slot->state, RELAY_FREE, memory_order_release);
	return error;
}

/* As many at once as there are slots; who has one never waits for another. */
static int transfer(struct fallow_extent *extents, size_t count, bool is_write)
{
	uint32_t indices[AT_ONCE];
	int first = 0;
	for (size_t at = 0; at < count;) {
		size_t some = 0;
		int error = fate();
		if (error == 0)
			error = claim_one(&indices[0]);
		for (; error == 0 && at + some < count && some < AT_ONCE; some++) {
			if (some > 0 && !claim(&indices[some]))
				break;
			post(indices[some], &extents[at + some], is_write);
		}
		if (error != 0) {
			for (size_t i = at; i < count; i++)
				extents[i].error = error;
			return first != 0 ? first : error;
		}
		ring();
		for (size_t i = 0; i < some; i++) {
			extents[at + i].error = await(indices[i], &extents[at + i], is_write);
			first = first != 0 ? first : extents[at + i].error;
		}
		at += some;
	}
	return first;
}

static bool fits(const struct fallow_extent *extents, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (extents[i].length > relay.header->slot_bytes)
			return false;
	return true;
}

static int relay_read(void *context, struct fallow_extent *extents, size_t count)
{
	(void)context;
	return fits(extents, count) ? transfer(extents, count, false) : EINVAL;
}

static int relay_write(void *context, struct fallow_extent *extents, size_t count)
{
	(void)context;
	return fits(extents, count) ? transfer(extents, count, true) : EINVAL;
}

/* What an earlier program of the same `fallow run` left: withdrawn, or waited for. */
static int drain(void)
{
	for (uint32_t i = 0; i < relay.header->slots; i++) {
		_Atomic uint32_t *word = &relay.slots[i].state;
		for (int slice = 0;; slice++) {
			uint32_t state = atomic_load(word);
			if (state == RELAY_SERVED) {
				int error = slice > SLICES ? ETIMEDOUT : fate();
				if (error != 0)
					return error;
				futex_wait(word, state);
			} else if (atomic_compare_exchange_strong(word, &state, RELAY_FREE)) {
				break;
			}
		}
	}
	return fate();
}

int preload_relay_open(int file, int process, struct fallow_source *source)
{
	struct stat status = {.st_size = 0};
	char *memory = MAP_FAILED;
	int error = fstat(file, &status) != 0 ? errno : (uint64_t)status.st_size < RELAY_DATA ? EPROTO : 0;
	if (error == 0 && (memory = preload_sys_mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) == MAP_FAILED)
		error = errno;
	preload_sys_close(file);
	if (error != 0)
		return error;
	relay.header = (struct relay_header *)(void *)memory;
	relay.slots = (struct relay_slot *)(void *)(memory + RELAY_HEADERS);
	relay.data = memory + RELAY_DATA;
	const struct relay_header *header = relay.header;
	if (header->magic != RELAY_MAGIC || header->version != RELAY_VERSION || header->slots == 0 || header->slots > RELAY_SLOTS_MAX ||
	    header->slot_bytes == 0 || header->slot_bytes > 1u << 30 || header->capacity_bytes == 0 ||
	    RELAY_DATA + header->slots * header->slot_bytes > (uint64_t)status.st_size)
		return EPROTO;
	relay.process = process;
	*source = (struct fallow_source){&relay, header->capacity_bytes, FALLOW_SOURCE_SIGNAL_SAFE, relay_read, relay_write, NULL};
	return drain();
}

enum step { READ, WRITE, CONFIRM };

static int ask(struct fallow_source *source, struct fallow_extent *extents, size_t count, enum step step, bool was_written)
{
	bool is_told = false;
	int error = step == READ       ? source->read(source->context, extents, count)
		    : step == WRITE    ? source->write(source->context, extents, count)
		    : source->confirm != NULL ? source->confirm(source->context, extents, count, was_written)
					      : 0;
	for (size_t i = 0; i < count; i++)
		is_told |= extents[i].error != 0;
	for (size_t i = 0; error != 0 && !is_told && i < count; i++)
		extents[i].error = error;
	return error;
}

/* Neighbours that lie in one source go there together. */
static int by_source(struct joined *joined, struct fallow_extent *extents, size_t count, enum step step, bool was_written)
{
	int first = 0;
	for (size_t at = 0; at < count;) {
		bool is_second = extents[at].offset >= joined->first.size;
		uint64_t base = is_second ? joined->first.size : 0;
		size_t some = 0;
		while (at + some < count && (extents[at + some].offset >= joined->first.size) == is_second)
			extents[at + some++].offset -= base;
		int error = ask(is_second ? &joined->second : &joined->first, extents + at, some, step, was_written);
		for (size_t i = 0; i < some; i++)
			extents[at + i].offset += base;
		first = first != 0 ? first : error;
		at += some;
	}
	return first;
}

static int joined_read(void *context, struct fallow_extent *extents, size_t count)
{
	return by_source(context, extents, count, READ, false);
}

static int joined_write(void *context, struct fallow_extent *extents, size_t count)
{
	return by_source(context, extents, count, WRITE, false);
}

static int joined_confirm(void *context, struct fallow_extent *extents, size_t count, bool was_written)
{
	return by_source(context, extents, count, CONFIRM, was_written);
}

void preload_join(struct joined *joined, struct fallow_source *source)
{
	*source = (struct fallow_source){joined, joined->first.size + joined->second.size, FALLOW_SOURCE_SIGNAL_SAFE, joined_read,
					 joined_write, joined_confirm};
}
