/* functions.c: functions for the integration tests, well-behaved and otherwise. */
#include "beats.h"
#include <errno.h>
#include <fallow.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

FALLOW_LIBRARY;

static void path_of(const struct fallow_call *call, char path[512])
{
	size_t size = call->input_size < 511 ? call->input_size : 511;
	memcpy(path, call->input, size);
	path[size] = 0;
}

static int32_t say(const struct fallow_call *call, const char *text)
{
	*call->output_size = strlen(text);
	if (*call->output_size <= call->output_capacity)
		memcpy(call->output, text, *call->output_size);
	return 0;
}

int32_t echo(const struct fallow_call *call)
{
	*call->output_size = call->input_size;
	if (call->input_size <= call->output_capacity)
		memcpy(call->output, call->input, call->input_size);
	return 0;
}

/* Every byte one more than it came, so that a reply cannot be the request's own bytes. */
int32_t increment(const struct fallow_call *call)
{
	const unsigned char *from = call->input;
	unsigned char *to = call->output;
	*call->output_size = call->input_size;
	for (size_t i = 0; i < call->input_size && i < call->output_capacity; i++)
		to[i] = (unsigned char)(from[i] + 1);
	return 7;
}

int32_t seven(const struct fallow_call *call)
{
	(void)call;
	return 7;
}

/* Computes until it is killed, and beats meanwhile into the file of the given path. */
int32_t burn(const struct fallow_call *call)
{
	char path[512];
	path_of(call, path);
	struct beat *beat = beats_join(path);
	if (!beat)
		return errno;
	for (;;)
		beats_beat(beat);
}

/* The same, with a family that leaves the session and ignores the signals that ask nicely. */
int32_t burn_family(const struct fallow_call *call)
{
	/* Over verbs a forked child does not have the call's input. */
	char input[4096];
	struct fallow_call own = *call;
	if (call->input_size > sizeof input)
		return -1;
	memcpy(input, call->input, call->input_size);
	own.input = input;
	for (int child = 0; child < 3; child++) {
		if (fork() != 0)
			continue;
		setsid();
		for (int number = 1; number < 32; number++)
			signal(number, SIG_IGN);
		if (child == 0 && fork() > 0)
			_exit(0); /* the grandchild lives on as an orphan */
		break;
	}
	return burn(&own);
}

int32_t crash(const struct fallow_call *call)
{
	int *volatile nowhere = NULL;
	(void)call;
	return *nowhere;
}

int32_t leave(const struct fallow_call *call)
{
	(void)call;
	_exit(3);
}

int32_t sleep_for_ever(const struct fallow_call *call)
{
	(void)call;
	for (;;)
		pause();
}

int32_t print_gigabyte(const struct fallow_call *call)
{
	static char line[1 << 16];
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	for (int i = 0; i < 1 << 14; i++)
		if (write(1, line, sizeof line) != (ssize_t)sizeof line)
			return errno;
	return say(call, "printed");
}

/* What the function may do: each returns errno, 0 when it was allowed. */
int32_t write_file(const struct fallow_call *call)
{
	char path[512];
	path_of(call, path);
	int file = open(path, O_WRONLY | O_CREAT, 0644);
	if (file < 0)
		return errno;
	int result = write(file, "x", 1) == 1 ? 0 : errno;
	close(file);
	return result;
}

int32_t read_file(const struct fallow_call *call)
{
	char path[512], byte;
	path_of(call, path);
	int file = open(path, O_RDONLY);
	if (file < 0)
		return errno;
	int result = read(file, &byte, 1) >= 0 ? 0 : errno;
	close(file);
	return result;
}

int32_t kill_process(const struct fallow_call *call)
{
	char text[512];
	path_of(call, text);
	return kill(atoi(text), SIGKILL) == 0 ? 0 : errno;
}

int32_t become_root(const struct fallow_call *call)
{
	(void)call;
	return setuid(0) == 0 ? 0 : errno;
}

int32_t who_am_i(const struct fallow_call *call)
{
	char text[256];
	snprintf(text, sizeof text, "uid=%d euid=%d gid=%d groups=%d no_new_privs=%d", (int)getuid(), (int)geteuid(),
		 (int)getgid(), getgroups(0, NULL), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return say(call, text);
}

/* A file as text, as far as it fits. */
int32_t text_of(const struct fallow_call *call)
{
	char path[512];
	path_of(call, path);
	int file = open(path, O_RDONLY);
	if (file < 0)
		return errno;
	size_t size = 0;
	ssize_t count;
	while ((count = read(file, (char *)call->output + size, call->output_capacity - size)) > 0)
		size += (size_t)count;
	close(file);
	*call->output_size = size;
	return 0;
}

/* What it has open, and who it is to others of its user: "N -> what" a line. */
int32_t descriptors(const struct fallow_call *call)
{
	size_t size = 0;
	for (int file = 0; file < 4096; file++) {
		char path[64], target[512];
		snprintf(path, sizeof path, "/proc/self/fd/%d", file);
		ssize_t length = readlink(path, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = 0;
		int written = snprintf((char *)call->output + size, call->output_capacity - size, "%d -> %s\n", file, target);
		if (written < 0 || size + (size_t)written >= call->output_capacity)
			return ENOSPC;
		size += (size_t)written;
	}
	*call->output_size = size;
	return 0;
}

int32_t dumpable(const struct fallow_call *call)
{
	(void)call;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

/* How many processes it can have besides itself; they end at once. */
int32_t fork_many(const struct fallow_call *call)
{
	static pid_t children[4096];
	int count = 0;
	while (count < 4096 && (children[count] = fork()) >= 0)
		if (children[count++] == 0) {
			pause();
			_exit(0);
		}
	for (int i = 0; i < count; i++)
		kill(children[i], SIGKILL);
	char text[32];
	snprintf(text, sizeof text, "%d", count);
	return say(call, text);
}

int32_t eat_memory(const struct fallow_call *call)
{
	(void)call;
	for (;;) {
		char *chunk = malloc(16 << 20);
		if (!chunk)
			return ENOMEM;
		memset(chunk, 1, 16 << 20);
	}
}

int32_t open_many(const struct fallow_call *call)
{
	int count = 0;
	while (count < 100000 && open("/dev/null", O_RDONLY) >= 0)
		count++;
	char text[32];
	snprintf(text, sizeof text, "%d", count);
	return say(call, text);
}
