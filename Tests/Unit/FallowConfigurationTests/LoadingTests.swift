import FallowModel
import Foundation
import Testing

@testable import FallowConfiguration

/// Loads a file with this text, in a folder of its own that is removed again.
func load(_ yaml: String, environment: [String: String] = [:]) throws -> LoadedSettings {
    try withFile(Data(yaml.utf8)) { try LoadedSettings.load(path: $0, environment: environment) }
}

func withFile<Result>(_ data: Data, _ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "fallow-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "fallow.yaml")
    try data.write(to: file)
    return try body(file.path)
}

/// The sentence that a text is refused with.
func complaint(_ yaml: String, environment: [String: String] = [:]) -> String {
    do {
        return "accepted: \(try load(yaml, environment: environment).settings)"
    } catch { return "\(error)" }
}

/// A good value for each key that differs from its default.
let otherValues: [String: String] = [
    "controller.reader_token_file": "/etc/fallow/token", "controller.proxy_token_file": "/etc/fallow/proxy-token",
    "controller.chart_library": "/opt/chart.js", "history.keep_raw": "3600", "history.keep_minutes": "7200",
    "history.keep_hours": "9000", "history.keep_events": "8000",
    "cluster.name": "alps", "controller.url": "http://c:1", "controller.listen": "0.0.0.0:1", "node.name": "n1",
    "node.cores": "128", "node.memory": "1000M", "agent.listen": "[::]:1", "agent.url": "http://a:1",
    "agent.data_address": "10.0.0.1", "agent.rdma": "off", "agent.rdma_address": "10.9.0.1",
    "agent.report_interval": "0.25", "runtime_directory": "/r",
    "state_directory": "/s", "cgroup.path": "p", "cgroup.mount": "/m", "munge.socket": "/k",
    "munge.trusted_uids": "0,64030", "operators": "0,1000,1001", "lend.unallocated": "true", "lend.lent": "true",
    "lend.window": "2.5", "lend.keep_cores": "0", "lend.memory_headroom_percent": "25",
    "lend.memory_headroom": "1234567", "lend.core_mapping": "logical", "lease.term_default": "7",
    "lease.term_maximum": "86400", "lease.per_user": "3", "lease.cores_per_user": "9", "lease.grace_lost": "7",
    "cgroup.lowest_weight": "false", "lend.unallocated_headroom": "3G", "lease.memory_per_user": "5G",
    "log.levels": "info,FallowHost=debug",
    "donor.path": "/d", "donor.user": "games", "donor.size": "64M", "donor.huge_pages": "off",
    "memory.userfaultfd": "true",
    "executor.path": "/e", "executor.processes": "10", "executor.open_files": "64", "executor.file_size": "3M",
    "executor.poll": "0.00002", "executor.poll_percent": "7", "executor.parked": "3", "slurm.poll_interval": "15",
    "slurm.reader_path": "/l",
]

@Suite struct Keys {
    @Test func areUniqueAndExplained() {
        let names = ConfigurationKey.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(ConfigurationKey.all.map(\.environmentVariable)).count == names.count)
        #expect(ConfigurationKey.all.allSatisfy { !$0.meaning.isEmpty && !$0.form.isEmpty })
        #expect(Set(otherValues.keys) == Set(names), "a key without a value to test it with")
    }

    @Test func coverEveryStoredSetting() {
        let all = Mirror(reflecting: Settings()).children.map { $0.label ?? "?" }
        var covered: Set<String> = []
        for key in ConfigurationKey.all {
            var settings = Settings()
            #expect(key.set(&settings, otherValues[key.name] ?? ""), "\(key.name)")
            let changed = zip(Mirror(reflecting: Settings()).children, Mirror(reflecting: settings).children)
                .filter { "\($0.value)" != "\($1.value)" }.compactMap { $0.0.label }
            #expect(changed.count == 1, "\(key.name) changes \(changed)")
            covered.formUnion(changed)
        }
        #expect(Set(all).subtracting(covered) == [])
        #expect(ConfigurationKey.all.count == all.count)
    }

    @Test func giveBackWhatTheyWereGivenExactly() {
        for key in ConfigurationKey.all {
            var once = Settings()
            #expect(key.set(&once, otherValues[key.name] ?? ""))
            var twice = Settings()
            #expect(key.set(&twice, key.text(in: once)), "\(key.name): '\(key.text(in: once))'")
            #expect(once == twice, "\(key.name)")
            var fresh = once
            #expect(key.set(&fresh, key.text(in: Settings())), "\(key.name): its default's text")
            #expect(fresh == Settings(), "\(key.name)")
        }
    }

    @Test func allWorkInAFileAndInTheEnvironment() throws {
        for (name, text) in otherValues {
            let key = try #require(ConfigurationKey.all.first { $0.name == name })
            var wanted = Settings()
            _ = key.set(&wanted, text)
            let parts = name.split(separator: ".")
            let nested =
                parts.count == 1 ? "\(name): '\(text)'" : "\(parts[0]):\n  \(parts[1]): '\(text)'"
            for yaml in ["\(name): '\(text)'", nested] {
                #expect(try load(yaml).settings == wanted, "\(yaml)")
            }
            let loaded = try load("", environment: [key.environmentVariable: text])
            #expect(loaded.settings == wanted, "\(key.environmentVariable)")
            #expect(loaded.origins[name] == key.environmentVariable)
        }
    }
}

@Suite struct Loading {
    @Test func nothingSaidIsTheDefaults() throws {
        let loaded = try load("")
        #expect(loaded.settings == Settings())
        #expect(loaded.origins.values.allSatisfy { $0 == "default" })
        #expect(!loaded.settings.lendUnallocated && !loaded.settings.lendLent)
        for yaml in ["# nothing\n", "---\n", "{}", "lend:\n  # lent: true\nnode:\n"] {
            #expect(try load(yaml).settings == Settings(), "\(yaml)")
        }
    }

    @Test func theEnvironmentWinsOverTheFile() throws {
        let loaded = try load("lend: {window: 5, keep_cores: 3}", environment: ["FALLOW_LEND_WINDOW": "9"])
        #expect(loaded.settings.window == .seconds(9))
        #expect(loaded.settings.keepCores == 3)
        #expect(loaded.origins["lend.window"] == "FALLOW_LEND_WINDOW")
        #expect(loaded.origins["lend.keep_cores"]?.hasSuffix("/fallow.yaml") == true)
    }

    @Test func theFileNamedInTheEnvironmentIsReadUnlessOneIsNamedDirectly() throws {
        try withFile(Data("cluster.name: one".utf8)) { one in
            try withFile(Data("cluster.name: two".utf8)) { two in
                let environment = ["FALLOW_CONFIG": one]
                let byVariable = try LoadedSettings.load(path: nil, environment: environment)
                #expect(byVariable.settings.clusterName == "one")
                let byPath = try LoadedSettings.load(path: two, environment: environment)
                #expect(byPath.settings.clusterName == "two")
            }
        }
        _ = try LoadedSettings.load(path: nil, environment: ["FALLOW_CONFIG": ""])
    }

    @Test func variablesOfOtherPurposeDoNotDisturb() throws {
        let others = [
            "FALLOW_SERVERLESS": "auto", "FALLOW_REMOTE_MEM": "64G", "FALLOW_LENDING": "cpus=2", "FALLOW_LEASE": "x",
            "FALLOW_": "x", "FALLOW_NO_SUCH_KEY": "x", "FALLOW": "x", "LEND_WINDOW": "x", "fallow_lend_window": "x",
            "PATH": "/bin", "FALLOW_LEND": "x", "FALLOW_LEND_WINDOW_": "x",
        ]
        #expect(try load("", environment: others).settings == Settings())
    }

    @Test func aListOfUsersHasThreeForms() throws {
        for yaml in ["operators: [0, 7]", "operators:\n  - 0\n  - 7", "operators: '0, 7'", "operators: '[0, 7]'"] {
            #expect(try load(yaml).settings.operators == [UserID(0), UserID(7)], "\(yaml)")
        }
    }

    @Test func anAnchoredValueIsItsValue() throws {
        let settings = try load("lease: {term_default: &t 60, term_maximum: *t}").settings
        #expect(settings.termMaximum == .seconds(60))
    }

    @Test func aNothingUnsetsWhatMayBeUnset() throws {
        for nothing in ["", "~", "null", "''"] {
            #expect(try load("node: {name: \(nothing)}").settings.nodeName == nil)
        }
    }
}

@Suite struct WhatIsRefused {
    @Test func aMissingFileAndWhatIsNoFile() {
        for path in ["/nonexistent/fallow.yaml", "/dev/zero", "/", "/dev/null"] {
            #expect(throws: ConfigurationError(description: "cannot read the configuration file \(path)")) {
                try LoadedSettings.load(path: path, environment: [:])
            }
        }
    }

    @Test(arguments: [
        ("lend.windw: 3", "lend.window"), ("lend: {unalocated: true}", "lend.unallocated"),
        ("Operators: [0]", "operators"), ("agent.listen_: x", "agent.listen"),
        ("lease: {term: 3}", "lease.term_default"),
        ("cluster: {name: {x: 1}}", "cluster.name"), ("cluster: alps", "cluster.name"),
    ])
    func anUnknownKeyNamesTheNearest(yaml: String, nearest: String) {
        #expect(complaint(yaml).hasSuffix("there is no such key; the nearest is '\(nearest)'"), "\(complaint(yaml))")
    }

    @Test func aBadValueNamesWhatIsRight() {
        for (yaml, right) in [
            ("lend.window: soon", "seconds from 0.000001 to 1000000000, such as 2 or 0.5"),
            ("lend.window: 0", "seconds from"), ("lend.window: -1", "seconds from"),
            ("lend.window: nan", "seconds from"), ("lend.window: .inf", "seconds from"),
            ("lend.window: 1e-30", "seconds from"), ("lend.window: 1e300", "seconds from"),
            ("lend.keep_cores: 1025", "a whole number from 0 to 1024"), ("lend.keep_cores: 1.5", "a whole number"),
            ("lend.lent: maybe", "true or false"), ("lend.lent: [true]", "true or false"),
            ("lend.memory_headroom: much", "an amount like 512M or 64G"),
            ("lend.memory_headroom: -1G", "an amount"), ("lend.core_mapping: magic", "auto or logical"),
            ("operators: root", "uids, such as [0, 64030]"), ("operators: [0, -1]", "uids"),
            ("operators: []", "uids"), ("operators: [4294967296]", "uids"), ("cluster.name: ''", "a text"),
            ("cluster.name: [a, b]", "a text"), ("node.cores: 0", "a whole number from 1 to 65536, or nothing"),
            ("node.cores: 65537", "a whole number"), ("node.memory: big", "an amount like 512M or 64G, or nothing"),
        ] {
            let sentence = complaint(yaml)
            #expect(
                sentence.contains("is no good value; \(right)") && sentence.hasSuffix(" is"), "\(yaml): \(sentence)")
        }
    }

    @Test func aBadVariableNamesItself() {
        let sentence = complaint("", environment: ["FALLOW_LEND_WINDOW": "soon"])
        #expect(sentence.hasPrefix("FALLOW_LEND_WINDOW: 'soon' is no good value; seconds"))
    }

    @Test(arguments: [
        "a: [", "\t- x", "{{{{", "%", "a: b: c", "- just\n- a list", "a scalar", "lend: &x {lent: *x}", "*nobody",
        "lend.lent: true\nlend.lent: false", "lend.lent: true\nlend: {lent: false}", "operators: [0, [1]]",
        "? [a, b]\n: c", "--- a: 1\n--- b: 2", "lend.lent: \u{0}",
    ])
    func whatIsNoGoodYAML(yaml: String) {
        let sentence = complaint(yaml)
        #expect(sentence.contains("is no good YAML"), "\(sentence)")
    }

    @Test func bytesThatAreNoText() throws {
        try withFile(Data([0x61, 0x3a, 0x20, 0xff, 0xfe, 0x80])) { path in
            let error = #expect(throws: ConfigurationError.self) {
                try LoadedSettings.load(path: path, environment: [:])
            }
            #expect(error?.description.contains("UTF-8") == true)
        }
    }

    @Test func hugeAndDeepAndMultiplyingFiles() {
        let start = ContinuousClock.now
        var laughs = "a: &a0 {}\n"
        for level in 1...40 { laughs += "b\(level): &a\(level) {x: *a\(level - 1), y: *a\(level - 1)}\n" }
        for yaml in [
            String(repeating: "x", count: 2 << 20), String(repeating: "[", count: 200_000),
            String(repeating: "{a: ", count: 100_000), laughs,
            (0..<5000).map { "key\($0): 1\n" }.joined(), String(repeating: "k", count: 500_000) + ": 1",
        ] {
            let sentence = complaint(yaml)
            #expect(!sentence.hasPrefix("accepted"))
            #expect(sentence.count < 1000)
        }
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}
