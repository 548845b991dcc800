import FallowExecutor
import Glibc

/// fallow-executor: started by fallowd, one per lease, with the control socket as descriptor 3. Not for people.
@main struct Main {
    static func main() {
        exit(ExecutorProcess.run(controlDescriptor: 3))
    }
}
