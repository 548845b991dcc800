#include "report_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
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

/* A full backlog makes connect(2) wait, and poll(2) cannot see that: SO_SNDTIMEO bounds it, and send(2) too. */
static bool bound_sending(int fd, uint64_t deadline_ns)
{
	uint64_t left_us = fallow_left_ns(deadline_ns) / 1000u;
	struct timeval left = {(time_t)(left_us / 1000000u), (suseconds_t)(left_us % 1000000u)};
	if (left_us == 0) /* zero would mean "for ever" */
		return false;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) == 0;
}

static enum fallow_answer connect_until(int fd, const char *path, uint64_t deadline_ns, char *why)
{
	struct sockaddr_un address;
	if (!address_of(path, &address))
		return end(FALLOW_ANSWER_ABSENT, why, "the socket's path is too long", 0);
	for (;;) {
		if (!bound_sending(fd, deadline_ns))
			return end(FALLOW_ANSWER_HUNG, why, "the agent took no connection", 0);
		if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
			return FALLOW_ANSWER_VALID;
		if (errno != EINTR && errno != EAGAIN)
			return end(FALLOW_ANSWER_ABSENT, why, "no agent listens", errno);
	}
}

/* The one who listens must be root, or ourselves: nobody else may tell a job to start. */
static bool peer_is_trusted(int fd)
{
	struct ucred peer = {0, (uid_t)-1, (gid_t)-1};
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static enum fallow_answer send_until(int fd, const struct fallow_report_request *request, uint64_t deadline_ns,
				     char *why)
{
	for (;;) {
		if (!bound_sending(fd, deadline_ns))
			return end(FALLOW_ANSWER_HUNG, why, "the agent took no report", 0);
		ssize_t sent = send(fd, request, sizeof *request, MSG_NOSIGNAL);
		if (sent == (ssize_t)sizeof *request)
			return FALLOW_ANSWER_VALID;
		if (sent < 0 && errno != EINTR && errno != EAGAIN)
			return end(FALLOW_ANSWER_ABSENT, why, "the agent went away", errno);
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

static enum fallow_answer receive_until(int fd, struct fallow_report_reply *reply, uint64_t deadline_ns, char *why)
{
	uint64_t look_until_ns = fallow_now_ns() + LOOK_NS;
	for (;;) {
		ssize_t size = recv(fd, reply, sizeof *reply, MSG_DONTWAIT | MSG_TRUNC);
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

enum fallow_answer fallow_report_ask(const char *socket_path, const struct fallow_report_request *request,
				     uint64_t deadline_ns, struct fallow_report_reply *reply, char why[FALLOW_WHY_MAX])
{
	why[0] = '\0';
	memset(reply, 0, sizeof *reply);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return end(FALLOW_ANSWER_ABSENT, why, "no socket can be made", errno);
	enum fallow_answer answer = connect_until(fd, socket_path, deadline_ns, why);
	if (answer == FALLOW_ANSWER_VALID && !peer_is_trusted(fd))
		answer = end(FALLOW_ANSWER_GARBLED, why, "the one who listens is not root", 0);
	if (answer == FALLOW_ANSWER_VALID)
		answer = send_until(fd, request, deadline_ns, why);
	if (answer == FALLOW_ANSWER_VALID)
		answer = receive_until(fd, reply, deadline_ns, why);
	close(fd);
	return answer;
}

bool fallow_report_post(const char *socket_path, const struct fallow_report_request *request)
{
	struct sockaddr_un address;
	if (!address_of(socket_path, &address))
		return false;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool sent = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 && peer_is_trusted(fd) &&
		    send(fd, request, sizeof *request, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *request;
	close(fd);
	return sent;
}
