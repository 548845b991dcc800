/* bfs LOCAL_MIB [VERTICES [DEGREE]]: breadth-first search of a random graph in CSR form: hardly any locality, the worst case. */
#include "remote.h"

int main(int argc, char **argv)
{
	uint64_t state = 7, sum = 0, reached = 0;
	size_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1 << 19, degree = argc > 3 ? strtoull(argv[3], NULL, 10) : 16;
	size_t edge_bytes = count * degree * sizeof(uint32_t), vertex_bytes = count * sizeof(uint32_t);
	if (argc < 2 || count == 0 || degree == 0 || count > UINT32_MAX / 2)
		remote_stop("bfs LOCAL_MIB [VERTICES [DEGREE]]", 22);
	remote_open(strtoull(argv[1], NULL, 10), 4096);
	uint32_t *edges = remote_take(edge_bytes), *level = remote_take(vertex_bytes), *queue = remote_take(vertex_bytes);
	for (size_t i = 0; i < count * degree; i++)
		edges[i] = (uint32_t)(remote_random(&state) % count);
	queue[reached++] = 0;
	level[0] = 1;
	for (size_t at = 0; at < reached; at++) {
		uint32_t vertex = queue[at];
		for (size_t i = 0; i < degree; i++) {
			uint32_t other = edges[(size_t)vertex * degree + i];
			if (level[other] == 0) {
				level[other] = level[vertex] + 1;
				queue[reached++] = other;
			}
		}
		sum += level[vertex];
	}
	remote_report("bfs", remote_sum(sum, level, vertex_bytes) + reached, edge_bytes + 2 * vertex_bytes);
	return 0;
}
