internal import FallowControl
internal import FallowWire
internal import HTTPTypes
internal import Hummingbird

/// Style, scripts and the icon, which are in the program, and the chart library, which is the system's.
struct StaticFiles: Sendable {
    private struct File: Sendable {
        var type: String
        var bytes: ByteBuffer
        var tag: String
        init(_ bytes: some Collection<UInt8> & Sendable, _ type: String) {
            self.type = type
            self.bytes = ByteBuffer(bytes: bytes)
            tag = "\"\(Seal.digest(bytes).prefix(16))\""
        }
    }
    private let files: [String: File]
    static let chart = "chart.js"

    init(chartLibrary: [UInt8]?) {
        let script = "text/javascript; charset=utf-8"
        var files = [
            "page.css": File(PackageResources.page_css, "text/css; charset=utf-8"),
            "icon.svg": File(PackageResources.icon_svg, "image/svg+xml"),
            "page.js": File(PackageResources.page_js, script), "live.js": File(PackageResources.live_js, script),
            "tiles.js": File(PackageResources.tiles_js, script),
            "leases.js": File(PackageResources.leases_js, script),
            "charts.js": File(PackageResources.charts_js, script), "heat.js": File(PackageResources.heat_js, script),
            "format.js": File(PackageResources.format_js, script),
        ]
        if let chartLibrary { files[Self.chart] = File(chartLibrary, script) }
        self.files = files
    }

    /// Whether the chart library was found.
    var hasCharts: Bool { files[Self.chart] != nil }

    /// - Throws: `WireError` `notFound`.
    func response(_ name: String, _ request: Request) throws -> Response {
        guard let file = files[name] else { throw WireError(.notFound, "the page has no file '\(name)'") }
        // Asked for anew each time, and not sent again while it is the same: an upgrade is seen at once.
        var headers = PageResponse.headers
        headers[.contentType] = file.type
        headers[.cacheControl] = "no-cache"
        headers[.eTag] = file.tag
        if request.headers[.ifNoneMatch] == file.tag { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: file.bytes))
    }
}
