internal import FallowControl
internal import FallowHistory
internal import FallowModel
internal import FallowWire
internal import Hummingbird

extension Routes {
    /// `GET /v1/report`: everybody gets the cluster's sums, and only operators others' jobs and shares.
    func capacity(_ request: Request, _ context: ControlContext) async throws -> Response {
        try Response(json: try await service.capacity(try query(request, viewer: try scope(context).user)))
    }

    private func query(_ request: Request, viewer: UserID?) throws -> ReportQuery {
        let now = Timestamp.now
        let until = min(try moment(request, "until") ?? now, now)
        let since = try moment(request, "since") ?? until + .seconds(-86_400)
        guard since <= until else { throw WireError(.invalid, "since is later than until, or not yet") }
        var query = ReportQuery(since: since, until: until)
        query.cluster = settings.clusterName
        query.viewer = viewer
        let parameters = request.uri.queryParameters
        query.nodes = (parameters["nodes"] ?? "").split(separator: ",").map { NodeName(String($0)) }
        guard query.nodes.count <= 1000 else { throw WireError(.invalid, "nodes names more than 1000 nodes") }
        query.partition = parameters["partition"].map { String($0) }
        query.account = parameters["account"].map { String($0) }
        query.user = try number(request, "user", 0...UInt32.max).map { UserID($0) }
        query.job = try number(request, "job", 1...UInt32.max).map { JobID($0) }
        query.jobLimit = Int(try number(request, "jobs", 0...10_000) ?? 20)
        query.nodeLimit = Int(try number(request, "node_rows", 0...100_000) ?? 20)
        return query
    }

    private func number(_ request: Request, _ name: String, _ range: ClosedRange<UInt32>) throws -> UInt32? {
        guard let text = request.uri.queryParameters[Substring(name)] else { return nil }
        guard let number = UInt32(text), range.contains(number) else {
            throw WireError(
                .invalid,
                "\(name) is '\(text)'; a whole number from \(range.lowerBound) to \(range.upperBound) is right")
        }
        return number
    }

    private func moment(_ request: Request, _ name: String) throws -> Timestamp? {
        guard let text = request.uri.queryParameters[Substring(name)] else { return nil }
        guard let seconds = Double(text), (0...9e9).contains(seconds) else {
            throw WireError(.invalid, "\(name) is '\(text)'; seconds since 1970 are right")
        }
        return Timestamp(secondsSinceEpoch: seconds)
    }
}
