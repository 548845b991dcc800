/* text.h: strings of bounded size. */
#ifndef FALLOW_TEXT_H
#define FALLOW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Copies `from` into `to` (size bytes, always terminated). False, and `to` empty, when it does not fit. */
bool fallow_text_copy(char *to, size_t size, const char *from);

/* Copies at most size - 1 bytes of `from` for showing to a person: control characters become '?', a text that is
 * too long ends in "...". */
void fallow_text_show(char *to, size_t size, const char *from);

/* Reads a small file of /proc or a cgroup file system into `to`, terminated. Returns the bytes read, or -1 with errno.
 * A longer file is cut. Does not block: these files are made by the kernel when they are read. */
ssize_t fallow_text_read(int directory, const char *path, char *to, size_t size);

#endif
