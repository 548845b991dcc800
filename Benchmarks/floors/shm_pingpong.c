/* The floor under TransportShm: a ping-pong over the same layout (a slot's header with the doorbell in its last eight
 * bytes, slots in turn), two processes, both polling. Usage: shm_pingpong [rounds] [bytes] [waking]
 * A message is the header's 64 bytes, and `bytes` of payload in the lines behind it, which the server copies back.
 * It rings with a release store; "waking" as the transport must, with a sequentially consistent store and a look at the
 * peer's sleeping word. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { slots = 16, stride = 2048, header = 64, doorbell = 56 };

static inline _Atomic uint64_t *bell(char *base, uint32_t n) { return (_Atomic uint64_t *)(base + (n % slots) * stride + doorbell); }

static inline void transmit(char *base, uint32_t n, const char *payload, size_t bytes, _Atomic uint32_t *sleeping, int waking)
{
	char *slot = base + (n % slots) * stride;
	*(volatile uint64_t *)slot = n;
	if (bytes)
		memcpy(slot + header, payload, bytes);
	if (waking) {
		atomic_store_explicit(bell(base, n), 1ull << 32 | n, memory_order_seq_cst);
		if (atomic_load_explicit(sleeping, memory_order_seq_cst) != 0)
			abort();
	} else
		atomic_store_explicit(bell(base, n), 1ull << 32 | n, memory_order_release);
}
static inline const char *receive(char *base, uint32_t n)
{
	while (atomic_load_explicit(bell(base, n), memory_order_acquire) != (1ull << 32 | n))
		__builtin_ia32_pause();
	if (*(volatile uint64_t *)(base + (n % slots) * stride) != n)
		abort();
	return base + (n % slots) * stride + header;
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 400000;
	size_t bytes = argc > 2 ? (size_t)atol(argv[2]) : 0;
	int waking = argc > 3 && strcmp(argv[3], "waking") == 0;
	if (rounds < 1000 || bytes > stride - header)
		return fprintf(stderr, "shm_pingpong: at least 1000 rounds, at most %d bytes\n", stride - header), 2;
	char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *in = memory + 4096, *out = in + slots * stride, payload[stride] = "payload", result[stride];
	_Atomic uint32_t *sleeping = (void *)memory;
	memset(memory, 0, 1 << 20);
	uint32_t warm = rounds / 10, total = warm + rounds / 100 * 100 + rounds / 4, n = 0;
	if (fork() == 0) {
		pin_server();
		for (n = 0; n < total; n++)
			transmit(out, n, receive(in, n), bytes, sleeping, waking);
		_exit(0);
	}
	pin_client();
#define ROUND do { \
	transmit(in, n, payload, bytes, sleeping, waking); \
	const char *reply = receive(out, n); \
	if (bytes) memcpy(result, reply, bytes); \
	n++; \
} while (0)
	while (n < warm)
		ROUND;
	MEASURE_SHORT(rounds, ROUND);
	wait(NULL);
	return 0;
}
