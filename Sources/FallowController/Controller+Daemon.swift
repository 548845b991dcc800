internal import Dispatch
internal import FallowControl
public import FallowLocal
internal import FallowWire
internal import Glibc
internal import Logging

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

extension Controller {
    /// Serves until SIGTERM or SIGINT, and is then gone within 5 s.
    ///
    /// The URL it is reached at stands in `<state_directory>/fallowctld.url` meanwhile.
    /// - Throws: as `run`.
    public func runUntilSignalled(manager: ServiceManager? = nil) async throws {
        let file = urlFile
        let logger = logger
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await run(manager: manager) { url in
                    manager?.ready()
                    logger.notice("listening on \(url)")
                    do {
                        try Data((url + "\n").utf8).write(to: URL(filePath: file), options: .atomic)
                    } catch {
                        logger.error("cannot write \(file): \(error)")
                    }
                }
            }
            group.addTask {
                guard let signal = await StopSignal.wait() else { return }
                logger.notice("\(signal): stopping")
                manager?.stopping()
                // Whatever hangs then, the process does not.
                DispatchQueue.global().asyncAfter(deadline: .now() + 4.5) { _exit(1) }
            }
            defer { group.cancelAll() }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
        unlink(file)
    }
}
