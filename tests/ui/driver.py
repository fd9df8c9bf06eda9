"""A browser driven over the WebDriver protocol (W3C), with nothing but the standard library."""

import base64
import http.client
import json
import shutil
import signal
import subprocess
import time

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CALL_SECONDS, START_SECONDS, WAIT_SECONDS, STOP_SECONDS = 60, 30, 30, 15


class Problem(Exception):
    """Said to the person, without a traceback."""


def missing():
    """What is not installed, or nothing."""
    for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if not shutil.which(program):
            return f"{program} is not installed (apt-get install {package})"
    return None


def wait_until(what, seconds, condition, why=lambda: ""):
    """The condition's value, once it has one. A Problem or an OSError within it means: not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            value, last = condition(), ""
        except (Problem, OSError) as error:
            value, last = None, f" ({error})"
        if value:
            return value
        if time.monotonic() > end:
            raise Problem(f"waited {seconds} s for: {what}{last}{why()}")
        time.sleep(0.05)  # tidy: allow(sleep): another process tells nobody what it shows


def expect(what, good):
    if not good:
        raise Problem(what)


class Browser:
    """One headless Chromium with a profile of its own below `folder`."""

    def __init__(self, folder, port):
        self.port, self.session = port, None
        with open(folder / "chromedriver.log", "wb") as log:
            self.process = subprocess.Popen(
                ["chromedriver", f"--port={port}", f"--log-path={folder / 'driver.log'}"],
                stdout=log, stderr=log)
        # Locked-down workers are not the browser's business: in a container it has no namespaces of
        # its own to use, so its sandbox is off. It sees this node's page only.
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-background-networking", "--disable-sync",
                 "--disable-component-update", "--disable-default-apps", "--window-size=1280,800",
                 "--force-prefers-reduced-motion", f"--user-data-dir={folder / 'profile'}"]
        try:
            wait_until("chromedriver", START_SECONDS, lambda: self.call("GET", "/status")["ready"])
            value = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": flags, "binary": shutil.which("chromium"),
                                       "perfLoggingPrefs": {"enableNetwork": True}},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})
            self.session = value["sessionId"]
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise Problem(f"{method} {path}: {value['error']}: {value['message'].splitlines()[0]}")
        return value

    def command(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}",
                         {} if method == "POST" and body is None else body)

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What the body of a function returns; elements among the arguments are element ids."""
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def all(self, selector):
        found = self.command("POST", "/elements", {"using": "css selector", "value": selector})
        return [one[ELEMENT] for one in found]

    def one(self, selector):
        found = self.all(selector)
        if len(found) != 1:
            raise Problem(f"{len(found)} elements are {selector}")
        return found[0]

    def text(self, selector):
        """What a person sees of it."""
        return self.command("GET", f"/element/{self.one(selector)}/text")

    def texts(self, selector):
        return [self.command("GET", f"/element/{one}/text") for one in self.all(selector)]

    def label(self, selector):
        """The name that a screen reader says."""
        return self.command("GET", f"/element/{self.one(selector)}/computedlabel")

    def click(self, selector):
        self.command("POST", f"/element/{self.one(selector)}/click")

    def type(self, selector, text):
        self.command("POST", f"/element/{self.one(selector)}/value", {"text": text})

    def press(self, *keys):
        """Key strokes to whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keys",
                                                       "actions": strokes}]})

    def until(self, what, condition, seconds=WAIT_SECONDS):
        """Waits for a condition; its value."""
        return wait_until(what, seconds, condition,
                          lambda: "; the page says:\n" + self.text("body"))

    def log(self, kind):
        """Entries since the last call: of `browser` or `performance`."""
        return self.command("POST", "/se/log", {"type": kind})

    def watch(self, url):
        """What the console said since the last call. Fails on requests to anybody but `url`."""
        wrong = [entry["message"] for entry in self.log("browser")
                 if entry["level"] in ("SEVERE", "WARNING")]
        requested = []
        for entry in self.log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                requested.append(event["params"]["request"]["url"])
        away = [asked for asked in requested
                if not asked.startswith((url + "/", "data:", f"blob:{url}/"))]
        expect(f"requests went elsewhere: {away}", not away)
        return wrong

    def size(self, width, height, dark=False):
        """As a device of that size, also below the least width of a window."""
        self.tool("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.tool("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def tool(self, name, parameters):
        return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.command("GET", "/screenshot")))

    def close(self):
        try:
            if self.session:
                self.command("DELETE", "")
        except (OSError, Problem):
            pass
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
