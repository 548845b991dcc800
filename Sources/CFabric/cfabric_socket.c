#include "cfabric.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int same_name(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return 0;
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
		return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
	}
	if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
		return x->sin6_port == y->sin6_port && memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
	}
	return 0;
}

static int is_between(int fd, const struct sockaddr *local, const struct sockaddr *remote)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	if (getsockname(fd, (struct sockaddr *)&name, &length) != 0 || !same_name((struct sockaddr *)&name, local))
		return 0;
	length = sizeof name;
	return getpeername(fd, (struct sockaddr *)&name, &length) == 0 && same_name((struct sockaddr *)&name, remote);
}

int cfabric_find_socket(const struct sockaddr *local, const struct sockaddr *remote)
{
	DIR *directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return -errno;
	int result = -ENOENT;
	for (struct dirent *entry; result < 0 && (entry = readdir(directory)) != NULL;)
		if (entry->d_name[0] != '.' && is_between(atoi(entry->d_name), local, remote))
			result = atoi(entry->d_name);
	closedir(directory);
	return result;
}
