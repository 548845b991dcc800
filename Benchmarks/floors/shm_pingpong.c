/* The floor under TransportShm: a 64-byte ping-pong over the same layout (a slot's header with the doorbell in its last
 * eight bytes, slots in turn), two processes pinned to CPU 0 and 1, both polling. Usage: shm_pingpong [rounds]
 * Prints nanoseconds a round trip. "plain" rings with a release store; "waking" as the transport must, with a
 * sequentially consistent store and a look at the peer's sleeping word. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { slots = 16, stride = 2048, doorbell = 56 };

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
static void pin(int cpu)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
}
static inline _Atomic uint64_t *bell(char *base, uint32_t n) { return (_Atomic uint64_t *)(base + (n % slots) * stride + doorbell); }

static inline void send(char *base, uint32_t n, _Atomic uint32_t *sleeping, int waking)
{
	*(volatile uint64_t *)(base + (n % slots) * stride) = n;
	if (waking) {
		atomic_store_explicit(bell(base, n), 1ull << 32 | n, memory_order_seq_cst);
		if (atomic_load_explicit(sleeping, memory_order_seq_cst) != 0)
			abort();
	} else
		atomic_store_explicit(bell(base, n), 1ull << 32 | n, memory_order_release);
}
static inline void receive(char *base, uint32_t n)
{
	while (atomic_load_explicit(bell(base, n), memory_order_acquire) != (1ull << 32 | n))
		__builtin_ia32_pause();
	if (*(volatile uint64_t *)(base + (n % slots) * stride) != n)
		abort();
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 2000000;
	for (int waking = 0; waking < 2; waking++) {
		char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		char *in = memory + 4096, *out = in + slots * stride;
		_Atomic uint32_t *sleeping = (void *)memory;
		memset(memory, 0, 1 << 20);
		if (fork() == 0) {
			pin(1);
			for (uint32_t n = 0; n < rounds; n++) {
				receive(in, n);
				send(out, n, sleeping, waking);
			}
			_exit(0);
		}
		pin(0);
		double start = 0;
		for (uint32_t n = 0; n < rounds; n++) {
			if (n == rounds / 10)
				start = now_ns();
			send(in, n, sleeping, waking);
			receive(out, n);
		}
		printf("shm floor, 64 B, cross-core, polling, %s: %.1f ns\n", waking ? "waking" : "plain", (now_ns() - start) / (rounds - rounds / 10));
		wait(NULL);
		munmap(memory, 1 << 20);
	}
	return 0;
}
