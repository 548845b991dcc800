/* jacobi LOCAL_MIB [N [SWEEPS]]: Jacobi's iteration for Laplace's equation on an N x N grid, two grids of doubles. */
#include "remote.h"

int main(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 2048, sweeps = argc > 3 ? strtoull(argv[3], NULL, 10) : 4;
	size_t bytes = n * n * sizeof(double);
	if (argc < 2 || n < 3)
		remote_stop("jacobi LOCAL_MIB [N, at least 3 [SWEEPS]]", 22);
	remote_open(strtoull(argv[1], NULL, 10), 65536);
	double *from = remote_take(bytes), *to = remote_take(bytes);
	for (size_t i = 0; i < n; i++)
		from[i] = to[i] = (double)i;
	for (size_t sweep = 0; sweep < sweeps; sweep++) {
		for (size_t row = 1; row + 1 < n; row++) {
			const double *above = from + (row - 1) * n, *here = above + n, *below = here + n;
			for (size_t column = 1; column + 1 < n; column++)
				to[row * n + column] =
					0.25 * (above[column] + below[column] + here[column - 1] + here[column + 1]);
		}
		double *swap = from;
		from = to;
		to = swap;
	}
	remote_report("jacobi", remote_sum(0, from, bytes), 2 * bytes);
	return 0;
}
