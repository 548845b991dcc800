package import FallowClient
internal import Synchronization

/// The regions that C programs hold. A handle is a number that is never given out again, so one that was closed, or was never
/// a handle, is told from the others.
package enum RegionHandles {
    private struct Table {
        var regions: [UInt: Region] = [:]
        var next: UInt = 4096
    }
    private static let table = Mutex(Table())

    package static func add(_ region: Region) -> OpaquePointer? {
        table.withLock { table in
            table.next += 16
            table.regions[table.next] = region
            return OpaquePointer(bitPattern: table.next)
        }
    }

    /// - Throws: `.invalid` when there is no such region (any more), and in a forked child.
    package static func region(_ handle: OpaquePointer?) throws(FallowError) -> Region {
        try ForkGuard.check()
        guard let region = table.withLock({ $0.regions[UInt(bitPattern: handle)] }) else {
            throw FallowError(
                .invalid, handle == nil ? "memory is NULL" : "memory is no region that is open (closed before, perhaps)"
            )
        }
        return region
    }

    /// Closes a region and forgets its handle.
    /// - Throws: `.invalid` as `region`.
    package static func close(_ handle: OpaquePointer?) throws(FallowError) {
        let region = try region(handle)
        _ = table.withLock { $0.regions.removeValue(forKey: UInt(bitPattern: handle)) }
        region.close()
    }
}
