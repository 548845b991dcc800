/* graph.c: the demo's graph functions. Input: "VERTICES SEED" as text. They make a Barabasi-Albert graph of that many vertices (each
 * new one linked to 10) and compute on it with igraph. The parameters are those of SeBS 501 and 503, so that the answers are known. */
#include <fallow.h>
#include <igraph.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

FALLOW_LIBRARY;

static int32_t answer(const struct fallow_call *call, const char *text)
{
	*call->output_size = strlen(text);
	if (*call->output_size <= call->output_capacity)
		memcpy(call->output, text, *call->output_size);
	return 0;
}

static int make_graph(const struct fallow_call *call, igraph_t *graph)
{
	char text[64] = {0};
	long vertices, seed;
	memcpy(text, call->input, call->input_size < sizeof text ? call->input_size : sizeof text - 1);
	if (sscanf(text, "%ld %ld", &vertices, &seed) != 2 || vertices < 1 || vertices > 10000000)
		return 1;
	igraph_rng_seed(igraph_rng_default(), (igraph_uint_t)seed);
	return igraph_barabasi_game(graph, vertices, 1, 10, NULL, 0, 1, IGRAPH_UNDIRECTED, IGRAPH_BARABASI_PSUMTREE, NULL);
}

/* The PageRank of vertex 0, as text. */
int32_t pagerank(const struct fallow_call *call)
{
	igraph_t graph;
	igraph_vector_t ranks;
	igraph_real_t eigenvalue;
	char text[64];
	if (make_graph(call, &graph) || igraph_vector_init(&ranks, 0))
		return 1;
	if (igraph_pagerank(&graph, IGRAPH_PAGERANK_ALGO_PRPACK, &ranks, &eigenvalue, igraph_vss_all(), IGRAPH_UNDIRECTED,
			    0.85, NULL, NULL))
		return 2;
	snprintf(text, sizeof text, "%.17g", VECTOR(ranks)[0]);
	igraph_vector_destroy(&ranks);
	igraph_destroy(&graph);
	return answer(call, text);
}

/* How many vertices lie at distance 0, 1, 2, ... of vertex 0, as text. */
int32_t bfs(const struct fallow_call *call)
{
	igraph_t graph;
	igraph_vector_int_t order, layers;
	char text[512];
	int length = 0;
	if (make_graph(call, &graph) || igraph_vector_int_init(&order, 0) || igraph_vector_int_init(&layers, 0))
		return 1;
	if (igraph_bfs_simple(&graph, 0, IGRAPH_ALL, &order, &layers, NULL))
		return 2;
	for (igraph_integer_t i = 0; i + 1 < igraph_vector_int_size(&layers) && length < 480; i++)
		length += snprintf(text + length, sizeof text - (size_t)length, "%s%" IGRAPH_PRId, i ? " " : "",
				   VECTOR(layers)[i + 1] - VECTOR(layers)[i]);
	igraph_vector_int_destroy(&order);
	igraph_vector_int_destroy(&layers);
	igraph_destroy(&graph);
	return answer(call, text);
}
