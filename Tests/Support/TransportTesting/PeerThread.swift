internal import Glibc

/// Carries something that cannot be copied into a thread.
public final class Handover<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value?
    public init(_ value: consuming Value) { self.value = consume value }
    public func take() -> Value { value.take()! }
}

/// A thread of the system's own: endpoints spin and sleep, which the cooperative pool is not for.
public final class PeerThread: @unchecked Sendable {
    private var thread = pthread_t()
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    public init(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run)).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body)
        precondition(code == 0, "cannot start a thread")
    }
    public func join() { pthread_join(thread, nil) }
}
