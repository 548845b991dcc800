import Testing

@testable import FallowControl

/// A window by reference, for `#expect`.
private final class Window {
    private var window = ReplayWindow()
    func take(_ number: UInt64) -> Bool { window.take(number) }
}

@Suite struct ReplayWindowTests {
    @Test func eachNumberCountsOnceInAnyOrder() {
        let window = Window()
        var numbers = Array(UInt64(1)...5_000)
        // Disorder as of a few connections: nothing moves by more than the window.
        for start in stride(from: 0, to: numbers.count, by: 500) { numbers[start..<min(start + 500, 5_000)].shuffle() }
        for number in numbers { #expect(window.take(number)) }
        for number in numbers { #expect(!window.take(number)) }
    }

    @Test func whatFellOutOfTheWindowIsRefused() {
        let window = Window()
        #expect(window.take(10))
        #expect(window.take(10 + ReplayWindow.width - 1))
        #expect(window.take(11), "still within")
        #expect(!window.take(10), "used before")
        #expect(window.take(11 + ReplayWindow.width))
        #expect(!window.take(11), "out")
        #expect(!window.take(5), "never used, but nobody can know")
        #expect(window.take(12))
    }

    @Test func aLeapOverTheWindowForgetsNothingThatCounts() {
        let window = Window()
        for number in 1...UInt64(100) { #expect(window.take(number)) }
        let far = UInt64.max - 1
        #expect(window.take(far))
        #expect(!window.take(far))
        #expect(window.take(far - ReplayWindow.width + 1))
        #expect(!window.take(far - ReplayWindow.width))
        #expect(window.take(UInt64.max))
        #expect(!window.take(UInt64.max))
        #expect(!window.take(0), "numbers begin at 1")
    }
}
