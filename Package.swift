// swift-tools-version: 6.2
import PackageDescription

// The rooms and their walls: docs/architecture.md says what each module is for. A module may import only
// what is named here; the build checks it (--explicit-target-dependency-import-check error, see Makefile).

let swift: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
/// What -static-stdlib leaves out of a link whose modules were compiled for the dynamic runtime.
let staticRuntime = [
    "-static-stdlib", "-lFoundation", "-lCoreFoundation", "-lFoundationInternationalization", "-l_FoundationICU",
    "-l_FoundationCollections", "-l_FoundationCShims",
]
let c: [CSetting] = [.treatAllWarnings(as: .error), .define("_GNU_SOURCE")]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swift)
}
/// A room of the control plane whose insides its tests look into (`@testable`). The data plane, and what programs of
/// others link, is compiled without: a testable class cannot be taken as final. Its tests use `package` names.
func testableRoom(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, resources: resources,
        swiftSettings: swift + [.unsafeFlags(["-enable-testing"])])
}
/// A program carries the Swift runtime in it. Not by --static-swift-stdlib: that is for whole builds, and the tests, which
/// come out of the same one, need the dynamic runtime. No test may depend on a program: it would be linked like one.
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, swiftSettings: swift,
        linkerSettings: [.unsafeFlags(staticRuntime)])
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/Unit/\(name)",
        // What the tests look at is optimized; they themselves need not be, and are compiled in a quarter of the time.
        swiftSettings: swift + [.unsafeFlags(["-Onone"])])
}

let package = Package(
    name: "fallow",
    products: [
        .library(name: "fallow-c", type: .dynamic, targets: ["libfallow", "FallowSharedLibrary"]),
        .library(name: "FallowClient", targets: ["FallowClient"]),
        .executable(name: "fallow", targets: ["fallow"]),
        .executable(name: "fallowd", targets: ["fallowd"]),
        .executable(name: "fallowctld", targets: ["fallowctld"]),
        .executable(name: "fallow-executor", targets: ["fallow-executor"]),
        .executable(name: "fallow-donor", targets: ["fallow-donor"]),
        .executable(name: "fallow-slurm-reader", targets: ["fallow-slurm-reader"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Layer 0: vocabulary and C fences.
        room("FallowModel"),
        .target(name: "CFallowReport", cSettings: c),
        .target(name: "CLinux", cSettings: c),
        .target(name: "CFabric", cSettings: c),
        .target(name: "CRDMA", cSettings: c),
        .systemLibrary(name: "CSlurm", providers: [.apt(["libslurm-dev"])]),
        .target(name: "CCurl", cSettings: c, linkerSettings: [.linkedLibrary("curl")]),
        .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
        room("FallowDigest", ["CSodium"]),
        .systemLibrary(name: "CMunge", providers: [.apt(["libmunge-dev"])]),

        // Layer 1: pure. No clock, no I/O, no randomness of its own.
        testableRoom("FallowPolicy", ["FallowModel", "FallowWire"]),
        room("FallowWire", ["FallowModel"]),
        testableRoom("FallowReporting", ["FallowModel", "FallowWire"]),
        testableRoom("FallowDiagnosis", ["FallowModel"]),

        // Layer 2: mechanisms.
        room("FallowTransport", ["FallowModel", "FallowWire"]),
        room("TransportShm", ["FallowTransport", "FallowModel", "FallowWire", "CLinux"]),
        room("TransportHandshake", ["FallowDigest"]),
        room(
            "TransportFabric",
            ["FallowTransport", "FallowModel", "FallowWire", "TransportHandshake", "CFabric", "CLinux"]),
        room(
            "TransportVerbs", ["FallowTransport", "FallowModel", "FallowWire", "TransportHandshake", "CRDMA", "CLinux"]),
        room("TransportStream", ["FallowTransport", "FallowModel", "TransportHandshake", "CLinux"]),
        room("FallowLocal", ["FallowModel", "FallowWire", "CLinux"]),
        testableRoom("FallowLogging", [log]),
        room("FallowHost", ["FallowModel", "CLinux", log]),
        room("FallowTenant", ["FallowModel", "FallowWire", "FallowLocal", "CLinux"]),
        testableRoom("FallowConfiguration", ["FallowModel", "FallowLogging", yams]),
        testableRoom("FallowSlurm", ["FallowModel", "FallowWire", "CSlurm"]),
        testableRoom("FallowHistory", ["FallowModel", "FallowReporting", "FallowWire", grdb]),
        testableRoom(
            "FallowControl",
            ["FallowModel", "FallowWire", "FallowDigest", "CMunge", "CCurl", log, nioCore, httpTypes, hummingbird]),

        // Layer 3: components.
        room(
            "FallowExecutor",
            [
                "FallowModel", "FallowWire", "FallowTransport", "TransportShm", "TransportFabric", "TransportVerbs",
                "FallowTenant", "CLinux", "CFallow",
            ]),
        room(
            "FallowDonor",
            [
                "FallowModel", "FallowWire", "FallowTransport", "TransportShm", "TransportStream", "TransportVerbs",
                "FallowTenant",
            ]),
        room(
            "FallowClient",
            [
                "FallowModel", "FallowWire", "FallowTransport", "TransportShm", "TransportFabric", "TransportVerbs",
                "FallowLocal", "CLinux",
            ]
        ),
        room(
            "FallowMemory",
            [
                "FallowModel", "FallowTransport", "TransportShm", "TransportStream", "TransportVerbs", "FallowClient",
                "CLinux",
            ]),
        testableRoom(
            "FallowAgent",
            [
                "FallowModel", "FallowPolicy", "FallowWire", "FallowLocal", "FallowHost", "FallowControl",
                "FallowConfiguration", "FallowTransport", "TransportShm", "TransportVerbs", "CFallowReport", "CLinux",
                "FallowDigest", log, hummingbird,
            ]),
        testableRoom(
            "FallowWeb",
            [
                "FallowModel", "FallowWire", "FallowControl", "FallowReporting", nioCore, httpTypes, hummingbird,
                mustache,
            ],
            // In the program itself: what it serves is what it was built with, wherever it is installed.
            resources: [.embedInCode("Page")]),
        testableRoom(
            "FallowController",
            [
                "FallowModel", "FallowPolicy", "FallowWire", "FallowControl", "FallowHistory", "FallowReporting",
                "FallowSlurm", "FallowConfiguration", "FallowLocal", "FallowWeb", log, hummingbird,
            ]),
        room(
            "FallowCommand",
            [
                "FallowModel", "FallowWire", "FallowClient", "FallowControl", "FallowConfiguration", "FallowDiagnosis",
                "FallowMemory", "FallowReporting", "TransportShm", "TransportVerbs", "CLinux", argumentParser,
                subprocess,
                histogram,
            ]),

        // Layer 4: executables, each a screenful, and the C library.
        program("fallow", ["FallowCommand"]),
        program(
            "fallowd",
            [
                "FallowAgent", "FallowConfiguration", "FallowControl", "FallowLocal", "FallowLogging", argumentParser,
                log,
            ]),
        program(
            "fallowctld",
            ["FallowController", "FallowConfiguration", "FallowLocal", "FallowLogging", argumentParser, log]),
        program("fallow-executor", ["FallowExecutor"]),
        program("fallow-donor", ["FallowDonor"]),
        program("fallow-slurm-reader", ["FallowSlurm"]),
        .target(name: "CFallow", cSettings: c),
        .target(
            name: "libfallow", dependencies: ["CFallow", "FallowClient", "FallowMemory", "FallowModel", "FallowWire"],
            swiftSettings: swift),
        // How the library is linked: self-contained, exporting fallow.h's names alone.
        .target(
            name: "FallowSharedLibrary", dependencies: ["libfallow"], exclude: ["libfallow.map"], swiftSettings: swift,
            linkerSettings: [
                .unsafeFlags([
                    "-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims", "-Xlinker", "-zdefs",
                    "-Xlinker", "-soname=libfallow.so.0", "-Xlinker",
                    "--version-script=\(Context.packageDirectory)/Sources/FallowSharedLibrary/libfallow.map",
                ])
            ]),

        // The Swift example, as a program of this build, so that it is run by a test. It has a Package.swift of its own.
        .executableTarget(
            name: "swift-example", dependencies: ["FallowClient"], path: "examples/clients/swift/Sources/client",
            swiftSettings: swift, linkerSettings: [.unsafeFlags(staticRuntime)]),

        // Benchmarks.
        .target(
            name: "TransportBenchmarks",
            dependencies: [
                "FallowTransport", "FallowModel", "FallowWire", "TransportShm", "TransportFabric", "TransportVerbs",
                "CLinux",
            ], path: "Benchmarks/TransportBenchmarks", swiftSettings: swift),
        .executableTarget(
            name: "transport-bench", dependencies: ["TransportBenchmarks"], path: "Benchmarks/transport",
            swiftSettings: swift, linkerSettings: [.unsafeFlags(staticRuntime)]),
        .target(
            name: "MemoryBenchmarks",
            dependencies: [
                "FallowMemory", "FallowModel", "FallowTransport", "TransportShm", "TransportStream", "TransportVerbs",
            ],
            path: "Benchmarks/MemoryBenchmarks", swiftSettings: swift),
        .executableTarget(
            name: "memory-bench", dependencies: ["MemoryBenchmarks"], path: "Benchmarks/memory",
            swiftSettings: swift, linkerSettings: [.unsafeFlags(staticRuntime)]),
        .executableTarget(
            name: "bench-agent", dependencies: ["FallowTestSupport", "FallowModel", "FallowWire"],
            path: "Benchmarks/agent", swiftSettings: swift, linkerSettings: [.unsafeFlags(staticRuntime)]),
        .executableTarget(
            name: "history-bench",
            dependencies: ["FallowHistory", "FallowModel", "FallowReporting", "FallowWire", grdb],
            path: "Benchmarks/history", swiftSettings: swift),

        // Tests: one folder a module, mirroring Sources; what several of them share is in Support.
        .target(
            name: "FallowTestSupport",
            dependencies: [
                "FallowLocal", "FallowModel", "FallowTransport", "FallowWire", "TransportShm", "TestProcesses",
            ], path: "Tests/Support/FallowTestSupport", swiftSettings: swift),
        .target(
            name: "TransportTesting",
            dependencies: [
                "FallowTransport", "FallowModel", "FallowWire", "TransportShm", "TransportStream", "TransportVerbs",
                "CLinux", "TestProcesses",
            ], path: "Tests/Support/TransportTesting", swiftSettings: swift),
        .executableTarget(
            name: "transport-peer",
            dependencies: [
                "TransportTesting", "FallowTransport", "FallowModel", "TransportShm", "TransportFabric",
                "TransportStream", "TransportVerbs",
            ],
            path: "Tests/Support/TransportPeer", swiftSettings: swift),
        .target(name: "TestProcesses", path: "Tests/Support/TestProcesses", swiftSettings: swift),
        tests("FallowModelTests", ["FallowModel"]),
        tests("NodePolicyTests", ["FallowPolicy", "FallowModel", "FallowWire"]),
        tests("ClusterPolicyTests", ["FallowPolicy", "FallowModel", "FallowWire"]),
        tests("FallowLoggingTests", ["FallowLogging", log]),
        tests("FallowConfigurationTests", ["FallowConfiguration", "FallowModel"]),
        tests(
            "FallowControlTests",
            ["FallowControl", "FallowModel", "FallowWire", log, httpTypes, hummingbird, "TestProcesses"]),
        tests("FallowHistoryTests", ["FallowHistory", "FallowModel", "FallowReporting", "FallowWire", grdb]),
        tests("FallowDiagnosisTests", ["FallowDiagnosis", "FallowModel"]),
        tests("FallowReportingTests", ["FallowReporting", "FallowModel", "FallowWire"]),
        tests("FallowSlurmTests", ["FallowSlurm", "FallowModel", "FallowWire", "TestProcesses"]),
        tests(
            "FallowControllerTests",
            [
                "FallowController", "FallowConfiguration", "FallowControl", "FallowHistory", "FallowModel",
                "FallowPolicy", "FallowReporting", "FallowWeb", "FallowWire", log, yams, "TestProcesses",
            ]),
        tests(
            "FallowWebTests",
            ["FallowWeb", "FallowControl", "FallowModel", "FallowReporting", "FallowWire", nioCore, httpTypes]),
        tests("FallowDigestTests", ["FallowDigest"]),
        tests("FallowWireTests", ["FallowWire", "FallowModel"]),
        tests(
            "TransportTests",
            [
                "FallowTransport", "FallowModel", "FallowWire", "TransportShm", "TransportFabric", "TransportVerbs",
                "TransportStream", "TransportHandshake", "TransportTesting", "transport-peer", "CLinux",
            ]),
        tests(
            "FallowMemoryTests",
            [
                "FallowMemory", "FallowClient", "FallowModel", "FallowTransport", "TransportShm", "TransportTesting",
                "FallowTestSupport", "FallowWire",
                "transport-peer", "libfallow", "CFallow",
            ]),
        tests("FallowLocalTests", ["FallowLocal", "FallowModel", "CLinux"]),
        tests("FallowHostTests", ["FallowHost", "FallowModel", "CLinux", log]),
        tests(
            "FallowAgentTests",
            [
                "FallowAgent", "FallowConfiguration", "FallowHost", "FallowLocal", "FallowModel", "FallowPolicy",
                "FallowWire", "FallowTestSupport", "FallowTransport", "TransportShm", "TransportStream",
                "CFallowReport", log,
            ]),
        tests(
            "FallowExecutorTests",
            [
                "FallowExecutor", "FallowWire", "FallowTransport", "TransportShm", "FallowLocal", "FallowModel",
                "FallowTestSupport", "TestProcesses",
            ]),
        tests(
            "FallowClientTests",
            [
                "FallowClient", "FallowWire", "FallowLocal", "FallowModel", "FallowTestSupport", "TransportShm",
                "libfallow", "CFallow", "TestProcesses",
            ]),
    ]
)
