import FallowSlurm
// Foundation uses it, and only an import brings it into the link.
import Synchronization

/// fallow-slurm-reader: started by fallowctld, asks slurmctld by libslurm, and so is built for one release of Slurm. Not for people.
@main struct Main {
    static func main() { SlurmReaderChild.run() }
}
