import FallowModel
import FallowReporting
import FallowWire
import Testing

private func node(
    _ name: String, cores: Int = 8, jobs: Int = 0, leased: Int = 0, offer: Int = 0, seen: Double? = 0.4,
    withheld: String? = nil
) -> NodeView {
    NodeView(
        node: NodeName(name), slurmState: "IDLE", lastReportSeconds: seen, version: nil, cores: cores,
        memory: .gibibytes(16), allocatedCores: jobs, leasedCores: leased, leasedMemory: .zero,
        offer: Offer(cores: offer, memory: .gibibytes(4)), withheldReason: withheld,
        switches: LendingSwitches(unallocated: true, lent: true))
}

private func snapshot(_ nodes: [NodeView], leases: [LeaseView] = []) -> TopSnapshot {
    TopSnapshot(
        at: Timestamp(secondsSinceEpoch: 1_000_000),
        status: ClusterStatus(
            cluster: "alps", version: "0.1.0", startedAt: Timestamp(secondsSinceEpoch: 0), nodesReporting: nodes.count,
            nodesSilent: 0, cores: nodes.reduce(0) { $0 + $1.cores },
            allocatedCores: nodes.reduce(0) { $0 + $1.allocatedCores },
            leasedCores: 0, offeredCores: nodes.reduce(0) { $0 + $1.offer.cores }, leases: leases.count,
            slurmAnswers: true),
        nodes: nodes, leases: leases)
}

private func lease(_ number: UInt64, user: UInt32, library: String) -> LeaseView {
    LeaseView(
        leaseID: LeaseID(number), user: UserID(user), node: NodeName("node0"), clientNode: NodeName("node1"), cpus: 2,
        memory: .gibibytes(1), grantedAt: Timestamp(secondsSinceEpoch: 0),
        termEnds: Timestamp(secondsSinceEpoch: 1_000_125), endedAt: nil, reason: nil, detail: nil, beneath: nil,
        usedCoreSeconds: 0, libraryName: library)
}

private func screen(_ columns: Int, _ rows: Int) -> TopScreen {
    TopScreen(columns: columns, rows: rows, userName: { "u\($0)" }, localTime: { _ in "2026-01-01T12:34:56" })
}

private func drawn(_ snapshot: TopSnapshot?, _ state: inout TopState, _ columns: Int = 80, _ rows: Int = 24) -> [String]
{
    screen(columns, rows).lines(snapshot, &state).map(\.text)
}

@Suite struct TopKeys {
    @Test func ofOneReadAreToldApart() {
        #expect(
            TopKey.parse(Array("q\u{1b}[A\u{1b}OB\u{1b}[5~\u{1b}[H/ä\u{7f}\r\t\u{3}".utf8)) == [
                .character("q"), .up, .down, .pageUp, .home, .character("/"), .character("ä"), .backspace, .enter, .tab,
                .control("c"),
            ])
        #expect(TopKey.parse([0x1b]) == [.escape])
        #expect(TopKey.parse(Array("\u{1b}[200~x".utf8)) == [.character("x")], "an unknown sequence is no key")
    }

    @Test func halfSequencesAndRubbishDoNoHarm() {
        for bytes in [[0x1b, 0x5b], [0x1b, 0x5b, 0x35], [0xff], [0xc3], [0xe2, 0x82], [0x00]] as [[UInt8]] {
            #expect(TopKey.parse(bytes) == [])
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 { _ = TopKey.parse((0..<12).map { _ in UInt8.random(in: 0...255, using: &generator) }) }
    }
}

@Suite struct TopScreens {
    private let many = snapshot((0..<1000).map { node("node\($0)", jobs: $0 % 9, offer: 8 - $0 % 9) })

    @Test(arguments: [1, 5, 20, 40, 79, 80, 200], [1, 2, 3, 5, 24, 100])
    func isNeverLargerThanTheTerminal(_ columns: Int, _ rows: Int) {
        var state = TopState()
        for keys in ["", "l", "?", "/x"] {
            for key in keys { _ = state.on(.character(key), page: 10) }
            let lines = drawn(many, &state, columns, rows)
            #expect(lines.count == rows)
            #expect(lines.allSatisfy { $0.count <= columns })
        }
        #expect(drawn(nil, &state, columns, rows).count == rows)
    }

    @Test func inTwentyColumnsTheNodesAndTheirOffersAreLeft() {
        var state = TopState()
        let shown = drawn(many, &state, 20, 10)
        #expect(shown[2].hasPrefix("NODE*") && shown[2].contains("OFFER"), "\(shown[2])")
        #expect(shown[3].hasPrefix("node0 "))
        state = TopState()
        #expect(drawn(many, &state, 200, 10)[2].split(separator: " ").count == 10, "all columns where there is room")
    }

    @Test func namesAreInTheirOrderAndSortsAreByNumbers() {
        var state = TopState()
        #expect(drawn(many, &state)[3...6].map { $0.prefix(6) } == ["node0 ", "node1 ", "node2 ", "node3 "])
        _ = state.on(.character("6"), page: 20)
        #expect(drawn(many, &state)[3].hasPrefix("node0 "))
        #expect(drawn(many, &state)[4].hasPrefix("node9 "), "as many on offer, next by name")
        _ = state.on(.character("r"), page: 20)
        #expect(drawn(many, &state)[3].hasPrefix("node998 "), "\(drawn(many, &state)[3])")
        _ = state.on(.left, page: 20)
        #expect(drawn(many, &state)[2].contains("LEASED*"))
    }

    @Test func theSelectionMovesAndStaysOnTheScreen() {
        var state = TopState()
        let screen = screen(80, 24)
        #expect(screen.page == 20)
        func selected() -> String? {
            screen.lines(many, &state).first { $0.look == .selected }?.text.split(separator: " ").first.map {
                String($0)
            }
        }
        #expect(selected() == "node0")
        for (key, name) in [
            (TopKey.up, "node0"), (.down, "node1"), (.pageDown, "node21"), (.end, "node999"), (.down, "node999"),
            (.pageUp, "node979"), (.home, "node0"),
        ] {
            _ = state.on(key, page: screen.page)
            #expect(selected() == name)
        }
    }

    @Test func aFilterIsTypedAndTakenBack() {
        var state = TopState()
        for key in TopKey.parse(Array("/NODE99".utf8)) { #expect(state.on(key, page: 20) == .nothing) }
        #expect(drawn(many, &state)[23] == "/NODE99_")
        #expect(drawn(many, &state)[3...].filter { $0.hasPrefix("node") }.count == 11)
        #expect(state.on(.character("q"), page: 20) == .nothing, "a letter of the filter, no command")
        _ = state.on(.backspace, page: 20)
        _ = state.on(.enter, page: 20)
        #expect(drawn(many, &state)[23].hasPrefix("/NODE99  11 of 1000"))
        _ = state.on(.escape, page: 20)
        #expect(state.filter.isEmpty)
        #expect(state.on(.character("q"), page: 20) == .quit)
        #expect(state.on(.control("c"), page: 20) == .quit)
        #expect(state.on(.control("z"), page: 20) == .suspend)
    }

    @Test func whyASelectedNodeLendsNothingIsSaid() {
        var state = TopState()
        let one = snapshot([node("n0", seen: nil, withheld: "drained")])
        let shown = screen(80, 8).lines(one, &state)
        #expect(shown[7].text == "n0 lends nothing: drained")
        _ = state.on(.character("?"), page: 4)
        #expect(drawn(one, &state)[0] == "fallow top")
    }

    @Test func leasesHaveAViewOfTheirOwn() {
        var state = TopState()
        let some = snapshot([node("n0")], leases: [lease(5, user: 7, library: "evil\u{1b}]0;x\u{7}.so")])
        _ = state.on(.tab, page: 20)
        let row = drawn(some, &state, 200)[3]
        #expect(row.contains("u7") && row.contains("2:05") && row.contains("evil?]0;x?.so"), "\(row)")
    }

    @Test func onceIsEverythingWithoutControlCharacters() {
        let text = TopScreen.text(
            many, view: .nodes, userName: { "\($0)" }, localTime: { _ in "2026-01-01T12:34:56" })
        #expect(text.split(separator: "\n").count == 1003)
        #expect(!text.contains("\u{1b}") && text.contains("node999 "))
        #expect(text.hasPrefix("alps  12:34:56  1000 nodes, 0 leases\n8000 cores: "))
    }

    @Test func thatFallowctldDoesNotAnswerIsSaidBesideTheLastPicture() {
        var state = TopState()
        var screen = screen(80, 24)
        screen.problem = "fallowctld does not answer"
        let shown = screen.lines(many, &state)
        #expect(shown[1].text == "fallowctld does not answer" && shown[1].look == .alarm)
        #expect(shown[3].text.hasPrefix("node0 "))
        #expect(screen.lines(nil, &state)[0].text == "fallowctld does not answer")
    }
}

@Suite struct TopUpdates {
    @Test func onlyWhatDiffersIsSent() {
        var update = TopUpdate(color: false)
        let first = [TopLine(text: "a"), TopLine(text: "b", look: .selected)]
        #expect(update.bytes(for: first, columns: 10).contains("\u{1b}[2J"))
        #expect(update.bytes(for: first, columns: 10).isEmpty)
        let second = update.bytes(for: [first[0], TopLine(text: "c")], columns: 10)
        #expect(second == "\u{1b}[?2026h\u{1b}[2;1H\u{1b}[2Kc\u{1b}[?2026l")
        #expect(update.bytes(for: [first[0], TopLine(text: "c")], columns: 11).contains("\u{1b}[2J"), "resized")
        update.forget()
        #expect(update.bytes(for: [first[0], TopLine(text: "c")], columns: 11).contains("\u{1b}[2J"))
    }

    @Test func withoutColourNoColourIsSent() {
        var plain = TopUpdate(color: false)
        var colored = TopUpdate(color: true)
        let alarm = [TopLine(text: "x", look: .alarm)]
        #expect(!plain.bytes(for: alarm, columns: 9).contains("31m"))
        #expect(colored.bytes(for: alarm, columns: 9).contains("31m"))
    }
}

@Suite struct TablesWithin80 {
    @Test func cutsTheWidestAndSaysSo() {
        var table = Table([("LEASE", .left), ("USER", .left), ("LIBRARY", .left)])
        table.add("0123456789abcdef", "u", String(repeating: "x", count: 100))
        let lines = table.text(within: 40, cutting: ["USER", "LIBRARY"]).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 40 })
        #expect(lines[1].hasPrefix("0123456789abcdef  u") && lines[1].hasSuffix("x~") && lines[1].count == 40)
        #expect(table.text(within: 1000, cutting: ["LIBRARY"]) == table.text)
    }
}
