/* generate.c: the same Barabasi-Albert graph everywhere, in the format of ../functions/graph.cpp.
 * Run: generate VERTICES EDGES_PER_VERTEX SEED ROOT > graph.bin
 *
 * Each new vertex links to `m` different older ones, chosen with a probability that grows with their degree: picking
 * an end of a random edge does that. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* splitmix64 (Steele, Lea, Flood 2014): the next number of a fixed sequence. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
	uint64_t vertices = argc > 4 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t m = argc > 4 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t state = argc > 4 ? strtoull(argv[3], NULL, 10) : 0;
	uint64_t root = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;

	if (m < 1 || m > 1000 || vertices <= m || vertices > 100000000 || root >= vertices) {
		fprintf(stderr, "usage: generate VERTICES EDGES_PER_VERTEX SEED ROOT > FILE, such as 100000 5 42 0\n");
		return 2;
	}
	uint64_t edges = 0, most = vertices * m;
	uint32_t *ends = malloc(most * 2 * sizeof *ends);

	if (!ends)
		return 1;
	for (uint64_t vertex = 1; vertex < vertices; vertex++) {
		uint64_t first = edges, older = edges;
		uint64_t links = vertex < m ? vertex : m;

		while (edges - first < links) {
			uint32_t to = older == 0 ? 0 : ends[next(&state) % (older * 2)];
			if (vertex <= m)
				to = (uint32_t)(edges - first); /* the first few all know each other */
			int known = 0;
			for (uint64_t i = first; i < edges; i++)
				known |= ends[2 * i + 1] == to;
			if (known)
				continue;
			ends[2 * edges] = (uint32_t)vertex;
			ends[2 * edges + 1] = to;
			edges++;
		}
	}
	uint64_t head[3] = { vertices, edges, root }; /* little-endian machines only, as Fallow's nodes are */
	if (fwrite(head, sizeof head, 1, stdout) != 1 || fwrite(ends, 8, edges, stdout) != edges || fflush(stdout) != 0) {
		perror("generate");
		return 1;
	}
	free(ends);
	return 0;
}
