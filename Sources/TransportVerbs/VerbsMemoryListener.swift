internal import CRDMA
public import FallowModel
internal import FallowTransport
internal import Glibc
internal import TransportHandshake

/// Where a donor waits for the borrower of its memory over RDMA. The device serves it: this thread sleeps, whatever is
/// read and written.
///
/// One borrower at a time; who is let in, `VerbsDoor` says. The memory is registered for the connection alone, within the lease's own
/// protection domain. A borrower that was lost may connect again.
public final class VerbsMemoryListener: Sendable {
    /// Where it listens: "host:port", the host numeric. What borrowers have to be told, letter for letter.
    public var address: String { door.address }
    /// How many connects were turned away so far, by reason ("proof", "version", "replayed", …).
    public var refusals: [String: Int] { door.refusals }

    private let door: VerbsDoor<VerbsLentLink>
    private static let sliceMilliseconds: CInt = 100
    /// After so long without a word the borrower's device is asked whether it is there.
    private static let probeNanoseconds: Int64 = 1_000_000_000

    /// Listens on a free port. Does not block.
    /// - Parameters:
    ///   - bindAddress: a numeric address of this node that an RDMA device carries.
    ///   - secret: the lease's, 32 bytes.
    ///   - memory: what is lent; has to outlive the listener.
    public init(
        bindAddress: String, leaseID: LeaseID, secret: [UInt8], memory: UnsafeMutableRawBufferPointer
    ) throws(VerbsError) {
        guard memory.count > 0, let start = memory.baseAddress else {
            throw VerbsError("a donor without memory lends nothing", code: EINVAL)
        }
        nonisolated(unsafe) let base = start
        let capacityBytes = memory.count
        door = try VerbsDoor(
            bindAddress: bindAddress, secret: secret, workers: 1,
            introduction: {
                VerbsIntroduction(leaseID: leaseID, secret: secret, address: $0, capacityBytes: capacityBytes)
            },
            opening: { (id, domain) throws(VerbsError) in
                try VerbsLentLink(
                    id, domain: domain, lending: UnsafeMutableRawBufferPointer(start: base, count: capacityBytes))
            })
    }

    /// Serves borrowers, one after the other. Blocks as long as it is wanted, and sleeps.
    /// - Parameter isWanted: asked at least every 200 ms.
    public func serve(while isWanted: () -> Bool) {
        while isWanted() {
            do throws(TransportError) {
                let link = try door.acceptNext(timeout: .milliseconds(100)).link
                // The link ends the connection when it is let go of.
                withExtendedLifetime(link) { stay(link, while: isWanted) }
                door.free(worker: 0)
            } catch {
                if error == .peerLost { return }
            }
        }
    }

    /// Stops listening and ends `serve`, once the borrower has gone. Idempotent.
    public func close() { door.close() }

    private func stay(_ link: VerbsLentLink, while isWanted: () -> Bool) {
        var probe = MonotonicDeadline(in: Self.probeNanoseconds)
        while isWanted() {
            var pollers = [
                pollfd(fd: link.connection.id.events.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: door.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&pollers, nfds_t(pollers.count), Self.sliceMilliseconds)
            if let event = link.connection.id.events.next() {
                switch event {
                case .ended, .unreachable, .rejected: return
                case .connected, .request, .addressResolved, .routeResolved, .other: break
                }
            }
            // Whoever else connects is turned away: the memory is taken.
            if pollers[1].revents != 0 { _ = try? door.acceptNext(timeout: .zero) }
            guard link.isThere else { return }
            if probe.hasPassed {
                link.ask()
                probe = MonotonicDeadline(in: Self.probeNanoseconds)
            }
        }
    }
}

/// A borrower's connection, at the donor.
final class VerbsLentLink: VerbsOpened, @unchecked Sendable {
    let connection: VerbsPair
    let window: VerbsWindow
    private let registration: VerbsRegistration
    private var isAsking = false

    init(
        _ id: VerbsID, domain: VerbsDomain, lending memory: UnsafeMutableRawBufferPointer
    ) throws(VerbsError) {
        registration = try VerbsRegistration(
            memory, access: [IBV_ACCESS_LOCAL_WRITE, IBV_ACCESS_REMOTE_WRITE, IBV_ACCESS_REMOTE_READ], domain: domain)
        window = VerbsWindow(
            address: UInt64(UInt(bitPattern: memory.baseAddress)), key: registration.remoteKey)
        connection = try VerbsPair(id, domain: domain, sends: 2, receives: 1, inlineBytes: [0])
    }

    // Before the registration goes.
    deinit { connection.close() }

    /// Sends a write of no bytes: the device at the other end acknowledges it, or the connection breaks.
    func ask() {
        guard !isAsking else { return }
        var request = ibv_send_wr()
        request.opcode = IBV_WR_RDMA_WRITE
        request.send_flags = IBV_SEND_SIGNALED.rawValue
        var bad: UnsafeMutablePointer<ibv_send_wr>?
        isAsking = ibv_post_send(connection.pointer, &request, &bad) == 0
    }

    /// Whether nothing has said yet that the borrower is gone.
    var isThere: Bool {
        var entry = ibv_wc()
        while ibv_poll_cq(connection.queue, 1, &entry) > 0 {
            guard entry.status == IBV_WC_SUCCESS else { return false }
            isAsking = false
        }
        return true
    }
}
