import CFallow
import FallowMemory
import Glibc
import Testing
import TransportTesting
import libfallow

extension DonorTests {
    /// fallow.h's remote memory as a C program uses it, once it has a region.
    @Suite struct CMemoryTests {
        private var sentence: String { String(cString: fallow_message()) }
        private let invalid = Int32(FALLOW_INVALID.rawValue)

        @Test func aWholeConversation() throws {
            let lent = try Lent(2, sizeBytes: 1 << 20, .cache, stripeBytes: 65536)
            let memory = RegionHandles.add(lent.region)
            var bytes = pattern(100_000, at: 0, 1)
            #expect(fallow_memory_put(memory, 1000, &bytes, bytes.count) == 0)
            var got = [UInt8](repeating: 0, count: bytes.count)
            #expect(fallow_memory_get(memory, 1000, &got, got.count) == 0)
            #expect(got == bytes)

            // Halves, swapped.
            got.withUnsafeMutableBytes { buffer in
                let pieces = [
                    fallow_memory_piece(offset: 1000, data: buffer.baseAddress! + 50_000, size: 50_000),
                    fallow_memory_piece(offset: 51_000, data: buffer.baseAddress!, size: 50_000),
                ]
                #expect(fallow_memory_getv(memory, pieces, 2) == 0)
                var transfer: OpaquePointer?
                #expect(fallow_memory_submit_put(memory, pieces, 2, &transfer) == 0)
                #expect(fallow_memory_wait(transfer, 5) == 0)
                #expect(fallow_memory_wait(transfer, 0) == 0)
                fallow_memory_transfer_free(transfer)
                #expect(fallow_memory_submit_get(memory, pieces, 2, &transfer) == 0)
                #expect(fallow_memory_wait(transfer, -1) == 0)
                fallow_memory_transfer_free(transfer)
                #expect(fallow_memory_putv(memory, pieces, 2) == 0)
            }
            #expect(got == Array(bytes[50_000...]) + Array(bytes[..<50_000]))
            var told = fallow_memory_statistics()
            told.size = UInt32(MemoryLayout<fallow_memory_statistics>.stride)
            #expect(fallow_memory_get_statistics(memory, &told) == 0)
            #expect(told.donors == 2 && told.bytes == 1 << 20 && told.puts == 3 && told.put_bytes == 300_000)

            try lent.donors[0].revoke()
            #expect(fallow_memory_get(memory, 0, &got, 10) == Int32(FALLOW_DATA_LOST.rawValue))
            #expect(sentence.contains("lost") && String(cString: fallow_code_name(15)) == "FALLOW_DATA_LOST")
            #expect(fallow_memory_close(memory) == 0)
            #expect(fallow_memory_get(memory, 0, &got, 10) == invalid)
            #expect(sentence.contains("closed"))
            #expect(fallow_memory_close(memory) == invalid, "closed twice")
        }

        @Test func badArgumentsAreSaidAndHarmless() throws {
            let lent = try Lent(1, sizeBytes: 1 << 16, .cache)
            let memory = RegionHandles.add(lent.region)
            var bytes: [UInt8] = [1, 2, 3]
            #expect(fallow_memory_put(nil, 0, bytes, 3) == invalid)
            #expect(fallow_memory_put(OpaquePointer(bitPattern: 48), 0, bytes, 3) == invalid)
            #expect(fallow_memory_put(memory, 0, nil, 3) == invalid)
            #expect(fallow_memory_put(memory, 1 << 16, bytes, 1) == invalid)
            #expect(fallow_memory_put(memory, .max, bytes, 3) == invalid)
            #expect(fallow_memory_put(memory, 0, bytes, -1) == invalid)
            #expect(fallow_memory_get(memory, (1 << 16) - 2, &bytes, 3) == invalid)
            #expect(fallow_memory_put(memory, 1 << 16, nil, 0) == 0)
            #expect(fallow_memory_putv(memory, nil, 1) == invalid)
            #expect(fallow_memory_putv(memory, [], 0) == invalid)
            #expect(fallow_memory_submit_get(memory, [fallow_memory_piece()], 1, nil) == invalid)
            #expect(fallow_memory_wait(nil, 1) == invalid)
            var told = fallow_memory_statistics()
            #expect(fallow_memory_get_statistics(memory, &told) == invalid)
            #expect(fallow_memory_get_statistics(memory, nil) == invalid)
            fallow_memory_transfer_free(nil)
            #expect(fallow_memory_close(nil) == invalid)
            #expect(fallow_memory_close(memory) == 0)
        }
    }
}
