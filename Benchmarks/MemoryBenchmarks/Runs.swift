internal import FallowMemory
internal import FallowTransport
internal import Glibc
internal import TransportShm
internal import TransportStream
internal import TransportVerbs

/// What `memory-bench` is told.
public func run(_ words: [String]) throws {
    if let first = words.first, first.hasPrefix("serve-") { try lend(first) }
    guard words.count == 5, let bytes = Int(words[2]), let depth = Int(words[3]), let rounds = Int(words[4]) else {
        throw Failure(description: "memory-bench region|endpoint HOW BYTES DEPTH ROUNDS")
    }
    if words[0] == "region" {
        try measureRegion(isHere: words[1] == "shm", bytes: bytes, depth: depth, rounds: rounds)
    } else {
        try measureEndpoint(words[1], bytes: bytes, rounds: rounds)
    }
}

private func measureRegion(isHere: Bool, bytes: Int, depth: Int, rounds: Int) throws {
    let memory = isHere ? try DonorMemory(capacityBytes: capacityBytes) : nil
    let lender = try Lender(isHere ? "serve-shm" : "serve-stream", passing: memory?.descriptor)
    defer { withExtendedLifetime(lender) {} }
    let path: DonorGrant.Path =
        if let memory {
            .shm(DonorFile(adopting: fcntl(memory.descriptor, F_DUPFD_CLOEXEC, 3)))
        } else { .network(DonorGrant.NetworkPath(address: lender.greeting, leaseID: lease, secret: secret)) }
    let region = try Region(
        sizeBytes: capacityBytes, RegionOptions(stripeBytes: max(65536, min(bytes, 2 << 20))),
        donors: [
            DonorGrant(path: path, capacityBytes: capacityBytes, fate: DonorFate(node: "here", beneath: nil))
        ])
    // What was never written would cost nothing.
    let content = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 21, alignment: 4096)
    content.initializeMemory(as: UInt8.self, repeating: 1)
    for offset in stride(from: 0, to: capacityBytes, by: content.count) {
        try region.put(UnsafeRawBufferPointer(content), at: offset)
    }
    let buffers = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes * depth, alignment: 4096)
    // The first touch of a page is not what is measured.
    buffers.initializeMemory(as: UInt8.self, repeating: 0)
    defer {
        region.close()
        buffers.deallocate()
        content.deallocate()
    }
    func buffer(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: buffers[index * bytes..<(index + 1) * bytes])
    }
    var places = Places(bytes)
    var took: [Double] = []
    took.reserveCapacity(rounds)
    let busy = lender.cpuMicroseconds
    let begin = now()
    if depth == 1 {
        for _ in 0..<rounds {
            let place = places.next()
            let start = now()
            try region.get(buffer(0), at: place)
            took.append((now() - start) / 1000)
        }
    } else {
        var futures: [RegionFuture] = []
        for index in 0..<depth { futures.append(try region.submitGet([(places.next(), buffer(index))])) }
        for round in depth..<max(rounds, depth) {
            try futures[round % depth].wait()
            futures[round % depth] = try region.submitGet([(places.next(), buffer(round % depth))])
        }
        for future in futures { try future.wait() }
    }
    report(took, bytes: bytes * rounds, nanoseconds: now() - begin)
    print("donor_cpu_us_per_get \((lender.cpuMicroseconds - busy) / Double(rounds))")
}

/// The transport alone: one read at a time.
private func measureEndpoint(_ how: String, bytes: Int, rounds: Int) throws {
    let lender = try Lender(how == "verbs" ? "serve-verbs" : "serve-stream", passing: nil)
    defer { withExtendedLifetime(lender) {} }
    if how == "verbs" {
        let endpoint = try VerbsMemoryEndpoint.connect(
            address: lender.greeting, leaseID: lease, secret: secret, capacityBytes: capacityBytes,
            source: environment("BENCH_RDMA_CLIENT"), timeout: .seconds(5))
        try measure(endpoint, of: lender, isBlocking: false, bytes: bytes, rounds: rounds)
    } else {
        let endpoint = try StreamMemoryEndpoint.connect(
            address: lender.greeting, leaseID: lease, secret: secret, capacityBytes: capacityBytes,
            timeout: .seconds(5))
        try measure(endpoint, of: lender, isBlocking: how == "blocking", bytes: bytes, rounds: rounds)
    }
}

private func measure<E: MemoryEndpoint & ~Copyable>(
    _ connected: consuming E, of lender: Lender, isBlocking: Bool, bytes: Int, rounds: Int
) throws {
    var endpoint = connected
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
    defer { buffer.deallocate() }
    var places = Places(bytes)
    var took: [Double] = []
    let busy = lender.cpuMicroseconds
    let begin = now()
    for _ in 0..<rounds {
        let start = now()
        try endpoint.read(into: buffer, at: places.next(), token: 1)
        while true {
            if let completion = endpoint.poll() {
                if let error = completion.error { throw error }
                break
            }
            guard isBlocking else { continue }
            var descriptors: [Int32] = []
            guard endpoint.beginSleep(&descriptors) else { continue }
            var watched = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = Glibc.poll(&watched, nfds_t(watched.count), 50)
        }
        took.append((now() - start) / 1000)
    }
    report(took, bytes: bytes * rounds, nanoseconds: now() - begin)
    print("donor_cpu_us_per_get \((lender.cpuMicroseconds - busy) / Double(rounds))")
    endpoint.close()
}

/// Offsets by chance, the same in every run, whole multiples of the size.
private struct Places {
    private var state: UInt64 = 1
    private let bytes: Int
    init(_ bytes: Int) { self.bytes = bytes }
    mutating func next() -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 20) % UInt64(capacityBytes / bytes)) * bytes
    }
}

private func report(_ took: [Double], bytes: Int, nanoseconds: Double) {
    let sorted = took.sorted()
    if !sorted.isEmpty {
        print("p50_us \(sorted[sorted.count / 2])")
        print("p99_us \(sorted[sorted.count * 99 / 100])")
    }
    print("gigabytes_per_second \(Double(bytes) / nanoseconds)")
}

private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}
