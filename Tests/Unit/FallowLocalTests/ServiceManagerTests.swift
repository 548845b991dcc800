import FallowLocal
import FallowModel
import Glibc
import Testing

/// What systemd would hear: a datagram socket that is read without waiting.
private final class Manager {
    let descriptor: Int32
    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            for (index, byte) in path.utf8.enumerated() { room[index] = index == 0 && byte == 0x40 ? 0 : byte }
        }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(result == 0)
    }
    deinit { close(descriptor) }

    var next: String? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}

@Suite struct ServiceManagerTests {
    @Test func saysWhatSystemdKnows() throws {
        try withFolder { folder in
            let manager = try Manager(path: folder + "/socket")
            let service = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": folder + "/socket"]))
            service.ready()
            service.alive()
            service.stopping()
            #expect([manager.next, manager.next, manager.next] == ["READY=1", "WATCHDOG=1", "STOPPING=1"])
            #expect(manager.next == nil)
        }
    }

    @Test func reachesAnAbstractSocket() throws {
        let name = "@fallow-test-\(UInt64.random(in: 0 ... .max))"
        let manager = try Manager(path: name)
        try #require(ServiceManager(environment: ["NOTIFY_SOCKET": name])).ready()
        #expect(manager.next == "READY=1")
    }

    @Test func isNotThereWithoutAManager() {
        #expect(ServiceManager(environment: [:]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": ""]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "vsock:2:1"]) == nil)
        let long = "/" + String(repeating: "x", count: 107)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": long]) == nil)
    }

    @Test func aManagerThatIsGoneIsNoMatter() throws {
        try #require(ServiceManager(environment: ["NOTIFY_SOCKET": "/nonexistent/notify"])).alive()
    }

    @Test func theWatchdogIsOursAndComesFourTimesAPeriod() throws {
        func service(_ more: [String: String]) -> ServiceManager? {
            ServiceManager(environment: more.merging(["NOTIFY_SOCKET": "/n"]) { a, _ in a }, processID: 7)
        }
        #expect(service(["WATCHDOG_USEC": "8000000"])?.alivePeriod == .seconds(2))
        #expect(service(["WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "7"])?.watchdog == .seconds(8))
        #expect(service(["WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "8"])?.watchdog == nil)
        #expect(service(["WATCHDOG_USEC": "0"])?.watchdog == nil)
        #expect(service(["WATCHDOG_USEC": "soon"])?.watchdog == nil)
        #expect(service([:])?.alivePeriod == nil)
    }

    /// A loop that hangs in a handler gives no sign of life: that is what the watchdog is for.
    @Test func aLoopThatHangsGivesNoSignOfLife() throws {
        try withFolder { folder in
            let manager = try Manager(path: folder + "/socket")
            let service = try #require(
                ServiceManager(environment: ["NOTIFY_SOCKET": folder + "/socket", "WATCHDOG_USEC": "40000"]))
            let loop = try EventLoop()
            var signs: [Int] = []
            func count() -> Int {
                var found = 0
                while manager.next != nil { found += 1 }
                return found
            }
            loop.after(.zero, repeating: service.alivePeriod) { service.alive() }
            loop.after(.milliseconds(200)) {
                signs.append(count())
                usleep(200_000)
                signs.append(count())
                loop.stop()
            }
            run(loop)
            #expect(signs[0] >= 3 && signs[1] == 0, "\(signs)")
        }
    }
}
