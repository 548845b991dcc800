internal import FallowLogging
internal import FallowModel

/// One key of the configuration: its name, what it means, and how its text becomes a setting.
public struct ConfigurationKey: Sendable {
    /// Dotted, as in the file: `agent.listen`.
    public let name: String
    /// One line for `doctor --show-config` and the manual page.
    public let meaning: String
    /// What a good value looks like, for error messages.
    let form: String
    /// Whether a list may stand in the file.
    var takesList = false
    let get: @Sendable (Settings) -> String
    /// - Returns: false when the text is no good value.
    let set: @Sendable (inout Settings, String) -> Bool

    /// The variable that wins over the file: `FALLOW_AGENT_LISTEN`.
    public var environmentVariable: String {
        "FALLOW_" + name.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }
    /// The value in `settings` as text.
    public func text(in settings: Settings) -> String { get(settings) }
}

extension ConfigurationKey {
    /// Every key there is, in the order of the documentation.
    public static let all: [ConfigurationKey] = [
        text("cluster.name", "name of the cluster, for reports", \.clusterName),
        text("controller.url", "where agents and commands reach fallowctld", \.controllerURL),
        text("controller.listen", "address and port on which fallowctld listens", \.controllerListen),
        optional(
            "controller.reader_token_file", "file with the token by which other machines read /metrics and the page",
            \.readerTokenFile, "a text", show: { $0 }, parse: { $0 }),
        optional(
            "controller.proxy_token_file", "file with the token of a reverse proxy that names who looks at the page",
            \.proxyTokenFile, "a text", show: { $0 }, parse: { $0 }),
        text("controller.chart_library", "Chart.js, for the page; without it tables are shown", \.chartLibrary),
        value(
            "log.levels", "which lines the daemons log, for all and by module; read again on SIGHUP",
            \.logLevels, "levels such as info,FallowHost=debug: trace, debug, info, notice, warning, error, critical",
            show: { $0.text }, parse: { LogLevels($0) }),
        seconds("history.keep_raw", "seconds for which use is kept by 10 seconds", \.historyRaw),
        seconds("history.keep_minutes", "seconds for which use is kept by the minute", \.historyMinutes),
        seconds("history.keep_hours", "seconds for which use and counts are kept by the hour", \.historyHours),
        seconds("history.keep_events", "seconds for which single jobs, leases and reclaims are kept", \.historyEvents),
        optional(
            "node.name", "Slurm's NodeName of this node; default: the host name", \.nodeName, "a node's name",
            show: { $0.text }, parse: { NodeName($0) }),
        optional(
            "node.cores", "cores of this node by Slurm's count; default: the machine's", \.nodeCores,
            "a whole number from 1 to \(AbstractCoreSet.largestNumber + 1)", show: { "\($0)" },
            parse: { text in
                Int(text).flatMap { (1...AbstractCoreSet.largestNumber + 1).contains($0) ? $0 : nil }
            }),
        optional(
            "node.memory", "memory of this node, 64G; default: the machine's", \.nodeMemory, amountForm,
            show: { $0.optionText }, parse: parseAmount),
        text("agent.listen", "address and port on which fallowd listens", \.agentListen),
        optional(
            "agent.url", "where other nodes reach this fallowd; default: http://<host name>:<port>", \.agentURL,
            "a text", show: { $0 }, parse: { $0 }),
        text("agent.data_address", "address on which executors take connections from other nodes", \.dataAddress),
        ConfigurationKey(
            name: "agent.rdma", meaning: "auto: executors listen over an RDMA device too, where one is; or off",
            form: "auto or off", get: { $0.rdma.rawValue },
            set: { settings, text in
                guard let use = RDMAUse(rawValue: text) else { return false }
                settings.rdma = use
                return true
            }),
        optional(
            "agent.rdma_address", "this node's address on its RDMA device; default: agent.data_address", \.rdmaAddress,
            "a text", show: { $0 }, parse: { $0 }),
        seconds("agent.report_interval", "seconds between reports to fallowctld", \.reportInterval),
        text("runtime_directory", "sockets and circuit breakers", \.runtimeDirectory),
        text("state_directory", "history and library cache", \.stateDirectory),
        text("cgroup.path", "our folder under each cgroup hierarchy", \.cgroupPath),
        text("cgroup.mount", "where cgroups are mounted", \.cgroupMount),
        flag(
            "cgroup.lowest_weight", "give our folder the least CPU weight there is; false only for virtual nodes",
            \.cgroupLowestWeight),
        optional(
            "munge.socket", "munged's socket; default: libmunge's own", \.mungeSocket, "a text", show: { $0 },
            parse: { $0 }),
        users("munge.trusted_uids", "uids whose word as a daemon is believed", \.trustedUsers),
        users("operators", "uids that may switch lending and see everybody's leases", \.operators),
        flag("lend.unallocated", "lend what no job holds", \.lendUnallocated),
        flag("lend.lent", "lend what jobs with --serverless do not use", \.lendLent),
        seconds("lend.window", "seconds over which a job's unused cores and memory are measured", \.window),
        whole("lend.keep_cores", "cores that auto always leaves to a job", \.keepCores, 0...1024),
        whole(
            "lend.memory_headroom_percent", "percent above a job's peak memory that is never lent",
            \.memoryHeadroomPercent, 0...100),
        amount("lend.memory_headroom", "memory above a job's peak that is never lent, at least", \.memoryHeadroom),
        optional(
            "lend.unallocated_headroom",
            "of memory that no job holds, what is never lent; default: a twentieth of the node's, at least 1G",
            \.unallocatedHeadroom, amountForm, show: { $0.optionText }, parse: parseAmount),
        ConfigurationKey(
            name: "lend.core_mapping", meaning: "auto, or logical for virtual nodes", form: "auto or logical",
            get: { $0.coreMapping.rawValue },
            set: { settings, text in
                guard let mapping = CoreMapping(rawValue: text) else { return false }
                settings.coreMapping = mapping
                return true
            }),
        seconds("lease.term_default", "seconds of a lease that names no term", \.termDefault),
        seconds("lease.term_maximum", "seconds of a lease at most", \.termMaximum),
        whole("lease.per_user", "leases of one user at a time, of each kind", \.leasesPerUser, 1...1_000_000),
        whole("lease.cores_per_user", "cores leased to one user at a time", \.coresPerUser, 1...10_000_000),
        amount("lease.memory_per_user", "remote memory leased to one user at a time", \.memoryPerUser),
        seconds("lease.grace_lost", "seconds without fallowctld after which a node's leases end", \.graceLost),
        text("executor.path", "the fallow-executor program", \.executorPath),
        whole("executor.processes", "processes and threads of one lease", \.executorProcesses, 1...100_000),
        whole("executor.open_files", "open files of one process of a lease", \.executorOpenFiles, 16...1_048_576),
        amount("executor.file_size", "size of a file that a function may write", \.executorFileSize),
        seconds("executor.poll", "seconds that a worker polls at most before it sleeps", \.executorPoll),
        whole(
            "executor.poll_percent", "percent of its workers' time that a lease may poll while no call comes",
            \.executorPollPercent, 0...100),
        ConfigurationKey(
            name: "executor.parked",
            meaning:
                "executors that stand ready for leases, at most; 0: none; auto: as demand was, up to 8, and none where they are moved into their cgroups, as under cgroup v1",
            form: "auto, or a whole number from 0 to 256",
            get: { $0.executorParked.map { "\($0)" } ?? "auto" },
            set: { settings, text in
                let count = Int(text).flatMap { (0...256).contains($0) ? $0 : nil }
                guard text == "auto" || count != nil else { return false }
                settings.executorParked = count
                return true
            }),
        text("donor.path", "the fallow-donor program", \.donorPath),
        optional(
            "donor.user", "whom donors run as, never root; default: fallow where there is such a user, else nobody",
            \.donorUser, "a user's name", show: { $0 }, parse: { $0 }),
        value(
            "donor.size", "memory of a donor for whose size nothing was said, 1M to 4G", \.donorSize,
            "an amount from 1M to 4G in whole pages of 4 KiB", show: { $0.optionText },
            parse: { text in
                parseAmount(text).flatMap {
                    $0 >= .mebibytes(1) && $0 <= .gibibytes(4) && $0.bytes % 4096 == 0 ? $0 : nil
                }
            }),
        ConfigurationKey(
            name: "donor.huge_pages", meaning: "auto: donors ask for huge pages, where the kernel has them; or off",
            form: "auto or off", get: { $0.donorHugePages.rawValue },
            set: { settings, text in
                guard let use = HugePageUse(rawValue: text) else { return false }
                settings.donorHugePages = use
                return true
            }),
        flag(
            "memory.userfaultfd", "hand programs /dev/userfaultfd, so that system calls may touch remote memory",
            \.handsOutUserfaultfd),
        seconds("slurm.poll_interval", "seconds between fallowctld's questions to slurmctld", \.slurmPollInterval),
        text("slurm.reader_path", "the fallow-slurm-reader program, built for one release of Slurm", \.slurmReaderPath),
    ]
}

// How each kind of value is read and shown.
extension ConfigurationKey {
    typealias Path<Value> = any WritableKeyPath<Settings, Value> & Sendable
    private static let amountForm = "an amount like 512M or 64G"

    private static func parseAmount(_ text: String) -> ByteCount? { ByteCount(parsing: text.filter { $0 != " " }) }

    /// A key whose value is always there.
    private static func value<Value: Sendable>(
        _ name: String, _ meaning: String, _ path: Path<Value>, _ form: String,
        show: @escaping @Sendable (Value) -> String, parse: @escaping @Sendable (String) -> Value?
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name, meaning: meaning, form: form, get: { show($0[keyPath: path]) },
            set: { settings, text in
                guard let value = parse(text) else { return false }
                settings[keyPath: path] = value
                return true
            })
    }
    /// A key that an empty text sets back to nothing.
    static func optional<Value: Sendable>(
        _ name: String, _ meaning: String, _ path: Path<Value?>, _ form: String,
        show: @escaping @Sendable (Value) -> String, parse: @escaping @Sendable (String) -> Value?
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name, meaning: meaning, form: form + ", or nothing", get: { $0[keyPath: path].map(show) ?? "" },
            set: { settings, text in
                let value = parse(text)
                guard text.isEmpty || value != nil else { return false }
                settings[keyPath: path] = text.isEmpty ? nil : value
                return true
            })
    }
    static func text(_ name: String, _ meaning: String, _ path: Path<String>) -> ConfigurationKey {
        value(name, meaning, path, "a text", show: { $0 }, parse: { $0.isEmpty ? nil : $0 })
    }
    static func flag(_ name: String, _ meaning: String, _ path: Path<Bool>) -> ConfigurationKey {
        value(name, meaning, path, "true or false", show: { "\($0)" }, parse: { Bool($0.lowercased()) })
    }
    static func whole(
        _ name: String, _ meaning: String, _ path: Path<Int>, _ range: ClosedRange<Int>
    ) -> ConfigurationKey {
        value(
            name, meaning, path, "a whole number from \(range.lowerBound) to \(range.upperBound)",
            show: { "\($0)" }, parse: { text in Int(text).flatMap { range.contains($0) ? $0 : nil } })
    }
    static func amount(_ name: String, _ meaning: String, _ path: Path<ByteCount>) -> ConfigurationKey {
        value(name, meaning, path, amountForm, show: { $0.optionText }, parse: parseAmount)
    }
    static func seconds(_ name: String, _ meaning: String, _ path: Path<Duration>) -> ConfigurationKey {
        value(
            name, meaning, path, "seconds from 0.000001 to 1000000000, such as 2 or 0.5",
            show: { "\($0.inSeconds)" },
            parse: { text in
                Double(text).flatMap { (1e-6...1e9).contains($0) ? .nanoseconds(Int64(($0 * 1e9).rounded())) : nil }
            })
    }
    static func users(_ name: String, _ meaning: String, _ path: Path<[UserID]>) -> ConfigurationKey {
        var key = value(
            name, meaning, path, "uids, such as [0, 64030]",
            show: { $0.map { "\($0)" }.joined(separator: ",") },
            parse: { text in
                let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
                let list = isBracketed ? text.dropFirst().dropLast() : text[...]
                let users = list.split(separator: ",").map { UInt32($0.filter { $0 != " " }).map { UserID($0) } }
                return users.isEmpty || users.contains(nil) ? nil : users.compactMap { $0 }
            })
        key.takesList = true
        return key
    }
}
