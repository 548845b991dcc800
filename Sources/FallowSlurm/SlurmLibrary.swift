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

    typealias ShiftHost = @convention(c) (OpaquePointer?) -> UnsafeMutablePointer<CChar>?

    let loadJobs: LoadJobs
    let freeJobs: @convention(c) (UnsafeMutablePointer<job_info_msg_t>?) -> Void
    let loadNodes: LoadNodes
    let freeNodes: @convention(c) (UnsafeMutablePointer<node_info_msg_t>?) -> Void
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
        let version = Int(CSLURM_VERSION) >> 8
        var found: String?
        for name in names {
            guard let handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL) else { continue }
            typealias Version = @convention(c) () -> Int
            if let symbol = dlsym(handle, "slurm_api_version") {
                let theirs = unsafeBitCast(symbol, to: Version.self)()
                let theirRelease = Self.release(ofAPI: theirs >> 16)
                if theirRelease == version {
                    self = try SlurmLibrary(handle)
                    return
                }
                found = theirRelease.map(Self.releaseName) ?? "a release with the API number \(theirs >> 16)"
            }
            dlclose(handle)
        }
        let built = Self.releaseName(version)
        throw SlurmError(
            found.map { "libslurm is of Slurm \($0), and this was built for \(built): install the package for \($0)" }
                ?? "there is no libslurm: install Slurm's client library \(built) (Debian: libslurm38)")
    }

    /// The release, as `major << 8 | minor`, whose libslurm has this API number: `slurm_api_version` counts releases, it does
    /// not name them (the library of 22.05 is libslurm.so.38 and answers 38.0.0).
    static func release(ofAPI number: Int) -> Int? {
        let releases = [(20, 11), (21, 8), (22, 5), (23, 2), (23, 11), (24, 5), (24, 11), (25, 5), (25, 11)]
        guard releases.indices.contains(number - 36) else { return nil }
        return releases[number - 36].0 << 8 | releases[number - 36].1
    }
    private static func releaseName(_ release: Int) -> String {
        let minor = release & 255
        return "\(release >> 8).\(minor < 10 ? "0" : "")\(minor)"
    }

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
