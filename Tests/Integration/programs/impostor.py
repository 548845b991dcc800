"""impostor.py SOCKET MANNER: stands where the agent's report.sock was and answers what no agent would."""
import os
import socket
import sys

path, manner = sys.argv[1:]
mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
mailbox.bind(path)
os.chmod(path, 0o600)
kept = []
while True:
    _, ends, _, _ = socket.recv_fds(mailbox, 65536, 1)
    for end in ends:
        peer = socket.socket(fileno=end)
        try:
            if manner == "garbage":
                peer.send(os.urandom(256))
            elif manner == "silence":
                kept.append(peer)
                continue
        except OSError:
            pass
        peer.close()
