/// What every page has around it.
struct PageFrame: Sendable {
    var title: String
    var cluster: String
    var version: String
    /// From this page to the page's root: links work behind any prefix.
    var root: String
    var hasCharts: Bool
    var isOverview = false
    var viewer: String?
    var now: Moment
}
