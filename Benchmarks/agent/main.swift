// The agent that the data plane's benchmarks and the gate talk to: the tests' played agent with real executors, so that
// neither root nor Slurm is needed, and what is measured is the client, the transport and the executor alone.
// Usage: bench-agent [cpu=N] [poll-us=N] [fabric]. Prints its socket's path and serves until standard input ends.
// FALLOW_EXECUTOR names another program to start as executor, such as one that runs it under valgrind.

import FallowModel
import FallowTestSupport
import FallowWire
import Foundation

var cpus = MachineCPUSet()
var pollMicroseconds = 200
var transport = TransportKind.shm
for argument in CommandLine.arguments.dropFirst() {
    let parts = argument.split(separator: "=", maxSplits: 1)
    switch (parts.first, parts.count == 2 ? Int(parts[1]) : nil) {
    case ("cpu", let cpu?): cpus = MachineCPUSet([cpu])
    case ("poll-us", let microseconds?): pollMicroseconds = microseconds
    case ("fabric", nil): transport = .fabric
    default:
        print("bench-agent: '\(argument)' is none of cpu=N, poll-us=N, fabric")
        exit(2)
    }
}
let agent = try PlayedAgent(pollMicroseconds: pollMicroseconds, transport: transport, cpus: cpus)
print(agent.socketPath)
fflush(nil)
while readLine() != nil {}
agent.stop()
exit(0)  // which removes the temporary folder
