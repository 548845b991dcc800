// Gets of remote memory beside their floors (Benchmarks/floors/memfd_read.c, fabric_read.c).
//   memory-bench region   shm|stream         BYTES DEPTH ROUNDS   FallowMemory: blocking gets, or DEPTH futures
//   memory-bench endpoint polling|blocking   BYTES 1     ROUNDS   the endpoint of a TCP connection alone
//   memory-bench endpoint verbs              BYTES 1     ROUNDS   over RDMA, from $BENCH_RDMA_CLIENT to $BENCH_RDMA_SERVER, polling
// The donor is this program once more, on CPU 1 (or BENCH_SERVER_CPU); run this one by taskset. Prints p50_us and p99_us with a
// depth of 1, gigabytes_per_second always.

import MemoryBenchmarks

try run(Array(CommandLine.arguments.dropFirst()))
