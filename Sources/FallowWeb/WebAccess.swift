internal import FallowControl
internal import FallowModel
internal import FallowWire
internal import HTTPTypes
internal import Hummingbird

/// Who may read the page, and as whom: this machine, whoever signs in with the reader's token, and whom a reverse proxy names.
struct WebAccess: Sendable {
    let settings: WebSettings
    let names: UserNames

    static let cookie = "fallow_reader"
    /// What a proxy sets: its own token, and the name of who has signed in there.
    static let proxyHeader = HTTPField.Name("X-Fallow-Proxy-Token")!
    static let userHeader = HTTPField.Name("X-Fallow-User")!

    private var reader: TokenFile? {
        settings.readerTokenFile.map { TokenFile(path: $0, key: "controller.reader_token_file") }
    }

    /// What of a request says who makes it.
    struct Knock: Sendable {
        var isLocal: Bool
        /// The Host that it names.
        var authority: String
        var headers: HTTPFields
        var cookie: String?
    }

    func viewer(_ request: Request, _ context: ControlContext) async throws(WireError) -> Viewer {
        try await viewer(
            Knock(
                isLocal: context.isLocal, authority: request.head.authority ?? "", headers: request.headers,
                cookie: request.cookies[Self.cookie]?.value))
    }

    /// - Throws: `WireError` `refused`, with what would be right.
    func viewer(_ knock: Knock) async throws(WireError) -> Viewer {
        if let shown = knock.headers[Self.proxyHeader] { return try await named(by: knock, shown) }
        guard knock.headers[Self.userHeader] == nil else {
            throw WireError(.refused, "\(Self.userHeader) counts only beside \(Self.proxyHeader)")
        }
        if let reader, try showsToken(knock, reader) { return .reader }
        guard knock.isLocal else {
            throw WireError(
                .refused,
                reader == nil
                    ? "only this machine reads the page; controller.reader_token_file names a token for others"
                    : "sign in with the reader's token")
        }
        // A page of another site that has its name point here must not read this one in somebody's browser.
        guard Self.isOwnName(knock.authority) else {
            throw WireError(
                .refused,
                "a request from this machine is for localhost or an address, not for '\(knock.authority)': a reverse"
                    + " proxy must pass its own address as Host, or show a token")
        }
        return .reader
    }

    private func named(by knock: Knock, _ shown: String) async throws(WireError) -> Viewer {
        guard let path = settings.proxyTokenFile else {
            throw WireError(.refused, "controller.proxy_token_file names no token of a proxy")
        }
        guard try TokenFile(path: path, key: "controller.proxy_token_file").matches(shown) else {
            throw WireError(.refused, "\(Self.proxyHeader) is not the token of controller.proxy_token_file")
        }
        let name = knock.headers[Self.userHeader] ?? ""
        guard !name.isEmpty else { return .reader }
        guard let user = await names.user(named: name) else {
            throw WireError(.refused, "the proxy names '\(name)': there is no such user here")
        }
        return settings.operators.contains(user) ? .operator(user) : .user(user)
    }

    private func showsToken(_ knock: Knock, _ reader: TokenFile) throws(WireError) -> Bool {
        if let header = knock.headers[.authorization] {
            return TokenFile.areEqual(header, "Bearer " + (try reader.read()))
        }
        guard let cookie = knock.cookie else { return false }
        return TokenFile.areEqual(cookie, Self.proof(of: try reader.read()))
    }

    /// The cookie that a browser gets for a token.
    ///
    /// - Throws: `WireError` `refused`: it is not the reader's.
    func cookie(for token: String) throws(WireError) -> Cookie {
        guard let reader else { throw WireError(.refused, "controller.reader_token_file names no token") }
        guard try reader.matches(token) else { throw WireError(.refused, "this is not the reader's token") }
        return Cookie(
            name: Self.cookie, value: Self.proof(of: token), path: "/", httpOnly: true, sameSite: .strict)
    }

    /// What a browser keeps is not the token itself, which opens /metrics too.
    private static func proof(of token: String) -> String { Seal.digest("fallow's page \(token)".utf8) }

    private static func isOwnName(_ authority: String) -> Bool {
        if authority.hasPrefix("[") { return true }
        let host = authority.split(separator: ":").first.map { $0.lowercased() } ?? ""
        return host == "localhost" || host.allSatisfy { $0.isNumber || $0 == "." }
    }
}
