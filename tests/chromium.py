"""A browser driven as a person does: real keys, mouse and touch, through the DevTools pipe."""

import json
import os
import subprocess
from itertools import count


class Chromium:
    """A headless Chromium, over file descriptors 3 and 4 (no port, no package)."""

    def __init__(self, program, profile):
        there, self._write = os.pipe()
        self._read, back = os.pipe()
        # The child finds its ends of the pipes at 3 and 4. A smooth scroll goes on from another thread
        # after a test has scrolled at once.
        script = f'exec "$@" 3<&{there} 4>&{back}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-background-networking", "--force-prefers-reduced-motion",
             f"--user-data-dir={profile}", "--window-size=1300,1000", "--remote-debugging-pipe"],
            pass_fds=(there, back), stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(profile)},
        )  # fmt: skip
        os.close(there)
        os.close(back)
        self._numbers = count(1)
        self._rest = b""

    def call(self, method, happened=lambda event: None, session=None, **params):
        """Send a command and return its result; events that come before it are looked at."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            if answer.get("sessionId") == session:
                happened(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self):
        while b"\0" not in self._rest:
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "the browser has gone"
            self._rest += chunk
        line, self._rest = self._rest.split(b"\0", 1)
        return json.loads(line)

    def close(self):
        """End the browser."""
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait(timeout=1800)


class Page:
    """A page of a browser, which shares nothing with its other pages."""

    def __init__(self, browser):
        self._browser = browser
        self.complaints = []
        self.requests = []
        self._context = browser.call("Target.createBrowserContext")
        target = browser.call("Target.createTarget", url="about:blank", **self._context)
        self._session = browser.call("Target.attachToTarget", flatten=True, **target)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Send a command and return its result; events that come before it are kept."""
        return self._browser.call(method, self._keep, self._session, **params)

    def _keep(self, event):
        method = event["method"]
        params = event["params"]
        if method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"])
        elif (method == "Log.entryAdded" and "willReadFrequently" not in str(params)) or (
            method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")
        ):
            self.complaints.append(params)
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, page, fragment=""):
        """Open a page and wait until its script has run."""
        self.call("Page.navigate", url=page.resolve().as_uri() + fragment)
        self.wait("document.readyState === 'complete'")

    def run(self, code):
        """Return the value of an expression, awaited if it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition):
        """Wait until an expression holds, 20 s at most."""
        loop = f"""new Promise((done, fail) => {{
            const until = performance.now() + 20000;
            const look = () => ({condition}) ? done(true) :
                performance.now() > until ? fail(new Error("still not")) : setTimeout(look, 20);
            look();
        }})"""
        self.run(loop)

    def key(self, key, modifiers=0):
        """Press and release a key; `modifiers` 2 is Ctrl, 8 is Shift."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers, **text)

    def mouse(self, kind, x, y, **more):
        """Send a mouse event: ``mouseMoved``, ``mousePressed``, ``mouseWheel``, ..."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def close(self):
        """Close the page, and forget what it stored."""
        self._browser.call("Target.disposeBrowserContext", **self._context)
