internal import FallowClient
internal import FallowConfiguration
internal import FallowControl
internal import FallowDiagnosis
internal import FallowModel
internal import FallowWire

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Looks at this machine and at the cluster, one thing after the other. Every look is bounded.
struct Checkup {
    let settings: Settings
    let common: CommonOptions

    func findings() async -> [Finding] {
        var findings = [Finding(.good, "configuration", "readable, every key known")]
        let nodes = try? await common.get("/v1/nodes", [NodeView].self)
        let slurm = await SlurmCheckup(settings: settings, nodes: nodes ?? []).findings()
        findings += agent(isComputeNode: slurm.isComputeNode)
        findings += breakers()
        findings.append(await munge())
        findings += await cluster(nodes)
        findings += slurm.findings
        findings += MachineCheckup(settings: settings).findings()
        findings.append(RDMACheckup(settings: settings).finding())
        return findings
    }

    /// Compute nodes have to have one; elsewhere it is for calling functions from.
    private func agent(isComputeNode: Bool?) -> [Finding] {
        let path =
            ProcessInfo.processInfo.environment["FALLOW_CLIENT_SOCKET"] ?? settings.runtimeDirectory + "/client.sock"
        let status: AgentStatus
        do {
            let client = try FallowClient.connect(socketPath: path, timeout: .seconds(1))
            defer { client.close() }
            status = try client.status()
        } catch {
            let absent = !FileManager.default.fileExists(atPath: path)
            if isComputeNode == false, absent {
                return [
                    Finding(
                        .good, "agent",
                        "none; Slurm calls this no compute node, and only calling functions from here wants one")
                ]
            }
            return [
                Finding(
                    .broken, "agent", "no fallowd answers on \(path): \(error.message)",
                    mend: absent ? "systemctl enable --now fallowd" : "systemctl restart fallowd")
            ]
        }
        let address = settings.agentListen
        let port = MachineFindings.port(
            "agent.listen", address, refusal: TCPPort.refusal(ofListening: address, within: .seconds(1)))
        return [Finding(.good, "agent", "fallowd answers on \(path)"), port]
            + (isComputeNode == false ? [] : status.coreMapping.map { [MachineFindings.coreMapping($0)] } ?? [])
    }

    private func breakers() -> [Finding] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: settings.runtimeDirectory)) ?? []
        let breakers = files.filter { $0.hasPrefix("breaker.") }
        guard !breakers.isEmpty else { return [] }
        return [
            Finding(
                .warning, "circuit breaker",
                "the plugin gave up on fallowd for \(breakers.count) jobs; fallowd removes this when it is well",
                mend: "systemctl restart fallowd; journalctl -u fallowd")
        ]
    }

    private func munge() async -> Finding {
        let munge = Munge(socket: settings.mungeSocket)
        do {
            let credential = try await munge.encode(Data("doctor".utf8), restrictTo: nil)
            _ = try await munge.decode(credential)
            return Finding(.good, "munge", "munged seals and opens")
        } catch {
            return Finding(.broken, "munge", "\(error)", mend: "systemctl enable --now munge")
        }
    }

    /// fallowctld, and what it knows of the others.
    private func cluster(_ nodes: [NodeView]?) async -> [Finding] {
        let status: ClusterStatus
        let asked = Timestamp.current()
        do { status = try await common.get("/v1/status", ClusterStatus.self) } catch {
            return [
                Finding(
                    .broken, "fallowctld", "\(error)",
                    mend: "set controller.url, or systemctl enable --now fallowctld on its node")
            ]
        }
        let answered = Timestamp.current()
        var findings = [controller(status)]
        if let theirs = status.at {
            // The answer was made at some moment between: only what is certain counts.
            let ahead =
                (asked - theirs).inSeconds > 0 ? (asked - theirs).inSeconds : min(0, (answered - theirs).inSeconds)
            findings.append(MachineFindings.clock(aheadSeconds: ahead))
        }
        if let nodes {
            findings.append(
                MachineFindings.versions(
                    own: fallowVersion, controller: status.version,
                    nodes: nodes.compactMap { node in node.version.map { ("\(node.node)", $0) } }))
        }
        return findings
    }

    private func controller(_ status: ClusterStatus) -> Finding {
        guard status.slurmAnswers else {
            return Finding(
                .warning, "fallowctld", "it answers, but slurmctld does not answer it: nothing new is lent",
                mend: "systemctl status slurmctld on fallowctld's node; is the package fallow-slurm there?")
        }
        return Finding(
            status.nodesSilent == 0 ? .good : .warning, "fallowctld",
            "it answers; \(status.nodesReporting) nodes report, \(status.nodesSilent) are silent",
            mend: status.nodesSilent == 0 ? nil : "fallow nodes; systemctl status fallowd on the silent ones")
    }
}
