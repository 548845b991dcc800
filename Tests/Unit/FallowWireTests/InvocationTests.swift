import FallowWire
import Testing

@Suite struct InvocationTests {
    /// A slot whose every byte is 0xee.
    private func withSlot(_ body: (UnsafeMutableRawPointer) -> Void) {
        let slot = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        defer { slot.deallocate() }
        slot.initializeMemory(as: UInt8.self, repeating: 0xee, count: 64)
        body(slot)
    }

    @Test(arguments: [0, 1, UInt64(UInt32.max) + 1, .max])
    func requestsComeBackAsTheyWent(_ number: UInt64) {
        withSlot { slot in
            let header = RequestHeader(
                invocationID: number, function: UInt32(truncatingIfNeeded: number), payloadBytes: number &+ 1,
                resultCapacityBytes: number &+ 2)
            header.write(to: slot)
            #expect(RequestHeader(readingFrom: slot) == header)
        }
    }

    @Test(arguments: [Int32.min, -1, 0, 1, .max])
    func repliesComeBackAsTheyWent(_ value: Int32) {
        withSlot { slot in
            let header = ReplyHeader(
                invocationID: .max, status: .resultTooLarge, returnValue: value, resultBytes: 1 << 40, bytesNeeded: 3)
            header.write(to: slot)
            #expect(ReplyHeader(readingFrom: slot) == header)
        }
    }

    @Test func theLayoutIsLittleEndianAndKnown() {
        withSlot { slot in
            RequestHeader(
                invocationID: 0x0102_0304_0506_0708, function: 0x0a0b_0c0d, payloadBytes: 5, resultCapacityBytes: 6
            )
            .write(to: slot)
            let bytes = Array(UnsafeRawBufferPointer(start: slot, count: 64))
            #expect(bytes[0..<16] == [8, 7, 6, 5, 4, 3, 2, 1, 0xd, 0xc, 0xb, 0xa, 0, 0, 0, 0])
            #expect(bytes[16..<32] == [5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0])
            #expect(bytes[56..<64].allSatisfy { $0 == 0xee }, "the transport's word was touched")
        }
        withSlot { slot in
            ReplyHeader(invocationID: 1, status: .malformed, returnValue: -2, resultBytes: 5, bytesNeeded: 6).write(
                to: slot)
            let bytes = Array(UnsafeRawBufferPointer(start: slot, count: 64))
            #expect(bytes[8..<16] == [3, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff])
            #expect(bytes[56..<64].allSatisfy { $0 == 0xee }, "the transport's word was touched")
        }
    }

    @Test func anyBytesCanBeReadAsAHeader() {
        withSlot { slot in
            for _ in 0..<1000 {
                for offset in 0..<64 {
                    slot.storeBytes(of: .random(in: .min ... .max), toByteOffset: offset, as: UInt8.self)
                }
                _ = RequestHeader(readingFrom: slot)
                _ = InvocationStatus(rawValue: ReplyHeader(readingFrom: slot).status)
            }
        }
    }
}
