internal import CFallow
internal import FallowClient
internal import FallowMemory
internal import FallowModel

/// What a C program wishes; NULL and zeros are defaults.
enum MemoryWish {
    static func read(
        _ pointer: UnsafePointer<fallow_memory_options>?
    ) throws(FallowError) -> (RegionOptions, RegionRequest) {
        var wish = RegionOptions()
        var request = RegionRequest()
        guard let told = pointer?.pointee else { return (wish, request) }
        guard told.size == UInt32(MemoryLayout<fallow_memory_options>.stride) else {
            throw FallowError(
                .invalid, "options.size is \(told.size); initialise the structure with FALLOW_MEMORY_OPTIONS")
        }
        switch told.durability {
        case UInt32(FALLOW_MEMORY_CACHE): wish.durability = .cache
        case UInt32(FALLOW_MEMORY_PAIR): wish.durability = .pair
        case UInt32(FALLOW_MEMORY_SCRATCH), UInt32(FALLOW_MEMORY_DURABLE):
            let isScratch = told.durability == UInt32(FALLOW_MEMORY_SCRATCH)
            guard let folder = told.scratch_folder.map({ String(cString: $0) }) else {
                throw FallowError(
                    .invalid,
                    isScratch
                        ? "scratch_folder is NULL, and FALLOW_MEMORY_SCRATCH keeps a file there"
                        : "scratch_folder is NULL, and FALLOW_MEMORY_DURABLE keeps a file there where no pairs are to be had"
                )
            }
            wish.durability = isScratch ? .scratch(folder: folder) : .durable(folder: folder)
        default:
            throw FallowError(.invalid, "durability is \(told.durability), which is none of FALLOW_MEMORY_*")
        }
        if told.stripe != 0 { wish.stripeBytes = Int(clamping: told.stripe) }
        if told.patience_seconds != 0 {
            wish.patience = try span(seconds: told.patience_seconds, "patience_seconds")
        }
        if told.donor_size != 0 { request.donorSize = ByteCount(Int64(clamping: told.donor_size)) }
        if told.term_seconds != 0 { request.term = try span(seconds: told.term_seconds, "term_seconds") }
        request.wait = try span(seconds: told.wait_seconds, "wait_seconds")
        guard told.flags & ~FALLOW_LEASE_REMOTE == 0 else {
            throw FallowError(.invalid, "flags has bits that are none of FALLOW_LEASE_*")
        }
        request.isRemote = told.flags & FALLOW_LEASE_REMOTE != 0
        return (wish, request)
    }
}
