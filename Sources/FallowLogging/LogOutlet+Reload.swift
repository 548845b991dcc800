internal import Dispatch
internal import Glibc
public import Logging

extension LogOutlet {
    /// From the call on, SIGHUP does not end the process but has its levels read again.
    ///
    /// - Parameters:
    ///   - log: hears what is in force then, or what is wrong; then the levels stay as they are.
    ///   - read: throws what is wrong, as a sentence.
    /// - Returns: what listens; levels are no longer read again when it is cancelled.
    public func rereadOnHangup(
        log: Logger, _ read: @escaping @Sendable () throws -> LogLevels
    ) -> Task<Void, Never> {
        let (signals, feed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        signal(SIGHUP, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler { feed.yield() }
        source.resume()
        return Task {
            defer { source.cancel() }
            for await _ in signals {
                do {
                    levels = try read()
                    log.notice("log levels are read again", metadata: ["levels": "\(levels.text)"])
                } catch {
                    log.error(
                        "log levels stay as they are", metadata: ["levels": "\(levels.text)", "error": "\(error)"])
                }
            }
        }
    }
}
