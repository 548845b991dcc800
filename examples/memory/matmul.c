/* matmul LOCAL_MIB [N]: C = A * B of N x N doubles (N a multiple of 128), stored and multiplied in tiles, larger than LOCAL_MIB. */
#include "remote.h"

enum { TILE = 128 };

static double *tile(double *matrix, size_t tiles, size_t row, size_t column)
{
	return matrix + (row * tiles + column) * TILE * TILE;
}

static void multiply_add(double *restrict c, const double *restrict a, const double *restrict b)
{
	for (size_t i = 0; i < TILE; i++)
		for (size_t k = 0; k < TILE; k++)
			for (size_t j = 0; j < TILE; j++)
				c[i * TILE + j] += a[i * TILE + k] * b[k * TILE + j];
}

int main(int argc, char **argv)
{
	uint64_t state = 42;
	size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024, tiles = n / TILE, bytes = n * n * sizeof(double);
	if (argc < 2 || n == 0 || n % TILE != 0)
		remote_stop("matmul LOCAL_MIB [N, a multiple of 128]", 22);
	remote_open(strtoull(argv[1], NULL, 10), 65536);
	double *a = remote_take(bytes), *b = remote_take(bytes), *c = remote_take(bytes);
	for (size_t i = 0; i < n * n; i++) {
		a[i] = (double)(remote_random(&state) % 1000) / 8;
		b[i] = (double)(remote_random(&state) % 1000) / 8;
	}
	for (size_t row = 0; row < tiles; row++)
		for (size_t column = 0; column < tiles; column++)
			for (size_t k = 0; k < tiles; k++)
				multiply_add(tile(c, tiles, row, column), tile(a, tiles, row, k), tile(b, tiles, k, column));
	remote_report("matmul", remote_sum(0, c, bytes), 3 * bytes);
	return 0;
}
