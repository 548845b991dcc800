internal import CLinux
internal import FallowTransport
internal import FallowWire

/// Who sleeps on what. One thread at a time watches a worker: it polls, and then sleeps on the transport's event, without
/// the lock where the transport has a futex word for that. The others sleep for their own calls. A watcher whose own call
/// is done wakes another, who takes over.
extension WorkerCore where Connection: ~Copyable {
    func startWatching() -> Bool {
        state.pointee.lock.lock()
        let isFree = !state.pointee.isWatched
        state.pointee.isWatched = true
        state.pointee.lock.unlock()
        return isFree
    }

    func stopWatching() {
        state.pointee.lock.lock()
        state.pointee.isWatched = false
        if state.pointee.ring.callCount > 0 { state.pointee.ring.wakeOneSleeper() }
        finishTurn()
    }

    func sleepWatching(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        if let word = beginSleep(for: call) {
            _ = clinux_futex_wait(word, 1, timeout)
            endSleep(for: call)
            return
        }
        state.pointee.lock.lock()
        guard !state.pointee.ring.isOver, !call.pointee.isDone else { return finishTurn() }
        do throws(TransportError) {
            if Connection.sleepsOnWord {
                // Something had come when the sleep was announced.
                _ = try state.pointee.ring.receive()
            } else {
                _ = try state.pointee.ring.endpoint.sleep(atMost: .nanoseconds(timeout))
                _ = try state.pointee.ring.receive()
            }
            finishTurn()
        } catch {
            _ = fail(error, call)
        }
    }

    func sleepUnwatched(for call: CallPointer, atMostNanoseconds timeout: Int64) {
        state.pointee.lock.lock()
        // Announced under the lock: whoever stops watching sees this thread, or this thread sees that nobody watches.
        let mayWatch = !state.pointee.isWatched
        let willSleep = !mayWatch && call.pointee.willSleep()
        state.pointee.lock.unlock()
        guard willSleep else { return }
        call.pointee.sleep(atMostNanoseconds: timeout)
        call.pointee.wakes()
    }

    var sleepsOnWord: Bool { Connection.sleepsOnWord }

    func beginSleep(for call: CallPointer) -> UnsafeRawPointer? {
        guard Connection.sleepsOnWord else { return nil }
        state.pointee.lock.lock()
        guard !state.pointee.ring.isOver, call.pointee.willWatch() else {
            finishTurn()
            return nil
        }
        do throws(TransportError) {
            let word = try state.pointee.ring.endpoint.beginSleep()
            if word != nil { state.pointee.sleeperCount += 1 } else { call.pointee.wakes() }
            finishTurn()
            return word
        } catch {
            call.pointee.wakes()
            _ = fail(error, call)
            return nil
        }
    }

    func endSleep(for call: CallPointer) {
        state.pointee.lock.lock()
        call.pointee.wakes()
        state.pointee.sleeperCount -= 1
        guard !state.pointee.ring.isOver else { return finishTurn() }
        do throws(TransportError) {
            // Others that sleep on the same word have to be woken by the next reply.
            var isAnnounced = false
            while !isAnnounced {
                _ = try state.pointee.ring.receive()
                isAnnounced = state.pointee.sleeperCount == 0
                if !isAnnounced { isAnnounced = try state.pointee.ring.endpoint.beginSleep() != nil }
            }
            if state.pointee.sleeperCount == 0 { state.pointee.ring.endpoint.endSleep() }
            finishTurn()
        } catch {
            _ = fail(error, call)
        }
    }
}
