internal import Dispatch
internal import Glibc

/// SIGTERM and SIGINT as something to wait for.
public enum StopSignal {
    /// Waits for SIGTERM or SIGINT, or the task's cancellation. From the call on, the process no longer dies of the two.
    ///
    /// - Returns: the signal's name; nil when the task was cancelled.
    public static func wait() async -> String? {
        let (signals, feed) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1))
        let sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { number, name in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { feed.yield(name) }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        return await signals.first { _ in true }
    }
}
