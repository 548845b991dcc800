internal import Foundation
internal import Synchronization
internal import TestProcesses

/// Shared libraries of functions, compiled by `cc` from Tests/Functions when a test first asks.
public enum TestLibrary {
    private static let built = Mutex<[String: String]>([:])

    /// The repository's root.
    public static let repository: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// A folder for this run, removed when the process exits.
    public static let folder: String = {
        var template = Array("/tmp/fallow-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("cannot make a temporary folder") }
        let path = String(cString: made)
        setenv("FALLOW_TEST_FOLDER", path, 1)
        atexit {
            guard let path = getenv("FALLOW_TEST_FOLDER") else { return }
            try? FileManager.default.removeItem(atPath: String(cString: path))
        }
        return path
    }()

    /// The path of the library made of Tests/Functions/`name`.c.
    public static func path(_ name: String) -> String {
        built.withLock { built in
            if let path = built[name] { return path }
            let path = "\(folder)/\(name).so"
            run([
                "cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable",
                "-I\(repository)/Sources/CFallow/include", "-o", path, "\(repository)/Tests/Functions/\(name).c",
            ])
            built[name] = path
            return path
        }
    }

    private static func run(_ command: [String]) {
        let status = try? ChildProcess.run(command)
        precondition(status == 0, "\(command.joined(separator: " ")) failed")
    }
}
