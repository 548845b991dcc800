// The functions bear their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFallow
internal import FallowClient
internal import FallowModel
internal import Glibc

@c @implementation public func fallow_connect(
    _ socketPath: UnsafePointer<CChar>!, _ client: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let client else { throw FallowError(.invalid, "client is NULL: there is nowhere to put the connection") }
        client.pointee = nil
        let path = (socketPath as UnsafePointer<CChar>?).map { String(cString: $0) }
        client.pointee = retained(try FallowClient.connect(socketPath: path))
    }
}

@c @implementation public func fallow_close(_ client: OpaquePointer!) {
    released(client, as: FallowClient.self)?.close()
}

@c @implementation public func fallow_lease_open(
    _ client: OpaquePointer!, _ libraryPath: UnsafePointer<CChar>!,
    _ options: UnsafePointer<fallow_lease_options>!, _ lease: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let lease else { throw FallowError(.invalid, "lease is NULL: there is nowhere to put the lease") }
        lease.pointee = nil
        let client = try object(client, "client", as: FallowClient.self)
        guard let path = libraryPath as UnsafePointer<CChar>? else {
            throw FallowError(.invalid, "library_path is NULL")
        }
        let wish = try LeaseOptions(options)
        lease.pointee = retained(try client.lease(library: String(cString: path), wish))
    }
}

@c @implementation public func fallow_lease_describe(
    _ lease: OpaquePointer!, _ info: UnsafeMutablePointer<fallow_lease_info>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        let lease = try object(lease, "lease", as: Lease.self)
        guard let info else { throw FallowError(.invalid, "info is NULL") }
        let size = UInt32(MemoryLayout<fallow_lease_info>.stride)
        guard info.pointee.size == size else {
            throw FallowError(
                .invalid, "info.size is \(info.pointee.size); set it to sizeof(struct fallow_lease_info), \(size)")
        }
        var told = fallow_lease_info()
        told.size = size
        told.cpus = UInt32(lease.cpus)
        told.memory = UInt64(lease.memory.bytes)
        told.max_input = UInt64(lease.inputBytes)
        told.max_output = UInt64(lease.outputBytes)
        told.seconds_left = lease.timeLeft.inSeconds
        withUnsafeMutableBytes(of: &told.id) { copy(lease.id.description, into: $0) }
        withUnsafeMutableBytes(of: &told.node) { copy(lease.node.text, into: $0) }
        withUnsafeMutableBytes(of: &told.transport) { copy(lease.transport.rawValue, into: $0) }
        info.pointee = told
    }
}

@c @implementation public func fallow_lease_renew(_ lease: OpaquePointer!, _ termSeconds: Double)
    -> Int32
{
    Failure.guarded { () throws(FallowError) in
        _ = try object(lease, "lease", as: Lease.self).renew(term: try span(seconds: termSeconds, "term_seconds"))
    }
}

@c @implementation public func fallow_lease_close(_ lease: OpaquePointer!) {
    try? released(lease, as: Lease.self)?.release()
}

/// Copies text and a zero; cuts what does not fit.
private func copy(_ text: String, into buffer: UnsafeMutableRawBufferPointer) {
    let bytes = Array(text.utf8.prefix(buffer.count - 1)) + [0]
    buffer.copyBytes(from: bytes)
}

extension LeaseOptions {
    /// Of the structure as fallow.h had it before: without its last two fields, and without its last.
    private static let earlierSizes = [16, 8].map { UInt32(MemoryLayout<fallow_lease_options>.stride - $0) }

    /// What a C program wishes; NULL and zeros are defaults.
    fileprivate init(_ pointer: UnsafePointer<fallow_lease_options>?) throws(FallowError) {
        self.init()
        guard let pointer else { return }
        let size = UInt32(MemoryLayout<fallow_lease_options>.stride)
        let told = UnsafeRawPointer(pointer).load(as: UInt32.self)
        guard told == size || Self.earlierSizes.contains(told) else {
            throw FallowError(
                .invalid, "options.size is \(told), not \(size): initialise the options with FALLOW_LEASE_OPTIONS")
        }
        var wish = fallow_lease_options()
        withUnsafeMutableBytes(of: &wish) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: Int(told)))
        }
        guard wish.flags & ~UInt32(FALLOW_LEASE_REMOTE) == 0 else {
            throw FallowError(.invalid, "options.flags \(wish.flags) holds more than FALLOW_LEASE_REMOTE")
        }
        guard wish.memory <= UInt64(Int64.max), wish.max_input <= UInt64(Int64.max),
            wish.max_output <= UInt64(Int64.max), wish.buffers <= UInt64(Int64.max)
        else { throw FallowError(.invalid, "options.memory, max_input, max_output or buffers is beyond 2^63") }
        if wish.cpus != 0 { cpus = Int(wish.cpus) }
        if wish.memory != 0 { memory = ByteCount(Int64(wish.memory)) }
        if wish.max_input != 0 { inputBytes = Int(wish.max_input) }
        if wish.max_output != 0 { outputBytes = Int(wish.max_output) }
        bufferBytes = Int(wish.buffers)
        if wish.slots != 0 { slotCount = Int(wish.slots) }
        if wish.term_seconds != 0 {
            guard wish.term_seconds > 0 else { throw FallowError(.invalid, "options.term_seconds cannot be negative") }
            term = try span(seconds: wish.term_seconds, "options.term_seconds")
        }
        guard wish.wait_seconds >= 0 else { throw FallowError(.invalid, "options.wait_seconds cannot be negative") }
        wait = try span(seconds: wish.wait_seconds, "options.wait_seconds")
        if wish.poll_seconds != 0 {
            polling = wish.poll_seconds < 0 ? .zero : try span(seconds: wish.poll_seconds, "options.poll_seconds")
        }
        node = (wish.node as UnsafePointer<CChar>?).map { NodeName(String(cString: $0)) }
        isRemote = wish.flags & UInt32(FALLOW_LEASE_REMOTE) != 0
    }
}
