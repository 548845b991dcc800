#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool fallow_text_copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);
	if (length >= size) {
		to[0] = '\0';
		return false;
	}
	memcpy(to, from, length + 1);
	return true;
}

void fallow_text_show(char *to, size_t size, const char *from)
{
	size_t i = 0;
	for (; from[i] != '\0' && i + 1 < size; i++) {
		unsigned char c = (unsigned char)from[i];
		to[i] = (c < 0x20 || c == 0x7f) ? '?' : from[i];
	}
	to[i] = '\0';
	if (from[i] != '\0' && i >= 3)
		memcpy(to + i - 3, "...", 3);
}

ssize_t fallow_text_read(int directory, const char *path, char *to, size_t size)
{
	to[0] = '\0';
	int file = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0)
		return -1;
	size_t length = 0;
	ssize_t got = 0;
	while (length + 1 < size) {
		got = read(file, to + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	int error = errno;
	close(file);
	to[length] = '\0';
	errno = error;
	return got < 0 && length == 0 ? -1 : (ssize_t)length;
}
