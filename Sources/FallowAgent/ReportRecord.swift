internal import CFallowReport
internal import FallowModel
internal import FallowPolicy

/// A record of the plugin's, checked.
struct ReportRecord {
    enum Kind {
        case hello, stepStart, stepRunning, stepEnd, jobEnd
    }

    var kind: Kind
    var cordPulled: Bool
    var stepdPID: Int32
    var taskPID: Int32
    /// The text of /proc/<pid>/cgroup.
    var cgroup: String
    var step: StepStart
    /// What the job said with `--remote-mem`; nil without.
    var borrows: BorrowedMemory.Wish?
    /// The same as it is shown: `64G,durable`.
    var remoteMemory: String? {
        borrows.map { $0.memory.optionText + ($0.isDurable ? ",durable" : ",cache") }
    }

    /// What is wrong with a record.
    struct Malformed: Error {
        var sentence: String
    }

    /// Checks one packet from report.sock.
    init(packet: [UInt8]) throws(Malformed) {
        let size = MemoryLayout<fallow_report_request>.size
        guard packet.count == size else {
            throw Malformed(sentence: "a record has \(size) bytes, not \(packet.count)")
        }
        let record = packet.withUnsafeBytes { $0.loadUnaligned(as: fallow_report_request.self) }
        guard record.magic == FALLOW_REPORT_MAGIC else { throw Malformed(sentence: "the record has no magic number") }
        guard record.version == FALLOW_REPORT_VERSION else {
            throw Malformed(
                sentence: "the plugin speaks version \(record.version), this fallowd speaks \(FALLOW_REPORT_VERSION)")
        }
        switch UInt32(record.kind) {
        case FALLOW_REPORT_HELLO.rawValue: kind = .hello
        case FALLOW_REPORT_STEP_START.rawValue: kind = .stepStart
        case FALLOW_REPORT_STEP_RUNNING.rawValue: kind = .stepRunning
        case FALLOW_REPORT_STEP_END.rawValue: kind = .stepEnd
        case FALLOW_REPORT_JOB_END.rawValue: kind = .jobEnd
        default: throw Malformed(sentence: "there is no record of kind \(record.kind)")
        }
        let flags = record.flags
        func has(_ flag: UInt32) -> Bool { flags & flag != 0 }
        cordPulled = has(UInt32(FALLOW_REPORT_CORD_PULLED))
        stepdPID = record.stepd_pid
        taskPID = record.task_pid
        cgroup = try text(record.cgroup, "cgroup")
        let allocCores = try text(record.alloc_cores, "alloc_cores")
        let stepCores = try text(record.step_cores, "step_cores")
        let truncated = has(UInt32(FALLOW_REPORT_CORES_TRUNCATED))
        func cores(_ list: String) throws(Malformed) -> AbstractCoreSet? {
            if list.isEmpty || truncated { return nil }
            guard let set = AbstractCoreSet(parsing: list) else {
                throw Malformed(sentence: "'\(list)' is no core list")
            }
            return set
        }
        // Sizes beyond 2^43 MiB cannot be bytes any more; they mean "all there is", as 0 does.
        let mebibytes = record.alloc_mem_mib < 1 << 43 ? Int64(record.alloc_mem_mib) : 0
        step = StepStart(
            jobID: JobID(record.job_id), stepID: StepID(record.step_id), user: UserID(record.uid),
            jobCores: try cores(allocCores), stepCores: try cores(stepCores), memory: .mebibytes(mebibytes),
            serverless: try serverless(record))
        if has(UInt32(FALLOW_REPORT_REMOTE_MEM)) {
            guard record.remote_mem_bytes > 0, record.remote_mem_bytes <= 1 << 50 else {
                throw Malformed(sentence: "remote_mem_bytes is \(record.remote_mem_bytes): 1 byte to 1 PiB is right")
            }
            borrows = BorrowedMemory.Wish(
                memory: ByteCount(Int64(record.remote_mem_bytes)),
                isDurable: has(UInt32(FALLOW_REPORT_REMOTE_DURABLE)))
        }
    }
}

/// A NUL-terminated text out of a C array that Swift sees as a tuple.
private func text<Tuple>(_ tuple: Tuple, _ field: String) throws(ReportRecord.Malformed) -> String {
    let bytes = withUnsafeBytes(of: tuple) { Array($0) }
    guard let end = bytes.firstIndex(of: 0) else {
        throw ReportRecord.Malformed(sentence: "the field \(field) does not end")
    }
    return String(decoding: bytes[..<end], as: UTF8.self)
}

private func serverless(_ record: fallow_report_request) throws(ReportRecord.Malformed) -> ServerlessRequest? {
    guard record.flags & UInt32(FALLOW_REPORT_SERVERLESS) != 0 else { return nil }
    if record.flags & UInt32(FALLOW_REPORT_SERVERLESS_NO) != 0 { return .no }
    let cores = record.lend_cpus
    let memory = record.lend_mem_bytes
    guard cores >= FALLOW_LEND_UNSET, memory >= FALLOW_LEND_UNSET, cores <= Int64(AbstractCoreSet.largestNumber) else {
        throw ReportRecord.Malformed(sentence: "lend_cpus \(cores) or lend_mem_bytes \(memory) makes no sense")
    }
    if cores < 0, memory < 0, record.reserve_mem < 0 { return .auto }
    let reserve: ServerlessRequest.Reserve?
    if record.reserve_mem < 0 {
        reserve = nil
    } else if record.flags & UInt32(FALLOW_REPORT_RESERVE_PERCENT) != 0 {
        reserve = .percent(Int(min(record.reserve_mem, 100)))
    } else {
        reserve = .amount(ByteCount(record.reserve_mem))
    }
    return .explicit(
        cores: cores < 0 ? nil : Int(cores), memory: memory < 0 ? nil : ByteCount(memory), reserve: reserve)
}
