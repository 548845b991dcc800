import FallowTestSupport
import Foundation
import Testing

@testable import FallowAgent

@Suite struct PluginWatchTests {
    /// This process stands for slurmstepd.
    @Test(.enabled(if: geteuid() == 0, "root alone may open what is mapped"))
    func whatIsLoadedCountsAndNotWhatLiesThere() throws {
        let path = "\(TestLibrary.folder)/spank_fallow.so"
        try FileManager.default.copyItem(atPath: TestLibrary.path("plain"), toPath: path)
        #expect(PluginWatch.digest(ofProcess: getpid()) == nil)
        let loaded = try #require(dlopen(path, RTLD_NOW | RTLD_LOCAL))
        defer { dlclose(loaded) }
        let build = try #require(PluginWatch.digest(ofProcess: getpid()))
        #expect(build.count == 16)
        // The file of that name is another one from now on.
        try FileManager.default.removeItem(atPath: path)
        #expect(PluginWatch.digest(ofProcess: getpid()) == build)
        try FileManager.default.copyItem(atPath: TestLibrary.path("wrong_version"), toPath: path)
        #expect(PluginWatch.digest(ofProcess: getpid()) == build)
        #expect(PluginWatch.digest(ofProcess: -1) == nil)
    }
}
