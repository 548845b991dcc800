#include "clinux_stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct addrinfo *resolve(const char *host, uint16_t port)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char service[8];
	snprintf(service, sizeof service, "%u", port);
	return getaddrinfo(host, service, &hints, &found) == 0 ? found : NULL;
}

static int failed(int fd)
{
	int error = errno;
	close(fd);
	return -error;
}

static int undelayed(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* What lies in a socket's buffers is written and read once more from memory when it is more than the caches hold, as it is with
 * the megabytes that the kernel comes to by itself. Set before the connection, which inherits it; net.core.*mem_max may allow less. */
static int create(const struct addrinfo *name)
{
	int bytes = 256 << 10;
	int fd = socket(name->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	}
	return fd;
}

static int listen_at(const struct addrinfo *name, uint16_t *port)
{
	struct sockaddr_in6 taken; /* the port is at the same place in both families */
	socklen_t length = sizeof taken;
	int fd = create(name);
	if (fd < 0)
		return -errno;
	if (bind(fd, name->ai_addr, name->ai_addrlen) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&taken, &length) != 0)
		return failed(fd);
	*port = ntohs(taken.sin6_port);
	return fd;
}

int clinux_stream_listen(const char *host, uint16_t *port)
{
	struct addrinfo *name = resolve(host, *port);
	if (name == NULL)
		return -EINVAL;
	int fd = listen_at(name, port);
	freeaddrinfo(name);
	return fd;
}

int clinux_stream_accept(int fd)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return accepted < 0 ? -errno : undelayed(accepted);
}

int clinux_stream_connect(const char *host, uint16_t port)
{
	struct addrinfo *name = resolve(host, port);
	if (name == NULL)
		return -EINVAL;
	int fd = create(name);
	if (fd < 0)
		fd = -errno;
	else if (connect(undelayed(fd), name->ai_addr, name->ai_addrlen) != 0 && errno != EINPROGRESS)
		fd = failed(fd);
	freeaddrinfo(name);
	return fd;
}

ssize_t clinux_stream_send(int fd, const struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

ssize_t clinux_stream_receive(int fd, const struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
	ssize_t received;
	do
		received = recvmsg(fd, &message, MSG_DONTWAIT);
	while (received < 0 && errno == EINTR);
	return received < 0 ? -errno : received;
}

int clinux_stream_keep_alive(int fd)
{
	int on = 1, idle_seconds = 1, interval_seconds = 1, probes = 2;
	if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)
		return -errno;
	return 0;
}

int clinux_stream_bound_silence(int fd, int milliseconds)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds) != 0)
		return -errno;
	return clinux_stream_keep_alive(fd);
}

int clinux_stream_is_silent(int fd)
{
	enum { IN_A_ROW = 3 };
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t length = sizeof info;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
		return 0;
	/* Both counts begin anew with each answer: of data sent again, and of questions to a peer that takes nothing. */
	return info.tcpi_retransmits >= IN_A_ROW || info.tcpi_probes >= IN_A_ROW;
}
