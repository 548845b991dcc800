import FallowDonor
import Glibc

/// fallow-donor: started by fallowd, with the control socket as descriptor 3. Not for people.
@main struct Main {
    static func main() { exit(DonorProcess.run(controlDescriptor: 3)) }
}
