#include "fake_agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadline.h"

static void answer(int peer, enum manner manner)
{
	struct {
		struct fallow_report_reply reply;
		char more[64];
	} out = {.reply = {.magic = FALLOW_REPORT_MAGIC,
			   .version = FALLOW_REPORT_VERSION,
			   .status = FALLOW_REPLY_OK,
			   .lending_cpus = 2,
			   .message = "lending 2 cores",
			   .remote_mem = "asked=1G,durable"}};
	size_t size = sizeof out.reply;
	switch (manner) {
	case SLOW: fallow_pause_us(60000); break;
	case HALF: size /= 2; break;
	case LONG: size = sizeof out; break;
	case GARBAGE: memset(&out, 0xa5, sizeof out); break;
	case OTHER_MAGIC: out.reply.magic++; break;
	case OTHER_VERSION: out.reply.version++; break;
	case ENDLESS_TEXT: memset(out.reply.message, 'x', sizeof out.reply.message); break;
	case ODD_STATUS: out.reply.status = 77; break;
	case STUCK:
		out.reply.status = FALLOW_REPLY_STUCK;
		strcpy(out.reply.message, "executor 12 is in D state");
		break;
	case INVALID:
		out.reply.status = FALLOW_REPLY_INVALID;
		strcpy(out.reply.message, "unknown kind");
		break;
	default: break;
	}
	send(peer, &out, size, MSG_NOSIGNAL);
}

/* Takes a record; *reply_end is where the answer goes, -1 where none is wanted. */
static bool take(int mailbox, struct fallow_report_request *record, int *reply_end)
{
	struct iovec part = {record, sizeof *record};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	ssize_t size = recvmsg(mailbox, &message, MSG_TRUNC);
	struct cmsghdr *header = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
	*reply_end = -1;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(reply_end, CMSG_DATA(header), sizeof *reply_end);
	return size == (ssize_t)sizeof *record;
}

static void serve(int mailbox, int records, enum manner manner)
{
	int kept[64], count = 0;
	for (;;) {
		struct fallow_report_request record;
		int peer;
		if (take(mailbox, &record, &peer) && write(records, &record, sizeof record) < 0)
			_exit(1);
		if (manner == HUNG) {
			kept[count++ % 64] = peer;
			continue;
		}
		if (manner != SILENT)
			answer(peer, manner);
		close(peer);
	}
	(void)kept;
}

/* Fills the queue. */
static void fill(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	while (sendto(fd, "", 1, 0, (const struct sockaddr *)address, sizeof *address) == 1)
		;
	close(fd);
}

struct fake_agent agent_start(const char *socket_path, enum manner manner)
{
	struct fake_agent agent = {0, -1};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int pipe_ends[2], ready[2];
	char byte = 0;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
	unlink(socket_path);
	if (pipe(pipe_ends) != 0 || pipe(ready) != 0)
		abort();
	fflush(NULL);
	agent.pid = fork();
	if (agent.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipe_ends[0]);
		if (manner == STRANGER) {
			char folder[sizeof address.sun_path];
			strcpy(folder, socket_path);
			*strrchr(folder, '/') = '\0';
			chmod(folder, 0777);
			if (setgid(65534) != 0 || setuid(65534) != 0)
				_exit(1);
		}
		int mailbox = socket(AF_UNIX, SOCK_DGRAM, 0);
		if (bind(mailbox, (struct sockaddr *)&address, sizeof address) != 0)
			_exit(1);
		if (manner == IMPOSTOR && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(1);
		if (manner == DEAF)
			fill(&address);
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		while (manner == DEAF)
			pause();
		serve(mailbox, pipe_ends[1], manner);
	}
	close(pipe_ends[1]);
	close(ready[1]);
	ssize_t got;
	while ((got = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
		;
	if (got != 1)
		abort();
	close(ready[0]);
	agent.records = pipe_ends[0];
	return agent;
}

void agent_stop(struct fake_agent *agent)
{
	kill(agent->pid, SIGKILL);
	waitpid(agent->pid, NULL, 0);
	close(agent->records);
}

bool agent_next(struct fake_agent *agent, struct fallow_report_request *record)
{
	struct pollfd waiting = {.fd = agent->records, .events = POLLIN};
	return poll(&waiting, 1, 1000) == 1 && read(agent->records, record, sizeof *record) == (ssize_t)sizeof *record;
}
