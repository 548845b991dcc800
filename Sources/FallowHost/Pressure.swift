/// How much work waited for a resource (PSI), where the kernel measures it.
public struct Pressure: Hashable, Sendable {
    /// A share of time, as averages over 10, 60 and 300 seconds in percent, and in total since the machine started.
    public struct Share: Hashable, Sendable {
        public var averageOver10sPercent: Double
        public var averageOver60sPercent: Double
        public var averageOver300sPercent: Double
        public var total: Duration
    }
    public struct Resource: Hashable, Sendable {
        /// While at least one task waited.
        public var some: Share
        /// While all that was not idle waited; nil where the kernel does not tell (CPU, before 5.13).
        public var full: Share?
    }
    public var cpu: Resource?
    public var memory: Resource?
    public var io: Resource?

    /// Reads /proc/pressure. - Returns: nil where the kernel has no PSI.
    public static func read(procfs: String = "/proc") -> Pressure? {
        let pressure = Pressure(
            cpu: resource("\(procfs)/pressure/cpu"), memory: resource("\(procfs)/pressure/memory"),
            io: resource("\(procfs)/pressure/io"))
        return pressure.cpu == nil && pressure.memory == nil && pressure.io == nil ? nil : pressure
    }

    /// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, then the same for `full`.
    private static func resource(_ path: String) -> Resource? {
        guard let text = HostFile.readIfPresent(path) else { return nil }
        var shares: [Substring: Share] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let name = words.first else { continue }
            var values: [Substring: Substring] = [:]
            for word in words.dropFirst() {
                let parts = word.split(separator: "=")
                if parts.count == 2 { values[parts[0]] = parts[1] }
            }
            guard let short = values["avg10"].flatMap({ Double($0) }),
                let middle = values["avg60"].flatMap({ Double($0) }),
                let long = values["avg300"].flatMap({ Double($0) }), let total = values["total"].flatMap({ Int64($0) })
            else { continue }
            shares[name] = Share(
                averageOver10sPercent: short, averageOver60sPercent: middle, averageOver300sPercent: long,
                total: .microseconds(total))
        }
        return shares["some"].map { Resource(some: $0, full: shares["full"]) }
    }
}
