internal import FallowConfiguration
internal import FallowDiagnosis
internal import TransportVerbs

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// What there is to say of this node's RDMA: devices, the port's state, who may open them, locked memory.
struct RDMACheckup {
    let settings: Settings

    private static let subject = "RDMA"

    func finding() -> Finding {
        guard settings.rdma != .off else { return Finding(.good, Self.subject, "off by agent.rdma") }
        do throws(VerbsError) {
            let names = try VerbsDevice.names()
            guard !names.isEmpty else { return absent("no device; leases on other nodes go over libfabric") }
            return finding(devices: names)
        } catch {
            return absent("\(error); leases on other nodes go over libfabric")
        }
    }

    private func finding(devices: [String]) -> Finding {
        let address = settings.rdmaAddress ?? settings.dataAddress
        let here = devices.joined(separator: ", ")
        let device: VerbsDevice
        do throws(VerbsError) {
            device = try VerbsDevice.carrying(address)
        } catch {
            return Finding(
                .warning, Self.subject, "there is \(here), but: \(error)",
                mend: "set agent.rdma_address to the address of a device's interface, or agent.rdma: off")
        }
        guard device.isActive else {
            return Finding(
                .warning, Self.subject,
                "port \(device.port) of \(device.name), which carries \(address), is not active",
                mend: "ibv_devinfo -d \(device.name); look at cable, switch and, on InfiniBand, the subnet manager")
        }
        if let closed = Self.closedFile() {
            return Finding(
                .warning, Self.subject,
                "\(closed) cannot be opened by every user, so functions and programs cannot use it",
                mend: "rdma-core's udev rules give it mode 0666; chmod 666 \(closed) until the next boot")
        }
        let state = "\(device.name) port \(device.port) is active and carries \(address)"
        guard let limit = VerbsDevice.lockedMemoryLimitBytes, limit < Self.enoughBytes else {
            return Finding(.good, Self.subject, state)
        }
        return Finding(
            .warning, Self.subject,
            "\(state); a program here may lock \(limit >> 10) KiB of memory, less than a lease's slots usually need, and "
                + "then goes over libfabric",
            mend: "ulimit -l unlimited; for jobs PropagateResourceLimitsExcept=MEMLOCK in slurm.conf and "
                + "LimitMEMLOCK=infinity for slurmd")
    }

    /// What a client registers for one worker of the usual shape.
    private static let enoughBytes: UInt64 = 40 << 20

    /// A file of the devices that other users than root cannot open; nil when all can.
    private static func closedFile() -> String? {
        let folder = "/dev/infiniband"
        let files = FileManager.default
        for name in ((try? files.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        where name == "rdma_cm" || name.hasPrefix("uverbs") {
            let mode = (try? files.attributesOfItem(atPath: "\(folder)/\(name)"))?[.posixPermissions] as? Int
            if let mode, mode & 0o006 != 0o006 { return "\(folder)/\(name)" }
        }
        return nil
    }

    /// No RDMA is no fault, unless the site said that there is some.
    private func absent(_ sentence: String) -> Finding {
        guard let address = settings.rdmaAddress else { return Finding(.good, Self.subject, sentence) }
        return Finding(
            .warning, Self.subject, "agent.rdma_address is \(address), but: \(sentence)",
            mend: "install rdma-core, libibverbs1, librdmacm1 and ibverbs-providers, and load the device's driver")
    }
}
