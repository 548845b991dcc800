/* The floor under a warm invocation: a message to a thread of another process that sleeps on a futex, and its answer.
 * Usage: futex_pingpong [rounds] [polling|sleeping]. The server always sleeps; the client polls for the answer, as
 * libfallow does at first, or sleeps as well. 25 us pass between two round trips, so that the server is asleep again. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct line { _Alignas(128) _Atomic uint32_t number; _Atomic uint32_t sleeping; };

static void ring(struct line *line, uint32_t number)
{
	atomic_store(&line->number, number);
	if (atomic_exchange(&line->sleeping, 0))
		syscall(SYS_futex, &line->sleeping, FUTEX_WAKE, 1, NULL, NULL, 0);
}
static void sleep_until(struct line *line, uint32_t number)
{
	while (1) {
		atomic_store(&line->sleeping, 1);
		if (atomic_load(&line->number) == number)
			break;
		syscall(SYS_futex, &line->sleeping, FUTEX_WAIT, 1, NULL, NULL, 0);
	}
	atomic_store(&line->sleeping, 0);
}
static void poll_until(struct line *line, uint32_t number)
{
	while (atomic_load_explicit(&line->number, memory_order_acquire) != number)
		__builtin_ia32_pause();
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 4000, n = 0;
	int sleeping = argc > 2 && strcmp(argv[2], "sleeping") == 0;
	struct line *lines = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fork() == 0) {
		pin_server();
		for (n = 1; n <= rounds; n++) {
			sleep_until(&lines[0], n);
			ring(&lines[1], n);
		}
		_exit(0);
	}
	pin_client();
	MEASURE_LONG(rounds, spin_us(25), {
		ring(&lines[0], ++n);
		if (sleeping)
			sleep_until(&lines[1], n);
		else
			poll_until(&lines[1], n);
	});
	wait(NULL);
	return 0;
}
