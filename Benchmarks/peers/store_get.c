/* Gets from Redis or memcached over TCP loopback, in their own text protocols. Usage: store_get redis|memcached PORT BYTES DEPTH
 * ROUNDS PID, which is the server's. 128 MiB of values are set first; DEPTH gets are on the way at a time, each with a buffer of its own, as
 * whoever uses what it gets has it. Prints p50_us and p99_us with a depth of 1,
 * gigabytes_per_second and donor_cpu_us_per_get, the server's CPU time, always. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static int fd, is_redis;

static void send_all(const char *bytes, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t sent = send(fd, bytes + done, count - done, 0);
		if (sent <= 0) perror("send"), exit(1);
		done += (size_t)sent;
	}
}

static void receive(char *to, size_t count)
{
	for (size_t done = 0; done < count;) {
		ssize_t got = recv(fd, to + done, count - done, 0);
		if (got <= 0) perror("recv"), exit(1);
		done += (size_t)got;
	}
}

int main(int argc, char **argv)
{
	if (argc != 7) return 2;
	is_redis = strcmp(argv[1], "redis") == 0;
	size_t bytes = (size_t)atol(argv[3]), values = (128u << 20) / bytes;
	int depth = atoi(argv[4]), rounds = atoi(argv[5]), on = 1;
	pin_client();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (connect(fd, (struct sockaddr *)&name, sizeof name) != 0) return perror("connect"), 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	size_t room = bytes + 256;
	char head[128], *value = malloc(room * (size_t)depth), *queries = malloc((size_t)depth * sizeof head);
	memset(value, 'x', room * (size_t)depth);
	for (size_t i = 0; i < values; i++) {
		size_t length = (size_t)(is_redis ? snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$8\r\nk%07zu\r\n$%zu\r\n", i, bytes)
		                                  : snprintf(head, sizeof head, "set k%07zu 0 0 %zu\r\n", i, bytes));
		send_all(head, length);
		memcpy(value + bytes, "\r\n", 2);
		send_all(value, bytes + 2);
		receive(head, is_redis ? 5 : 8);
		if (memcmp(head, is_redis ? "+OK\r\n" : "STORED\r\n", is_redis ? 5 : 8) != 0) return fprintf(stderr, "not stored\n"), 1;
	}
	/* What an answer has around its value. */
	size_t whole = bytes + (size_t)(is_redis ? snprintf(head, sizeof head, "$%zu\r\n\r\n", bytes)
	                                         : snprintf(head, sizeof head, "VALUE k0000000 0 %zu\r\n\r\nEND\r\n", bytes));
	double *took = calloc((size_t)rounds, sizeof *took), busy = cpu_us(atoi(argv[6])), begin = now_us(), start = begin;
	uint64_t state = 1;
	int asked = 0;
	for (int n = 0; n < rounds; n++) {
		size_t length = 0;
		while (asked < rounds && asked - n < depth) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			length += (size_t)sprintf(queries + length, is_redis ? "*2\r\n$3\r\nGET\r\n$8\r\nk%07zu\r\n" : "get k%07zu\r\n",
			                          (size_t)(state >> 20) % values);
			asked++;
		}
		send_all(queries, length);
		receive(value + (size_t)(n % depth) * room, whole);
		double now = now_us();
		took[n] = now - start;
		start = now;
	}
	double span = now_us() - begin;
	if (depth == 1) {
		printf("p50_us %.3f\n", percentile(took, (size_t)rounds, 0.5));
		printf("p99_us %.3f\n", percentile(took, (size_t)rounds, 0.99));
	}
	printf("gigabytes_per_second %.4f\n", (double)rounds * (double)bytes / span / 1e3);
	printf("donor_cpu_us_per_get %.3f\n", (cpu_us(atoi(argv[6])) - busy) / rounds);
	return 0;
}
