/* The floor under a large echo in arena buffers: the other core copies the bytes once, from memory that the client has
 * just written to memory that the client reads next. Usage: memcpy_echo [rounds] [bytes]. Both sides poll. The client's
 * writing and reading is outside of the time, as it is in the measurement beside it. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000, n = 0;
	size_t bytes = argc > 2 ? (size_t)atol(argv[2]) : 1 << 20;
	char *memory = mmap(NULL, 4096 + 2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	_Atomic uint32_t *asked = (void *)memory, *answered = (void *)(memory + 128);
	char *in = memory + 4096, *out = in + bytes;
	memset(memory, 0, 4096 + 2 * bytes);
	if (fork() == 0) {
		pin_server();
		for (n = 1; n <= rounds; n++) {
			while (atomic_load_explicit(asked, memory_order_acquire) != n)
				__builtin_ia32_pause();
			memcpy(out, in, bytes);
			atomic_store_explicit(answered, n, memory_order_release);
		}
		_exit(0);
	}
	pin_client();
	MEASURE_LONG(rounds, {
		if (n && memcmp(out, in, bytes) != 0)
			return 1;
		memset(in, (int)n, bytes);
	}, {
		atomic_store_explicit(asked, ++n, memory_order_release);
		while (atomic_load_explicit(answered, memory_order_acquire) != n)
			__builtin_ia32_pause();
	});
	wait(NULL);
	return 0;
}
