import FallowModel
import FallowReporting
import FallowWire
import Foundation
import Testing

@testable import FallowWeb

@Suite struct RenderingTests {
    private let pages: PageResponse
    init() throws { pages = try PageResponse() }

    private func frame(_ cluster: String = "c") -> PageFrame {
        PageFrame(
            title: cluster, cluster: cluster, version: "1", root: "", hasCharts: true, isOverview: true,
            viewer: cluster, now: Moment(now))
    }

    private func overview(nodes: [NodeView], cluster: String = "c", report: CapacityReport?) throws -> String {
        let tiles = NodeTile.tiles(nodes, silentAfter: .seconds(6))
        let names = [UserID(1001): hostile, UserID(1002): "bob"]
        var page = OverviewPage(
            frame: frame(cluster), span: .day, now: now, tiles: tiles, figures: Figures(tiles, status(nodes)),
            board: LeaseBoard(
                running: [lease(1, user: 1001, beneath: 7)], ended: [lease(2, user: 1001, ended: .reclaimed)],
                Sight(.reader, []), names), sight: Sight(.reader, []))
        if let report {
            page.historyProblem = cluster
            page.add(report, names)
            let series = CapacitySeries(since: now, stepSeconds: 900, steps: [CapacityUse()])
            page.add(SeriesData(series, until: now, showsNodes: true))
        }
        return try pages.text("overview", page)
    }

    private func fullReport() -> CapacityReport {
        var report = CapacityReport(cluster: "c", since: now, until: now, hoursSince: now, hoursUntil: now)
        var use = CapacityUse()
        use.coreSeconds = 3600
        use.usedCoreSeconds = 1800
        report.total = use
        report.nodeCount = 2
        report.nodes = [.init(node: NodeName(hostile), cores: 8, memory: .zero, use: use)]
        report.jobs = [job(7, user: 1001, account: hostile), job(8, user: 1002)]
        report.lenders = [.init(user: UserID(1001), coreSeconds: 5, byteSeconds: 0)]
        report.borrowers = [.init(user: UserID(1001), coreSeconds: 5, byteSeconds: 0)]
        report.leases = [.init(reason: hostile, count: 1, coreSeconds: 1, usedCoreSeconds: 1)]
        report.losses = [.init(since: now, until: now, writes: 1, reason: hostile)]
        report.nodeGaps = .init(count: 3, medianSeconds: 10, p90Seconds: 100, fittingTermSeconds: 42)
        report.reclaims = .init(count: 4, medianMicroseconds: 1500, p99Microseconds: 2500, late: 1)
        return report
    }

    /// No element and no attribute but those of the templates.
    private func expectNothingRuns(_ text: String, _ place: SourceLocation = #_sourceLocation) {
        #expect(!text.contains("<script>"), sourceLocation: place)
        #expect(!text.contains("alert(1)</script>"), sourceLocation: place)
        for match in text.matches(of: /<([a-z]+)([^>]*)>/) {
            let (tag, attributes) = (match.1, String(match.2))
            if tag == "script" { #expect(attributes.contains("src=\"static/"), sourceLocation: place) }
            // Outside of quotes there is no handler and no style.
            let bare = attributes.replacing(/"[^"]*"/, with: "")
            #expect(bare.firstMatch(of: /\s(on[a-z]+|style)=/) == nil, "\(match.0)", sourceLocation: place)
        }
    }

    @Test func hostileNamesAreText() throws {
        let nodes = [view(hostile, state: hostile), view("n2")]
        let text = try overview(nodes: nodes, cluster: hostile, report: fullReport())
        expectNothingRuns(text)
        #expect(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;amp;"))
        // Each of them is there: the cluster, a node, users, an account, a reason, what the history lost.
        #expect(text.components(separatedBy: "&lt;script&gt;").count > 10)
    }

    @Test func theReportsNumbersAreThere() throws {
        let text = try overview(nodes: [view("n1")], report: fullReport())
        for words in [
            "A term of <strong>42 s</strong> fits nine times in ten", "missed 1 times", "taken back for the owner",
            "href=\"jobs/7\"", "2.50 ms", "<td class=\"n\">0.50</td><td class=\"n\">50.0</td>",
        ] { #expect(text.contains(words), "\(words)") }
    }

    @Test func anEmptyClusterSaysWhatToDo() throws {
        let text = try overview(nodes: [], report: nil)
        #expect(text.contains("No node has reported yet") && text.contains("Nothing was measured in this time"))
        #expect(!text.contains("class=\"tile "))
        expectNothingRuns(text)
    }

    @Test func aThousandNodesAreSmallTiles() throws {
        let text = try overview(nodes: (1...1000).map { view("n\($0)") }, report: nil)
        #expect(text.components(separatedBy: "class=\"tile ").count == 1001 && text.contains("class=\"tiles dense\""))
        #expect(text.utf8.count < 1 << 20)
    }

    @Test func aJobsPageEscapesToo() throws {
        let views = [
            JobView(
                node: NodeName(hostile),
                job: JobReport(
                    jobID: JobID(7), user: UserID(1001), cores: AbstractCoreSet(0...3), memory: .gibibytes(1),
                    firstSeenAt: now))
        ]
        let page = JobPage(
            frame: frame(hostile), jobs: [job(7, user: 1001, account: hostile), job(8, user: 1001)], views: views,
            board: LeaseBoard(running: [lease(1, user: 1001)], ended: [], Sight(.reader, []), [UserID(1001): hostile]),
            asked: JobID(7), names: [UserID(1001): hostile])
        let text = try pages.text("job", page)
        expectNothingRuns(text)
        #expect(text.contains("--mem=10G") && text.contains("&lt;script&gt;") && text.contains("href=\"8\""))
        let message = MessagePage(frame: frame(), heading: hostile, sentence: hostile, offersSignIn: true)
        expectNothingRuns(try pages.text("message", message))
    }

    @Test func momentsAreThoseOfTheCalendar() {
        #expect(Moment(Timestamp(secondsSinceEpoch: 0)).iso == "1970-01-01T00:00:00Z")
        #expect(Moment(Timestamp(secondsSinceEpoch: 951_782_399)).text == "2000-02-28 23:59 UTC")
        #expect(Moment(Timestamp(secondsSinceEpoch: 1_709_164_800)).iso == "2024-02-29T00:00:00Z")
        #expect(Moment(Timestamp(secondsSinceEpoch: -1)).iso == "1969-12-31T23:59:59Z")
    }
}
