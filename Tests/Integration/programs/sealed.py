"""sealed.py METHOD URL [BODY] [as=NODE] [seal=PATH] [repeat]: sends a request sealed with MUNGE by whoever runs this, as docs/protocol.md
describes it, and prints the status and the reply's body. `as` claims to be a node's daemon, `seal` seals another path than
the one asked for, `repeat` sends the very same request twice and prints the second answer."""
import hashlib
import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import time

method, url, *rest = sys.argv[1:]
options = dict(item.split("=", 1) for item in rest if re.match("^(as|seal)=", item))
repeat = "repeat" in rest
bodies = [item for item in rest if item != "repeat" and not re.match("^(as|seal)=", item)]
body = (bodies[0] if bodies else "").encode()
host, path = re.match("^http://([^/]*)(/.*)$", url).groups()
seal = {
    "method": method,
    "path": options.get("seal", path),
    "bodySHA256": hashlib.sha256(body).hexdigest(),
    "expires": time.time_ns() + 30_000_000_000,
    "id": secrets.token_hex(16),
}
if "as" in options:
    seal["node"] = options["as"]
munge = ["munge", "-S", os.environ["FALLOW_MUNGE_SOCKET"], "-u", "root"]
credential = subprocess.run(munge, input=json.dumps(seal).encode(), capture_output=True, check=True).stdout.decode().strip()
for turn in range(2 if repeat else 1):
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request(method, path, body, {"X-Fallow-Seal": credential, "Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read().decode(errors="replace")
print(reply.status, text)
