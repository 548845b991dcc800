/// The headers of one invocation and of its reply, as they lie in a slot.
///
/// A slot is a header of 64 bytes, one cache line, followed by the payload. Numbers are little-endian. The last
/// eight bytes of either header belong to the transport (shared memory keeps its doorbell there).
/// A header is copied once and only the copy is checked and used: the peer may change the original at any time.
public enum InvocationLayout {
    /// Bytes of a header, request or reply.
    public static let headerBytes = 64
    /// Where in a header the transport's own eight bytes begin.
    public static let transportWordOffset = 56
    /// The function index that asks the executor to look a function up: the payload is its name in UTF-8, the reply's
    /// payload the index as four little-endian bytes.
    public static let resolveFunction: UInt32 = 0xffff_ffff
    /// Most bytes that a function's name may have.
    public static let longestFunctionNameBytes = 1024
}

/// Which of a call's bytes lie in the lease's buffers, instead of behind the headers.
public struct PayloadPlacement: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let input = PayloadPlacement(rawValue: 1)
    public static let output = PayloadPlacement(rawValue: 2)
}

/// What the client says of an invocation.
public struct RequestHeader: Hashable, Sendable {
    /// Unique on this endpoint for ever: 64 bits, rising.
    public var invocationID: UInt64
    /// Index from a `resolveFunction` call, or `InvocationLayout.resolveFunction`.
    public var function: UInt32
    /// Bytes of payload behind the header.
    public var payloadBytes: UInt64
    /// Most bytes of result that the client takes.
    public var resultCapacityBytes: UInt64
    public var placement: PayloadPlacement
    /// With `.input`: where in the lease's buffers the payload lies, in bytes.
    public var inputOffset: UInt64
    /// With `.output`: where the result goes.
    public var outputOffset: UInt64

    @inlinable public init(
        invocationID: UInt64, function: UInt32, payloadBytes: UInt64, resultCapacityBytes: UInt64,
        placement: PayloadPlacement = [], inputOffset: UInt64 = 0, outputOffset: UInt64 = 0
    ) {
        self.invocationID = invocationID
        self.function = function
        self.payloadBytes = payloadBytes
        self.resultCapacityBytes = resultCapacityBytes
        self.placement = placement
        self.inputOffset = inputOffset
        self.outputOffset = outputOffset
    }

    /// Copies the header out of a slot. `slot` needs 64 readable bytes and 8-byte alignment.
    @inlinable public init(readingFrom slot: UnsafeRawPointer) {
        invocationID = UInt64(littleEndian: slot.load(as: UInt64.self))
        function = UInt32(littleEndian: slot.load(fromByteOffset: 8, as: UInt32.self))
        placement = PayloadPlacement(rawValue: UInt32(littleEndian: slot.load(fromByteOffset: 12, as: UInt32.self)))
        payloadBytes = UInt64(littleEndian: slot.load(fromByteOffset: 16, as: UInt64.self))
        resultCapacityBytes = UInt64(littleEndian: slot.load(fromByteOffset: 24, as: UInt64.self))
        // What a sender does not use it need not write.
        let usesBuffers = placement.rawValue != 0
        inputOffset = usesBuffers ? UInt64(littleEndian: slot.load(fromByteOffset: 32, as: UInt64.self)) : 0
        outputOffset = usesBuffers ? UInt64(littleEndian: slot.load(fromByteOffset: 40, as: UInt64.self)) : 0
    }

    /// Writes the header into a slot, leaving the transport's word alone.
    @inlinable public func write(to slot: UnsafeMutableRawPointer) {
        slot.storeBytes(of: invocationID.littleEndian, as: UInt64.self)
        slot.storeBytes(of: function.littleEndian, toByteOffset: 8, as: UInt32.self)
        slot.storeBytes(of: placement.rawValue.littleEndian, toByteOffset: 12, as: UInt32.self)
        slot.storeBytes(of: payloadBytes.littleEndian, toByteOffset: 16, as: UInt64.self)
        slot.storeBytes(of: resultCapacityBytes.littleEndian, toByteOffset: 24, as: UInt64.self)
        guard placement.rawValue != 0 else { return }
        slot.storeBytes(of: inputOffset.littleEndian, toByteOffset: 32, as: UInt64.self)
        slot.storeBytes(of: outputOffset.littleEndian, toByteOffset: 40, as: UInt64.self)
    }
}

/// What became of an invocation, as the executor says it.
public enum InvocationStatus: UInt32, Sendable {
    /// The function ran and returned; its own return value stands beside this.
    case returned = 0
    /// The library has no such function, or the index was never given out.
    case unknownFunction = 1
    /// The result needs more than the client's capacity; `bytesNeeded` says how much. The function ran.
    case resultTooLarge = 2
    /// The header made no sense (sizes beyond the slot): the function did not run.
    case malformed = 3
}

/// What the executor says of an invocation.
public struct ReplyHeader: Hashable, Sendable {
    public var invocationID: UInt64
    /// An `InvocationStatus` by its raw value; unknown values come from a newer or a broken peer.
    public var status: UInt32
    /// What the function returned (0 for rFaaS functions).
    public var returnValue: Int32
    /// Bytes of result behind the header.
    public var resultBytes: UInt64
    /// Bytes the result would have needed; equals `resultBytes` when it fitted.
    public var bytesNeeded: UInt64

    @inlinable public init(
        invocationID: UInt64, status: InvocationStatus, returnValue: Int32 = 0, resultBytes: UInt64 = 0,
        bytesNeeded: UInt64 = 0
    ) {
        self.invocationID = invocationID
        self.status = status.rawValue
        self.returnValue = returnValue
        self.resultBytes = resultBytes
        self.bytesNeeded = bytesNeeded
    }

    /// Copies the header out of a slot. `slot` needs 64 readable bytes and 8-byte alignment.
    @inlinable public init(readingFrom slot: UnsafeRawPointer) {
        invocationID = UInt64(littleEndian: slot.load(as: UInt64.self))
        status = UInt32(littleEndian: slot.load(fromByteOffset: 8, as: UInt32.self))
        returnValue = Int32(littleEndian: slot.load(fromByteOffset: 12, as: Int32.self))
        resultBytes = UInt64(littleEndian: slot.load(fromByteOffset: 16, as: UInt64.self))
        bytesNeeded = UInt64(littleEndian: slot.load(fromByteOffset: 24, as: UInt64.self))
    }

    /// Writes the header into a slot, leaving the transport's word alone.
    @inlinable public func write(to slot: UnsafeMutableRawPointer) {
        slot.storeBytes(of: invocationID.littleEndian, as: UInt64.self)
        slot.storeBytes(of: status.littleEndian, toByteOffset: 8, as: UInt32.self)
        slot.storeBytes(of: returnValue.littleEndian, toByteOffset: 12, as: Int32.self)
        slot.storeBytes(of: resultBytes.littleEndian, toByteOffset: 16, as: UInt64.self)
        slot.storeBytes(of: bytesNeeded.littleEndian, toByteOffset: 24, as: UInt64.self)
    }
}
