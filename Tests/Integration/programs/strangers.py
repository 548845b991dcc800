"""strangers.py HOST:PORT: connects to an executor like somebody without the lease's secret: says nothing, noise, a lot. Exits 0 when
it never answered with more than a greeting and every connection was refused or closed, or is left without an answer."""
import os
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
for words in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(64), os.urandom(1 << 20), b"\0" * 4096):
    peer = socket.socket()
    peer.settimeout(1)
    try:
        peer.connect((host.strip("[]*") or "127.0.0.1", int(port)))
        peer.sendall(words)
        answer = peer.recv(65536)
    except (socket.timeout, ConnectionError, BrokenPipeError):
        answer = b""
    print(len(words), "bytes said,", len(answer), "heard")
    if len(answer) > 1024:
        sys.exit("a stranger was told %d bytes" % len(answer))
    peer.close()
