// The functions bear their names in C.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CFallow
internal import FallowClient
internal import FallowMemory
internal import FallowModel

@c @implementation public func fallow_memory_open(
    _ client: OpaquePointer!, _ size: UInt64, _ options: UnsafePointer<fallow_memory_options>!,
    _ memory: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let memory else { throw FallowError(.invalid, "memory is NULL: there is nowhere to put the region") }
        memory.pointee = nil
        let client = try object(client, "client", as: FallowClient.self)
        let (wish, request) = try MemoryWish.read(options)
        memory.pointee = RegionHandles.add(try client.region(sizeBytes: place(size), wish, request))
    }
}

@c @implementation public func fallow_userfaultfd(
    _ client: OpaquePointer!, _ device: UnsafeMutablePointer<Int32>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let device else { throw FallowError(.invalid, "device is NULL: there is nowhere to put the descriptor") }
        device.pointee = -1
        device.pointee = try object(client, "client", as: FallowClient.self).userfaultfdDevice()
    }
}

@c @implementation public func fallow_memory_close(_ memory: OpaquePointer!) -> Int32 {
    Failure.guarded { () throws(FallowError) in try RegionHandles.close(memory) }
}

@c @implementation public func fallow_memory_put(
    _ memory: OpaquePointer!, _ offset: UInt64, _ data: UnsafeRawPointer!, _ size: Int
) -> Int32 {
    do throws(FallowError) {
        try RegionHandles.region(memory).put(try bytes(data, size, "bytes"), at: place(offset))
        return 0
    } catch { return Failure.record(error) }
}

@c @implementation public func fallow_memory_get(
    _ memory: OpaquePointer!, _ offset: UInt64, _ data: UnsafeMutableRawPointer!, _ size: Int
) -> Int32 {
    do throws(FallowError) {
        try RegionHandles.region(memory).get(try bytes(data, size, "bytes"), at: place(offset))
        return 0
    } catch { return Failure.record(error) }
}

@c @implementation public func fallow_memory_putv(
    _ memory: OpaquePointer!, _ pieces: UnsafePointer<fallow_memory_piece>!, _ count: Int
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        try submit(memory, pieces, count, isPut: true).wait()
    }
}

@c @implementation public func fallow_memory_getv(
    _ memory: OpaquePointer!, _ pieces: UnsafePointer<fallow_memory_piece>!, _ count: Int
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        try submit(memory, pieces, count, isPut: false).wait()
    }
}

@c @implementation public func fallow_memory_submit_put(
    _ memory: OpaquePointer!, _ pieces: UnsafePointer<fallow_memory_piece>!, _ count: Int,
    _ transfer: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    begin(memory, pieces, count, transfer, isPut: true)
}

@c @implementation public func fallow_memory_submit_get(
    _ memory: OpaquePointer!, _ pieces: UnsafePointer<fallow_memory_piece>!, _ count: Int,
    _ transfer: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    begin(memory, pieces, count, transfer, isPut: false)
}

@c @implementation public func fallow_memory_wait(_ transfer: OpaquePointer!, _ timeoutSeconds: Double) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        let future = try object(transfer, "transfer", as: RegionFuture.self)
        try future.wait(timeout: timeoutSeconds < 0 ? nil : try span(seconds: timeoutSeconds, "timeout_seconds"))
    }
}

@c @implementation public func fallow_memory_transfer_free(_ transfer: OpaquePointer!) {
    _ = released(transfer, as: RegionFuture.self)
}

@c @implementation public func fallow_memory_get_statistics(
    _ memory: OpaquePointer!, _ statistics: UnsafeMutablePointer<fallow_memory_statistics>!
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        let region = try RegionHandles.region(memory)
        guard let statistics else { throw FallowError(.invalid, "statistics is NULL") }
        let size = UInt32(MemoryLayout<fallow_memory_statistics>.stride)
        guard statistics.pointee.size == size else {
            throw FallowError(
                .invalid,
                "statistics.size is \(statistics.pointee.size); sizeof(struct fallow_memory_statistics) is \(size)"
            )
        }
        let told = region.statistics
        statistics.pointee.donors = UInt32(told.donors)
        statistics.pointee.lost_donors = UInt32(told.lostDonors)
        statistics.pointee.bytes = UInt64(region.sizeBytes)
        statistics.pointee.gets = UInt64(told.reads)
        statistics.pointee.puts = UInt64(told.writes)
        statistics.pointee.got_bytes = UInt64(told.readBytes)
        statistics.pointee.put_bytes = UInt64(told.writtenBytes)
        statistics.pointee.lost_bytes = UInt64(told.lostBytes)
        statistics.pointee.unprotected_bytes = UInt64(told.unprotectedBytes)
    }
}

private func begin(
    _ memory: OpaquePointer?, _ pieces: UnsafePointer<fallow_memory_piece>?, _ count: Int,
    _ transfer: UnsafeMutablePointer<OpaquePointer?>?, isPut: Bool
) -> Int32 {
    Failure.guarded { () throws(FallowError) in
        guard let transfer else { throw FallowError(.invalid, "transfer is NULL: there is nowhere to put it") }
        transfer.pointee = nil
        transfer.pointee = retained(try submit(memory, pieces, count, isPut: isPut))
    }
}

private func submit(
    _ memory: OpaquePointer?, _ pieces: UnsafePointer<fallow_memory_piece>?, _ count: Int, isPut: Bool
) throws(FallowError) -> RegionFuture {
    let region = try RegionHandles.region(memory)
    guard let pieces, (1...1 << 20).contains(count) else {
        throw FallowError(.invalid, "pieces is NULL, or their count is not 1 to \(1 << 20)")
    }
    var all: [(offset: Int, buffer: UnsafeMutableRawBufferPointer)] = []
    all.reserveCapacity(count)
    for piece in UnsafeBufferPointer(start: pieces, count: count) {
        all.append((place(piece.offset), try bytes(piece.data, piece.size, "a piece's data")))
    }
    guard isPut else { return try region.submitGet(all) }
    return try region.submitPut(all.map { ($0.offset, UnsafeRawBufferPointer($0.buffer)) })
}

/// An offset from C. One beyond what memory can hold is beyond the region as well.
private func place(_ offset: UInt64) -> Int { Int(clamping: offset) }
