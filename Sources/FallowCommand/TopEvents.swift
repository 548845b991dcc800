internal import Dispatch
internal import FallowReporting
internal import Glibc

/// What happens to `fallow top`.
enum TopEvent: Sendable {
    case input([UInt8])
    /// Nobody types any more: the terminal is gone.
    case inputEnded
    case resized
    /// Continued after having been stopped.
    case continued
    /// Told to end by a signal.
    case signalled(Int32)
    case snapshot(Result<TopSnapshot, any Error>)
}

/// Where they come from: the terminal's descriptor and signals, which no longer do what they do by default.
final class TopEvents {
    let stream: AsyncStream<TopEvent>
    let feed: AsyncStream<TopEvent>.Continuation
    private var sources: [any DispatchSourceProtocol] = []

    init(input: Int32 = STDIN_FILENO) {
        // A screen that is behind is not helped by what it has missed, but for keys; of those nobody types so many.
        (stream, feed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
        let feed = feed
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { on(number) { feed.yield(.signalled(number)) } }
        on(SIGWINCH) { feed.yield(.resized) }
        on(SIGCONT) { feed.yield(.continued) }
        let reader = DispatchSource.makeReadSource(fileDescriptor: input, queue: .global())
        reader.setEventHandler {
            var bytes = [UInt8](repeating: 0, count: 1024)
            let count = read(input, &bytes, bytes.count)
            if count > 0 {
                _ = feed.yield(.input(Array(bytes[..<count])))
                return
            }
            if count < 0, errno == EINTR || errno == EAGAIN { return }
            feed.yield(.inputEnded)
            feed.finish()
        }
        reader.resume()
        sources.append(reader)
    }

    private func on(_ number: Int32, _ body: @escaping @Sendable () -> Void) {
        signal(number, number == SIGCONT || number == SIGWINCH ? SIG_DFL : SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
        sources.append(source)
    }

    deinit { for source in sources { source.cancel() } }
}
