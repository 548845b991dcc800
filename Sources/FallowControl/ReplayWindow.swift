/// Which of a session's request numbers were used: each counts once, in any order within the last 1,024.
struct ReplayWindow: Sendable {
    static let width: UInt64 = 1024

    private var highest: UInt64 = 0
    /// Bit n % width: whether n was used, for the `width` numbers up to `highest`.
    private var used = [UInt64](repeating: 0, count: Int(width / 64))

    /// Takes a number. False when it was used before, or is so old that nobody knows any more.
    mutating func take(_ number: UInt64) -> Bool {
        guard number > 0 else { return false }
        if number > highest {
            // Numbers that fall out of the window leave their bits to those that come in.
            for passed in stride(from: max(highest, number - min(number, Self.width)) + 1, through: number, by: 1) {
                set(passed, false)
            }
            highest = number
        } else if highest - number >= Self.width || isUsed(number) {
            return false
        }
        set(number, true)
        return true
    }

    private func isUsed(_ number: UInt64) -> Bool {
        let bit = number % Self.width
        return used[Int(bit / 64)] & (1 << (bit % 64)) != 0
    }

    private mutating func set(_ number: UInt64, _ value: Bool) {
        let bit = number % Self.width
        if value { used[Int(bit / 64)] |= 1 << (bit % 64) } else { used[Int(bit / 64)] &= ~(1 << (bit % 64)) }
    }
}
