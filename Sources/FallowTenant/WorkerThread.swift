internal import CLinux
internal import FallowModel
package import FallowWire
internal import Glibc

/// A joinable thread with a name, pinned to a CPU when one is given.
package struct WorkerThread {
    private let identity: UInt64

    /// Starts a thread that runs `body` once.
    /// - Throws: `.internalError` with a sentence: no such CPU, or one that this process may not use.
    package init(name: String, cpu: Int? = nil, _ body: @escaping @Sendable () -> Void) throws(WireError) {
        let context = Unmanaged.passRetained(Body(body))
        var identity: UInt64 = 0
        let result = clinux_thread_start(
            { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() }, context.toOpaque(), name, Int32(cpu ?? -1),
            &identity)
        guard result == 0 else {
            context.release()
            let place = cpu.map { " on CPU \($0)" } ?? ""
            throw WireError(
                .internalError, "cannot start thread '\(name)'\(place): \(String(cString: strerror(-result)))")
        }
        self.identity = identity
    }

    /// Blocks until the body has returned. Once only.
    package func join() { _ = clinux_thread_join(identity) }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
