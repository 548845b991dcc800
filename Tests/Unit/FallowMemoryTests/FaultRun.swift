import FallowClient
import FallowMemory
import Glibc
import Testing
import TransportTesting

/// What is broken on purpose, so that the checks can be seen to see it.
enum Breach: String, CaseIterable {
    /// One copy, where the checks expect what two survive. (a)
    case oneCopyOnly
    /// Memory is taken back by punching holes, and nothing is said. (b)
    case silentZeros
    /// The lease ends and the donor dies, and its memory stays where it is. (d)
    case neverTakenBack
}

/// One seed: a region over real donors, puts and gets, and a fault before, during or after one of them.
struct FaultRun {
    enum Fault: CaseIterable {
        /// Marked, killed, taken back, as on a reclaim.
        case revoke
        /// Killed; its agent notices and takes back.
        case kill
        /// Stopped for good; over TCP nothing comes any more. Over verbs its memory is read and written still.
        case freeze
        /// The memory is cut from under the region, or the network; nobody says a word.
        case cut
    }
    enum Moment: CaseIterable { case before, during, after }

    let seed: Int
    var breach: Breach?
    var reach = Donor.Reach.shm
    var patience = Duration.milliseconds(150)

    private static let stripe = 4096
    private static let blocks = 12

    /// - Returns: what was wrong.
    func run() throws -> [String] {
        var generator = Seeded(state: UInt64(seed) &* 77 &+ 5)
        var durability: Durability = [.cache, .pair, .scratch(folder: "/tmp")].randomElement(using: &generator)!
        if breach == .oneCopyOnly { durability = .pair }
        if breach == .silentZeros { durability = .cache }
        let isDurable = durability != .cache
        if breach == .oneCopyOnly { durability = .cache }
        let size = Self.blocks * Self.stripe - 100
        let lent = try Lent(
            durability == .pair ? 4 : 3, reach: reach, donorBytes: 1 << 17, sizeBytes: size, durability,
            patience: patience)
        let region = lent.region
        let fault = breach == nil ? Fault.allCases.randomElement(using: &generator)! : .revoke
        let moment = breach == nil ? Moment.allCases.randomElement(using: &generator)! : .before
        let faultAt = Int.random(in: 2..<12, using: &generator)
        // All of them at once, where that has to be survived.
        let takesAll = durability != .pair && durability != .cache && Bool.random(using: &generator)
        let victims =
            takesAll ? Array(0..<lent.donors.count) : [Int.random(in: 0..<lent.donors.count, using: &generator)]

        var complaints: [String] = []
        /// What was acknowledged, and where a put failed: there either may be.
        var shadow = [UInt8](repeating: 0, count: size)
        var isOpen = [Bool](repeating: false, count: size)
        func strikeAll() {
            for victim in victims {
                do { try strike(lent.donors[victim], fault) } catch { complaints.append("the fault failed: \(error)") }
            }
        }
        for step in 0..<18 {
            if step == faultAt, moment == .before { strikeAll() }
            var thread: PeerThread?
            if step == faultAt, moment == .during {
                let delay = UInt32.random(in: 0..<1500, using: &generator)
                let donors = victims.map { lent.donors[$0] }
                thread = PeerThread {
                    usleep(delay)
                    for donor in donors { try? strike(donor, fault) }
                }
            }
            let repeats = thread == nil ? 1 : 6
            for turn in 0..<repeats {
                let offset = Int.random(in: 0..<size, using: &generator)
                let count = Int.random(in: 1...min(size - offset, 3 * Self.stripe), using: &generator)
                let range = offset..<offset + count
                // Something is there before the fault.
                if step < 2 || (step + turn) % 2 == 0 {
                    let bytes = pattern(count, at: offset, step * 7 + turn)
                    do throws(FallowError) {
                        try region.put(bytes, at: offset)
                        shadow.replaceSubrange(range, with: bytes)
                        for index in range { isOpen[index] = false }
                    } catch {
                        for index in range { isOpen[index] = true }
                        complain(error, isDurable, "put", &complaints)
                    }
                } else {
                    do throws(FallowError) {
                        let got = try region.get(count, at: offset)
                        for index in range where !isOpen[index] && got[index - offset] != shadow[index] {
                            complaints.append("byte \(index): \(got[index - offset]) for \(shadow[index])")
                            break
                        }
                    } catch { complain(error, isDurable, "get", &complaints) }
                }
            }
            thread?.join()
            if step == faultAt, moment == .after { strikeAll() }
        }
        checkAll(region, shadow, isOpen, isDurable, &complaints)
        if fault == .revoke || fault == .kill {
            for victim in victims { checkGone(lent.donors[victim], &complaints) }
        }
        region.close()
        for donor in lent.donors { donor.thaw() }
        return complaints
    }

    private func strike(_ donor: Donor, _ fault: Fault) throws {
        switch (fault, breach) {
        case (_, .silentZeros): donor.punchSilently()
        case (_, .neverTakenBack): donor.endWithoutTakingBack()
        case (.revoke, _): try donor.revoke()
        case (.kill, _): try donor.die()
        case (.freeze, _): donor.freeze()
        case (.cut, _): donor.cut()
        }
    }

    /// What may fail, and how. A durable region's puts and gets go through: one event took donors that share no fate.
    private func complain(_ error: FallowError, _ isDurable: Bool, _ what: String, _ complaints: inout [String]) {
        if isDurable || (error.code != .dataLost && error.code != .noCapacity) {
            complaints.append("\(what): \(error.code): \(error)")
        }
    }

    /// (a), (b): every block once more. What was acknowledged is there, or lost and said so where that is allowed.
    private func checkAll(
        _ region: Region, _ shadow: [UInt8], _ isOpen: [Bool], _ isDurable: Bool, _ complaints: inout [String]
    ) {
        for block in 0..<Self.blocks {
            let range = block * Self.stripe..<min((block + 1) * Self.stripe, region.sizeBytes)
            do throws(FallowError) {
                let got = try region.get(range.count, at: range.lowerBound)
                for index in range where !isOpen[index] && got[index - range.lowerBound] != shadow[index] {
                    complaints.append(
                        "at the end, byte \(index): \(got[index - range.lowerBound]) for \(shadow[index])")
                    break
                }
            } catch { complain(error, isDurable, "get at the end", &complaints) }
        }
    }

    /// (d): nobody reaches the memory of a lease that was revoked, though he holds its descriptor.
    private func checkGone(_ donor: Donor, _ complaints: inout [String]) {
        guard let memory = donor.memory else { return }
        var byte: UInt8 = 1
        if pread(memory.descriptor, &byte, 1, 4096) != 0 { complaints.append("a read succeeds after revocation") }
        if pwrite(memory.descriptor, &byte, 1, 4096) >= 0 { complaints.append("a write succeeds after revocation") }
        if memory.residentBytes > 4096 { complaints.append("\(memory.residentBytes) bytes are not given back") }
    }
}
