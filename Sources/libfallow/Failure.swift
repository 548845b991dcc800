internal import CFallow
internal import FallowClient
internal import Glibc

/// The last failure of each thread, for `fallow_message`. A thread that never fails allocates nothing.
enum Failure {
    private static let capacity = 1024
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        // The destructor runs when a thread ends.
        precondition(pthread_key_create(&key) { free($0) } == 0, "no thread-local storage is left")
        return key
    }()

    /// Keeps the sentence and gives the code.
    static func record(_ error: FallowError) -> Int32 {
        var buffer = pthread_getspecific(key)
        if buffer == nil {
            buffer = malloc(capacity)
            pthread_setspecific(key, buffer)
        }
        guard let text = buffer?.assumingMemoryBound(to: CChar.self) else { return error.code.rawValue }
        error.message.withCString { _ = strncpy(text, $0, capacity - 1) }
        text[capacity - 1] = 0
        return error.code.rawValue
    }

    static var sentence: UnsafePointer<CChar>? {
        pthread_getspecific(key).map { UnsafePointer($0.assumingMemoryBound(to: CChar.self)) }
    }

    /// Runs a body; what it throws becomes the code, and nothing crosses the boundary.
    static func guarded(_ body: () throws(FallowError) -> Void) -> Int32 {
        do throws(FallowError) {
            try body()
            return 0
        } catch {
            return record(error)
        }
    }
}

/// The object behind a C pointer.
/// - Throws: `.invalid` when the pointer is NULL.
func object<Object: AnyObject>(
    _ pointer: OpaquePointer?, _ name: StaticString, as type: Object.Type = Object.self
) throws(FallowError) -> Object {
    guard let pointer else { throw FallowError(.invalid, "\(name) is NULL") }
    return Unmanaged<Object>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
}

/// A C pointer that owns the object until `release`.
func retained(_ object: some AnyObject) -> OpaquePointer {
    OpaquePointer(Unmanaged.passRetained(object).toOpaque())
}

/// Takes the object back from a C pointer, which is of no use afterwards; nil for NULL.
func released<Object: AnyObject>(_ pointer: OpaquePointer?, as type: Object.Type) -> Object? {
    pointer.map { Unmanaged<Object>.fromOpaque(UnsafeRawPointer($0)).takeRetainedValue() }
}

/// A span of seconds from C.
/// - Throws: `.invalid` for what is no number.
func span(seconds: Double, _ name: StaticString) throws(FallowError) -> Duration {
    guard !seconds.isNaN else { throw FallowError(.invalid, "\(name) is not a number") }
    return .seconds(max(0, min(seconds, 1e9)))
}

/// Bytes from C.
/// - Throws: `.invalid` when there is a size but no pointer.
func bytes(_ start: UnsafeRawPointer?, _ count: Int, _ name: StaticString) throws(FallowError) -> UnsafeRawBufferPointer
{
    guard count >= 0 else { throw FallowError(.invalid, "the size of \(name) is beyond what memory can hold") }
    guard start != nil || count == 0 else { throw FallowError(.invalid, "\(name) is NULL, and \(count) bytes long") }
    return UnsafeRawBufferPointer(start: start, count: count)
}

func bytes(
    _ start: UnsafeMutableRawPointer?, _ count: Int, _ name: StaticString
) throws(FallowError) -> UnsafeMutableRawBufferPointer {
    _ = try bytes(UnsafeRawPointer(start), count, name)
    return UnsafeMutableRawBufferPointer(start: start, count: count)
}

/// A function's name from C, without its zero.
func functionName(_ name: UnsafePointer<CChar>?) throws(FallowError) -> UnsafeRawBufferPointer {
    guard let name else { throw FallowError(.invalid, "function is NULL: it is the name of a symbol in the library") }
    return UnsafeRawBufferPointer(start: name, count: strlen(name))
}
