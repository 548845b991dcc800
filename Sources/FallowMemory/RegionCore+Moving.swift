internal import FallowClient
internal import FallowTransport

/// How a piece goes to its places and comes back.
extension RegionCore {
    /// A piece that was begun so often without an end is given up: something fails each time.
    private var mostAttempts: Int { 1000 + donors.count }

    func read(_ index: Int, _ piece: Piece) {
        switch map.read(piece.block) {
        case .zeros:
            piece.buffer.initializeMemory(as: UInt8.self, repeating: 0)
            finish(index)
        case .lost: fail(index, lost(piece))
        case .busy: wait(index)
        case .from(let place):
            pieces[index]?.first = place
            move(isRead: true, piece.buffer, place, piece.block, within: piece.within, token: UInt64(index) << 1)
        }
    }

    func write(_ index: Int, _ piece: Piece) {
        guard piece.attempts < mostAttempts else {
            return fail(index, FallowError(.internalError, "the scratch file of the region cannot be written"))
        }
        let isWhole = piece.filled != nil || piece.buffer.count == blockBytes(piece.block)
        switch map.beginWrite(piece.block, isWhole: isWhole) {
        case .busy:
            pieces[index]?.attempts -= 1
            wait(index)
        case .protectFirst(let job):
            copy(job)
            wait(index)
        case .lost: fail(index, lost(piece))
        case .noRoom:
            fail(
                index,
                FallowError(
                    .noCapacity, "no donors are left that could hold as many copies as the region's durability asks"))
        case .go(let first, let second, let fillsBlock):
            pieces[index]?.first = first
            pieces[index]?.second = second
            if fillsBlock, piece.filled == nil {
                let whole = UnsafeMutableRawBufferPointer.allocate(
                    byteCount: blockBytes(piece.block), alignment: 4096)
                whole.initializeMemory(as: UInt8.self, repeating: 0)
                UnsafeMutableRawBufferPointer(rebasing: whole[piece.within..<piece.within + piece.buffer.count])
                    .copyMemory(from: UnsafeRawBufferPointer(piece.buffer))
                pieces[index]?.filled = whole
            }
            let from = pieces[index]?.filled ?? piece.buffer
            let within = pieces[index]?.filled == nil ? piece.within : 0
            move(isRead: false, from, first, piece.block, within: within, token: UInt64(index) << 1)
            if let second {
                move(isRead: false, from, second, piece.block, within: within, token: UInt64(index) << 1 | 1)
            }
        }
    }

    /// Moves bytes to or from a place; what became of it is reported by `completed`, now or later.
    func move(
        isRead: Bool, _ buffer: UnsafeMutableRawBufferPointer, _ place: RegionMap.Place, _ block: Int, within: Int,
        token: UInt64
    ) {
        switch place {
        case .scratch:
            let offset = block * stripeBytes + within
            let isGood =
                isRead
                ? scratch?.read(into: buffer, at: offset)
                : scratch?.write(from: UnsafeRawBufferPointer(buffer), at: offset)
            completed(token, donor: nil, isGood: isGood == true)
        case .donor(let donor, let slot):
            let post = DonorLink.Post(
                isRead: isRead, buffer: buffer, offset: slot * stripeBytes + within, token: token)
            if !map.isGone(donor), donors[donor].post(post) { return }
            lose(donor)
            completed(token, donor: donor, isGood: false)
        }
    }

    /// An operation is over.
    func completed(_ token: UInt64, donor: Int?, isGood: Bool) {
        if token & Self.copyToken != 0 { return copied(Int(token & ~Self.copyToken), isGood: isGood) }
        let index = Int(token >> 1)
        guard let piece = pieces[index] else { return }
        guard let place = token & 1 == 0 ? piece.first : piece.second else { return }
        if piece.transfer.isRead {
            if isGood, map.mayBelieve(piece.block, readFrom: place) {
                finish(index)
            } else if donor == nil {
                fail(index, FallowError(.internalError, "the scratch file of the region cannot be read"))
            } else {
                start(index)
            }
            return
        }
        switch map.finishWrite(piece.block, at: place, isGood: isGood) {
        case nil: break
        case .acknowledged: finish(index)
        case .again: start(index)
        case .lost: fail(index, lost(piece))
        }
    }

    private func lost(_ piece: Piece) -> FallowError {
        let start = piece.block * stripeBytes
        return FallowError(
            .dataLost,
            "bytes \(start) to \(start + blockBytes(piece.block)) of the region were lost with the donors that held them; write them anew"
        )
    }
}

extension RegionMap {
    func isGone(_ donor: Int) -> Bool { donors[donor].isLost }
}
