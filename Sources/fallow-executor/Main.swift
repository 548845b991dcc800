import FallowExecutor
import Glibc

/// fallow-executor [--prepare TRANSPORT]: started by fallowd, with the control socket as descriptor 3. Not for people.
@main struct Main {
    static func main() {
        let arguments = CommandLine.arguments
        let prepares = arguments.count == 3 && arguments[1] == "--prepare" ? arguments[2] : nil
        exit(ExecutorProcess.run(controlDescriptor: 3, prepares: prepares))
    }
}
