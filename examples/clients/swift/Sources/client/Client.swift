import FallowClient
import Foundation

/// Leases two cores and has a function run on both. Run: `swift run client ../../functions/text.so`
@main struct Client {
    static func main() {
        guard CommandLine.arguments.count == 2 else {
            print("usage: client LIBRARY, such as ../../functions/text.so")
            exit(2)
        }
        do {
            try run(library: CommandLine.arguments[1])
        } catch {
            print("client: \(error.message) (\(error.code))")
            exit(1)
        }
    }

    static func run(library: String) throws(FallowError) {
        let client = try FallowClient.connect()
        var options = LeaseOptions()
        options.cpus = 2
        options.term = .seconds(60)
        options.wait = .seconds(10)
        let lease = try client.lease(library: library, options)
        print("lease \(lease.id): \(lease.cpus) cores on \(lease.node) over \(lease.transport)")

        // One call, and wait for it.
        let reply = try lease.invoke("reverse", Array("fallow".utf8), timeout: .seconds(5))
        print("reverse(fallow) = \(String(decoding: reply.output, as: UTF8.self))")

        // Several calls under way; the idle worker takes the next one.
        let words = ["unsown", "idle", "lent", "reclaimed"]
        var futures: [Future] = []
        for word in words { futures.append(try lease.submit("reverse", Array(word.utf8))) }
        try Future.waitAll(futures, timeout: .seconds(5))
        for (word, future) in zip(words, futures) {
            print("reverse(\(word)) = \(String(decoding: try future.wait().output, as: UTF8.self))")
        }
        try lease.release()
    }
}
