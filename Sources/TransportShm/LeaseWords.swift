/// Where a lease's memory says that the lease is over: in the first page of arenas and of donors' files alike.
///
///     128      ended: 0, or why the lease ended
///     132      reclaimed: 0, or 1 once the memory behind the control page may have been emptied
package enum LeaseWords {
    package static let endedOffset = 128
    package static let reclaimedOffset = 132
    package static let controlPageBytes = 4096
}
