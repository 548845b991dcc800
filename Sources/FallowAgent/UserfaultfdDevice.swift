internal import FallowModel
internal import FallowWire
internal import Glibc

/// /dev/userfaultfd, which only root may open where a distribution left it so: with a userfaultfd made from it system calls of
/// the program wait for pages of its regions, instead of failing with EFAULT.
///
/// Whoever has it can make a system call of his own wait for as long as he likes, which has served to win races in kernels with
/// bugs; `vm.unprivileged_userfaultfd` is 0 for that reason. So it is the site's decision (`memory.userfaultfd`).
enum UserfaultfdDevice {
    private static let path = "/dev/userfaultfd"

    /// - Returns: a descriptor, the caller's to close.
    static func open(isHandedOut: Bool, on node: NodeName) throws(WireError) -> Int32 {
        guard isHandedOut else {
            throw WireError(
                .refused,
                "\(node) does not hand out \(path) (memory.userfaultfd is off there): pin what system calls touch")
        }
        let device = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard device >= 0 else {
            throw WireError(
                .internalError,
                "\(node): \(path) cannot be opened: \(String(cString: strerror(errno)))"
                    + (errno == ENOENT ? "; Linux 6.1 and later have it: pin what system calls touch" : ""))
        }
        return device
    }
}
