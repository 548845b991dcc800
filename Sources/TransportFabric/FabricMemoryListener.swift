internal import CFabric
public import FallowModel
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// Where a donor waits for the borrower of its memory, and serves it: over fabrics on which one-sided operations need the
/// target's processor (tcp), by a loop that polls for 50 µs after the last traffic and then sleeps.
///
/// One borrower at a time; who is let in, `FabricDoor` says. The memory is registered for the connection alone, and a
/// borrower that was lost may connect again.
public final class FabricMemoryListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What borrowers have to be told, letter for letter.
    public var address: String { door.address }
    /// How many connects were turned away so far, by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] { door.refusals }

    private let door: FabricDoor<FabricMemoryLink>
    private static let pollNanoseconds: UInt64 = 50_000
    /// Polls between two looks at the clock.
    private static let pollsPerLook = 16

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node.
    ///   - secret: the lease's, 32 bytes.
    ///   - memory: what is lent; has to outlive the listener.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], memory: UnsafeMutableRawBufferPointer
    ) throws(FabricError) {
        try FabricError.checkSecret(secret)
        guard memory.count > 0, let start = memory.baseAddress else {
            throw FabricError("a donor without memory lends nothing", code: EINVAL)
        }
        nonisolated(unsafe) let base = start
        let capacityBytes = memory.count
        door = try FabricDoor(
            bindAddress: bindAddress, workers: 1,
            introduction: {
                FabricIntroduction(leaseID: leaseID, secret: secret, address: $0, capacityBytes: capacityBytes)
            },
            open: { (information, root, hasTakenHandle) throws(FabricError) in
                try FabricMemoryLink(
                    information, root: root, lending: UnsafeMutableRawBufferPointer(start: base, count: capacityBytes),
                    hasTakenHandle: &hasTakenHandle)
            })
    }

    /// Serves borrowers, one after the other. Blocks as long as it is wanted.
    /// - Parameter isWanted: asked at least every 100 ms.
    public func serve(while isWanted: () -> Bool) {
        while isWanted() {
            do throws(TransportError) {
                let link = try door.acceptNext(timeout: .milliseconds(100)).link
                // The link ends the connection when it is let go of.
                withExtendedLifetime(link) { serve(link.pipe, while: isWanted) }
                door.free(worker: 0)
            } catch {
                if error == .peerLost { return }
            }
        }
    }

    /// Stops listening and ends `serve`, once the borrower has gone. Idempotent.
    public func close() { door.close() }

    private func serve(_ pipe: FabricPipe, while isWanted: () -> Bool) {
        let socket = pipe.socket
        var bytes: UInt64 = 0
        while isWanted() {
            // Polls as long as there is traffic: nothing completes at this end, but the socket counts what came.
            repeat {
                let end = MonotonicDeadline.nowNanoseconds() + Self.pollNanoseconds
                repeat {
                    for _ in 0..<Self.pollsPerLook {
                        let count = fi_cq_read(pipe.completions, nil, 0)
                        guard count >= 0 || count == -Int(EAGAIN) else { return }
                    }
                } while MonotonicDeadline.nowNanoseconds() < end
                if let event = pipe.events.next(), !event.isHarmless { return }
            } while hasTraffic(socket, &bytes)
            pipe.wait(atMostMilliseconds: 50)
            // Whoever else connects is turned away: the memory is taken.
            _ = try? door.acceptNext(timeout: .zero)
        }
    }

    private func hasTraffic(_ socket: CInt?, _ bytes: inout UInt64) -> Bool {
        guard let socket else { return false }
        let before = bytes
        bytes = cfabric_bytes_received(socket)
        return bytes != before
    }
}

extension FabricEvents.Event {
    /// Whether the connection stands afterwards.
    fileprivate var isHarmless: Bool {
        switch self {
        case .connected, .request: true
        case .shutdown, .failed: false
        }
    }
}

/// A borrower's connection, at the donor.
final class FabricMemoryLink: FabricAcceptable {
    let pipe: FabricPipe
    let window: FabricWindow
    private let registration: FabricRegistration

    init(
        _ information: FabricInformation, root: FabricRoot, lending memory: UnsafeMutableRawBufferPointer,
        hasTakenHandle: inout Bool
    ) throws(FabricError) {
        pipe = try FabricPipe(information, root: root, queueEntries: 64, hasTakenHandle: &hasTakenHandle)
        guard let base = memory.baseAddress else { throw FabricError("there is no memory to lend", code: EINVAL) }
        registration = try FabricRegistration(
            "the memory that is lent", base, bytes: memory.count,
            access: UInt64(FI_REMOTE_READ) | UInt64(FI_REMOTE_WRITE), with: pipe)
        let address = information.usesVirtualAddresses ? UInt64(UInt(bitPattern: base)) : 0
        window = FabricWindow(address: address, key: registration.key)
    }

    // Before the registration goes.
    deinit { pipe.closeEndpoint() }
}
