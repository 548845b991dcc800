internal import FallowModel
internal import FallowWire
internal import Glibc

extension AgentConnection {
    /// Asks for a lease's new term, from now on.
    /// - Returns: when it ends.
    func renew(_ id: LeaseID, term: Duration) throws(FallowError) -> Timestamp {
        try ForkGuard.check()
        guard term > .zero else { throw FallowError(.invalid, "a term is longer than \(term)") }
        let answer = try exchange(.renew, leaseID: id, termSeconds: term.inSeconds, timeout: .seconds(10))
        for descriptor in answer.descriptors { close(descriptor) }
        guard answer.reply.kind == .renewed, let ends = answer.reply.termEnds else {
            throw FallowError(.internalError, "the node's agent answered 'renew' with '\(answer.reply.kind.rawValue)'")
        }
        return ends
    }

    /// Gives a lease back and waits until the agent has confirmed, at most 10 s. One that is over already is no error.
    func release(_ id: LeaseID) throws(FallowError) {
        do throws(FallowError) {
            let answer = try exchange(.release, leaseID: id, timeout: .seconds(10))
            for descriptor in answer.descriptors { close(descriptor) }
        } catch {
            if error.code != .leaseEnded { throw error }
        }
    }
}
