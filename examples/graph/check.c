/* check.c: compares what pagerank or bfs gave with the known answers.
 * Run: check pagerank|bfs OUTPUT KNOWN; silent and 0 when everything agrees. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const char *what, uint64_t where, double is, double should)
{
	fprintf(stderr, "check: %s %llu is %.17g, should be %.17g\n", what, (unsigned long long)where, is, should);
	return 1;
}

/* How far a rank may be from the known one: rounding differs from run to run. */
static double tolerance(double rank)
{
	return 1e-9 * rank + 1e-12;
}

static int check_rank(const double *rank, uint64_t vertices, uint64_t vertex, double should, double *before)
{
	uint64_t higher = 0;

	if (vertex >= vertices || fabs(rank[vertex] - should) > tolerance(should))
		return wrong("rank of vertex", vertex, vertex < vertices ? rank[vertex] : NAN, should);
	for (uint64_t i = 0; i < vertices; i++)
		higher += rank[i] < *before - tolerance(*before) && rank[i] > should + tolerance(should);
	*before = should;
	return higher == 0 ? 0 : wrong("vertices ranked between this and the one before,", vertex, (double)higher, 0);
}

int main(int argc, char **argv)
{
	FILE *output = argc == 4 ? fopen(argv[2], "rb") : NULL, *known = argc == 4 ? fopen(argv[3], "r") : NULL;
	int ranks = argc == 4 && strcmp(argv[1], "pagerank") == 0;

	if (!output || !known || (!ranks && strcmp(argv[1], "bfs") != 0)) {
		fprintf(stderr, "usage: check pagerank|bfs OUTPUT KNOWN\n");
		return 2;
	}
	char word[32];
	unsigned long long number, vertices = 0;
	double value, before = 2; /* above every rank: they add up to 1 */
	char *result = NULL;
	int compared = 0;

	while (fscanf(known, "%31s %llu", word, &number) == 2) {
		if (strcmp(word, "vertices") == 0) {
			vertices = number;
			size_t size = vertices * (ranks ? sizeof(double) : sizeof(int32_t));
			result = malloc(size + 1);
			if (!result || fread(result, 1, size + 1, output) != size)
				return wrong("the output's size is not as for vertices", vertices, 0, (double)size);
		} else if (strcmp(word, "rank") == 0 || strcmp(word, "distance") == 0) {
			if (fscanf(known, "%lf", &value) != 1 || !result)
				return 2;
			if (ranks != (word[0] == 'r'))
				continue;
			uint64_t count = 0;
			for (uint64_t i = 0; !ranks && i < vertices; i++)
				count += ((int32_t *)result)[i] == (int32_t)number;
			if (ranks ? check_rank((double *)result, vertices, number, value, &before) : count != (uint64_t)value)
				return ranks ? 1 : wrong("number of vertices at distance", number, (double)count, value);
			compared++;
		} else if (fscanf(known, "%*s") == EOF) { /* input: its size and checksum */
			break;
		}
	}
	if (compared == 0)
		return wrong("known answers found in the file, for", 0, 0, 1);
	return 0;
}
