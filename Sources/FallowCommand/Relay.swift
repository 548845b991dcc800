internal import CLinux
internal import FallowClient
internal import FallowMemory
internal import Glibc
internal import Synchronization

/// Serves a program's blocks that lie at donors on other nodes: one thread of `fallow run`, between the program's requests in a shared
/// memory file and a region over those donors.
///
/// The program's library can have no network and no runtime in it, and its faults are served in signal handlers: this process has both.
/// It dies with nothing of its own: what it served is lost with it, and the program's library sees that by the process's handle. A
/// donor that is lost is the region's matter: its blocks are errors here, SIGBUS there, never zeros.
final class Relay: Sendable {
    /// The file, which the program's library opens.
    let file: SharedFile
    let capacityBytes: Int
    private let region: Region
    nonisolated(unsafe) private let layout: RelayLayout
    private let isStopping = Atomic<Bool>(false)
    private let thread = Atomic<UInt64>(0)

    /// How long it looks for requests after the last one, before it sleeps.
    private static let pollNanoseconds: Int64 = 50_000
    /// The longest sleep: so long takes an end.
    private static let sleepNanoseconds: Int64 = 100_000_000

    /// - Parameter region: the memory that is served; closed with the relay.
    init(_ region: Region) throws(RunRefusal) {
        file = try SharedFile.memory(named: "fallow-relay", bytes: RelayLayout.byteCount)
        let memory = mmap(nil, RelayLayout.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0)
        guard let memory, memory != MAP_FAILED else {
            close(file.descriptor)
            throw RunRefusal(RunRefusal.noMemory, "no memory for a relay: \(String(cString: strerror(errno)))")
        }
        self.region = region
        capacityBytes = region.sizeBytes
        layout = RelayLayout(base: memory)
        layout.begin(capacityBytes: region.sizeBytes)
        var number: UInt64 = 0
        let context = Unmanaged.passRetained(self)
        let error = clinux_thread_start(
            { Unmanaged<Relay>.fromOpaque($0!).takeRetainedValue().serve() }, context.toOpaque(), "fallow.relay", -1,
            &number)
        guard error == 0 else {
            context.release()
            throw RunRefusal(RunRefusal.noMemory, "no thread for a relay: \(String(cString: strerror(-error)))")
        }
        thread.store(number, ordering: .relaxed)
    }

    /// Serves no more, and gives the donors back. Blocks until what is under way is over.
    func end() {
        guard !isStopping.exchange(true, ordering: .sequentiallyConsistent) else { return }
        layout.closed.pointee.store(UInt32(EOWNERDEAD), ordering: .sequentiallyConsistent)
        layout.doorbell.pointee.add(1, ordering: .sequentiallyConsistent)
        clinux_futex_wake(layout.doorbell, 1)
        _ = clinux_thread_join(thread.load(ordering: .relaxed))
        region.close()
    }

    /// Donors that were given up: they died, their hosts went, or they answered nothing for too long.
    var lostDonors: Int { region.statistics.lostDonors }
    /// Blocks whose last copy went.
    var lostBytes: Int { region.statistics.lostBytes }

    // MARK: The thread

    private struct Serving {
        var slot: Int
        var future: RegionFuture
    }

    private func serve() {
        var serving: [Serving] = []
        var lastWork = monotonic()
        while !isStopping.load(ordering: .relaxed) {
            let seen = layout.doorbell.pointee.load(ordering: .sequentiallyConsistent)
            let hasBegun = take(&serving)
            let before = serving.count
            serving.removeAll { one in
                guard one.future.isDone else { return false }
                finish(one)
                return true
            }
            if hasBegun || serving.count < before {
                lastWork = monotonic()
            } else if let oldest = serving.first {
                // It drives the region while it waits, and sleeps at its donors' sockets.
                try? oldest.future.wait(timeout: .microseconds(100))
            } else if monotonic() - lastWork < Self.pollNanoseconds {
                clinux_pause()
            } else {
                sleep(seen)
            }
        }
        for one in serving {
            try? one.future.wait()
            finish(one)
        }
    }

    /// Begins what was posted.
    private func take(_ serving: inout [Serving]) -> Bool {
        var hasBegun = false
        for slot in 0..<RelayLayout.slots {
            let state = layout.state(slot)
            guard state.pointee.load(ordering: .relaxed) == RelayLayout.State.posted,
                state.pointee.compareExchange(
                    expected: RelayLayout.State.posted, desired: RelayLayout.State.served,
                    ordering: .acquiringAndReleasing
                ).exchanged
            else { continue }
            hasBegun = true
            guard let request = layout.request(slot, capacityBytes: capacityBytes) else {
                done(slot, EINVAL)
                continue
            }
            let bytes = layout.data(slot, request.count)
            do throws(FallowError) {
                let future =
                    request.isWrite
                    ? try region.submitPut([(request.offset, UnsafeRawBufferPointer(bytes))])
                    : try region.submitGet([(request.offset, bytes)])
                serving.append(Serving(slot: slot, future: future))
            } catch { done(slot, EIO) }
        }
        return hasBegun
    }

    private func finish(_ one: Serving) {
        do throws(FallowError) {
            try one.future.wait()
            done(one.slot, 0)
        } catch { done(one.slot, error.code == .noCapacity ? ENOSPC : EIO) }
    }

    private func done(_ slot: Int, _ error: Int32) {
        layout.setError(error, of: slot)
        layout.state(slot).pointee.store(RelayLayout.State.done, ordering: .releasing)
        clinux_futex_wake(layout.state(slot), 1)
    }

    private func sleep(_ seen: UInt32) {
        layout.sleeping.pointee.store(1, ordering: .sequentiallyConsistent)
        if layout.doorbell.pointee.load(ordering: .sequentiallyConsistent) == seen {
            _ = clinux_futex_wait(layout.doorbell, seen, Self.sleepNanoseconds)
        }
        layout.sleeping.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    private func monotonic() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
    }
}
