internal import FallowModel

/// What a process holds that cannot be taken from it without harm: anonymous, shared and huge pages.
/// - Returns: nil when the process is gone, or is a kernel thread.
func processMemory(_ pid: Int32, procfs: String) -> ByteCount? {
    guard let text = HostFile.readIfPresent("\(procfs)/\(pid)/status") else { return nil }
    var total: Int64 = 0
    var found = false
    for line in text.split(separator: "\n") {
        guard line.hasPrefix("RssAnon:") || line.hasPrefix("RssShmem:") || line.hasPrefix("HugetlbPages:") else {
            continue
        }
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let kibibytes = Int64(words[1]) else { continue }
        total += kibibytes << 10
        found = true
    }
    return found ? ByteCount(total) : nil
}
