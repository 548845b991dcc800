internal import FallowConfiguration
internal import TransportVerbs

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// How executors on this node are reached over RDMA.
struct RDMAOffer: Equatable, Sendable {
    /// This node's address on the device.
    let address: String
    /// The device's name, for people.
    let device: String
    /// What of /dev an executor needs for it, and nothing else of the kind.
    let deviceFiles: [String]

    /// What the settings ask for and the machine has. Asks the kernel; may take milliseconds.
    /// - Returns: no offer, and why, where there is nothing to offer; no reason where nobody wanted one.
    static func find(_ settings: Settings) -> (offer: RDMAOffer?, why: String?) {
        guard settings.rdma == .auto else { return (nil, nil) }
        let address = settings.rdmaAddress ?? settings.dataAddress
        do throws(VerbsError) {
            // Most nodes have none, and need not hear of it.
            if settings.rdmaAddress == nil, try VerbsDevice.names().isEmpty { return (nil, nil) }
            let device = try VerbsDevice.carrying(address)
            guard device.isActive else {
                return (nil, "port \(device.port) of the RDMA device \(device.name) is not active")
            }
            guard let file = deviceFile(of: device.name) else {
                return (nil, "the RDMA device \(device.name) has no file in /dev/infiniband")
            }
            return (
                RDMAOffer(address: address, device: device.name, deviceFiles: ["/dev/infiniband/rdma_cm", file]), nil
            )
        } catch {
            return (nil, settings.rdmaAddress == nil && error.isAbsence ? nil : error.description)
        }
    }

    /// The device's file; the kernel numbers them apart from the devices' own names.
    private static func deviceFile(of device: String) -> String? {
        let folder = "/sys/class/infiniband_verbs"
        let files = FileManager.default
        for entry in (try? files.contentsOfDirectory(atPath: folder)) ?? [] where entry.hasPrefix("uverbs") {
            let name = files.contents(atPath: "\(folder)/\(entry)/ibdev").map { String(decoding: $0, as: UTF8.self) }
            let path = "/dev/infiniband/\(entry)"
            if name?.filter({ !$0.isWhitespace }) == device, files.fileExists(atPath: path) { return path }
        }
        return nil
    }
}
