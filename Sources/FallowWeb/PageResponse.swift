internal import FallowControl
internal import FallowWire
internal import HTTPTypes
internal import Hummingbird
internal import Mustache

/// Templates, and the headers that every reply of the page has.
struct PageResponse: Sendable {
    private let library: MustacheLibrary

    /// Nothing runs in the page but its own files, no other site is asked for anything, and none may hold it in a frame.
    static let headers: HTTPFields = {
        var headers: HTTPFields = [
            .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy:
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
                + " form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
        ]
        if let referrer = HTTPField.Name("Referrer-Policy") { headers[referrer] = "same-origin" }
        return headers
    }()

    /// The templates are in the program, so one that cannot be read is a mistake of the build, which the tests find.
    init() throws {
        var library = MustacheLibrary()
        for (name, bytes) in [
            ("overview", PackageResources.overview_mustache), ("job", PackageResources.job_mustache),
            ("message", PackageResources.message_mustache), ("head", PackageResources.head_mustache),
            ("foot", PackageResources.foot_mustache), ("tile", PackageResources.tile_mustache),
            ("lease", PackageResources.lease_mustache),
        ] { try library.register(String(decoding: bytes, as: UTF8.self), named: name) }
        self.library = library
    }

    func text(_ template: String, _ model: Any) throws(WireError) -> String {
        guard let text = library.render(model, withTemplate: template) else {
            throw WireError(.internalError, "there is no template \(template)")
        }
        return text
    }

    func response(_ template: String, _ model: Any, status: HTTPResponse.Status = .ok) throws(WireError) -> Response {
        var headers = Self.headers
        headers[.contentType] = "text/html; charset=utf-8"
        headers[.cacheControl] = "no-store"
        return Response(
            status: status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(string: try text(template, model))))
    }

    static func json(_ value: some Encodable) throws -> Response {
        var response = try Response(json: value)
        for field in headers { response.headers.append(field) }
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
