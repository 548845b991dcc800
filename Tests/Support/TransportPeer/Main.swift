import FallowModel
import FallowTransport
import Glibc
import TransportFabric
import TransportShm
import TransportStream
import TransportTesting
import TransportVerbs

// The other process of the conformance suite, an executor:
//   transport-peer shm    SLOTS INPUT OUTPUT MODE  (the arena is descriptor 3)
//   transport-peer fabric SLOTS INPUT OUTPUT MODE SECRET-BYTE  (prints its address)
//   transport-peer verbs  SLOTS INPUT OUTPUT MODE SECRET-BYTE BIND-ADDRESS  (prints its address)
//   transport-peer verbs-dying SLOTS INPUT OUTPUT STATE SECRET-BYTE ADDRESS [FROM]  (a client that kills itself when it
//     has resolved, requested or been accepted)
//   transport-peer memory-shm    CAPACITY 0 0 donor  (a donor; its memory file is descriptor 3)
//   transport-peer memory-stream CAPACITY 0 0 donor SECRET-BYTE BIND-ADDRESS  (a donor; prints its address)
//   transport-peer memory-verbs  CAPACITY 0 0 donor SECRET-BYTE BIND-ADDRESS  (the same over RDMA)
//   transport-peer verbs-deaf SLOTS INPUT OUTPUT - SECRET-BYTE BIND-ADDRESS  (prints its address, listens, accepts nobody)
// MODE is polling, sleeping or mixed; with shm also scribble-all or scribble-slots.
// It writes a line when it is ready, answers until its peer is lost, and then ends with 0.

@main struct TransportPeer {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count >= 6, let slots = Int(arguments[2]), let input = Int(arguments[3]),
            let output = Int(arguments[4])
        else { leave(2, "usage: transport-peer shm|fabric|verbs SLOTS INPUT OUTPUT MODE") }
        // Whatever becomes of the test: this process does not outlive it by much. The thread that started it may have had
        // signals blocked, and so has this one then.
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        alarm(60)
        let geometry = ArenaGeometry(slotCount: slots, inputBytes: input, outputBytes: output)
        if arguments[5] == "scribble-all" { scribble(from: 0) }
        if arguments[5] == "scribble-slots" { scribble(from: 2 * 4096) }
        if arguments[1] == "memory-shm" { lendHere(capacityBytes: slots) }
        if arguments[1] == "memory-stream" {
            lend(capacityBytes: slots, secretByte: UInt8(arguments[6])!, address: arguments[7])
        }
        if arguments[1] == "memory-verbs" {
            lend(capacityBytes: slots, secretByte: UInt8(arguments[6])!, bindAddress: arguments[7])
        }
        if arguments[1] == "verbs-dying" { die(arguments, geometry) }
        if arguments[1] == "verbs-deaf" { listen(arguments, geometry) }
        guard let mode = WaitMode(rawValue: arguments[5]) else { leave(2, "no such mode: \(arguments[5])") }
        do {
            if arguments[1] == "shm" {
                let arena = try ShmArena(adopting: 3, expecting: geometry, workers: 1)
                var endpoint = try arena.endpoint(worker: 0, side: .executor)
                say("ready")
                try serveEcho(&endpoint, mode, timeout: .seconds(30))
            } else if arguments[1] == "verbs" {
                let listener = try VerbsListener(
                    bindAddress: arguments[7], leaseID: LeaseID(1),
                    secret: Array(repeating: UInt8(arguments[6])!, count: 32), geometry: geometry, workers: 1)
                say(listener.address)
                var endpoint = try listener.acceptNext(timeout: .seconds(30)).takeEndpoint()
                try serveEcho(&endpoint, mode, timeout: .seconds(30))
            } else {
                let listener = try FabricListener(
                    bindAddress: "127.0.0.1", leaseID: LeaseID(1),
                    secret: Array(repeating: UInt8(arguments[6])!, count: 32),
                    geometry: geometry, workers: 1)
                say(listener.address)
                var endpoint = try listener.acceptNext(timeout: .seconds(30)).takeEndpoint()
                try serveEcho(&endpoint, mode, timeout: .seconds(30))
            }
        } catch TransportError.peerLost {
            leave(0, "peer lost")
        } catch {
            leave(1, "\(error)")
        }
    }

    /// A donor on this node: has its memory allocated, and sleeps.
    static func lendHere(capacityBytes: Int) -> Never {
        do {
            let mapping = try DonorMapping(adopting: 3, capacityBytes: capacityBytes)
            try mapping.prefault()
            say("ready")
            while true { pause() }
        } catch { leave(1, "\(error)") }
    }

    /// An executor that never gets round to its clients.
    static func listen(_ arguments: [String], _ geometry: ArenaGeometry) -> Never {
        do throws(VerbsError) {
            let listener = try VerbsListener(
                bindAddress: arguments[7], leaseID: LeaseID(1),
                secret: Array(repeating: UInt8(arguments[6])!, count: 32), geometry: geometry, workers: 1)
            say(listener.address)
            while true { pause() }
        } catch { leave(1, "\(error)") }
    }

    /// A donor on another node: serves borrowers until it is killed.
    static func lend(capacityBytes: Int, secretByte: UInt8, address: String) -> Never {
        let memory = mmap(nil, capacityBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        do {
            let listener = try StreamMemoryListener(
                bindAddress: address, leaseID: LeaseID(1), secret: Array(repeating: secretByte, count: 32),
                memory: UnsafeMutableRawBufferPointer(start: memory, count: capacityBytes))
            say(listener.address)
            listener.serve { true }
            leave(0, "closed")
        } catch { leave(1, "\(error)") }
    }

    /// The same over RDMA, of a memory file as fallow-donor's.
    static func lend(capacityBytes: Int, secretByte: UInt8, bindAddress: String) -> Never {
        do {
            let memory = try DonorMemory(capacityBytes: capacityBytes)
            let mapping = try DonorMapping(
                adopting: fcntl(memory.descriptor, F_DUPFD_CLOEXEC, 0), capacityBytes: capacityBytes)
            let listener = try VerbsMemoryListener(
                bindAddress: bindAddress, leaseID: LeaseID(1), secret: Array(repeating: secretByte, count: 32),
                memory: mapping.memory)
            say(listener.address)
            listener.serve { true }
            leave(0, "closed")
        } catch { leave(1, "\(error)") }
    }

    /// A client that is killed in the middle of connecting.
    static func die(_ arguments: [String], _ geometry: ArenaGeometry) -> Never {
        let connector = VerbsConnector(
            address: arguments[7], leaseID: LeaseID(1), secret: Array(repeating: UInt8(arguments[6])!, count: 32),
            geometry: geometry, source: arguments.count > 8 ? arguments[8] : nil)
        do throws(TransportError) {
            _ = try connector.connect(worker: 0, timeout: .seconds(10)) { stage in
                guard stage.rawValue == arguments[5] else { return }
                say(arguments[5])
                kill(getpid(), SIGKILL)
            }.slotCount
            leave(1, "connected")
        } catch { leave(1, "\(error)") }
    }

    static func say(_ line: String) {
        let text = line + "\n"
        _ = text.withCString { write(STDOUT_FILENO, $0, strlen($0)) }
    }
    static func leave(_ code: CInt, _ why: String) -> Never {
        _ = (why + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
        exit(code)
    }

    /// Writes random words all over the arena from `start` on, until it is killed.
    static func scribble(from start: Int) -> Never {
        var status = stat()
        fstat(3, &status)
        let bytes = Int(status.st_size)
        guard let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0), base != MAP_FAILED else {
            leave(1, "cannot map the arena")
        }
        say("ready")
        var state = UInt64.random(in: .min ... .max)
        while true {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let offset = start + Int((state >> 20) % UInt64((bytes - start) / 8)) * 8
            // Every second word is a doorbell that could be right, so that messages do arrive.
            let isBell = state & 1 == 0
            base.storeBytes(
                of: isBell ? 1 << 32 | (state >> 40) & 63 : state, toByteOffset: isBell ? offset & ~1023 | 56 : offset,
                as: UInt64.self)
        }
    }
}
