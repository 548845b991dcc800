"""impostor.py SOCKET MANNER: stands where the agent's report.sock was and answers what no agent would."""
import os
import socket
import sys

path, manner = sys.argv[1:]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(path)
os.chmod(path, 0o600)
server.listen(64)
kept = []
while True:
    peer, _ = server.accept()
    try:
        peer.recv(65536)
        if manner == "garbage":
            peer.send(os.urandom(256))
        elif manner == "silence":
            kept.append(peer)
            continue
    except OSError:
        pass
    peer.close()
