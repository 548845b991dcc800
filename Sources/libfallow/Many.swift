// The functions bear their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFallow
internal import FallowClient

@c @implementation public func fallow_submit_many(
    _ lease: OpaquePointer!, _ function: UnsafePointer<CChar>!, _ items: UnsafePointer<fallow_item>!, _ count: Int,
    _ futures: UnsafeMutablePointer<OpaquePointer?>!, _ started: UnsafeMutablePointer<Int>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let items, let futures, let started else {
            throw FallowError(.invalid, "items, futures or started is NULL")
        }
        started.pointee = 0
        guard (1...1 << 20).contains(count) else {
            throw FallowError(.invalid, "\(count) calls at once: 1 to \(1 << 20) are right")
        }
        for index in 0..<count {
            _ = try bytes(items[index].input, items[index].input_size, "an item's input")
            _ = try bytes(items[index].output, items[index].output_capacity, "an item's output")
            futures[index] = nil
        }
        let lease = try object(lease, "lease", as: Lease.self)
        let taken = try lease.submitAll(
            try functionName(function), into: UnsafeMutableBufferPointer(start: futures, count: count)
        ) { index in
            (
                UnsafeRawBufferPointer(start: items[index].input, count: items[index].input_size),
                UnsafeMutableRawBufferPointer(start: items[index].output, count: items[index].output_capacity)
            )
        }
        for index in taken..<count { futures[index] = nil }
        started.pointee = taken
        guard taken == count else {
            throw FallowError(.full, "\(taken) of \(count) calls found slots: wait for some of their futures first")
        }
    }
}

@c @implementation public func fallow_buffer_alloc(
    _ lease: OpaquePointer!, _ size: Int, _ buffer: UnsafeMutablePointer<UnsafeMutableRawPointer?>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let buffer else { throw FallowError(.invalid, "buffer is NULL: there is nowhere to put the buffer") }
        buffer.pointee = nil
        buffer.pointee = try BufferRegistry.allocate(
            try object(lease, "lease", as: Lease.self), byteCount: size)
    }
}

@c @implementation public func fallow_buffer_free(_ buffer: UnsafeMutableRawPointer!) -> Int32 {
    Failure.guarded { () throws(FallowError) in if let buffer { try BufferRegistry.free(buffer) } }
}

@c @implementation public func fallow_buffer_check(_ buffer: UnsafeRawPointer!) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let buffer else { throw FallowError(.invalid, "buffer is NULL") }
        try BufferRegistry.check(buffer)
    }
}
