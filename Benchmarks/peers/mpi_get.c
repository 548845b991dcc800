/* MPI_Get in passive-target mode: random reads of 128 MiB of the other rank's window. Usage, under mpirun -n 2: mpi_get BYTES DEPTH ROUNDS.
 * The target waits in a barrier, where MPI polls; DEPTH gets are begun before each flush. Prints p50_us and p99_us with a depth of 1,
 * gigabytes_per_second and donor_cpu_us_per_get, the target's CPU time, always. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <mpi.h>
#include <string.h>

int main(int argc, char **argv)
{
	enum { WINDOW = 1 << 27 };
	int rank, target_pid = (int)getpid();
	char *memory;
	MPI_Win window;
	MPI_Init(&argc, &argv);
	if (argc != 4) return 2;
	int bytes = atoi(argv[1]), depth = atoi(argv[2]), rounds = atoi(argv[3]) / depth * depth;
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (rank == 1) pin_server();
	else pin_client();
	MPI_Win_allocate(rank == 1 ? WINDOW : 1, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &memory, &window);
	if (rank == 1) memset(memory, 1, WINDOW);
	MPI_Bcast(&target_pid, 1, MPI_INT, 1, MPI_COMM_WORLD);
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0) {
		char *buffers = malloc((size_t)bytes * (size_t)depth);
		double *took = calloc((size_t)rounds + 1, sizeof *took), busy = cpu_us(target_pid), begin = now_us(), start = begin;
		uint64_t state = 1;
		memset(buffers, 0, (size_t)bytes * (size_t)depth);
		MPI_Win_lock(MPI_LOCK_SHARED, 1, 0, window);
		for (int n = 0; n < rounds; n += depth) {
			for (int i = 0; i < depth; i++) {
				state = state * 6364136223846793005u + 1442695040888963407u;
				MPI_Aint at = (MPI_Aint)((state >> 20) % (uint64_t)(WINDOW / bytes)) * bytes;
				MPI_Get(buffers + (size_t)i * (size_t)bytes, bytes, MPI_BYTE, 1, at, bytes, MPI_BYTE, window);
			}
			MPI_Win_flush(1, window);
			double now = now_us();
			took[n] = now - start;
			start = now;
			if (buffers[0] != 1) return fprintf(stderr, "what came is not what is there\n"), 1;
		}
		double span = now_us() - begin, used = cpu_us(target_pid) - busy;
		MPI_Win_unlock(1, window);
		if (depth == 1) {
			printf("p50_us %.3f\n", percentile(took, (size_t)rounds, 0.5));
			printf("p99_us %.3f\n", percentile(took, (size_t)rounds, 0.99));
		}
		printf("gigabytes_per_second %.4f\n", (double)rounds * bytes / span / 1e3);
		printf("donor_cpu_us_per_get %.3f\n", used / rounds);
	}
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_free(&window);
	MPI_Finalize();
	return 0;
}
