internal import FallowTransport
internal import FallowWire

extension ExecutorAssignment {
    var geometry: ArenaGeometry {
        ArenaGeometry(
            slotCount: slotCount, inputBytes: inputBytes, outputBytes: outputBytes, bufferBytes: bufferBytes ?? 0)
    }

    /// The secret's 32 bytes; nil when the text is not that.
    var secretBytes: [UInt8]? {
        let digits = Array(secret.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }

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
