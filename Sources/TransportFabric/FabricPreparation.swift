internal import CFabric
internal import Glibc

/// libfabric's start, before anybody waits for it.
///
/// It costs a quarter of a second of a process's life, once: libfabric 1.17 loads every vendor's library, one of which
/// (libinfinipath) calibrates a clock by 550 naps of 0.125 ms, and looks through /proc/kallsyms twice, which is five megabytes.
/// Neither FI_PROVIDER nor a hint avoids it. No thread is started.
public enum FabricPreparation {
    /// Loads libfabric and its providers, as far as it is not done yet. Blocks for 0.2 s of waiting and computing.
    /// - Parameters:
    ///   - willBeAnother: the process will change its identity. Where there are RDMA devices it then stops at loading: the first look
    ///     opens them, whichever provider is asked for, and the kernel refuses a device to whoever was somebody else when it was opened.
    ///   - isWanted: asked between the two halves; when false the rest is left to whoever needs it.
    public static func run(willBeAnother: Bool = false, while isWanted: () -> Bool = { true }) {
        guard cfabric_load() == 0, isWanted(), !willBeAnother || !hasDevices else { return }
        // Whatever is found here is found again, and then at once.
        _ = try? FabricInformation(host: "127.0.0.1", port: "0", listening: true)
    }

    /// Whether the machine has RDMA devices.
    private static var hasDevices: Bool {
        guard let folder = opendir("/sys/class/infiniband") else { return false }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            // "." and ".." are there always.
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { return true }
        }
        return false
    }
}
