internal import ArgumentParser
internal import FallowModel
internal import Glibc

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What happens when the remote memory is not to be had, or used up.
enum MemoryFallback: String, CaseIterable, ExpressibleByArgument {
    case fail, local
}

/// How much comes and goes at once: a page to the bytes of a slot of the relay.
enum MemoryBlock: String, CaseIterable, ExpressibleByArgument {
    case four = "4K"
    case eight = "8K"
    case sixteen = "16K"
    case thirtyTwo = "32K"
    case sixtyFour = "64K"

    var size: ByteCount {
        switch self {
        case .four: .kibibytes(4)
        case .eight: .kibibytes(8)
        case .sixteen: .kibibytes(16)
        case .thirtyTwo: .kibibytes(32)
        case .sixtyFour: .kibibytes(64)
        }
    }
}

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a program with more memory than its node has to give.",
        discussion: """
            PROGRAM is left as it is: its allocations of more than 1 MiB (malloc and its kin, anonymous private mmap) live in \
            memory that the cluster leaves idle, of which --local-mem at a time is here. It must be dynamically linked with \
            glibc, not setuid, without a malloc of its own; what is not supported is refused at start. docs/memory.md lists \
            the system calls that may be handed such memory (read, write, send, recv, fread, fwrite and their kin).

            In a job that said sbatch --remote-mem=SIZE the memory waits: without --remote-mem all of it is taken.

            Donors on this node are used before those on others. One process at a time has the memory: the first that needs it. A \
            forked child must exec (else touching such memory ends it by SIGSEGV, with a sentence). When the memory is lost, \
            --cache ends the program and --durable goes on with the copy in a file; nothing ever turns into zeros.

            Exit status: PROGRAM's own, or 128+n when signal n ended it; 75 when there is no memory to be had and \
            --fallback=fail; 126 when PROGRAM cannot be run so, 127 when it is not found.

            Environment: FALLOW_RUN_STATISTICS=1 has PROGRAM say at its end what it used; =FILE appends it as JSON.
            """)

    @Option(
        help:
            "Remote memory in all: 512M, 4G (default: all that waits for the job, which said sbatch --remote-mem=SIZE)."
    )
    var remoteMem: String?
    @Option(help: "How much of it may be on this node at a time (default: a quarter of --remote-mem).")
    var localMem: String?
    @Option(
        help:
            "How much of it comes and goes at once. Less suits programs that touch memory at random, and costs others."
    )
    var block = MemoryBlock.sixtyFour
    @Flag(help: "Keep a second copy in a file of --scratch: survives the loss of all donors.")
    var durable = false
    @Flag(help: "Keep one copy: the program ends when a donor is lost (the default, unless the job said durable).")
    var cache = false
    @Option(
        help: "Without remote memory, or when it is used up: fail (not run; allocations fail) or local (this node's).")
    var fallback = MemoryFallback.fail
    @Option(help: "With --durable: a folder on a disk (default: $TMPDIR, else /var/tmp).", completion: .directory)
    var scratch: String?
    @Option(help: "Seconds to wait for capacity.")
    var wait = 0.0
    @Option(help: "The agent's socket (default: $FALLOW_CLIENT_SOCKET, else the configured one).")
    var socket: String?
    @Option(help: "The configuration file.")
    var config: String?
    @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.")
    var program: [String] = []

    /// The least that may be here at a time.
    static let leastLocal = ByteCount.mebibytes(8)

    /// The preload library counts twice as many in 32 bits.
    static let mostBlocks: Int64 = 1 << 30

    private var remote: ByteCount? { remoteMem.flatMap { ByteCount(parsing: $0) } }

    func validate() throws {
        guard !program.isEmpty else { throw ValidationError("no program: fallow run --remote-mem=1G -- PROGRAM ...") }
        if let remoteMem, !(remote.map { $0 >= .mebibytes(16) && $0 <= .gibibytes(1 << 14) } ?? false) {
            throw ValidationError("--remote-mem '\(remoteMem)' is not 16M to 16T")
        }
        if let localMem {
            guard let local = ByteCount(parsing: localMem), local >= Self.leastLocal, local <= remote ?? local else {
                throw ValidationError("--local-mem '\(localMem)' is not 8M to --remote-mem")
            }
        }
        guard !(durable && cache) else { throw ValidationError("--durable or --cache, not both") }
        guard scratch == nil || durable else { throw ValidationError("--scratch is for --durable") }
        guard wait >= 0, wait.isFinite else { throw ValidationError("--wait must be 0 or more, not \(wait)") }
    }

    func run() async throws {
        let status: Int32
        do throws(RunRefusal) { status = try runProgram(ProcessInfo.processInfo.environment) } catch {
            printError("fallow run: \(error.sentence)")
            throw ExitCode(error.status)
        }
        throw ExitCode(status)
    }

    private func runProgram(_ inherited: [String: String]) throws(RunRefusal) -> Int32 {
        let path = try RunnableProgram.find(program[0], path: inherited["PATH"])
        let prepared = try prepare(inherited)
        let run = ProgramRun(
            path: path, arguments: program, environment: prepared.environment.merged(with: inherited),
            donors: prepared.donors, isDurable: prepared.environment.scratch != nil)
        return try run.status()
    }

    private struct Prepared {
        var environment: RunEnvironment
        var donors: (any DonorSource)?
    }

    /// With remote memory, or without when there is none and the user said so.
    private func prepare(_ inherited: [String: String]) throws(RunRefusal) -> Prepared {
        do throws(RunRefusal) { return try lend(inherited) } catch {
            guard fallback == .local, error.status == RunRefusal.noMemory else { throw error }
            printError("fallow run: \(error.sentence); \(program[0]) runs with this node's memory")
            return Prepared(environment: RunEnvironment(parent: getpid()))
        }
    }

    private func lend(_ inherited: [String: String]) throws(RunRefusal) -> Prepared {
        var environment = RunEnvironment(parent: getpid())
        try RunnableProgram.checkKernel()
        environment.preload = try PreloadLibrary.path(inherited)
        let donors = try DonorSources.open(self, remote: remote, environment: inherited)
        let relay = donors.relay.map { (file: $0.file, bytes: $0.capacityBytes) }
        let lent = donors.files.reduce(0) { $0 + $1.bytes } + (relay?.bytes ?? 0)
        let local = localMem.flatMap { ByteCount(parsing: $0) } ?? max(Self.leastLocal, ByteCount(lent / 4))
        guard Int64(lent) / block.size.bytes < Self.mostBlocks else {
            donors.release()
            throw RunRefusal(
                RunRefusal.notRunnable,
                "\(ByteCount(lent)) in blocks of \(block.rawValue) are too many blocks: --block wants to be larger")
        }
        environment.lend(donors.files, relay: relay, local: local, block: block.size, fallsBack: fallback == .local)
        environment.claim = try SharedFile.memory(named: "fallow-claim", bytes: 4096)
        if durable || !cache && donors.jobIsDurable == true {
            let folder = scratch ?? inherited["TMPDIR"] ?? "/var/tmp"
            environment.scratch = try ScratchFile.open(in: folder, bytes: environment.lentBytes)
        }
        return Prepared(environment: environment, donors: donors)
    }
}

/// Why a program is not run, and the exit status that says so.
struct RunRefusal: Error {
    static let noMemory: Int32 = 75
    static let notRunnable: Int32 = 126
    static let notFound: Int32 = 127

    var status: Int32
    var sentence: String

    init(_ status: Int32, _ sentence: String) {
        self.status = status
        self.sentence = sentence
    }
}
