internal import CCurl
internal import Synchronization

/// HTTP calls of the whole process: one thread over libcurl, which keeps connections and bounds every wait.
///
/// Starts with the first call and lives as long as the process. Files that are sent are read on its thread.
final class HTTPEngine: Sendable {
    static let shared = HTTPEngine()

    private enum Order {
        case start(HTTPExchange)
        case cancel(HTTPExchange)
    }
    /// libcurl's own; thread-safe is its wake-up alone.
    private struct Multi: @unchecked Sendable { let handle: UnsafeMutableRawPointer }

    private let multi: Multi
    private let orders = Mutex<[Order]>([])

    private init() {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        multi = Multi(handle: curl_multi_init()!)
        startDetachedThread { [self] in run() }
    }

    /// Sends a call and waits for its reply, at most for its timeout.
    ///
    /// - Throws: `HTTPFailure`; `CancellationError`.
    func reply(to call: HTTPCall) async throws -> HTTPReply {
        let current = Mutex<HTTPExchange?>(nil)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                do {
                    let exchange = try HTTPExchange(call) { continuation.resume(with: $0) }
                    current.withLock { $0 = exchange }
                    tell(.start(exchange))
                    // The cancellation may have come before there was anything to cancel.
                    if Task.isCancelled { tell(.cancel(exchange)) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            if let exchange = current.withLock({ $0 }) { tell(.cancel(exchange)) }
        }
    }

    private func tell(_ order: sending Order) {
        orders.withLock { $0.append(order) }
        curl_multi_wakeup(multi.handle)
    }

    private func run() {
        var running: [UnsafeMutableRawPointer: HTTPExchange] = [:]
        while true {
            for order in orders.withLock({ waiting in
                defer { waiting = [] }
                return waiting
            }) {
                switch order {
                case .start(let exchange):
                    curl_multi_add_handle(multi.handle, exchange.easy)
                    running[exchange.easy] = exchange
                case .cancel(let exchange):
                    guard running.removeValue(forKey: exchange.easy) != nil else { continue }
                    curl_multi_remove_handle(multi.handle, exchange.easy)
                    exchange.end(.failure(CancellationError()))
                }
            }
            var active: Int32 = 0
            curl_multi_perform(multi.handle, &active)
            var code = CURLE_OK
            while let easy = fallow_curl_next_done(multi.handle, &code) {
                guard let exchange = running.removeValue(forKey: easy) else { continue }
                exchange.end(code)
                curl_multi_remove_handle(multi.handle, easy)
            }
            // Woken by sockets, by libcurl's own timers, and by `tell`.
            curl_multi_poll(multi.handle, nil, 0, 60_000, nil)
        }
    }
}
