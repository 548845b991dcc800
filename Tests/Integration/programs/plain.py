"""plain.py HOST:PORT WORDS [BODY]: says WORDS (a request line, or anything) and BODY as they are, and prints the answer's status and
what follows its header, or "closed". Escapes like \\x00 and \\r\\n in WORDS are understood; a request line gets Host and
Content-Length."""
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
words = sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
body = sys.argv[3].encode() if len(sys.argv) > 3 else b""
if words.endswith(b"HTTP/1.1"):
    words += b"\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
peer = socket.create_connection((host, int(port)), timeout=10)
answer = b""
try:
    peer.sendall(words + body)
    peer.shutdown(socket.SHUT_WR)
    while part := peer.recv(65536):
        answer += part
except OSError as error:
    answer = answer or str(error).encode()
head, _, rest = answer.partition(b"\r\n\r\n")
status = head.split(b" ")[1].decode() if head.startswith(b"HTTP/1") else "closed"
print(status, rest.decode(errors="replace")[:400])
