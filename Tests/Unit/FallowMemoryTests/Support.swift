import FallowClient
import FallowMemory
import Glibc
import Testing
import TransportTesting

/// Real donors run one test after the other.
@Suite(.serialized) enum DonorTests {}

extension Donor {
    /// As a region gets it. Every donor is on a node of its own, beneath a job of its own.
    func grant(_ number: Int, released: @escaping @Sendable () -> Void = {}) -> DonorGrant {
        let path: DonorGrant.Path
        switch reach {
        case .shm: path = .shm(DonorFile(adopting: copiedDescriptor))
        case .stream, .streamOver:
            path = .network(DonorGrant.NetworkPath(address: address, leaseID: Donor.lease, secret: Donor.secret))
        case .verbs:
            // Over verbs or not at all: nobody listens on TCP.
            path = .network(
                DonorGrant.NetworkPath(
                    address: "127.0.0.1:1", verbsAddress: address, verbsSource: RDMAHere.source,
                    leaseID: Donor.lease, secret: Donor.secret))
        }
        return DonorGrant(
            path: path,
            capacityBytes: capacityBytes, fate: DonorFate(node: "n\(number)", beneath: UInt32(number)),
            release: released)
    }
}

/// A region over donors in processes of their own.
struct Lent {
    let donors: [Donor]
    let region: Region

    init(
        _ count: Int = 2, isHere: Bool = true, donorBytes: Int = 1 << 20, sizeBytes: Int, _ durability: Durability,
        stripeBytes: Int = 4096, patience: Duration = .milliseconds(300)
    ) throws {
        try self.init(
            count, reach: isHere ? .shm : .stream, donorBytes: donorBytes, sizeBytes: sizeBytes, durability,
            stripeBytes: stripeBytes, patience: patience)
    }

    init(
        _ count: Int, reach: Donor.Reach, donorBytes: Int, sizeBytes: Int, _ durability: Durability,
        stripeBytes: Int = 4096, patience: Duration
    ) throws {
        donors = try (0..<count).map { _ in try Donor(reach, capacityBytes: donorBytes) }
        region = try Region(
            sizeBytes: sizeBytes,
            RegionOptions(durability: durability, stripeBytes: stripeBytes, patience: patience),
            donors: donors.enumerated().map { $1.grant($0) })
    }
}

/// How many descriptors this process has open.
func openDescriptors() -> Int {
    guard let folder = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count
}

extension Region {
    func put(_ bytes: [UInt8], at offset: Int) throws(FallowError) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(FallowError) in try put(buffer, at: offset) }
        }
        try result.get()
    }
    func get(_ count: Int, at offset: Int) throws(FallowError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        let result = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(FallowError) in try get(buffer, at: offset) }
        }
        try result.get()
        return bytes
    }
}

/// The code of what a body throws; nil when it throws nothing.
func code(_ body: () throws -> Void) -> FallowError.Code? {
    do {
        try body()
        return nil
    } catch { return (error as? FallowError)?.code }
}

/// Bytes that depend on where they are and on a number, and are never zero.
func pattern(_ count: Int, at offset: Int, _ version: Int) -> [UInt8] {
    (0..<count).map { UInt8(((offset + $0) &* 7 &+ version &* 31 &+ ((offset + $0) >> 9)) % 255) &+ 1 }
}
