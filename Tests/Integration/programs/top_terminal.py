#!/usr/bin/env python3
"""top_terminal.py CLAIM: `fallow top` on a real pseudo-terminal, its screen as a terminal emulator (pyte) has it. Used by t0521-top.sh."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

import pyte


class Terminal:
    def __init__(self, columns=80, rows=24, term="xterm-256color", arguments=(), **environment):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.master, self.slave = pty.openpty()
        self.size(columns, rows, told=False)
        self.before = termios.tcgetattr(self.slave)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for number in range(3):
                os.dup2(self.slave, number)
            os.environ.update(environment, TERM=term)
            os.execvp("fallow", ["fallow", "top", "--every", "0.5", *arguments])

    def size(self, columns, rows, told=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if told:
            self.screen.resize(rows, columns)

    def read(self, seconds):
        """What comes within so many seconds; false when nothing did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, 65536)
        self.raw += data
        # pyte knows no synchronized updates and takes their marks for text.
        self.stream.feed(data.replace(b"\x1b[?2026h", b"").replace(b"\x1b[?2026l", b""))
        return bool(data)

    def until(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"never saw {what}; the screen:\n" + "\n".join(self.screen.display))
            self.read(0.2)

    def sees(self, text, seconds=20):
        self.until(lambda: text in "\n".join(self.screen.display), repr(text), seconds)

    def keys(self, text):
        os.write(self.master, text.encode())

    def processor_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def row(self, start):
        return next((r for r in self.screen.display if r.startswith(start)), None)

    def end(self, status=None, by=None):
        """Waits for the end, which has to be with that status or by that signal, and the terminal as it was."""
        deadline = time.monotonic() + 10
        while True:
            try:
                self.read(0.1)
            except OSError:
                pass
            pid, how = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise SystemExit("it did not end within 10 s")
        if by is not None and not (os.WIFSIGNALED(how) and os.WTERMSIG(how) == by):
            raise SystemExit(f"it did not end by signal {by}: {how}")
        if status is not None and not (os.WIFEXITED(how) and os.WEXITSTATUS(how) == status):
            raise SystemExit(f"it did not end with status {status}: {how}")
        while select.select([self.master], [], [], 0.1)[0]:
            try:
                self.raw += os.read(self.master, 65536)
            except OSError:
                break
        if termios.tcgetattr(self.slave) != self.before:
            raise SystemExit("the terminal's modes are not as they were")
        if self.raw.count(b"\x1b[?1049h") != self.raw.count(b"\x1b[?1049l") or self.raw.rfind(b"\x1b[?25h") < self.raw.rfind(b"\x1b[?25l"):
            raise SystemExit("the terminal's other screen or its cursor is not given back")


def shows():
    t = Terminal()
    t.sees("node2")
    for text in ("lab", "3 nodes", "24 cores", "NODE*", "OFFER", "q quit"):
        t.sees(text)
    t.keys("q")
    t.end(status=0)


def keys():
    t = Terminal()
    t.sees("node0")
    t.keys("?")
    t.sees("any key goes back")
    t.keys("x")
    t.sees("node0")
    t.keys("/node1")
    t.sees("/node1_")
    t.until(lambda: t.row("node1") and not t.row("node0"), "node1 alone")
    t.keys("\r")
    t.sees("/node1  1 of 3")
    t.keys("\x1b")
    t.until(lambda: t.row("node0"), "all nodes again")
    t.keys("r")
    t.until(lambda: t.screen.display[3].startswith("node2"), "node2 on top")
    t.keys("\x1b[C")
    t.sees("STATE*")
    t.keys("l")
    t.sees("LIBRARY")
    t.keys("\t")
    t.sees("OFFER")
    t.keys("\x03")
    t.end(status=0)


def narrow():
    t = Terminal(20, 8)
    t.sees("node2")
    t.until(lambda: any("OFFER" in r for r in t.screen.display), "OFFER")
    t.size(120, 30)
    t.sees("LEASED-MEM")
    t.size(1, 1)
    t.read(0.5)
    t.size(80, 24)
    t.until(lambda: t.screen.display[3].startswith("node0"), "the picture again")
    t.keys("q")
    t.end(status=0)


def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        t = Terminal()
        t.sees("node0")
        os.kill(t.pid, number)
        t.end(by=number)


def suspended():
    t = Terminal()
    t.sees("node0")
    t.keys("\x1a")
    deadline = time.monotonic() + 10
    while open(f"/proc/{t.pid}/stat").read().rsplit(")", 1)[1].split()[0] != "T":
        if time.monotonic() > deadline:
            raise SystemExit("Ctrl-Z does not stop it")
        time.sleep(0.05)
    if termios.tcgetattr(t.slave) != t.before:
        raise SystemExit("the shell does not get its terminal back")
    t.screen.reset()
    os.kill(t.pid, signal.SIGCONT)
    t.until(lambda: t.row("node0"), "the picture after it was continued")
    t.keys("q")
    t.end(status=0)


def calm():
    """What is on the screen already is not sent again: in rows alone, within the marks of a synchronized update."""
    t = Terminal()
    t.sees("node2")
    t.read(1)
    t.raw = b"\x1b[?1049h\x1b[?25l"
    began = time.monotonic()
    while time.monotonic() < began + 4:
        t.read(0.2)
    drawn = t.raw[len(b"\x1b[?1049h\x1b[?25l"):]
    if b"\x1b[2J" in drawn:
        raise SystemExit("the whole screen is drawn anew")
    if not drawn or drawn.count(b"\x1b[?2026h") != drawn.count(b"\x1b[?2026l"):
        raise SystemExit(f"updates are not synchronized: {drawn[:200]}")
    whole = 24 * 80 * (drawn.count(b"\x1b[?2026h"))
    print(f"{len(drawn)} bytes, whole screens would be {whole}")
    if len(drawn) * 3 > whole:
        raise SystemExit("most of the screen is sent each time")
    t.keys("q")
    t.end(status=0)


def crowd():
    """1,000 nodes that report every other second: keys are answered at once, nothing flickers, and it costs little."""
    t = Terminal(120, 40)
    t.sees("1003 nodes", 40)
    for key, start in (("\x1b[F", "z1000 "), ("\x1b[H", "node0 "), ("\x1b[6~", "z34 "), ("/z77", "z77 ")):
        began = time.monotonic()
        t.raw = b""
        t.keys(key)
        t.until(lambda: t.raw and t.row(start), f"{start} after {key!r}", 2)
        print(f"{key!r}: {time.monotonic() - began:.3f} s")
    t.keys("\x1b")
    t.until(lambda: t.row("node0 "), "all nodes again")
    t.raw, began, used = b"", time.monotonic(), t.processor_seconds()
    while time.monotonic() < began + 6:
        t.read(0.2)
    frames, used = t.raw.count(b"\x1b[?2026h"), (t.processor_seconds() - used) / 6
    print(f"{frames} pictures, {len(t.raw)} bytes, {used:.3f} of a processor")
    if b"\x1b[2J" in t.raw or b"\x1b[J" in t.raw:
        raise SystemExit("it is wiped before it is drawn")
    # The first or last of them may have been cut off.
    if frames < 3 or abs(frames - t.raw.count(b"\x1b[?2026l")) > 1:
        raise SystemExit("updates are not synchronized, or did not come")
    # How long ago each node was seen changes in every row.
    if len(t.raw) > frames * 120 * 40:
        raise SystemExit("more than the screen is sent each time")
    if used > 0.25:
        raise SystemExit("it takes more than a quarter of a processor")
    t.raw = b"\x1b[?1049h\x1b[?25l"
    t.keys("q")
    t.end(status=0)


def colourless():
    t = Terminal(NO_COLOR="1")
    t.sees("node0")
    t.keys("q")
    t.end(status=0)
    if b"[1;31m" in t.raw or b"[31m" in t.raw:
        raise SystemExit("there is colour")


def gone():
    """The terminal goes away, as with a connection that breaks."""
    t = Terminal()
    t.sees("node0")
    os.close(t.slave)
    os.close(t.master)
    deadline = time.monotonic() + 10
    while os.waitpid(t.pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(t.pid, signal.SIGKILL)
            raise SystemExit("it lives on")
        time.sleep(0.05)


def controller_gone():
    t = Terminal()
    t.sees("node2")
    os.kill(int(os.environ["FALLOW_TEST_CONTROLLER"]), signal.SIGKILL)
    t.until(lambda: t.row("node2") and not t.screen.display[1].startswith("24 cores"), "that fallowctld is gone, and the last picture")
    t.keys("q")
    t.end(status=0)


{f.__name__: f for f in (shows, keys, narrow, signals, suspended, calm, crowd, colourless, gone, controller_gone)}[sys.argv[1]]()
