/* allocate.c: malloc and its kin. What is larger than the threshold is the arena's; the rest is the C library's. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "locked.h"
#include "preload.h"

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static bool is_large(size_t size)
{
	return size > preload_settings.threshold_bytes && preload_settings.has_memory && size <= PTRDIFF_MAX;
}

/* A range of the arena. *failed: it did not fit, and nothing else may serve it. */
static void *take(size_t size, size_t alignment, bool *failed)
{
	void *memory = NULL;
	*failed = false;
	if (preload_ready()) {
		preload_lock();
		memory = preload_arena_take(size, alignment, true);
		preload_unlock();
	}
	if (memory == NULL && !preload_may_fall_back()) {
		*failed = true;
		errno = ENOMEM;
	}
	return memory;
}

static bool is_ours(const void *pointer)
{
	return preload_is_ours(pointer, 1);
}

static size_t room_of(void *pointer)
{
	preload_lock();
	size_t room = preload_arena_room(pointer);
	preload_unlock();
	return room;
}

EXPORT void *malloc(size_t size)
{
	bool failed = false;
	void *memory = is_large(size) ? take(size, 1, &failed) : NULL;
	return memory != NULL || failed ? memory : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	bool failed = false;
	size_t bytes;
	void *memory = !__builtin_mul_overflow(count, size, &bytes) && is_large(bytes) ? take(bytes, 1, &failed) : NULL;
	return memory != NULL || failed ? memory : __libc_calloc(count, size);
}

EXPORT void free(void *pointer)
{
	if (!is_ours(pointer)) {
		__libc_free(pointer);
		return;
	}
	int saved = errno;
	if (atomic_load(&preload_arena.state) == ARENA_CHILD)
		return;
	preload_lock();
	bool was_ours = preload_arena_free(pointer);
	preload_unlock();
	if (!was_ours) {
		preload_say("freed %p, where no allocation begins: freed twice, or never allocated", pointer);
		abort();
	}
	errno = saved;
}

/* The allocation is one side's, and the new one belongs to the other. */
static void *move(void *pointer, size_t old, size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL)
		return NULL;
	memcpy(memory, pointer, old < size ? old : size);
	free(pointer);
	return memory;
}

EXPORT void *realloc(void *pointer, size_t size)
{
	if (!is_ours(pointer)) {
		if (pointer == NULL)
			return malloc(size);
		return is_large(size) && preload_ready() ? move(pointer, malloc_usable_size(pointer), size)
							 : __libc_realloc(pointer, size);
	}
	size_t room = atomic_load(&preload_arena.state) == ARENA_OPEN ? room_of(pointer) : 0;
	if (room == 0) {
		preload_say("reallocated %p, which is no allocation of this process", pointer);
		abort();
	}
	if (size == 0) {
		free(pointer);
		return NULL;
	}
	if (!is_large(size))
		return move(pointer, room, size);
	preload_lock();
	void *memory = preload_arena_resize(pointer, room, size, true, true);
	preload_unlock();
	if (memory != NULL)
		return memory;
	if (!preload_may_fall_back()) {
		errno = ENOMEM;
		return NULL;
	}
	memory = __libc_malloc(size);
	if (memory != NULL) {
		memcpy(memory, pointer, room < size ? room : size);
		free(pointer);
	}
	return memory;
}

EXPORT void *reallocarray(void *pointer, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(pointer, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
	bool failed = false;
	void *memory = is_large(size) && alignment <= 2u << 20 ? take(size, alignment, &failed) : NULL;
	return memory != NULL || failed ? memory : __libc_memalign(alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
	int saved = errno;
	if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
		return EINVAL;
	void *memory = memalign(alignment, size);
	errno = saved;
	if (memory == NULL)
		return ENOMEM;
	*result = memory;
	return 0;
}

EXPORT void *valloc(size_t size)
{
	return memalign(4096, size);
}

EXPORT void *pvalloc(size_t size)
{
	return memalign(4096, (size + 4095) / 4096 * 4096);
}

EXPORT size_t malloc_usable_size(void *pointer)
{
	return is_ours(pointer) ? room_of(pointer) : LIBC(malloc_usable_size)(pointer);
}
