/// Which columns fit, how wide each is, and a row of them as text.
struct TopLayout {
    /// Indices into the table's columns, in their order.
    var shown: [Int]
    /// By the table's columns.
    var widths: [Int]
    /// By the table's columns; the one sorted by is marked.
    var titles: [String]

    /// The cells of the shown columns; the first is cut where even it does not fit.
    func line(_ cells: [String], _ table: TopTable) -> String {
        shown.map { column in
            let text = String(cells[column].prefix(widths[column]))
            let padding = String(repeating: " ", count: widths[column] - text.count)
            return table.columns[column].side == .left ? text + padding : padding + text
        }.joined(separator: "  ")
    }
}

extension TopScreen {
    /// Leaves columns of the highest rank out until the rest fits; one always stays.
    func layout(_ table: TopTable, _ rows: [TopTable.Row], sorted: Int?) -> TopLayout {
        let titles = table.columns.indices.map { table.columns[$0].title + ($0 == sorted ? "*" : "") }
        var widths = table.columns.indices.map { column in
            rows.reduce(titles[column].count) { max($0, $1.cells[column].text.count) }
        }
        var shown = Array(table.columns.indices)
        func width() -> Int { shown.reduce(2 * (shown.count - 1)) { $0 + widths[$1] } }
        while width() > columns, shown.count > 1,
            let worst = shown.max(by: { table.columns[$0].rank < table.columns[$1].rank })
        {
            shown.removeAll { $0 == worst }
        }
        if shown.count == 1 { widths[shown[0]] = min(widths[shown[0]], columns) }
        return TopLayout(shown: shown, widths: widths, titles: titles)
    }
}
