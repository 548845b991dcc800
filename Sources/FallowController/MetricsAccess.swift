internal import FallowControl
internal import FallowWire
internal import Hummingbird

/// Who may read what carries no seal, `/metrics`: this machine, and whoever shows the reader's token.
struct MetricsAccess: Sendable {
    /// The file that holds the token; nil: only this machine reads.
    let tokenFile: String?

    /// - Throws: `WireError` `refused`, with what would be right.
    func check(_ request: Request, _ context: ControlContext) throws(WireError) {
        if context.isLocal { return }
        guard let tokenFile else {
            throw WireError(
                .refused, "only this machine reads /metrics; controller.reader_token_file names a token for others")
        }
        let token = try TokenFile(path: tokenFile, key: "controller.reader_token_file").read()
        guard TokenFile.areEqual(request.headers[.authorization] ?? "", "Bearer " + token) else {
            throw WireError(.refused, "/metrics needs the header 'Authorization: Bearer <the reader's token>'")
        }
    }
}
