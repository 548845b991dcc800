#include "report_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "deadline.h"
#include "text.h"

static bool address_of(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	return fallow_text_copy(address->sun_path, sizeof address->sun_path, path);
}

static enum fallow_answer end(enum fallow_answer answer, char *why, const char *what, int error)
{
	snprintf(why, FALLOW_WHY_MAX, "%s%s%s", what, error ? ": " : "", error ? strerror(error) : "");
	return answer;
}

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* A full queue makes the sender wait: SO_SNDTIMEO bounds it. */
static bool bound_sending(int fd, uint64_t deadline_ns)
{
	uint64_t left_us = fallow_left_ns(deadline_ns) / 1000u;
	struct timeval left = {(time_t)(left_us / 1000000u), (suseconds_t)(left_us % 1000000u)};
	if (left_us == 0) /* zero would mean "for ever" */
		return false;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) == 0;
}

/* Whose socket it is must be root, or ourselves: nobody else is told anything of a job. One that is not there is nobody's. */
static bool owner_is_trusted(const char *path)
{
	struct stat file;
	return stat(path, &file) != 0 || is_trusted(file.st_uid);
}

/* A record, and with it the end on which the answer is to come; -1: none is wanted. One message, so that the agent is woken
 * once: it runs before ordinary threads, and each time it is woken on the step's own CPU the step stands still. */
static ssize_t send_record(int fd, const struct sockaddr_un *to, const struct fallow_report_request *request, int reply_end,
			   int flags)
{
	struct iovec part = {(void *)request, sizeof *request};
	union {
		struct cmsghdr header; /* for alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr message = {
	    .msg_name = (void *)to, .msg_namelen = sizeof *to, .msg_iov = &part, .msg_iovlen = 1};
	if (reply_end >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &reply_end, sizeof reply_end);
	}
	return sendmsg(fd, &message, flags | MSG_NOSIGNAL);
}

static enum fallow_answer send_until(int fd, const char *path, const struct fallow_report_request *request, int reply_end,
				     uint64_t deadline_ns, char *why)
{
	struct sockaddr_un address;
	if (!address_of(path, &address))
		return end(FALLOW_ANSWER_ABSENT, why, "the socket's path is too long", 0);
	for (;;) {
		if (!bound_sending(fd, deadline_ns))
			return end(FALLOW_ANSWER_HUNG, why, "the agent took no report", 0);
		if (send_record(fd, &address, request, reply_end, 0) == (ssize_t)sizeof *request)
			return FALLOW_ANSWER_VALID;
		if (errno == EPROTOTYPE) /* it takes connections, as agents did before */
			return end(FALLOW_ANSWER_GARBLED, why, "the agent is of another release; install one release of both", 0);
		if (errno != EINTR && errno != EAGAIN)
			return end(FALLOW_ANSWER_ABSENT, why, "no agent listens", errno);
	}
}

static enum fallow_answer check(const struct fallow_report_reply *reply, ssize_t size, char *why)
{
	if (size == 0)
		return end(FALLOW_ANSWER_ABSENT, why, "the agent closed without an answer", 0);
	if (size != (ssize_t)sizeof *reply)
		return end(FALLOW_ANSWER_GARBLED, why, "the answer has the wrong size", 0);
	if (reply->magic != FALLOW_REPORT_MAGIC)
		return end(FALLOW_ANSWER_GARBLED, why, "the answer is not an agent's", 0);
	if (reply->version != FALLOW_REPORT_VERSION)
		return end(FALLOW_ANSWER_GARBLED, why, "the agent speaks another version; install one release of both", 0);
	if (memchr(reply->message, '\0', sizeof reply->message) == NULL)
		return end(FALLOW_ANSWER_GARBLED, why, "the answer's message has no end", 0);
	if (reply->status != FALLOW_REPLY_OK && reply->status != FALLOW_REPLY_STUCK &&
	    reply->status != FALLOW_REPLY_INVALID)
		return end(FALLOW_ANSWER_GARBLED, why, "the answer's status is unknown", 0);
	return FALLOW_ANSWER_VALID;
}

/* A healthy agent answers within some tens of microseconds: looking for so long costs less than being woken. */
#define LOOK_NS 200000u

/* Receives what is there. - Returns as recv(2) does; *uid is whose answer it is, as the kernel says. */
static ssize_t receive_reply(int fd, struct fallow_report_reply *reply, uid_t *uid)
{
	struct iovec part = {reply, sizeof *reply};
	union {
		struct cmsghdr header; /* for alignment */
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 8)];
	} control;
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	*uid = (uid_t)-1;
	if (size < 0)
		return size;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_CREDENTIALS) {
			struct ucred sender;
			memcpy(&sender, CMSG_DATA(header), sizeof sender);
			*uid = sender.uid;
		} else if (header->cmsg_type == SCM_RIGHTS) { /* no agent sends any */
			size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count; i++) {
				int sent;
				memcpy(&sent, CMSG_DATA(header) + i * sizeof sent, sizeof sent);
				close(sent);
			}
		}
	}
	return size;
}

static enum fallow_answer receive_until(int fd, struct fallow_report_reply *reply, uint64_t deadline_ns, char *why)
{
	uint64_t look_until_ns = fallow_now_ns() + LOOK_NS;
	for (;;) {
		uid_t uid;
		ssize_t size = receive_reply(fd, reply, &uid);
		if (size > 0 && !is_trusted(uid))
			return end(FALLOW_ANSWER_GARBLED, why, "the one who answers is not root", 0);
		if (size >= 0)
			return check(reply, size, why);
		if (errno != EINTR && errno != EAGAIN)
			return end(FALLOW_ANSWER_ABSENT, why, "the agent went away", errno);
		uint64_t left = fallow_left_ns(deadline_ns);
		if (left == 0)
			return end(FALLOW_ANSWER_HUNG, why, "the agent did not answer", 0);
		if (fallow_left_ns(look_until_ns) > 0)
			continue;
		struct pollfd waiting = {.fd = fd, .events = POLLIN};
		struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
		ppoll(&waiting, 1, &timeout, NULL); /* whatever ended it, the loop's head sees */
	}
}

/* Two ends for one answer: ours says who wrote what comes. */
static bool make_ends(int ends[2])
{
	int yes = 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) == 0)
		return true;
	close(ends[0]);
	close(ends[1]);
	return false;
}

enum fallow_answer fallow_report_ask(const char *socket_path, const struct fallow_report_request *request,
				     uint64_t deadline_ns, struct fallow_report_reply *reply, char why[FALLOW_WHY_MAX])
{
	int ends[2];
	why[0] = '\0';
	memset(reply, 0, sizeof *reply);
	if (!owner_is_trusted(socket_path))
		return end(FALLOW_ANSWER_GARBLED, why, "the one who listens is not root", 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return end(FALLOW_ANSWER_ABSENT, why, "no socket can be made", errno);
	if (!make_ends(ends)) {
		close(fd);
		return end(FALLOW_ANSWER_ABSENT, why, "no socket can be made", errno);
	}
	enum fallow_answer answer = send_until(fd, socket_path, request, ends[1], deadline_ns, why);
	close(fd);
	close(ends[1]); /* the agent's is the last: its end is seen here */
	if (answer == FALLOW_ANSWER_VALID)
		answer = receive_until(ends[0], reply, deadline_ns, why);
	close(ends[0]);
	return answer;
}

bool fallow_report_post(const char *socket_path, const struct fallow_report_request *request, unsigned wait_ms)
{
	struct sockaddr_un address;
	if (!address_of(socket_path, &address) || !owner_is_trusted(socket_path))
		return false;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	uint64_t deadline_ns = fallow_deadline_ns(wait_ms);
	ssize_t sent;
	do
		sent = send_record(fd, &address, request, -1, bound_sending(fd, deadline_ns) ? 0 : MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	close(fd);
	return sent == (ssize_t)sizeof *request;
}
