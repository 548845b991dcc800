internal import FallowModel
internal import FallowReporting
internal import Glibc

/// `fallow top` on a terminal, from its start to its end.
struct TopSession {
    let terminal: TopTerminal
    let period: Duration
    let color: Bool
    let view: TopView
    let ask: @Sendable () async throws -> TopSnapshot

    /// Runs until the user, a signal or the terminal's end ends it; the terminal is as before then.
    /// - Returns: the signal that ended it.
    func run() async -> Int32? {
        let events = TopEvents()
        let feed = events.feed
        let asking = Task { [ask, period] in
            while !Task.isCancelled {
                do { feed.yield(.snapshot(.success(try await ask()))) } catch { feed.yield(.snapshot(.failure(error))) }
                try? await Task.sleep(for: period)
            }
        }
        defer { asking.cancel() }
        terminal.take()
        defer { terminal.giveBack() }
        var state = TopState()
        state.view = view
        var update = TopUpdate(color: color)
        var snapshot: TopSnapshot?
        var problem: String?
        var isSuspended = false
        guard draw(snapshot, problem, &state, &update) else { return nil }
        for await event in events.stream {
            switch event {
            case .input(let bytes):
                for key in TopKey.parse(bytes) {
                    switch state.on(key, page: screen(nil).page) {
                    case .quit: return nil
                    case .suspend:
                        isSuspended = true
                        suspend()
                    case .refresh: update.forget()
                    case .nothing: break
                    }
                }
            case .inputEnded: return nil
            case .resized: break
            case .continued:
                isSuspended = false
                terminal.take()
                update.forget()
            case .signalled(let number): return number
            case .snapshot(.success(let new)): (snapshot, problem) = (new, nil)
            case .snapshot(.failure(let error)): problem = "\(error)"
            }
            guard isSuspended || draw(snapshot, problem, &state, &update) else { return nil }
        }
        return nil
    }

    private func screen(_ problem: String?) -> TopScreen {
        let size = terminal.size
        return TopScreen(
            columns: size.columns, rows: size.rows, problem: problem, userName: userName, localTime: { $0.localText })
    }

    private func draw(
        _ snapshot: TopSnapshot?, _ problem: String?, _ state: inout TopState, _ update: inout TopUpdate
    ) -> Bool {
        let screen = screen(problem)
        return terminal.write(update.bytes(for: screen.lines(snapshot, &state), columns: screen.columns))
    }

    /// Ctrl-Z: the shell has its terminal back until it continues this.
    private func suspend() {
        terminal.giveBack()
        // The stop takes effect a moment later: nothing may be drawn before SIGCONT.
        kill(0, SIGSTOP)
    }
}
