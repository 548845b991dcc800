internal import CRDMA
package import FallowTransport
internal import Glibc
package import TransportHandshake

/// A connect under way: what was opened for it, before the listener has answered.
package struct VerbsCall<Link: VerbsOpened> {
    package let link: Link

    package typealias Failure = VerbsCallFailure

    /// InfiniBand's reasons for a reject (IBA 12.6.7.2): no such service; the peer remembers this queue pair from before.
    private static var invalidService: CInt { 8 }
    private static var staleConnection: CInt { 10 }

    /// Finds the way to an address and the device that it leads over.
    static func resolve(
        _ destination: VerbsAddress, from source: VerbsAddress?, until deadline: MonotonicDeadline
    ) throws(Failure) -> VerbsID {
        let id: VerbsID
        do throws(VerbsError) {
            id = try VerbsID(VerbsEvents())
        } catch { throw .final(.system(code: error.code)) }
        let bound = max(1, min(deadline.millisecondsLeft, VerbsBounds.resolveMilliseconds))
        var code = destination.withPointer { to in
            if let source {
                source.withPointer { crdma_resolve_address(id.pointer, $0, to, bound) }
            } else {
                crdma_resolve_address(id.pointer, nil, to, bound)
            }
        }
        guard code == 0 else { throw .final(.system(code: code)) }
        guard case .addressResolved = try answer(id, until: deadline) else { throw .final(.protocolViolation) }
        // Kernels before 5.1 have no say in it; then the device's default bounds the silence.
        _ = crdma_set_ack_timeout(id.pointer, VerbsBounds.ackTimeoutExponent)
        code = crdma_resolve_route(id.pointer, bound)
        guard code == 0 else { throw .again(.system(code: code)) }
        guard case .routeResolved = try answer(id, until: deadline) else { throw .final(.protocolViolation) }
        return id
    }

    /// Sends a request. Does not wait.
    package func send(_ request: [UInt8]) throws(Failure) {
        let connection = link.connection
        let code = request.withUnsafeBufferPointer { data in
            var parameters = connection.parameters(data)
            return crdma_connect(connection.id.pointer, &parameters)
        }
        guard code == 0 else { throw .again(.system(code: code)) }
    }

    /// - Returns: what came with the listener's accept.
    package func accepted(until deadline: MonotonicDeadline) throws(Failure) -> [UInt8] {
        guard case .connected(let data) = try Self.answer(link.connection.id, until: deadline) else {
            throw .final(.protocolViolation)
        }
        return data
    }

    /// The next event, when it is a good one.
    private static func answer(_ id: VerbsID, until deadline: MonotonicDeadline) throws(Failure) -> VerbsEvents.Event {
        guard let event = id.events.next(until: deadline) else { throw .final(.timedOut) }
        switch event {
        case .rejected(_, let data) where data.starts(with: VerbsIntroduction.refusal): throw .final(.refused)
        case .rejected(invalidService, _): throw .nobody
        case .rejected(staleConnection, _): throw .again(.peerLost)
        case .rejected: throw .again(.system(code: ECONNREFUSED))
        case .unreachable(let code): throw .again(.system(code: code))
        case .ended: throw .again(.peerLost)
        case .connected, .addressResolved, .routeResolved, .request, .other: return event
        }
    }
}

/// Why a connect came to nothing.
package enum VerbsCallFailure: Error {
    /// It will not be otherwise next time.
    case final(TransportError)
    /// The peer's machine said that nobody listens.
    case nobody
    /// The network, or something left over of an earlier connection, was in the way.
    case again(TransportError)

    package var error: TransportError {
        switch self {
        case .final(let error), .again(let error): error
        case .nobody: .system(code: ECONNREFUSED)
        }
    }
}
