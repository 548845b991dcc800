/* A request and its reply over ZeroMQ (REQ and REP, ipc). Usage: zmq_echo [rounds] [bytes]. Both sides block. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <string.h>
#include <sys/wait.h>
#include <zmq.h>

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 2000, warm = rounds / 10;
	size_t bytes = argc > 2 ? (size_t)atol(argv[2]) : 64;
	char folder[] = "/tmp/fallow-bench-XXXXXX", address[64], *memory = calloc(1, bytes + 1);
	if (!mkdtemp(folder))
		return perror("mkdtemp"), 1;
	snprintf(address, sizeof address, "ipc://%s/socket", folder);
	if (fork() == 0) {
		pin_server();
		void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_REP);
		if (zmq_bind(socket, address) != 0)
			return perror("zmq_bind"), 1;
		for (int n = 0; n < warm + rounds; n++)
			if (zmq_recv(socket, memory, bytes, 0) != (int)bytes || zmq_send(socket, memory, bytes, 0) != (int)bytes)
				_exit(1);
		zmq_close(socket);
		zmq_ctx_term(context);
		_exit(0);
	}
	pin_client();
	void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_REQ);
	if (zmq_connect(socket, address) != 0)
		return perror("zmq_connect"), 1;
#define ROUND do { \
	if (zmq_send(socket, memory, bytes, 0) != (int)bytes || zmq_recv(socket, memory, bytes, 0) != (int)bytes) \
		return perror("zmq"), 1; \
} while (0)
	for (int n = 0; n < warm; n++)
		ROUND;
	MEASURE_LONG(rounds, (void)0, ROUND);
	zmq_close(socket);
	zmq_ctx_term(context);
	wait(NULL);
	snprintf(address, sizeof address, "%s/socket", folder);
	unlink(address);
	rmdir(folder);
	return 0;
}
