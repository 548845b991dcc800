/* transfer.c: read, write and their kin, by vectors. Ranges of ours are held while the kernel works on them, so many bytes at a time;
 * what is longer goes in steps, as far as the kind of file allows. */
#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload.h"

enum { PIECES = 64 };

struct call {
	ssize_t (*go)(const struct call *call, const struct iovec *pieces, int count);
	int descriptor, flags;
	off_t offset; /* -1: where the file stands */
	bool is_write;
	struct sockaddr *address;
	socklen_t address_length, *address_room;
};

static bool any_ours(const struct iovec *pieces, int count)
{
	for (int i = 0; i < count; i++)
		if (preload_is_ours(pieces[i].iov_base, pieces[i].iov_len))
			return true;
	return false;
}

/* Whether a transfer may be done in several system calls. */
static bool may_go_on(const struct call *call)
{
	struct stat status;
	if (fstat(call->descriptor, &status) != 0)
		return false;
	if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))
		return true;
	if (S_ISSOCK(status.st_mode)) {
		int type = 0;
		socklen_t length = sizeof type;
		if (getsockopt(call->descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM)
			return false;
	}
	return call->is_write || (call->flags & MSG_WAITALL);
}

/* One system call on the first bytes from `at` in piece `index` on. *asked is how many. */
static ssize_t step(struct call *call, const struct iovec *pieces, int count, int index, size_t at, size_t most, size_t *asked)
{
	struct iovec some[PIECES];
	struct hold holds[PIECES];
	int used = 0;
	ssize_t done = -1;
	*asked = 0;
	for (; index < count && used < PIECES && *asked < most; index++, at = 0) {
		size_t length = pieces[index].iov_len - at;
		length = length < most - *asked ? length : most - *asked;
		some[used] = (struct iovec){(char *)pieces[index].iov_base + at, length};
		if (preload_hold(&holds[used], some[used].iov_base, length, !call->is_write) != 0)
			break;
		*asked += length;
		used++;
	}
	/* A part that could be held is a short transfer. */
	if (used > 0)
		done = call->go(call, some, used);
	while (used > 0)
		preload_let_go(&holds[--used]);
	return done;
}

static ssize_t transfer(struct call *call, const struct iovec *pieces, int count)
{
	size_t total = 0, at = 0;
	int index = 0;
	while (index < count) {
		size_t asked;
		ssize_t done = step(call, pieces, count, index, at, preload_arena.hold_most, &asked);
		if (done < 0)
			return total > 0 ? (ssize_t)total : -1;
		total += (size_t)done;
		if ((size_t)done < asked)
			return (ssize_t)total;
		for (size_t left = (size_t)done; index < count;) {
			size_t here = pieces[index].iov_len - at;
			if (left < here) {
				at += left;
				break;
			}
			left -= here;
			index++;
			at = 0;
		}
		if (call->offset >= 0)
			call->offset += done;
		if (index < count && !may_go_on(call))
			return (ssize_t)total;
	}
	return (ssize_t)total;
}

static ssize_t go_file(const struct call *call, const struct iovec *pieces, int count)
{
	if (call->offset < 0 && call->flags == 0)
		return call->is_write ? LIBC(writev)(call->descriptor, pieces, count) : LIBC(readv)(call->descriptor, pieces, count);
	return call->is_write ? LIBC(pwritev2)(call->descriptor, pieces, count, call->offset, call->flags)
			      : LIBC(preadv2)(call->descriptor, pieces, count, call->offset, call->flags);
}

static ssize_t go_socket(const struct call *call, const struct iovec *pieces, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count,
				 .msg_name = call->address, .msg_namelen = call->address_length};
	if (call->is_write)
		return LIBC(sendmsg)(call->descriptor, &message, call->flags);
	if (call->address_room != NULL)
		message.msg_namelen = *call->address_room;
	ssize_t done = LIBC(recvmsg)(call->descriptor, &message, call->flags);
	if (done >= 0 && call->address_room != NULL)
		*call->address_room = message.msg_namelen;
	return done;
}

static ssize_t of_file(int descriptor, void *buffer, size_t length, off_t offset, bool is_write)
{
	struct call call = {.go = go_file, .descriptor = descriptor, .offset = offset, .is_write = is_write};
	struct iovec one = {buffer, length > 0x7ffff000 ? 0x7ffff000 : length};
	return transfer(&call, &one, 1);
}

static ssize_t of_vector(int descriptor, const struct iovec *pieces, int count, off_t offset, int flags, bool is_write)
{
	struct call call = {.go = go_file, .descriptor = descriptor, .offset = offset, .flags = flags, .is_write = is_write};
	return transfer(&call, pieces, count);
}

static void *writable(const void *buffer)
{
	return (void *)(uintptr_t)buffer;
}

EXPORT ssize_t read(int descriptor, void *buffer, size_t length)
{
	return preload_is_ours(buffer, length) ? of_file(descriptor, buffer, length, -1, false) : LIBC(read)(descriptor, buffer, length);
}

EXPORT ssize_t write(int descriptor, const void *buffer, size_t length)
{
	return preload_is_ours(buffer, length) ? of_file(descriptor, writable(buffer), length, -1, true)
					       : LIBC(write)(descriptor, buffer, length);
}

static ssize_t invalid(void)
{
	errno = EINVAL;
	return -1;
}

EXPORT ssize_t pread(int descriptor, void *buffer, size_t length, off_t offset)
{
	if (!preload_is_ours(buffer, length))
		return LIBC(pread)(descriptor, buffer, length, offset);
	return offset < 0 ? invalid() : of_file(descriptor, buffer, length, offset, false);
}

EXPORT ssize_t pwrite(int descriptor, const void *buffer, size_t length, off_t offset)
{
	if (!preload_is_ours(buffer, length))
		return LIBC(pwrite)(descriptor, buffer, length, offset);
	return offset < 0 ? invalid() : of_file(descriptor, writable(buffer), length, offset, true);
}

EXPORT ssize_t readv(int descriptor, const struct iovec *pieces, int count)
{
	return any_ours(pieces, count) ? of_vector(descriptor, pieces, count, -1, 0, false) : LIBC(readv)(descriptor, pieces, count);
}

EXPORT ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
	return any_ours(pieces, count) ? of_vector(descriptor, pieces, count, -1, 0, true) : LIBC(writev)(descriptor, pieces, count);
}

EXPORT ssize_t preadv(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
	if (!any_ours(pieces, count))
		return LIBC(preadv)(descriptor, pieces, count, offset);
	return offset < 0 ? invalid() : of_vector(descriptor, pieces, count, offset, 0, false);
}

EXPORT ssize_t pwritev(int descriptor, const struct iovec *pieces, int count, off_t offset)
{
	if (!any_ours(pieces, count))
		return LIBC(pwritev)(descriptor, pieces, count, offset);
	return offset < 0 ? invalid() : of_vector(descriptor, pieces, count, offset, 0, true);
}

EXPORT ssize_t preadv2(int descriptor, const struct iovec *pieces, int count, off_t offset, int flags)
{
	return any_ours(pieces, count) ? of_vector(descriptor, pieces, count, offset, flags, false)
				       : LIBC(preadv2)(descriptor, pieces, count, offset, flags);
}

EXPORT ssize_t pwritev2(int descriptor, const struct iovec *pieces, int count, off_t offset, int flags)
{
	return any_ours(pieces, count) ? of_vector(descriptor, pieces, count, offset, flags, true)
				       : LIBC(pwritev2)(descriptor, pieces, count, offset, flags);
}

static ssize_t of_socket(int descriptor, void *buffer, size_t length, int flags, bool is_write, struct sockaddr *address,
			 socklen_t address_length, socklen_t *address_room)
{
	struct call call = {.go = go_socket, .descriptor = descriptor, .flags = flags, .offset = -1, .is_write = is_write,
			    .address = address, .address_length = address_length, .address_room = address_room};
	struct iovec one = {buffer, length};
	return transfer(&call, &one, 1);
}

EXPORT ssize_t send(int descriptor, const void *buffer, size_t length, int flags)
{
	return preload_is_ours(buffer, length) ? of_socket(descriptor, writable(buffer), length, flags, true, NULL, 0, NULL)
					       : LIBC(send)(descriptor, buffer, length, flags);
}

EXPORT ssize_t recv(int descriptor, void *buffer, size_t length, int flags)
{
	return preload_is_ours(buffer, length) ? of_socket(descriptor, buffer, length, flags, false, NULL, 0, NULL)
					       : LIBC(recv)(descriptor, buffer, length, flags);
}

EXPORT ssize_t sendto(int descriptor, const void *buffer, size_t length, int flags, const struct sockaddr *address,
		      socklen_t address_length)
{
	if (!preload_is_ours(buffer, length))
		return LIBC(sendto)(descriptor, buffer, length, flags, address, address_length);
	return of_socket(descriptor, writable(buffer), length, flags, true, writable(address), address_length, NULL);
}

EXPORT ssize_t recvfrom(int descriptor, void *restrict buffer, size_t length, int flags, struct sockaddr *restrict address,
			socklen_t *restrict address_length)
{
	if (!preload_is_ours(buffer, length))
		return LIBC(recvfrom)(descriptor, buffer, length, flags, address, address_length);
	return of_socket(descriptor, buffer, length, flags, false, address, 0, address != NULL ? address_length : NULL);
}

/* A message with names or control data goes in one call; it holds at most as much as is held at a time. */
static ssize_t message(int descriptor, struct msghdr *whole, int flags, bool is_write)
{
	struct hold holds[PIECES];
	size_t total = 0;
	int used = 0;
	ssize_t done = -1;
	for (size_t i = 0; i < whole->msg_iovlen; i++)
		total += preload_is_ours(whole->msg_iov[i].iov_base, 1) ? whole->msg_iov[i].iov_len : 0;
	if (total > preload_arena.hold_most || whole->msg_iovlen > PIECES) {
		errno = EMSGSIZE;
		return -1;
	}
	for (; used < (int)whole->msg_iovlen; used++)
		if (preload_hold(&holds[used], whole->msg_iov[used].iov_base, whole->msg_iov[used].iov_len, !is_write) != 0)
			break;
	if (used == (int)whole->msg_iovlen)
		done = is_write ? LIBC(sendmsg)(descriptor, whole, flags) : LIBC(recvmsg)(descriptor, whole, flags);
	while (used > 0)
		preload_let_go(&holds[--used]);
	return done;
}

static bool is_message_ours(const struct msghdr *whole)
{
	return any_ours(whole->msg_iov, whole->msg_iovlen > INT32_MAX ? INT32_MAX : (int)whole->msg_iovlen);
}

EXPORT ssize_t sendmsg(int descriptor, const struct msghdr *whole, int flags)
{
	return is_message_ours(whole) ? message(descriptor, writable(whole), flags, true) : LIBC(sendmsg)(descriptor, whole, flags);
}

EXPORT ssize_t recvmsg(int descriptor, struct msghdr *whole, int flags)
{
	return is_message_ours(whole) ? message(descriptor, whole, flags, false) : LIBC(recvmsg)(descriptor, whole, flags);
}

static ssize_t go_random(const struct call *call, const struct iovec *pieces, int count)
{
	(void)count;
	return LIBC(getrandom)(pieces[0].iov_base, pieces[0].iov_len, (unsigned)call->flags);
}

EXPORT ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
	if (!preload_is_ours(buffer, length))
		return LIBC(getrandom)(buffer, length, flags);
	struct call call = {.go = go_random, .descriptor = -1, .offset = -1, .flags = (int)flags};
	struct iovec one = {buffer, length};
	return transfer(&call, &one, 1);
}

EXPORT ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
EXPORT ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
EXPORT ssize_t preadv64(int, const struct iovec *, int, off_t) __attribute__((alias("preadv")));
EXPORT ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));
EXPORT ssize_t preadv64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("preadv2")));
EXPORT ssize_t pwritev64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("pwritev2")));

/* What programs call that were built with _FORTIFY_SOURCE; the check itself is the C library's. */
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);

EXPORT ssize_t __read_chk(int descriptor, void *buffer, size_t length, size_t room)
{
	return length <= room && preload_is_ours(buffer, length) ? read(descriptor, buffer, length)
								 : LIBC(__read_chk)(descriptor, buffer, length, room);
}

EXPORT ssize_t __pread_chk(int descriptor, void *buffer, size_t length, off_t offset, size_t room)
{
	return length <= room && preload_is_ours(buffer, length) ? pread(descriptor, buffer, length, offset)
								 : LIBC(__pread_chk)(descriptor, buffer, length, offset, room);
}

EXPORT ssize_t __pread64_chk(int, void *, size_t, off_t, size_t) __attribute__((alias("__pread_chk")));

EXPORT ssize_t __recv_chk(int descriptor, void *buffer, size_t length, size_t room, int flags)
{
	return length <= room && preload_is_ours(buffer, length) ? recv(descriptor, buffer, length, flags)
								 : LIBC(__recv_chk)(descriptor, buffer, length, room, flags);
}

EXPORT ssize_t __recvfrom_chk(int descriptor, void *buffer, size_t length, size_t room, int flags, struct sockaddr *address,
			      socklen_t *address_length)
{
	return length <= room && preload_is_ours(buffer, length)
		       ? recvfrom(descriptor, buffer, length, flags, address, address_length)
		       : LIBC(__recvfrom_chk)(descriptor, buffer, length, room, flags, address, address_length);
}
