internal import FallowModel

/// Answers that many browsers ask for alike: each is worked out once, and then stands for a few seconds.
actor AnswerCache<Key: Hashable & Sendable, Value: Sendable> {
    private struct Entry {
        let task: Task<Value, any Error>
        let until: ContinuousClock.Instant
    }
    private var entries: [Key: Entry] = [:]
    private let life: Duration
    private let limit: Int

    init(life: Duration, limit: Int) {
        self.life = life
        self.limit = limit
    }

    func value(_ key: Key, _ make: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let now = ContinuousClock.now
        if let entry = entries[key], entry.until > now { return try await entry.task.value }
        if entries.count >= limit { entries = entries.filter { $0.value.until > now } }
        if entries.count >= limit { entries = [:] }
        let task = Task { try await make() }
        entries[key] = Entry(task: task, until: now + life)
        do {
            return try await task.value
        } catch {
            entries[key] = nil
            throw error
        }
    }
}
