public import FallowModel
internal import Glibc

/// CPU time and memory of a job, each nil where it could not be measured.
public struct JobUsage: Hashable, Sendable {
    /// CPU time since the job began on this node.
    public var cpu: Duration?
    /// What the job needs now: anonymous, shared, recently used file and huge pages.
    public var memory: ByteCount?

    public init(cpu: Duration?, memory: ByteCount?) {
        self.cpu = cpu
        self.memory = memory
    }
}

/// Every process of the machine and its parent, read in one pass, from which any number of jobs are measured.
///
/// One pass costs about 10 µs a process. Processes that end meanwhile are left out.
public struct ProcessSnapshot: Sendable {
    struct Entry: Sendable {
        var parent: Int32
        /// Its own CPU time and that of its ended and awaited children, in clock ticks.
        var ownTicks: Int64
        var childrenTicks: Int64
    }
    /// Beyond this many processes the rest is not read, and `isTruncated` says so.
    public static let processLimit = 131_072

    public let isTruncated: Bool
    let entries: [Int32: Entry]
    private let children: [Int32: [Int32]]
    private let procfs: String

    public var processCount: Int { entries.count }

    /// Reads /proc once.
    public static func read(procfs: String = "/proc") -> ProcessSnapshot {
        let pids = HostFile.names(in: procfs).compactMap { Int32($0) }
        var entries: [Int32: Entry] = [:]
        entries.reserveCapacity(min(pids.count, processLimit))
        for pid in pids.prefix(processLimit) {
            guard let text = HostFile.readIfPresent("\(procfs)/\(pid)/stat"), let entry = parse(text) else { continue }
            entries[pid] = entry
        }
        return ProcessSnapshot(entries: entries, isTruncated: pids.count > processLimit, procfs: procfs)
    }

    init(entries: [Int32: Entry], isTruncated: Bool, procfs: String) {
        self.entries = entries
        self.isTruncated = isTruncated
        self.procfs = procfs
        children = Dictionary(grouping: entries.keys) { entries[$0]!.parent }
    }

    /// Every process below the given ones, these not included; each once, even if the given ones overlap.
    public func descendants(of roots: [Int32]) -> [Int32] {
        var seen = Set(roots)
        var found: [Int32] = []
        var next = Array(seen)
        while let pid = next.popLast() {
            for child in children[pid] ?? [] where seen.insert(child).inserted {
                found.append(child)
                next.append(child)
            }
        }
        return found
    }

    /// What the descendants of a job's slurmstepds use: their CPU time, that of children they have waited for, and their memory.
    ///
    /// The slurmstepds' own time and memory are left out, but not the time of the tasks that they have seen end. Memory that several
    /// processes share is counted in each: never too little. CPU time may fall when a process ends unawaited.
    public func usage(ofDescendantsOf roots: [Int32]) -> JobUsage {
        var ticks = Set(roots).reduce(Int64(0)) { $0 + (entries[$1]?.childrenTicks ?? 0) }
        var memory = ByteCount.zero
        for pid in descendants(of: roots) {
            guard let entry = entries[pid] else { continue }
            ticks += entry.ownTicks + entry.childrenTicks
            if let held = processMemory(pid, procfs: procfs) { memory += held }
        }
        let ticksPerSecond = max(1, Int64(sysconf(Int32(_SC_CLK_TCK))))
        return JobUsage(
            cpu: .seconds(ticks / ticksPerSecond)
                + .nanoseconds(ticks % ticksPerSecond * (1_000_000_000 / ticksPerSecond)),
            memory: memory)
    }

    /// The line of /proc/<pid>/stat: the name in parentheses may hold anything, so fields are counted after the last `)`.
    static func parse(_ text: String) -> Entry? {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(whereSeparator: \.isWhitespace)
        // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime
        guard fields.count >= 15, let parent = Int32(fields[1]), let user = Int64(fields[11]),
            let system = Int64(fields[12]), let childUser = Int64(fields[13]), let childSystem = Int64(fields[14])
        else { return nil }
        return Entry(
            parent: parent, ownTicks: max(0, user) + max(0, system),
            childrenTicks: max(0, childUser) + max(0, childSystem))
    }
}
