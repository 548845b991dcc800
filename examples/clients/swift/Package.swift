// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "client",
    dependencies: [.package(name: "fallow", path: "../../..")],
    targets: [.executableTarget(name: "client", dependencies: [.product(name: "FallowClient", package: "fallow")])]
)
