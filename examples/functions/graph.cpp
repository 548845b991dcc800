// graph.cpp: PageRank and breadth-first search with igraph 0.10 (Debian: libigraph-dev).
// Build: c++ -std=c++17 -shared -fPIC -o graph.so graph.cpp $(pkg-config --cflags --libs igraph)
//
// Input, all little-endian: struct header, then `edges` pairs of uint32 vertex numbers; the graph is undirected.
// pagerank returns a double for each vertex; bfs an int32 for each: the distance from `root`, -1 when there is no way.
// What the functions return: 0, igraph's error code, or -1 when the input is not such a graph.
#include <fallow.h>
#include <igraph/igraph.h>

#include <cstring>

FALLOW_LIBRARY;

namespace {

struct header {
	uint64_t vertices, edges, root;
};

// igraph aborts on errors unless told otherwise; that would end the lease.
const bool quiet = (igraph_set_error_handler(igraph_error_handler_ignore), true);

// A graph, destroyed with its scope.
struct graph {
	igraph_t it;
	header head{};
	int32_t error = -1;

	explicit graph(const fallow_call *call)
	{
		if (call->input_size < sizeof head) return;
		std::memcpy(&head, call->input, sizeof head);
		const size_t pairs = (call->input_size - sizeof head) / 8;
		if (head.edges != pairs || (call->input_size - sizeof head) % 8 != 0) return;
		if (head.vertices == 0 || head.vertices > UINT32_MAX || head.root >= head.vertices) return;

		const auto *ends = reinterpret_cast<const uint32_t *>(static_cast<const char *>(call->input) + sizeof head);
		igraph_vector_int_t list;
		if ((error = igraph_vector_int_init(&list, 2 * pairs)) != 0) return;
		for (size_t i = 0; i < 2 * pairs; i++) VECTOR(list)[i] = ends[i];
		error = igraph_create(&it, &list, head.vertices, IGRAPH_UNDIRECTED); // refuses ends beyond `vertices`
		igraph_vector_int_destroy(&list);
	}
	~graph()
	{
		if (error == 0) igraph_destroy(&it);
	}
	graph(const graph &) = delete;
};

// Writes a vector of igraph's as an array of Number; asks for more room when there is too little.
template <typename Number, typename Vector, typename Get>
void deliver(const fallow_call *call, Vector &values, size_t count, Get get)
{
	*call->output_size = count * sizeof(Number);
	if (*call->output_size > call->output_capacity) return;
	auto *out = static_cast<Number *>(call->output); // 8-byte aligned
	for (size_t i = 0; i < count; i++) out[i] = static_cast<Number>(get(values, i));
}

} // namespace

extern "C" int32_t pagerank(const fallow_call *call)
{
	graph g(call);
	if (g.error != 0) return g.error;
	igraph_vector_t rank;
	if (int error = igraph_vector_init(&rank, 0)) return error;
	int32_t error = igraph_pagerank(&g.it, IGRAPH_PAGERANK_ALGO_PRPACK, &rank, nullptr, igraph_vss_all(),
	                                IGRAPH_UNDIRECTED, 0.85, nullptr, nullptr);
	if (error == 0) deliver<double>(call, rank, g.head.vertices, [](auto &v, size_t i) { return VECTOR(v)[i]; });
	igraph_vector_destroy(&rank);
	return error;
}

extern "C" int32_t bfs(const fallow_call *call)
{
	graph g(call);
	if (g.error != 0) return g.error;
	igraph_vector_int_t distance;
	if (int error = igraph_vector_int_init(&distance, 0)) return error;
	int32_t error = igraph_bfs(&g.it, g.head.root, nullptr, IGRAPH_ALL, /* unreachable: */ false, nullptr, nullptr,
	                           nullptr, nullptr, nullptr, nullptr, &distance, nullptr, nullptr);
	if (error == 0)
		deliver<int32_t>(call, distance, g.head.vertices, [](auto &v, size_t i) { return VECTOR(v)[i] < 0 ? -1 : VECTOR(v)[i]; });
	igraph_vector_int_destroy(&distance);
	return error;
}
