/* The floor under a donor's memory on the same node: pread of bytes of a memory file that no cache holds. Usage: memfd_read
 * ROUNDS BYTES. The file has 128 MiB, as the donor of the row has, which is more than the caches; places are drawn by chance. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <string.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	if (argc != 3) return 2;
	int rounds = atoi(argv[1]);
	size_t bytes = (size_t)atol(argv[2]), size = 128u << 20;
	pin_client();
	int file = memfd_create("floor", 0);
	if (file < 0 || ftruncate(file, (off_t)size) != 0) return 1;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), *to = aligned_alloc(4096, bytes);
	if (memory == MAP_FAILED) return 1;
	memset(memory, 1, size);
	munmap(memory, size);
	double *took = calloc((size_t)rounds, sizeof *took);
	uint64_t state = 1;
	for (int n = 0; n < rounds; n++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		size_t place = (size_t)(state >> 20) % (size / bytes) * bytes;
		double start = now_us();
		if (pread(file, to, bytes, (off_t)place) != (ssize_t)bytes) return 1;
		took[n] = now_us() - start;
	}
	printf("p50_us %.3f\n", percentile(took, (size_t)rounds, 0.5));
	printf("p99_us %.3f\n", percentile(took, (size_t)rounds, 0.99));
	printf("donor_cpu_us_per_get 0\n"); /* nobody else takes part */
	return 0;
}
