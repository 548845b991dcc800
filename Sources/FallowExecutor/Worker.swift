internal import CFallow
internal import CLinux
internal import FallowTenant
internal import FallowTransport
internal import FallowWire
internal import Glibc

/// One core's loop: takes invocations from one client's connection in their order, and answers each.
///
/// It polls for a while after each invocation (hot), then sleeps (warm). Between a request's arrival and its reply
/// nothing here allocates, locks or enters the kernel; looking a function up by name is the one exception.
struct Worker<Connection: Endpoint & ~Copyable>: ~Copyable {
    private var endpoint: Connection
    private let library: FunctionLibrary
    private let polling: PollBudget
    private let buffers: UnsafeMutableRawBufferPointer
    private var table = FunctionTable()
    private let slotMask: UInt32
    private let inputCapacityBytes: Int
    private let outputCapacityBytes: Int
    /// What a function of our ABI is handed; one for all calls, filled anew for each.
    private let call = UnsafeMutablePointer<fallow_call>.allocate(capacity: 1)
    private let outputSize = UnsafeMutablePointer<Int>.allocate(capacity: 1)

    init(endpoint: consuming Connection, library: FunctionLibrary, polling: PollBudget) {
        slotMask = UInt32(endpoint.slotCount - 1)
        inputCapacityBytes = endpoint.incomingCapacityBytes - InvocationLayout.headerBytes
        outputCapacityBytes = endpoint.outgoingCapacityBytes - InvocationLayout.headerBytes
        buffers = endpoint.buffers
        self.endpoint = endpoint
        self.library = library
        self.polling = polling
    }

    deinit {
        call.deallocate()
        outputSize.deallocate()
    }

    /// Serves until the connection ends; blocks until then.
    /// - Returns: why it ended: `peerLost` when the client left, anything else is a fault.
    mutating func serve() -> TransportError {
        do throws(TransportError) {
            while true {
                while let arrival = try endpoint.poll() { try answer(arrival) }
                try wait()
            }
        } catch {
            endpoint.close()
            return error
        }
    }

    /// Polls as long as the budget allows, then sleeps; returns when something may have arrived. A message seen here is answered
    /// here. While messages come one after the other no clock is read.
    private mutating func wait() throws(TransportError) {
        if let arrival = try pollBriefly() { return try answer(arrival) }
        let start = monotonicNanoseconds()
        let end = start &+ polling.allowance(now: start)
        var now = start
        var nextLook = start &+ PollBudget.lookNanoseconds
        let preemptions = clinux_thread_preemptions()
        while now < end {
            // The client may be waiting for this very CPU, where cores are not pinned.
            sched_yield()
            if let arrival = try pollBriefly() {
                polling.spend(monotonicNanoseconds() &- start)
                return try answer(arrival)
            }
            now = monotonicNanoseconds()
            guard now >= nextLook else { continue }
            // Somebody else got the CPU meanwhile: it is wanted.
            if clinux_thread_preemptions() != preemptions { break }
            nextLook = now &+ PollBudget.lookNanoseconds
        }
        polling.spend(now &- start)
        _ = try endpoint.sleep(atMost: .seconds(1))
    }

    @inline(__always)
    private mutating func pollBriefly() throws(TransportError) -> Arrival? {
        for _ in 0..<64 {
            if let arrival = try endpoint.poll() { return arrival }
            clinux_pause()
        }
        return nil
    }

    /// Copies the header once, and from then on believes only the copy: the client may change the slot at any time.
    private mutating func answer(_ arrival: Arrival) throws(TransportError) {
        let slot = Int(arrival.sequence & slotMask)
        let request = endpoint.incoming(slot)
        let header = RequestHeader(readingFrom: request)
        try endpoint.confirmRead()
        let output = endpoint.outgoing(slot)
        let input = request + InvocationLayout.headerBytes
        let reply: ReplyHeader
        if header.payloadBytes > UInt64(inputCapacityBytes) || header.resultCapacityBytes > UInt64(outputCapacityBytes)
        {
            reply = ReplyHeader(invocationID: header.invocationID, status: .malformed)
        } else if let function = table[header.function] {
            reply =
                header.placement.isEmpty
                ? invoke(function, header, input: input, output: output + InvocationLayout.headerBytes)
                : invokeInBuffers(function, header, input: input, output: output + InvocationLayout.headerBytes)
        } else if header.function == InvocationLayout.resolveFunction {
            reply = resolve(header, name: input, output: output + InvocationLayout.headerBytes)
        } else {
            reply = ReplyHeader(invocationID: header.invocationID, status: .unknownFunction)
        }
        reply.write(to: output)
        try endpoint.send(
            sequence: arrival.sequence,
            byteCount: InvocationLayout.headerBytes
                + (header.placement.contains(.output) ? 0 : Int(reply.resultBytes)))
    }

    /// The same where the payload, the result or both lie in the lease's buffers.
    private func invokeInBuffers(
        _ function: UnsafeMutableRawPointer, _ header: RequestHeader, input: UnsafeRawPointer,
        output: UnsafeMutableRawPointer
    ) -> ReplyHeader {
        var (input, output) = (input, output)
        if header.placement.contains(.input) {
            guard let place = place(header.inputOffset, header.payloadBytes) else {
                return ReplyHeader(invocationID: header.invocationID, status: .malformed)
            }
            input = UnsafeRawPointer(place)
        }
        if header.placement.contains(.output) {
            guard let place = place(header.outputOffset, header.resultCapacityBytes) else {
                return ReplyHeader(invocationID: header.invocationID, status: .malformed)
            }
            output = place
        }
        return invoke(function, header, input: input, output: output)
    }

    /// Where in the buffers' memory so many bytes lie; nil when they do not lie within it.
    private func place(_ offset: UInt64, _ byteCount: UInt64) -> UnsafeMutableRawPointer? {
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow, end <= UInt64(buffers.count), let start = buffers.baseAddress else { return nil }
        return start + Int(offset)
    }

    private func invoke(
        _ function: UnsafeMutableRawPointer, _ header: RequestHeader, input: UnsafeRawPointer,
        output: UnsafeMutableRawPointer
    ) -> ReplyHeader {
        var returnValue: Int32 = 0
        let size: Int
        switch library.abi {
        case .fallow:
            outputSize.initialize(to: 0)
            call.initialize(
                to: fallow_call(
                    input: input, input_size: Int(header.payloadBytes), output: output,
                    output_capacity: Int(header.resultCapacityBytes), output_size: outputSize))
            returnValue = unsafeBitCast(function, to: FallowFunction.self)(call)
            size = outputSize.pointee
        case .rfaas:
            let written = unsafeBitCast(function, to: RFaaSFunction.self)(
                UnsafeMutableRawPointer(mutating: input), UInt32(header.payloadBytes), output)
            size = Int(written)
            let room = header.placement.contains(.output) ? Int(header.resultCapacityBytes) : outputCapacityBytes
            if size > room { endAfterOverrun(size, room) }
        }
        let needed = UInt64(bitPattern: Int64(size))
        if needed > header.resultCapacityBytes {
            return ReplyHeader(
                invocationID: header.invocationID, status: .resultTooLarge, returnValue: returnValue,
                bytesNeeded: needed)
        }
        return ReplyHeader(
            invocationID: header.invocationID, status: .returned, returnValue: returnValue, resultBytes: needed,
            bytesNeeded: needed)
    }

    private mutating func resolve(
        _ header: RequestHeader, name: UnsafeRawPointer, output: UnsafeMutableRawPointer
    ) -> ReplyHeader {
        let name = UnsafeRawBufferPointer(start: name, count: Int(header.payloadBytes))
        guard header.resultCapacityBytes >= 4 else {
            return ReplyHeader(invocationID: header.invocationID, status: .malformed)
        }
        guard let function = library.function(named: name), let index = table.index(of: function) else {
            return ReplyHeader(invocationID: header.invocationID, status: .unknownFunction)
        }
        output.storeBytes(of: index.littleEndian, as: UInt32.self)
        return ReplyHeader(invocationID: header.invocationID, status: .returned, resultBytes: 4, bytesNeeded: 4)
    }

    /// An rFaaS function is not told how much room it has. One that wrote past its slot has overwritten other calls'
    /// results: nothing of this executor can be trusted any more.
    private func endAfterOverrun(_ size: Int, _ room: Int) -> Never {
        let text =
            "fallow-executor: an rFaaS function returned \(size) bytes into room for \(room): "
            + "other results may be overwritten, so this executor ends (lease with a larger output)\n"
        _ = text.withCString { write(2, $0, strlen($0)) }
        _exit(TenantExit.overrun.rawValue)
    }
}

private typealias FallowFunction = @convention(c) (UnsafePointer<fallow_call>) -> Int32
private typealias RFaaSFunction = @convention(c) (UnsafeMutableRawPointer, UInt32, UnsafeMutableRawPointer) -> UInt32

/// Reads the monotonic clock; answered without entering the kernel (vDSO).
func monotonicNanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
}
