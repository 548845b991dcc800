internal import CCurl
internal import FallowModel
internal import Glibc

/// What is sent.
struct HTTPCall: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        /// A file from its offset 0 on. The descriptor stays the caller's and must stay open.
        case file(descriptor: Int32, size: Int64)
    }
    var method: HTTPVerb
    /// With scheme, host, port, path and query.
    var url: String
    var headers: [(name: String, value: String)]
    /// nil for GET and HEAD.
    var body: Body?
    /// For everything: connecting, sending, the whole reply.
    var timeout: Duration
    /// Bytes of the reply's body that are taken.
    var largestReply: Int
    /// The name, in letters of either case, of the one header of the reply that is wanted.
    var wantedHeader: String
}

struct HTTPReply: Sendable {
    var status: Int
    /// The wanted header's value.
    var header: String?
    var body: [UInt8]
}

/// Why there is no reply.
enum HTTPFailure: Error, Hashable {
    case timedOut
    case badAddress
    case replyTooLarge
    /// In libcurl's words.
    case failed(String)
}

/// One call under way. Built by its caller; from then on the engine's thread alone touches it.
final class HTTPExchange: @unchecked Sendable {
    typealias Outcome = Result<HTTPReply, any Error>

    let easy: UnsafeMutableRawPointer
    private let call: HTTPCall
    private var list: UnsafeMutablePointer<curl_slist>?
    /// Where libcurl says what went wrong.
    private let words = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var sent: Int64 = 0
    private var header: String?
    private var reply: [UInt8] = []
    private var overflowed = false
    private var finish: ((Outcome) -> Void)?

    /// - Parameter finish: called once, on the engine's thread.
    /// - Throws: `HTTPFailure`.
    init(_ call: HTTPCall, finish: @escaping (Outcome) -> Void) throws(HTTPFailure) {
        guard let easy = curl_easy_init() else { throw .failed("out of memory") }
        (self.easy, self.call, self.finish) = (easy, call, finish)
        words.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let rest = call.url.dropFirst("http://".count)
        guard call.url.hasPrefix("http://"), let first = rest.first, first != "/", first != ":" else {
            throw .badAddress
        }
        guard setUp() else { throw .failed("libcurl takes no such request") }
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(list)
        words.deallocate()
    }

    private func setUp() -> Bool {
        func number(_ option: CURLoption, _ value: Int64) -> Bool { fallow_curl_set_number(easy, option, value) }
        func text(_ option: CURLoption, _ value: String) -> Bool { fallow_curl_set_pointer(easy, option, value) }
        // "Expect: 100-continue" would cost a round trip, or a second where nobody answers it.
        for (name, value) in call.headers + [("Expect", "")] {
            guard let longer = curl_slist_append(list, value.isEmpty ? "\(name):" : "\(name): \(value)") else {
                return false
            }
            list = longer
        }
        let context = Unmanaged.passUnretained(self).toOpaque()
        let milliseconds = Swift.max(1, call.timeout.nanoseconds / 1_000_000)
        return text(CURLOPT_URL, call.url) && number(CURLOPT_PATH_AS_IS, 1) && text(CURLOPT_PROXY, "")
            && number(CURLOPT_NOSIGNAL, 1) && number(CURLOPT_HTTP_VERSION, Int64(CURL_HTTP_VERSION_1_1))
            && number(CURLOPT_CONNECTTIMEOUT_MS, 3000) && number(CURLOPT_TIMEOUT_MS, milliseconds)
            && number(CURLOPT_MAXAGE_CONN, 20) && fallow_curl_set_pointer(easy, CURLOPT_HTTPHEADER, list)
            && fallow_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, words)
            && fallow_curl_set_bytes(easy, CURLOPT_WRITEFUNCTION, CURLOPT_WRITEDATA, Self.onBody, context)
            && fallow_curl_set_bytes(easy, CURLOPT_HEADERFUNCTION, CURLOPT_HEADERDATA, Self.onHeader, context)
            && setBody(context)
    }

    private func setBody(_ context: UnsafeMutableRawPointer) -> Bool {
        let set = fallow_curl_set_number
        switch call.body {
        case nil:
            guard call.method == .head else { break }
            return set(easy, CURLOPT_NOBODY, 1)
        case .bytes(let bytes):
            let size = Int64(bytes.count)
            guard set(easy, CURLOPT_POST, 1), set(easy, CURLOPT_POSTFIELDSIZE_LARGE, size),
                bytes.withUnsafeBytes({
                    fallow_curl_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, $0.baseAddress ?? UnsafeRawPointer(context))
                })
            else { return false }
        case .file(_, let size):
            guard set(easy, CURLOPT_UPLOAD, 1), set(easy, CURLOPT_INFILESIZE_LARGE, size),
                fallow_curl_set_bytes(easy, CURLOPT_READFUNCTION, CURLOPT_READDATA, Self.onRead, context),
                fallow_curl_set_seek(easy, Self.onSeek, context)
            else { return false }
        }
        return fallow_curl_set_pointer(easy, CURLOPT_CUSTOMREQUEST, call.method.rawValue)
    }

    /// Tells the caller how it ended; later words are dropped.
    func end(_ outcome: Outcome) {
        finish?(outcome)
        finish = nil
    }

    /// Tells the caller what libcurl says of the end.
    func end(_ code: CURLcode) {
        switch code {
        case CURLE_OK:
            end(.success(HTTPReply(status: fallow_curl_status(easy), header: header, body: reply)))
        case CURLE_OPERATION_TIMEDOUT: end(.failure(HTTPFailure.timedOut))
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: end(.failure(HTTPFailure.badAddress))
        case _ where overflowed: end(.failure(HTTPFailure.replyTooLarge))
        default:
            let said = String(cString: words)
            end(.failure(HTTPFailure.failed(said.isEmpty ? String(cString: curl_easy_strerror(code)) : said)))
        }
    }

    private static func exchange(_ context: UnsafeMutableRawPointer?) -> HTTPExchange {
        Unmanaged<HTTPExchange>.fromOpaque(context!).takeUnretainedValue()
    }

    private static let onBody: fallow_curl_bytes = { bytes, size, count, context in
        let exchange = exchange(context)
        guard exchange.reply.count + size * count <= exchange.call.largestReply else {
            exchange.overflowed = true
            return 0
        }
        exchange.reply += UnsafeRawBufferPointer(start: bytes, count: size * count)
        return size * count
    }

    private static let onHeader: fallow_curl_bytes = { bytes, size, count, context in
        let exchange = exchange(context)
        let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
        let name = exchange.call.wantedHeader.utf8
        if line.count > name.count, line[name.count] == UInt8(ascii: ":"),
            zip(line, name).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
        {
            let value = String(decoding: line.dropFirst(name.count + 1), as: UTF8.self)
            exchange.header = String(value.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
        }
        return size * count
    }

    private static let onRead: fallow_curl_bytes = { buffer, size, count, context in
        let exchange = exchange(context)
        guard case .file(let descriptor, let bytes) = exchange.call.body else { return 0 }
        let wanted = Swift.min(size * count, Int(bytes - exchange.sent))
        var got = pread(descriptor, buffer, wanted, off_t(exchange.sent))
        while got < 0, errno == EINTR { got = pread(descriptor, buffer, wanted, off_t(exchange.sent)) }
        // A file that became shorter meanwhile is no less wrong than one that cannot be read.
        guard got > 0 || wanted == 0 else { return size_t(CURL_READFUNC_ABORT) }
        exchange.sent += Int64(got)
        return got
    }

    private static let onSeek: fallow_curl_seek = { context, offset, origin in
        guard origin == SEEK_SET else { return CURL_SEEKFUNC_CANTSEEK }
        exchange(context).sent = Int64(offset)
        return CURL_SEEKFUNC_OK
    }
}
