internal import CSlurm
internal import Glibc

/// libslurm, opened at run time: the functions that are used, and no others.
struct SlurmLibrary {
    typealias LoadJobs =
        @convention(c) (time_t, UnsafeMutablePointer<UnsafeMutablePointer<job_info_msg_t>?>?, UInt16) -> Int32
    typealias LoadNodes =
        @convention(c) (time_t, UnsafeMutablePointer<UnsafeMutablePointer<node_info_msg_t>?>?, UInt16) -> Int32
    typealias CPUsOnNode =
        @convention(c) (UnsafeMutablePointer<CChar>?, Int, OpaquePointer?, UnsafePointer<CChar>?) -> Int32

    typealias LoadConfiguration =
        @convention(c) (time_t, UnsafeMutablePointer<UnsafeMutablePointer<slurm_conf_t>?>?) -> Int32
    typealias ShiftHost = @convention(c) (OpaquePointer?) -> UnsafeMutablePointer<CChar>?

    let loadJobs: LoadJobs
    let freeJobs: @convention(c) (UnsafeMutablePointer<job_info_msg_t>?) -> Void
    let loadNodes: LoadNodes
    let freeNodes: @convention(c) (UnsafeMutablePointer<node_info_msg_t>?) -> Void
    let loadConfiguration: LoadConfiguration
    let freeConfiguration: @convention(c) (UnsafeMutablePointer<slurm_conf_t>?) -> Void
    let cpusOnNode: CPUsOnNode
    let makeHostList: @convention(c) (UnsafePointer<CChar>?) -> OpaquePointer?
    let shiftHost: ShiftHost
    let freeHostList: @convention(c) (OpaquePointer?) -> Void
    let lastError: @convention(c) () -> Int32
    let words: @convention(c) (Int32) -> UnsafeMutablePointer<CChar>?

    /// Opens the library of the release whose headers this was built with, and reads slurm.conf.
    ///
    /// libslurm ends the process when slurm.conf cannot be read: call this in a process of its own.
    init() throws {
        // Its plugins (auth/munge) look for the library's symbols in the whole process, hence RTLD_GLOBAL.
        let names = ["libslurm.so"] + (36...60).map { "libslurm.so.\($0)" }
        let release = Int(CSLURM_VERSION) >> 8
        let built = "\(release >> 8).\(release & 255 < 10 ? "0" : "")\(release & 255)"
        guard let interface = Self.interfaces[release] else {
            throw SlurmError("this was built for Slurm \(built), whose libslurm it does not know")
        }
        var found: Int?
        for name in names {
            guard let handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL) else { continue }
            typealias Version = @convention(c) () -> Int
            if let symbol = dlsym(handle, "slurm_api_version") {
                let theirs = unsafeBitCast(symbol, to: Version.self)() >> 16
                if theirs == interface {
                    self = try SlurmLibrary(handle)
                    return
                }
                found = theirs
            }
            dlclose(handle)
        }
        throw SlurmError(
            found.map {
                "libslurm.so.\($0) is not that of Slurm \(built), for which this was built: install a fitting one"
            }
                ?? "there is no libslurm: install Slurm's client library \(built) (Debian: libslurm\(interface))")
    }

    /// The major number of libslurm's interface, which `slurm_api_version` gives, by Slurm's release.
    private static let interfaces = [
        0x1605: 38, 0x1702: 39, 0x170b: 40, 0x1805: 41, 0x180b: 42, 0x1905: 43,
    ]

    private init(_ handle: UnsafeMutableRawPointer) throws {
        func function<F>(_ name: String, _ type: F.Type) throws -> F {
            guard let symbol = dlsym(handle, name) else { throw SlurmError("libslurm lacks \(name)") }
            return unsafeBitCast(symbol, to: type)
        }
        loadJobs = try function("slurm_load_jobs", LoadJobs.self)
        freeJobs = try function(
            "slurm_free_job_info_msg", (@convention(c) (UnsafeMutablePointer<job_info_msg_t>?) -> Void).self)
        loadNodes = try function("slurm_load_node", LoadNodes.self)
        freeNodes = try function(
            "slurm_free_node_info_msg", (@convention(c) (UnsafeMutablePointer<node_info_msg_t>?) -> Void).self)
        loadConfiguration = try function("slurm_load_ctl_conf", LoadConfiguration.self)
        freeConfiguration = try function(
            "slurm_free_ctl_conf", (@convention(c) (UnsafeMutablePointer<slurm_conf_t>?) -> Void).self)
        cpusOnNode = try function("slurm_job_cpus_allocated_str_on_node", CPUsOnNode.self)
        makeHostList = try function(
            "slurm_hostlist_create", (@convention(c) (UnsafePointer<CChar>?) -> OpaquePointer?).self)
        shiftHost = try function("slurm_hostlist_shift", ShiftHost.self)
        freeHostList = try function("slurm_hostlist_destroy", (@convention(c) (OpaquePointer?) -> Void).self)
        lastError = try function("slurm_get_errno", (@convention(c) () -> Int32).self)
        words = try function("slurm_strerror", (@convention(c) (Int32) -> UnsafeMutablePointer<CChar>?).self)
        typealias Start = @convention(c) (UnsafePointer<CChar>?) -> Void
        try function("slurm_init", Start.self)(nil)
    }

    /// The hosts of an expression such as `node[0-2,5]`, at most `limit`.
    func hosts(_ expression: UnsafePointer<CChar>?, limit: Int = 1 << 20) -> [String] {
        guard let expression, expression.pointee != 0, let list = makeHostList(expression) else { return [] }
        defer { freeHostList(list) }
        var names: [String] = []
        while names.count < limit, let host = shiftHost(list) {
            names.append(String(cString: host))
            free(host)
        }
        return names
    }

    /// What slurmctld or libslurm had against the last call.
    func failure(_ what: String) -> SlurmError {
        let number = lastError()
        return SlurmError("cannot \(what): \(words(number).map { String(cString: $0) } ?? "error \(number)")")
    }
}
