"""talk.py SOCKET [LINE...]: says the lines to a client.sock and prints each answer that comes within 3 s, one a line."""
import socket
import sys

peer = socket.socket(socket.AF_UNIX)
peer.settimeout(3)
peer.connect(sys.argv[1])
text = b""
for line in sys.argv[2:]:
    peer.sendall(line.encode() + b"\n")
    while b"\n" not in text:
        try:
            part = peer.recv(65536)
        except socket.timeout:
            sys.exit("no answer within 3 s to: " + line)
        if not part:
            sys.exit("the connection was closed at: " + line)
        text += part
    answer, text = text.split(b"\n", 1)
    print(answer.decode())
