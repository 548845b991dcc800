#include "clinux_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int checked(int result)
{
	return result < 0 ? -errno : result;
}

static int kind(int type)
{
	int kinds[] = {[CLINUX_SOCKET_STREAM] = SOCK_STREAM,
		       [CLINUX_SOCKET_SEQPACKET] = SOCK_SEQPACKET,
		       [CLINUX_SOCKET_DATAGRAM] = SOCK_DGRAM};
	return kinds[type] | SOCK_NONBLOCK | SOCK_CLOEXEC;
}

static socklen_t address(struct sockaddr_un *out, const char *path)
{
	memset(out, 0, sizeof *out);
	out->sun_family = AF_UNIX;
	strncpy(out->sun_path, path, sizeof out->sun_path - 1);
	return sizeof *out;
}

int clinux_socket_create(int type)
{
	return checked(socket(AF_UNIX, kind(type), 0));
}

int clinux_socket_bind(int fd, const char *path)
{
	struct sockaddr_un name;
	socklen_t length = address(&name, path);
	return checked(bind(fd, (struct sockaddr *)&name, length));
}

int clinux_socket_listen(int fd, int backlog)
{
	return checked(listen(fd, backlog));
}

int clinux_socket_connect(int fd, const char *path)
{
	struct sockaddr_un name;
	socklen_t length = address(&name, path);
	return checked(connect(fd, (struct sockaddr *)&name, length));
}

int clinux_socket_accept(int fd)
{
	return checked(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int clinux_socket_pair(int type, int out[2])
{
	return checked(socketpair(AF_UNIX, kind(type), 0, out));
}

int clinux_socket_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

int clinux_socket_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	*pid = peer.pid;
	*uid = peer.uid;
	*gid = peer.gid;
	return 0;
}

int clinux_socket_ask_senders(int fd)
{
	int yes = 1;
	return checked(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
}

union control {
	struct cmsghdr header; /* for alignment */
	char bytes[CMSG_SPACE(sizeof(int) * CLINUX_MAX_DESCRIPTORS) + CMSG_SPACE(sizeof(struct ucred))];
};

ssize_t clinux_socket_send(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count)
{
	struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union control control;
	if (descriptor_count > CLINUX_MAX_DESCRIPTORS)
		return -E2BIG;
	if (descriptor_count > 0) {
		memset(&control, 0, sizeof control);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
		memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void take_sender(struct cmsghdr *header, struct clinux_received *received)
{
	struct ucred sender;
	memcpy(&sender, CMSG_DATA(header), sizeof sender);
	received->has_sender = 1;
	received->pid = sender.pid;
	received->uid = sender.uid;
	received->gid = sender.gid;
}

ssize_t clinux_socket_receive(int fd, void *bytes, size_t capacity, struct clinux_received *received)
{
	struct iovec part = {.iov_base = bytes, .iov_len = capacity};
	union control control;
	struct msghdr message;
	ssize_t count;
	do {
		memset(&message, 0, sizeof message);
		message.msg_iov = &part;
		message.msg_iovlen = 1;
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		count = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (count < 0 && errno == EINTR);
	received->descriptor_count = 0;
	received->descriptors_lost = 0;
	received->bytes_lost = 0;
	received->has_sender = 0;
	if (count < 0)
		return -errno;
	received->descriptors_lost = (message.msg_flags & MSG_CTRUNC) != 0;
	received->bytes_lost = (message.msg_flags & MSG_TRUNC) != 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS)
			take_sender(header, received);
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t number = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t index = 0; index < number; index++) {
			int descriptor;
			memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
			if (received->descriptor_count < CLINUX_MAX_DESCRIPTORS)
				received->descriptors[received->descriptor_count++] = descriptor;
			else {
				close(descriptor);
				received->descriptors_lost = 1;
			}
		}
	}
	return count;
}
