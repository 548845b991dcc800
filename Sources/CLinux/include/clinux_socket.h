/* clinux_socket.h: Unix sockets: descriptors in messages, peer credentials. C because control messages are walked
 * with macros (CMSG_*) that Swift cannot call, and struct ucred is hidden behind _GNU_SOURCE. */
#ifndef CLINUX_SOCKET_H
#define CLINUX_SOCKET_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	CLINUX_SOCKET_STREAM = 1,
	CLINUX_SOCKET_SEQPACKET = 2,
	CLINUX_SOCKET_DATAGRAM = 3,
	CLINUX_MAX_DESCRIPTORS = 64, /* in one message; the kernel's own limit is 253 */
	CLINUX_MAX_PATH = 107        /* sun_path without its terminating zero */
};

/* Nonblocking, close-on-exec sockets. A descriptor, 0, or -errno. The path is not checked: at most CLINUX_MAX_PATH. */
int clinux_socket_create(int type);
int clinux_socket_bind(int fd, const char *path);
int clinux_socket_listen(int fd, int backlog);
int clinux_socket_connect(int fd, const char *path);
int clinux_socket_accept(int fd);
int clinux_socket_pair(int type, int out[2]);
int clinux_socket_error(int fd); /* SO_ERROR as -errno */
int clinux_socket_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid);
/* From now on each message tells who sent it (SO_PASSCRED). */
int clinux_socket_ask_senders(int fd);

/* Never blocks, never raises SIGPIPE. Bytes sent or -errno. Descriptors are duplicated into the message. */
ssize_t clinux_socket_send(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);

struct clinux_received {
	size_t descriptor_count;  /* stored in descriptors, close-on-exec, owned by the caller */
	int descriptors_lost;     /* the message carried more than fitted: those were closed by the kernel */
	int bytes_lost;           /* a packet was longer than the buffer */
	int has_sender;           /* pid, uid and gid are the sender's, as the kernel says; after clinux_socket_ask_senders */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int descriptors[CLINUX_MAX_DESCRIPTORS];
};
/* Never blocks. Bytes received, 0 at the end, or -errno. */
ssize_t clinux_socket_receive(int fd, void *bytes, size_t capacity, struct clinux_received *received);
#endif
