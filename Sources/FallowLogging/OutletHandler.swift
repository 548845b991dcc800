internal import Logging

/// swift-log's way into an outlet.
struct OutletHandler: LogHandler {
    let label: String
    let outlet: LogOutlet
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// What this logger alone was set to; it wins over the outlet's levels.
    private var ownLevel: Logger.Level?

    init(label: String, outlet: LogOutlet) {
        self.label = label
        self.outlet = outlet
    }

    var logLevel: Logger.Level {
        get { ownLevel ?? outlet.lowest }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        outlet.take(
            LogLine(
                level: event.level, label: label, module: event.source, message: event.message.description,
                metadata: all),
            .init(file: event.file, line: event.line), whateverItsLevel: ownLevel != nil)
    }
}
