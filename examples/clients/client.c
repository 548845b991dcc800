/* client.c: lease a core somewhere in the cluster, and have a function run there.
 * Build: cc -o client client.c -lfallow        Run: ./client ../functions/text.so */
#include <fallow.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *what, int code)
{
	fprintf(stderr, "client: %s: %s (%s)\n", what, fallow_message(), fallow_code_name(code));
	return 1;
}

int main(int argc, char **argv)
{
	fallow_client *client;
	fallow_lease *lease;
	int code;

	if (argc != 2) {
		fprintf(stderr, "usage: client LIBRARY, such as ../functions/text.so\n");
		return 2;
	}
	/* NULL: this node's agent. It finds the capacity, here or on another node. */
	if ((code = fallow_connect(NULL, &client)) != FALLOW_OK)
		return failed("connect", code);

	struct fallow_lease_options options = FALLOW_LEASE_OPTIONS;
	options.cpus = 1;
	options.memory = 256u << 20;
	options.term_seconds = 60;
	options.wait_seconds = 10;
	options.buffers = 1 << 20; /* for calls that copy nothing, below */
	if ((code = fallow_lease_open(client, argv[1], &options, &lease)) != FALLOW_OK)
		return failed("lease", code);

	struct fallow_lease_info info = { .size = sizeof info };
	fallow_lease_describe(lease, &info);
	printf("lease %s: %u core on %s over %s\n", info.id, info.cpus, info.node, info.transport);

	const char *text = "fallow";
	char result[64];
	size_t size = sizeof result;
	code = fallow_invoke(lease, "reverse", text, strlen(text), result, &size, NULL, 5.0);
	if (code == FALLOW_NOT_STARTED || code == FALLOW_LEASE_ENDED)
		fprintf(stderr, "client: the cores were taken back; a new lease could be had, and the call made again\n");
	if (code != FALLOW_OK)
		return failed("invoke", code);
	printf("reverse(%s) = %.*s\n", text, (int)size, result);

	/* The same in a buffer: on the same node the function reads and writes it in place. */
	char *buffer;
	if ((code = fallow_buffer_alloc(lease, 4096, (void **)&buffer)) != FALLOW_OK)
		return failed("buffer", code);
	strcpy(buffer, "in place");
	size = 2048;
	code = fallow_invoke_buffers(lease, "reverse", buffer, strlen(buffer), buffer + 2048, &size, NULL, 5.0);
	if (code != FALLOW_OK)
		return failed("invoke", code);
	printf("reverse(%s) = %.*s\n", buffer, (int)size, buffer + 2048);
	fallow_buffer_free(buffer);

	fallow_lease_close(lease); /* gives the core back; the end of this process would, too */
	fallow_close(client);
	return 0;
}
