// Round trips of the transports beside their floors (Benchmarks/floors/*.c). Usage: taskset -c 0 transport-bench [shm|fabric]..., or
// ... verbs SERVER CLIENT, the addresses of two ports of RDMA devices.
// Two processes, on CPU 0 (client) and 1 (executor), both polling: this program starts itself once more as the
// executor. Prints p50_us, p99_us and per_second.

import TransportBenchmarks

let arguments = CommandLine.arguments
if arguments.count == 3, arguments[1].hasPrefix("serve-") {
    serve(arguments[1], arguments[2])
} else if arguments.count == 4, arguments[1] == "verbs" {
    try benchmarkVerbs(server: arguments[2], client: arguments[3])
} else {
    let wanted = arguments.dropFirst()
    if wanted.isEmpty || wanted.contains("shm") { try benchmarkShm() }
    if wanted.isEmpty || wanted.contains("fabric") { try benchmarkFabric() }
}
