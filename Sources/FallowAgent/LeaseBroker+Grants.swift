internal import FallowControl
internal import FallowModel
internal import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Grants: asked for, and believed.
extension LeaseBroker {
    /// What the co-scheduler decided: its answer, and what the receipt in it says.
    struct Granted: Sendable {
        var answer: LeaseGranted
        var grant: Grant
    }

    /// Asks the co-scheduler. What it does not find is a node that the client named, so that was no good demand.
    func grant(_ request: LeaseRequest) async throws -> (LeaseGranted, Letters) {
        do {
            return try await client.sendForLetters(
                .post, settings.controllerURL, "/v1/leases", body: request,
                timeout: .nanoseconds(Int64((request.demand.waitSeconds + 10) * 1e9)), attempts: 3)
        } catch let error as WireError {
            switch error.code {
            case .notFound: throw WireError(.invalid, error.message)
            case .unavailable: throw WireError(.unavailable, "the co-scheduler cannot be asked: \(error.message)")
            default: throw error
            }
        }
    }

    /// What the co-scheduler told this agent of a lease: hidden by their session's key, or by MUNGE.
    func readReceipt(_ text: String, _ letters: Letters) async throws -> Grant {
        guard let payload = try letters.read(text) else { return try await decodeGrant(text) }
        return try ControlJSON.decode(Grant.self, from: Data(payload))
    }

    /// Opens a grant's seal.
    func decodeGrant(_ credential: String) async throws -> Grant {
        let proof: MungeCredential
        do {
            proof = try await munge.decode(credential)
        } catch let error as MungeError { throw WireError(.refused, "the grant: \(error.description)") }
        guard settings.trustedUsers.contains(proof.user) else {
            throw WireError(.refused, "the grant was sealed by uid \(proof.user), which is none of munge.trusted_uids")
        }
        return try ControlJSON.decode(Grant.self, from: proof.payload)
    }
}
