#!/usr/bin/env python3
"""Computes a graph's PageRank and distances independently of functions/graph.cpp: with Python's igraph.

Run: generate 100000 5 42 0 > graph.bin; python3 known-answers.py graph.bin > graph-100000-5-42-0.known
(pip install igraph==1.0.0). The committed files were made exactly so.
"""
import hashlib
import struct
import sys

import igraph

with open(sys.argv[1], "rb") as file:
    data = file.read()
vertices, edges, root = struct.unpack_from("<QQQ", data)
ends = struct.unpack_from(f"<{2 * edges}I", data, 24)
graph = igraph.Graph(n=vertices, edges=list(zip(ends[::2], ends[1::2])), directed=False)
rank = graph.pagerank(directed=False, damping=0.85)
distance = graph.distances(source=[root])[0]

print("input", len(data), hashlib.sha256(data).hexdigest())
print("vertices", vertices)
for vertex in sorted(range(vertices), key=lambda v: -rank[v])[:10]:
    print("rank", vertex, repr(rank[vertex]))
for far in sorted(set(distance)):
    print("distance", far, sum(1 for d in distance if d == far))
