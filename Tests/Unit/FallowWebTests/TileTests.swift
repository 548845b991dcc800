import FallowModel
import FallowReporting
import FallowWire
import Testing

@testable import FallowWeb

@Suite struct TileTests {
    @Test(arguments: [
        view("a"), view("b", allocated: 8, used: 3.26), view("c", allocated: 4, leased: 4, used: 3.9),
        view("d", allocated: 8, leased: 6, used: 7.99), view("e", cores: 0),
        view("f", allocated: 20, leased: 9, used: 33),
        view("g", cores: 128, allocated: 100, leased: 3, used: 61.4),
    ])
    func partsAddUpAndAreNeverNegative(_ view: NodeView) {
        let tile = tile(view)
        #expect(abs(tile.used + tile.leased + tile.held + tile.free - Double(view.cores)) < 1e-9)
        #expect(min(tile.used, tile.leased, tile.held, tile.free) >= 0)
    }

    @Test func whatIsNotMeasuredIsNotCalledWhite() {
        #expect(tile(view("a", allocated: 6)).used == 6)
        #expect(tile(view("a", allocated: 6)).held == 0)
        #expect(tile(view("a", allocated: 6, used: 1)).held == 5)
    }

    @Test func smallChangesAreNoNews() {
        #expect(tile(view("a", cores: 128, used: 50.1)) == tile(view("a", cores: 128, used: 50.3)))
        #expect(tile(view("a", cores: 8, used: 1.1)) != tile(view("a", cores: 8, used: 1.3)))
        let (low, high) = (NodePressure(cpuPercent: 31.2), NodePressure(cpuPercent: 30.1))
        #expect(tile(view("a", pressure: low)) == tile(view("a", pressure: high)))
    }

    @Test func silentNodesAndPressureAreSeen() {
        #expect(tile(view("a", seen: 5)).seen == .reporting)
        #expect(tile(view("a", seen: 7)).seen == .silent)
        #expect(tile(view("a", seen: nil)).seen == .never)
        #expect(tile(view("a", pressure: NodePressure(memoryPercent: 12))).isPressed)
        #expect(!tile(view("a", pressure: NodePressure(cpuPercent: 40, memoryPercent: 3))).isPressed)
        #expect(TileView(tile(view("a", seen: 7)), isFirst: false).look == "silent")
    }

    @Test func oneTileIsReachedByTab() {
        let views = TileView.views(NodeTile.tiles([view("n10"), view("n9"), view("n1")], silentAfter: .seconds(6)))
        #expect(views.map(\.node) == ["n1", "n9", "n10"])
        #expect(views.map(\.tabIndex) == [0, -1, -1])
    }

    @Test func figuresAreTheTilesSums() {
        let views = [view("a", allocated: 8, used: 3), view("b", leased: 2), view("c", cores: 1200)]
        let figures = Figures(views.map { tile($0) }, status(views, leases: 1))
        #expect(figures.used == 3 && figures.held == 5 && figures.leased == 2 && figures.free == 1206)
        let text = FiguresView(figures)
        #expect(text.cores == "1,216" && text.used == "3" && text.free == "1,206")
        #expect(
            Digits.grouped("-1234.567") == "-1,234.567" && Digits.grouped("-123") == "-123"
                && Digits.grouped("-") == "-")
        #expect(FiguresView.text(7.25) == "7.3" && FiguresView.text(1_234_567) == "1,234,567")
    }

    @Test func gapsKeepTheirCount() {
        var tally = Tally()
        for seconds in [0.5, 3, 3, 70, 299, 5000, 200_000] { tally.add(seconds) }
        let histogram = GapHistogram(tally)
        #expect(histogram.counts.reduce(0, +) == 7 && histogram.count == 7)
        #expect(histogram.counts[1] == 2 && histogram.counts.last == 1)
        #expect(abs(histogram.hours.reduce(0, +) - tally.sum / 3600) < 0.01)
        #expect(histogram.termBar == GapHistogram.bar(of: histogram.termSeconds ?? -1))
        #expect(GapHistogram(Tally()).termBar == nil)
    }

    @Test func stepsOfASeriesAddUpToAllCores() {
        var use = CapacityUse()
        use.coreSeconds = 9000
        use.usedCoreSeconds = 3000
        use.unusedCoreSeconds = 2000
        use.unallocatedCoreSeconds = 2500
        use.downCoreSeconds = 1000
        use.unwatchedCoreSeconds = 500
        use.recoveredCoreSeconds = 1500
        use.lentCoreSeconds = 1800
        let series = CapacitySeries(since: now, stepSeconds: 900, steps: [use, use])
        // The second step has just begun: what came of it stands for the time since.
        let data = SeriesData(series, until: now + .seconds(1800), showsNodes: true)
        for step in 0...1 {
            let sum = data.used[step] + data.recovered[step] + data.white[step] + data.down[step] + data.unwatched[step]
            #expect(abs(sum - 10) < 0.05)
        }
        #expect(data.recovered == [1.67, 1.67] && data.lent == [2, 2])
        #expect(SeriesData(series, until: now + .seconds(1350), showsNodes: true).used == [3.33, 6.67])
    }
}
