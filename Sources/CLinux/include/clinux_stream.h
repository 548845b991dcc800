/* clinux_stream.h: TCP connections that carry many pieces at a time. C because the addresses' two families are one union, and
 * because the options' headers are left out of the Glibc module. */
#ifndef CLINUX_STREAM_H
#define CLINUX_STREAM_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Nonblocking, close-on-exec sockets without Nagle's delay. A descriptor or -errno; -EINVAL when the host is not numeric. */
int clinux_stream_listen(const char *host, uint16_t *port); /* port: 0 on the way in is a free one, on the way out the one taken */
int clinux_stream_accept(int fd);
int clinux_stream_connect(const char *host, uint16_t port); /* under way: writable when it is over, see clinux_socket_error */

/* Never blocks, never raises SIGPIPE. Bytes sent, or -errno. */
ssize_t clinux_stream_send(int fd, const struct iovec *parts, int count);
/* Never blocks. Bytes received, 0 at the end, or -errno. */
ssize_t clinux_stream_receive(int fd, const struct iovec *parts, int count);

/* Has the kernel ask a peer's host to which nothing is said whether it is there, and end the connection when it does not answer
 * for about 3 s. 0 or -errno. */
int clinux_stream_keep_alive(int fd);
/* Also has it give the peer up when what was sent is not acknowledged for so long, or not taken: a peer that is alive and reads nothing
 * is given up, too. 0 or -errno. */
int clinux_stream_bound_silence(int fd, int milliseconds);
/* Whether the peer's host has answered nothing to three packets in a row that the kernel sent again, which takes about 1.5 s. The
 * host of a peer that reads nothing answers. */
int clinux_stream_is_silent(int fd);
#endif
