#!/usr/bin/env python3
"""notices.py SOCKET FILE: what services tell systemd, a line each, to FILE. Ends with its parent."""
import ctypes
import os
import signal
import socket
import sys

ctypes.CDLL(None).prctl(1, signal.SIGTERM)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
with open(sys.argv[2], "a") as out:
    while True:
        print(listener.recv(4096).decode(), file=out, flush=True)
