import FallowModel
import FallowTransport
import Glibc
import Testing
import TransportShm
import TransportStream
import TransportTesting

/// What is to be shown of a borrower's end whose donor is another process.
protocol MemoryCheck {
    func run<E: MemoryEndpoint & ~Copyable>(_ endpoint: consuming E, donor: Donor) throws
}

/// The ways to a donor's memory that are under test.
enum MemoryTransport: String, CaseIterable, CustomTestStringConvertible {
    case shm, stream, verbs
    var testDescription: String { rawValue }

    /// As of `Transport`: an emulated machine with RDMA devices has no time for the others.
    static let allCases: [MemoryTransport] =
        RDMAHere.isNamed ? [.verbs] : [.shm, .stream] + (RDMAHere.isThere ? [.verbs] : [])

    /// How soon a donor's death is an error.
    var bound: Duration { self == .verbs ? .seconds(2) : .milliseconds(500) }

    func check(_ check: some MemoryCheck, capacityBytes: Int = 1 << 24) throws {
        switch self {
        case .shm:
            let donor = try Donor(.shm, capacityBytes: capacityBytes)
            try check.run(donor.shmEndpoint(), donor: donor)
        case .stream:
            let donor = try Donor(.stream, capacityBytes: capacityBytes)
            try check.run(donor.streamEndpoint(), donor: donor)
        case .verbs:
            let donor = try Donor(.verbs(bindAddress: RDMAHere.server), capacityBytes: capacityBytes)
            try check.run(donor.verbsEndpoint(from: RDMAHere.source), donor: donor)
        }
    }
}

/// One endpoint's operations, one at a time or many, waited for with a bound.
struct Borrower<E: MemoryEndpoint & ~Copyable>: ~Copyable {
    var endpoint: E
    init(_ endpoint: consuming E) { self.endpoint = endpoint }

    /// The next completion; sleeps or polls for it.
    mutating func next(_ mode: WaitMode = .polling, timeout: Duration = .seconds(5)) throws -> MemoryCompletion {
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        while true {
            if let completion = endpoint.poll() { return completion }
            if clock.now > deadline { throw TransportError.timedOut }
            guard mode != .polling else { continue }
            var descriptors: [Int32] = []
            guard endpoint.beginSleep(&descriptors) else { continue }
            var watched = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = Glibc.poll(&watched, nfds_t(watched.count), 50)
        }
    }

    /// Writes and waits.
    mutating func put(
        _ bytes: [UInt8], at offset: Int, _ mode: WaitMode = .polling, timeout: Duration = .seconds(5)
    ) throws {
        try bytes.withUnsafeBytes { buffer in
            try endpoint.write(from: buffer, at: offset, token: UInt64(bitPattern: Int64(offset)))
            try settle(UInt64(bitPattern: Int64(offset)), mode, timeout)
        }
    }

    /// Reads and waits; what was read.
    mutating func get(
        _ count: Int, at offset: Int, _ mode: WaitMode = .polling, timeout: Duration = .seconds(5)
    ) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        try bytes.withUnsafeMutableBytes { buffer in
            try endpoint.read(into: buffer, at: offset, token: UInt64(bitPattern: Int64(offset)))
            try settle(UInt64(bitPattern: Int64(offset)), mode, timeout)
        }
        return bytes
    }

    private mutating func settle(_ token: UInt64, _ mode: WaitMode, _ timeout: Duration) throws {
        do {
            let completion = try next(mode, timeout: timeout)
            #expect(completion.token == token)
            if let error = completion.error { throw error }
        } catch {
            // The buffer goes away.
            endpoint.close()
            while endpoint.poll() != nil {}
            throw error
        }
    }
}

/// Bytes that depend on where they are and on a number, and are never zero: copies of a tile of 65,521 bytes, a prime.
func memoryPattern(_ count: Int, at offset: Int, _ version: Int) -> [UInt8] {
    let tile = (0..<min(count, 65521)).map { index in
        UInt8(((offset + index) &* 7 &+ version &* 31 &+ ((offset + index) >> 9)) % 255) &+ 1
    }
    var bytes = tile
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += tile.prefix(count - bytes.count) }
    return bytes
}
