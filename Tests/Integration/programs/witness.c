/* witness FILE [MILLISECONDS]: a job's first task. Looks for signs of life that are younger than its own start.
 * Prints "alive N ever M": N processes beat after this task began, M ever did. Exits 1 when N is not 0.
 * witness --wait COUNT FILE: waits, at most 10 s, until COUNT processes have beaten since. */
#include "beats.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sleep_ms(unsigned ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&time, NULL);
}

int main(int argc, char **argv)
{
	uint64_t began_ns = beats_now_ns();
	if (argc == 4 && strcmp(argv[1], "--wait") == 0) {
		unsigned alive = 0;
		while (beats_now_ns() - began_ns < 10000000000u) {
			struct beats *beats = beats_open(argv[3]);
			alive = beats ? beats_since(beats, began_ns) : 0;
			if (beats)
				munmap(beats, sizeof *beats);
			if (alive >= (unsigned)atoi(argv[2]))
				return 0;
			sleep_ms(10);
		}
		fprintf(stderr, "witness: only %u of %s processes beat within 10 s\n", alive, argv[2]);
		return 1;
	}
	struct beats *beats = argc >= 2 ? beats_open(argv[1]) : NULL;
	if (!beats) {
		perror("witness: cannot map the file of beats");
		return 2;
	}
	sleep_ms(argc >= 3 ? (unsigned)atoi(argv[2]) : 100);
	unsigned alive = beats_since(beats, began_ns);
	printf("alive %u ever %u\n", alive, atomic_load(&beats->used));
	return alive != 0;
}
