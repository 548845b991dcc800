/* MPI_Send and MPI_Recv, there and back. Usage, under mpirun -n 2: mpi_pingpong [rounds] [bytes]. Both ranks poll. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <mpi.h>
#include <string.h>

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100000, bytes = argc > 2 ? atoi(argv[2]) : 64, rank;
	int total = rounds / 10 + rounds / 100 * 100 + rounds / 4, n = 0;
	char *memory = calloc(1, (size_t)bytes + 1);
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	if (rank == 1) {
		pin_server();
		for (n = 0; n < total; n++) {
			MPI_Recv(memory, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			MPI_Send(memory, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
		}
	} else {
		pin_client();
#define ROUND do { \
	MPI_Send(memory, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD); \
	MPI_Recv(memory, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE); \
} while (0)
		for (n = 0; n < rounds / 10; n++)
			ROUND;
		MEASURE_SHORT(rounds, ROUND);
	}
	MPI_Finalize();
	return 0;
}
