internal import FallowDigest
public import FallowModel
internal import FallowWire
internal import Glibc
public import Hummingbird
internal import NIOCore

/// A file's bytes by their count and SHA-256.
public struct FileDigest: Sendable, Hashable {
    public var size: ByteCount
    /// Small hexadecimal digits.
    public var sha256: String

    /// Reads a whole file through its descriptor; the descriptor's own position does not move.
    ///
    /// - Throws: `WireError` `invalid`: the file is over `limit`; `internalError`: it cannot be read.
    public static func of(descriptor: Int32, limit: ByteCount = FileTransfer.limit) async throws -> FileDigest {
        var hash = SHA256()
        var offset: Int64 = 0
        while case let chunk = try await FileTransfer.read(descriptor, at: offset), !chunk.isEmpty {
            hash.update(chunk)
            offset += Int64(chunk.count)
            guard offset <= limit.bytes else { throw FileTransfer.tooLarge(limit) }
        }
        return FileDigest(size: ByteCount(offset), sha256: Seal.hexadecimal(hash.finalize()))
    }
}

/// Files over sealed HTTP: sent and received in chunks, never held whole.
public enum FileTransfer {
    /// The largest file that is taken.
    public static let limit = ByteCount.mebibytes(256)
    static let chunkBytes = 1 << 20

    static func tooLarge(_ limit: ByteCount) -> WireError {
        WireError(.invalid, "the file is over the limit of \(limit)")
    }

    static func read(_ descriptor: Int32, at offset: Int64) async throws -> [UInt8] {
        try await BlockingPool.shared.run("read a file") {
            var failure: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, count in
                var result = pread(descriptor, buffer.baseAddress, chunkBytes, off_t(offset))
                while result < 0, errno == EINTR {
                    result = pread(descriptor, buffer.baseAddress, chunkBytes, off_t(offset))
                }
                if result < 0 { failure = errno }
                count = max(0, result)
            }
            guard failure == 0 else {
                throw WireError(.internalError, "cannot read a file to send: \(String(cString: strerror(failure)))")
            }
            return bytes
        }
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32, at offset: Int64) async throws {
        try await BlockingPool.shared.run("write a file") {
            var done = 0
            while done < bytes.count {
                let count = bytes.withUnsafeBytes {
                    pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset) + off_t(done))
                }
                if count < 0 {
                    if errno == EINTR { continue }
                    throw WireError(.unavailable, "cannot store the file: \(String(cString: strerror(errno)))")
                }
                done += count
            }
        }
    }
}

extension SealedClient {
    /// Sends a file by PUT, in chunks; the server refuses it when its bytes are not those of `digest`.
    ///
    /// - Parameter descriptor: stays the caller's; it must stay open until this returns.
    /// - Throws: as `send`.
    public func upload(
        _ base: String, _ path: String, descriptor: Int32, digest: FileDigest, timeout: Duration = .seconds(60)
    ) async throws {
        do {
            _ = try await once(
                .put, base, path,
                .file(descriptor: descriptor, size: digest.size.bytes),
                digest: digest.sha256, timeout: timeout)
        } catch let failure as NoAnswer {
            throw failure.error
        }
    }
}

extension Request {
    /// Stores a streamed body (see `SealMiddleware.streamingPrefix`) in a file, from its offset 0 on.
    ///
    /// - Returns: what was stored, which is what was sealed.
    /// - Throws: `WireError`: `invalid` when over the limit, `refused` when the bytes are not those of the seal,
    ///   `unavailable` when they do not arrive in time or cannot be stored. The file then holds rubbish.
    public func receiveBody(
        into descriptor: Int32, context: ControlContext, limit: ByteCount = FileTransfer.limit,
        timeout: Duration = .seconds(60)
    ) async throws -> FileDigest {
        _ = try context.requireCaller()
        let received = try await withThrowingTaskGroup(of: FileDigest?.self) { group in
            group.addTask { try await self.store(into: descriptor, limit: limit) }
            group.addTask {
                try await Task.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let digest = first else {
                throw WireError(.unavailable, "the file did not arrive within \(timeout.inSeconds) s")
            }
            return digest
        }
        guard received.sha256 == context.sealedBodyDigest else {
            throw WireError(.refused, "the file is not the one that was sealed")
        }
        return received
    }

    private func store(into descriptor: Int32, limit: ByteCount) async throws -> FileDigest {
        var hash = SHA256()
        var offset: Int64 = 0
        for try await part in body {
            guard offset + Int64(part.readableBytes) <= limit.bytes else { throw FileTransfer.tooLarge(limit) }
            let bytes = [UInt8](part.readableBytesView)
            hash.update(bytes)
            try await FileTransfer.write(bytes, to: descriptor, at: offset)
            offset += Int64(bytes.count)
        }
        return FileDigest(size: ByteCount(offset), sha256: Seal.hexadecimal(hash.finalize()))
    }
}
