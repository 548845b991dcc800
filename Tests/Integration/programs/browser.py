"""browser.py COMMANDS REPLIES: a real Chromium, told what to do line by line; as a library, `Browser`.

It speaks the DevTools protocol over a pipe. COMMANDS and REPLIES are FIFOs: each line of the first is a JSON array, a command and its
arguments, and is answered by one line: `ok`, or what was not so.

    open URL                     loads it, until nothing is asked for any more (the stream of events aside)
    true EXPRESSION [SECONDS]    the page's JavaScript finds it true, now or within so many seconds
    clean                        since it was opened: no error on the console, no failed request, nothing refused by its policy
    size WIDTH HEIGHT [mobile]   the window's
    scheme light|dark            what the reader prefers
    headers JSON                 sent with every request
    key NAME...                  presses keys: Tab, Enter, ArrowRight
    print FILE                   as PDF
    shot FILE [HEIGHT|SELECTOR]  as PNG
"""
import base64
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35}


class Wrong(Exception):
    """What was not so."""


class Browser:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fallow-browser.", ignore_cleanup_errors=True)
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                 "--force-color-profile=srgb", "--remote-debugging-pipe", f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec chromium "$@" 3<&{to_read} 4>&{to_write}', "chromium"] + words, pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.folder.name, "TZ": os.environ.get("TZ", "UTC"), "LANG": "C.UTF-8"})
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.session = 0, b"", None
        self.problems, self.pending, self.loaded, self.quiet_since = [], {}, False, 0.0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.size(1280, 900)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def read(self, seconds):
        """One message, or None when none comes in time."""
        until = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.back], [], [], max(0, until - time.monotonic()))
            if not ready:
                return None
            part = os.read(self.back, 1 << 20)
            if not part:
                raise Wrong("the browser has ended")
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def ask(self, method, seconds=20, **arguments):
        self.number += 1
        message = {"id": self.number, "method": method, "params": arguments}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            reply = self.read(until - time.monotonic())
            if reply and reply.get("id") == self.number:
                if "error" in reply:
                    raise Wrong(f"{method}: {reply['error']['message']}")
                return reply["result"]
            if reply:
                self.note(reply)
        raise Wrong(f"{method} was not answered within {seconds} s")

    def note(self, event):
        name, about = event.get("method"), event.get("params", {})
        if name == "Page.loadEventFired":
            self.loaded = True
        elif name == "Network.requestWillBeSent":
            self.pending[about["requestId"]] = about["request"]["url"]
            self.quiet_since = time.monotonic()
        elif name == "Network.responseReceived":
            if about["response"]["status"] >= 400:
                self.problems.append(f"{about['response']['url']}: status {about['response']['status']}")
            if about["response"]["mimeType"] == "text/event-stream":
                self.pending.pop(about["requestId"], None)
        elif name in ("Network.loadingFinished", "Network.loadingFailed"):
            url = self.pending.pop(about["requestId"], None)
            self.quiet_since = time.monotonic()
            if name.endswith("Failed") and not about.get("canceled") and url:
                self.problems.append(f"{url}: {about.get('errorText')}")
        elif name == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.problems.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif name == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.problems.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif name == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.problems.append(f"log: {about['entry']['text']} {about['entry'].get('url', '')}")

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            event = self.read(rest)
            if event:
                self.note(event)

    def open(self, url):
        self.problems, self.pending, self.loaded = [], {}, False
        self.quiet_since = time.monotonic()
        result = self.ask("Page.navigate", url=url)
        if result.get("errorText"):
            raise Wrong(f"{url}: {result['errorText']}")
        until = time.monotonic() + 20
        while not (self.loaded and not self.pending and time.monotonic() - self.quiet_since > 0.25):
            if time.monotonic() > until:
                raise Wrong(f"{url} is not there after 20 s: loaded {self.loaded}, waits for {list(self.pending.values())}")
            self.wait(0.05)

    def value(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Wrong(f"{expression}: {result['exceptionDetails']['exception'].get('description')}")
        return result["result"].get("value")

    def true(self, expression, seconds=0):
        until = time.monotonic() + float(seconds)
        while not (value := self.value(expression)):
            if time.monotonic() >= until:
                raise Wrong(f"{value!r}: {expression}")
            self.wait(0.05)

    def clean(self):
        self.wait(0.1)
        if self.problems:
            raise Wrong("; ".join(self.problems[:5]))

    def size(self, width, height, mobile=None):
        self.ask("Emulation.setDeviceMetricsOverride", width=int(width), height=int(height), mobile=bool(mobile),
                 deviceScaleFactor=float(os.environ.get("BROWSER_SCALE", "1")))

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def headers(self, text):
        self.ask("Network.setExtraHTTPHeaders", headers=json.loads(text))

    def key(self, *names):
        for name in names:
            for kind in ("keyDown", "keyUp"):
                more = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
                self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=KEYS[name], **more)

    def print(self, path):
        data = base64.b64decode(self.ask("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"])
        with open(path, "wb") as file:
            file.write(data)
        if not data.startswith(b"%PDF") or len(data) < 10_000:
            raise Wrong(f"a PDF of {len(data)} bytes")

    def shot(self, path, part=None):
        options = {"format": "png"}
        if part and part.isdigit():
            width = self.value("innerWidth")
            options.update(captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": width, "height": int(part), "scale": 1})
        elif part:
            box = self.value(f"(() => {{ const b = document.querySelector({json.dumps(part)}).getBoundingClientRect();"
                             "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height, scale: 1}; })()")
            options.update(captureBeyondViewport=True, clip=box)
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("Page.captureScreenshot", **options)["data"]))


def main():
    # Whoever ends this ends the browser too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    browser = Browser()
    try:
        with open(sys.argv[1]) as commands, open(sys.argv[2], "w") as replies:
            for line in commands:
                name, *arguments = json.loads(line)
                try:
                    getattr(browser, name)(*arguments)
                    reply = "ok"
                except Wrong as wrong:
                    reply = " ".join(str(wrong).split())
                print(reply, file=replies, flush=True)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
