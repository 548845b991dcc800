internal import FallowTransport
internal import FallowWire

extension ExecutorAssignment {
    var geometry: ArenaGeometry {
        ArenaGeometry(
            slotCount: slotCount, inputBytes: inputBytes, outputBytes: outputBytes, bufferBytes: bufferBytes ?? 0)
    }

    /// The secret's 32 bytes; nil when the text is not that.
    var secretBytes: [UInt8]? { LeaseSecret.bytes(of: secret) }

    /// Throws `.invalid` with a sentence unless the numbers make sense and the descriptors are those the transport needs.
    func check(descriptorCount: Int) throws(WireError) {
        if let complaint = geometry.complaint { throw WireError(.invalid, complaint) }
        guard (1...1024).contains(workers) else {
            throw WireError(.invalid, "an executor has 1 to 1024 workers, not \(workers)")
        }
        guard cpus.isEmpty || cpus.count >= workers else {
            throw WireError(.invalid, "\(workers) workers cannot each have a CPU of '\(cpus)'")
        }
        guard secretBytes != nil else { throw WireError(.invalid, "the lease's secret is not 64 hexadecimal digits") }
        let needed = transport == .shm ? 2 : 1
        guard descriptorCount == needed else {
            throw WireError(
                .invalid,
                "an assignment over \(transport.rawValue) carries \(needed) descriptors (library"
                    + (needed == 2 ? ", arena)" : ")") + ", not \(descriptorCount)")
        }
        guard transport == .shm || bindAddress != nil else {
            throw WireError(.invalid, "an assignment over fabric needs an address to listen on")
        }
    }
}
