/* streams.c: stdio hands large buffers straight to the kernel, inside of the C library, where nobody sees it. So the buffer is held
 * around the library's own function, in steps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "preload.h"

#undef fread_unlocked
#undef fwrite_unlocked
#undef fputs_unlocked

/* Up to so many bytes a copy costs less than holding: programs write line by line. */
enum { SMALL = 4096 };

typedef size_t get(void *, size_t, size_t, FILE *);
typedef size_t put(const void *, size_t, size_t, FILE *);

/* Bytes done, of `length`. */
static size_t in_steps(char *bytes, size_t length, FILE *file, get *get_some, put *put_some)
{
	size_t done = 0;
	while (done < length) {
		size_t some = length - done < preload_arena.hold_most ? length - done : preload_arena.hold_most, got;
		struct hold hold;
		if (preload_hold(&hold, bytes + done, some, get_some != NULL) != 0)
			return done;
		got = get_some != NULL ? get_some(bytes + done, 1, some, file) : put_some(bytes + done, 1, some, file);
		preload_let_go(&hold);
		done += got;
		if (got < some)
			return done;
	}
	return done;
}

static size_t read_items(void *buffer, size_t size, size_t count, FILE *file, get *function)
{
	size_t bytes;
	if (__builtin_mul_overflow(size, count, &bytes) || bytes == 0 || !preload_is_ours(buffer, bytes))
		return function(buffer, size, count, file);
	if (bytes <= SMALL) {
		char copy[SMALL];
		size_t got = function(copy, 1, bytes, file);
		memcpy(buffer, copy, got);
		return got / size;
	}
	return in_steps(buffer, bytes, file, function, NULL) / size;
}

static size_t write_items(const void *buffer, size_t size, size_t count, FILE *file, put *function)
{
	size_t bytes;
	if (__builtin_mul_overflow(size, count, &bytes) || bytes == 0 || !preload_is_ours(buffer, bytes))
		return function(buffer, size, count, file);
	if (bytes <= SMALL) {
		char copy[SMALL];
		memcpy(copy, buffer, bytes);
		return function(copy, size, count, file);
	}
	return in_steps((char *)(uintptr_t)buffer, bytes, file, NULL, function) / size;
}

EXPORT size_t fread(void *restrict buffer, size_t size, size_t count, FILE *restrict file)
{
	return read_items(buffer, size, count, file, (get *)LIBC(fread));
}

EXPORT size_t fread_unlocked(void *restrict buffer, size_t size, size_t count, FILE *restrict file)
{
	return read_items(buffer, size, count, file, (get *)LIBC(fread_unlocked));
}

EXPORT size_t fwrite(const void *restrict buffer, size_t size, size_t count, FILE *restrict file)
{
	return write_items(buffer, size, count, file, (put *)LIBC(fwrite));
}

EXPORT size_t fwrite_unlocked(const void *restrict buffer, size_t size, size_t count, FILE *restrict file)
{
	return write_items(buffer, size, count, file, (put *)LIBC(fwrite_unlocked));
}

size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
size_t __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);

static bool fits(size_t room, size_t size, size_t count)
{
	size_t bytes;
	return !__builtin_mul_overflow(size, count, &bytes) && bytes <= room;
}

EXPORT size_t __fread_chk(void *buffer, size_t room, size_t size, size_t count, FILE *file)
{
	return fits(room, size, count) && preload_is_ours(buffer, size * count) ? fread(buffer, size, count, file)
										: LIBC(__fread_chk)(buffer, room, size, count, file);
}

EXPORT size_t __fread_unlocked_chk(void *buffer, size_t room, size_t size, size_t count, FILE *file)
{
	return fits(room, size, count) && preload_is_ours(buffer, size * count)
		       ? fread_unlocked(buffer, size, count, file)
		       : LIBC(__fread_unlocked_chk)(buffer, room, size, count, file);
}

EXPORT int fputs(const char *restrict text, FILE *restrict file)
{
	if (!preload_is_ours(text, 1))
		return LIBC(fputs)(text, file);
	size_t length = strlen(text);
	return fwrite(text, 1, length, file) == length ? 1 : EOF;
}

EXPORT int fputs_unlocked(const char *restrict text, FILE *restrict file)
{
	if (!preload_is_ours(text, 1))
		return LIBC(fputs_unlocked)(text, file);
	size_t length = strlen(text);
	return fwrite_unlocked(text, 1, length, file) == length ? 1 : EOF;
}

EXPORT int puts(const char *text)
{
	if (!preload_is_ours(text, 1))
		return LIBC(puts)(text);
	flockfile(stdout);
	int result = fputs_unlocked(text, stdout) == EOF || putc_unlocked('\n', stdout) == EOF ? EOF : 1;
	funlockfile(stdout);
	return result;
}

/* A stream's own buffer is the kernel's to fill: not in our memory, the library takes one of its own. */
EXPORT int setvbuf(FILE *restrict file, char *restrict buffer, int mode, size_t size)
{
	return LIBC(setvbuf)(file, preload_is_ours(buffer, size) ? NULL : buffer, mode, size);
}

EXPORT void setbuffer(FILE *restrict file, char *restrict buffer, size_t size)
{
	if (preload_is_ours(buffer, size))
		setvbuf(file, NULL, _IOFBF, size);
	else
		LIBC(setbuffer)(file, buffer, size);
}
