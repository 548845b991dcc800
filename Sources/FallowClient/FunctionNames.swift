internal import FallowWire
internal import Glibc
internal import Synchronization

/// The functions that a lease has been asked for: each gets a small number, which its workers' connections map to the
/// executor's indices. Thread-safe; a known name is found without a lock; never grows beyond its bound.
final class FunctionNames: @unchecked Sendable {
    static let capacity = 1024
    /// Places in the table, a power of two; at most half of them are taken.
    private static let placeCount = 2048

    /// A name, its bytes behind it; written once, and there until the lease ends.
    private struct Name {
        let hash: UInt64
        let number: Int32
        let byteCount: Int32
    }
    private typealias NamePointer = UnsafeMutablePointer<Name>

    private let places: UnsafeMutablePointer<Atomic<UInt>>
    private let numbered: UnsafeMutablePointer<NamePointer>
    private let count = Mutex<Int32>(0)

    init() {
        places = .allocate(capacity: Self.placeCount)
        for index in 0..<Self.placeCount { (places + index).initialize(to: Atomic(0)) }
        numbered = .allocate(capacity: Self.capacity)
    }

    deinit {
        for index in 0..<Int(count.withLock { $0 }) { UnsafeMutableRawPointer(numbered[index]).deallocate() }
        numbered.deallocate()
        places.deinitialize(count: Self.placeCount)
        places.deallocate()
    }

    /// The number of a function.
    /// - Throws: `.invalid` for names that no symbol can have, and beyond the bound.
    func number(of name: UnsafeRawBufferPointer) throws(FallowError) -> Int32 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var place = Int(truncatingIfNeeded: hash) & (Self.placeCount - 1)
        while let known = NamePointer(bitPattern: places[place].load(ordering: .acquiring)) {
            if known.pointee.hash == hash, Self.equal(known, name) { return known.pointee.number }
            place = (place + 1) & (Self.placeCount - 1)
        }
        return try add(name, hash: hash)
    }

    func bytes(of number: Int32) -> UnsafeRawBufferPointer { Self.bytes(numbered[Int(number)]) }
    func text(of number: Int32) -> String { String(decoding: bytes(of: number), as: UTF8.self) }

    private func add(_ name: UnsafeRawBufferPointer, hash: UInt64) throws(FallowError) -> Int32 {
        guard !name.isEmpty else { throw FallowError(.invalid, "a function needs a name, such as \"compress\"") }
        guard name.count <= InvocationLayout.longestFunctionNameBytes else {
            throw FallowError(
                .invalid,
                "a function's name has at most \(InvocationLayout.longestFunctionNameBytes) bytes, not \(name.count)")
        }
        guard !name.contains(0), String(validating: name, as: UTF8.self) != nil else {
            throw FallowError(.invalid, "a function's name is UTF-8 text without a zero byte")
        }
        let number = count.withLock { count -> Int32? in
            var place = Int(truncatingIfNeeded: hash) & (Self.placeCount - 1)
            while let known = NamePointer(bitPattern: places[place].load(ordering: .relaxed)) {
                if known.pointee.hash == hash, Self.equal(known, name) { return known.pointee.number }
                place = (place + 1) & (Self.placeCount - 1)
            }
            guard count < Self.capacity else { return nil }
            let memory = UnsafeMutableRawPointer.allocate(
                byteCount: MemoryLayout<Name>.stride + name.count, alignment: MemoryLayout<Name>.alignment)
            let added = memory.bindMemory(to: Name.self, capacity: 1)
            added.initialize(to: Name(hash: hash, number: count, byteCount: Int32(name.count)))
            (memory + MemoryLayout<Name>.stride).copyMemory(from: name.baseAddress!, byteCount: name.count)
            (numbered + Int(count)).initialize(to: added)
            places[place].store(UInt(bitPattern: added), ordering: .releasing)
            count += 1
            return count - 1
        }
        guard let number else {
            throw FallowError(.invalid, "a lease serves at most \(Self.capacity) different functions")
        }
        return number
    }

    private static func bytes(_ name: NamePointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: UnsafeRawPointer(name) + MemoryLayout<Name>.stride, count: Int(name.pointee.byteCount))
    }
    private static func equal(_ known: NamePointer, _ name: UnsafeRawBufferPointer) -> Bool {
        let bytes = bytes(known)
        return bytes.count == name.count
            && (name.isEmpty || memcmp(bytes.baseAddress!, name.baseAddress!, name.count) == 0)
    }
}
