"""Running measuring programs: each prints lines of "key number"; nothing waits without a bound."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = TREE / ".build"
OUT = BUILD / "bench"
BIN = OUT / "bin"
LINE = re.compile(r"^(\w+) ([0-9.]+)$")


class Failed(Exception):
    """Why there is no figure, in one line."""


def raise_priority():
    """Others on the machine shall not decide the figures. Root alone may; a session of its own is the kernel's unit (autogroup)."""
    os.setsid()
    if os.geteuid() != 0:
        return
    try:
        with open("/proc/self/autogroup", "w") as group:
            group.write("-20")
    except OSError:
        pass  # a kernel without autogroups
    os.nice(-20)


def finish(process, patience=0):
    """Ends a process's whole session; it was started with one of its own. With patience (seconds) it may clean up first: a
    script's lab cluster has daemons in sessions of their own."""
    if patience:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def output(command, environment=None, seconds=60):
    """What a command printed. Raises Failed when it cannot be run, fails, or takes longer."""
    try:
        process = subprocess.Popen(
            [str(word) for word in command], env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=raise_priority)
    except FileNotFoundError:
        raise Failed(f"{pathlib.Path(command[0]).name} is not there") from None
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        finish(process, patience=40)
        process.communicate()
        raise Failed(f"took longer than {seconds} s") from None
    finish(process)
    if process.returncode != 0:
        said = (err.strip() or out.strip() or "said nothing").splitlines()
        raise Failed(f"status {process.returncode}: {said[-1][:120]}")
    return out


def figures(text):
    """The "key number" lines of a program's output."""
    found = (LINE.match(line) for line in text.splitlines())
    return {match[1]: float(match[2]) for match in found if match}


class Agent:
    """bench-agent with some arguments, for as long as the block runs."""

    def __init__(self, arguments):
        self.arguments = arguments

    def __enter__(self):
        program = BUILD / "release" / "bench-agent"
        try:
            self.process = subprocess.Popen(
                [program, *self.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                preexec_fn=raise_priority)
        except FileNotFoundError:
            raise Failed("bench-agent is not built: make build") from None
        self.socket = self.process.stdout.readline().strip()
        if not self.socket.startswith("/"):
            self.__exit__()
            raise Failed(f"bench-agent did not start: {self.socket}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        finish(self.process)


# Peers' servers: on CPU 1, of 127.0.0.1, keeping nothing on a disk.
STORES = {
    "redis": ("redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"),
    "memcached": ("memcached", "-u", "nobody", "-l", "127.0.0.1", "-m", "1024", "-I", "4m", "-t", "1", "-p"),
}


class Store:
    """One of STORES on a free port, for as long as the block runs."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if shutil.which(STORES[self.name][0]) is None:
            raise Failed(f"{STORES[self.name][0]} is not there")
        self.process = subprocess.Popen(
            ["taskset", "-c", "1", *STORES[self.name], str(self.port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=raise_priority)
        try:
            for _ in range(100):
                time.sleep(0.05)
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                        return self
            raise Failed(f"{self.name} did not start")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        finish(self.process)
