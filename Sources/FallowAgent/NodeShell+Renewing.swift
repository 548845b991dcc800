internal import FallowModel
internal import FallowPolicy
internal import FallowWire

extension NodeShell {
    /// A new grant for a lease that runs: its term changes.
    func renew(_ grant: Grant) -> Result<Void, WireError> {
        guard let executor = executors[grant.leaseID], executor.grant.user == grant.user else {
            return .failure(WireError(.notFound, "there is no lease \(grant.leaseID) on \(name)"))
        }
        guard grant.node == name, grant.obeyBefore > now else {
            return .failure(WireError(.refused, "the grant is for another node, or too old"))
        }
        executor.grant.termEnds = grant.termEnds
        policy.renew(grant.leaseID, termEnds: grant.termEnds)
        onChange()
        return .success(())
    }
}
