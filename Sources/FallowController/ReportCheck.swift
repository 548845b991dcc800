internal import FallowModel
internal import FallowWire

extension NodeReport {
    /// Refuses numbers that no node has, so that nothing that is computed from them can overflow.
    ///
    /// - Throws: `WireError` `invalid`.
    func check() throws(WireError) {
        func bounds(_ what: String, _ value: Int64, _ largest: Int64) throws(WireError) {
            guard (0...largest).contains(value) else {
                throw WireError(.invalid, "the report's \(what) is \(value); 0 to \(largest) is right")
            }
        }
        let cores = Int64(AbstractCoreSet.largestNumber + 1)
        let bytes = Int64(1) << 50
        try bounds("cores", Int64(self.cores), cores)
        try bounds("memory", memory.bytes, bytes)
        try bounds("offer.cores", Int64(offer.cores), cores)
        try bounds("offer.memory", offer.memory.bytes, bytes)
        let pools = memoryPools ?? []
        try bounds("count of pools", Int64(pools.count), 65_536)
        for pool in pools { try bounds("memory \(pool.pool)", pool.memory.bytes, bytes) }
        for lease in leases { try bounds("memory of lease \(lease.leaseID)", lease.memory.bytes, bytes) }
        for end in ended { try bounds("memory of lease \(end.lease.leaseID)", end.lease.memory.bytes, bytes) }
        for job in jobs { try bounds("memory of job \(job.jobID)", job.memory.bytes, bytes) }
        guard !node.text.isEmpty, node.text.utf8.count <= 255 else {
            throw WireError(.invalid, "the report's node name should have 1 to 255 bytes")
        }
        guard agentURL.hasPrefix("http://"), agentURL.utf8.count <= 1024 else {
            throw WireError(.invalid, "the report's agentURL is '\(agentURL)'; http://host:port is right")
        }
    }
}
