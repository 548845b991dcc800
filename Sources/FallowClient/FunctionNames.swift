internal import FallowWire
internal import Glibc
internal import Synchronization

/// The functions that a lease has been asked for: each gets a small number, which its workers' connections map to the
/// executor's indices. Thread-safe; never grows beyond its bound.
final class FunctionNames: Sendable {
    static let capacity = 1024

    private let names = Mutex<[[UInt8]]>([])

    /// The number of a function. One lock and a comparison of names when it is known.
    /// - Throws: `.invalid` for names that no symbol can have, and beyond the bound.
    func number(of name: UnsafeRawBufferPointer) throws(FallowError) -> Int {
        let known = names.withLock { names in names.firstIndex { Self.equal($0, name) } }
        if let known { return known }
        guard !name.isEmpty else { throw FallowError(.invalid, "a function needs a name, such as \"compress\"") }
        guard name.count <= InvocationLayout.longestFunctionNameBytes else {
            throw FallowError(
                .invalid,
                "a function's name has at most \(InvocationLayout.longestFunctionNameBytes) bytes, not \(name.count)")
        }
        guard !name.contains(0), String(validating: name, as: UTF8.self) != nil else {
            throw FallowError(.invalid, "a function's name is UTF-8 text without a zero byte")
        }
        let number = names.withLock { names -> Int? in
            if let index = names.firstIndex(where: { Self.equal($0, name) }) { return index }
            guard names.count < Self.capacity else { return nil }
            names.append(Array(name))
            return names.count - 1
        }
        guard let number else {
            throw FallowError(.invalid, "a lease serves at most \(Self.capacity) different functions")
        }
        return number
    }

    func bytes(of number: Int) -> [UInt8] { names.withLock { $0[number] } }
    func text(of number: Int) -> String { String(decoding: bytes(of: number), as: UTF8.self) }

    private static func equal(_ known: [UInt8], _ name: UnsafeRawBufferPointer) -> Bool {
        guard known.count == name.count else { return false }
        return known.withUnsafeBytes { memcmp($0.baseAddress!, name.baseAddress!, name.count) == 0 }
    }
}
