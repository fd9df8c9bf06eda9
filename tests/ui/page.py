#!/usr/bin/env python3
"""The page at /ui in a headless Chromium, against a running lucidd with real models.

  page.py --lucidd PROGRAM [--models DIR] [--shots DIR]

  --models  what tools/models made; by default the models folder of the cache
  --shots   where screenshots go; by default none are made

Status: 0 all passed, 1 something failed, 77 there is no Chromium or no model.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import driver
from driver import Problem, expect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"))
from ports import free_port  # noqa: E402

START_SECONDS, STOP_SECONDS, REQUEST_SECONDS = 60, 30, 30
ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"
KEY = "a key for this test only"
MODELS = {"tiny-chat": "tiny-chat.f16.gguf", "minilm": "minilm.f16.gguf"}
SKIPPED = 77


def cache_default():
    cache = os.environ.get("PHASE_CACHE_DIR")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        cache = f"{home}/phase-build"
    return pathlib.Path(cache)


class Node:
    """lucidd with a home of its own."""

    def __init__(self, program, root, models, *flags, policy=""):
        root.mkdir()
        self.made, self.served = models, root / "models"
        served = self.served
        served.mkdir()
        for name, file in MODELS.items():
            if models:
                shutil.copyfile(models / file, served / f"{name}.gguf")
        (root / "policy.toml").write_text(policy)
        self.port, self.log = free_port(), root / "lucidd.log"
        self.url = f"http://127.0.0.1:{self.port}"
        environment = os.environ | {"HOME": str(root), "XDG_CONFIG_HOME": str(root / "config"),
                                    "XDG_DATA_HOME": str(root / "data")}
        for name in ("OLLAMA_MODELS", "LUCIDD_HOST", "LUCIDD_PORT"):
            environment.pop(name, None)
        arguments = [program, "--port", self.port, "--model-dir", served, "--data", root / "node",
                     "--identity-path", root / "identity.key", "--worker", "llama-cpp",
                     "--policy-config", root / "policy.toml", *flags]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in arguments], env=environment,
                                            stdout=log, stderr=log)
        try:
            driver.wait_until("lucidd", START_SECONDS, self.answers,
                              lambda: f"; it said:\n{self.said()}")
        except Problem:
            self.stop()
            raise

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.url}/ui", timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    def ask(self, path, body=None, headers=None):
        """(status, JSON)"""
        request = urllib.request.Request(self.url + path, headers=headers or {},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
                return response.status, json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def status(self):
        return self.ask("/api/lucid/status")[1]

    def said(self):
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed"


class Page:
    """The page of one node, in one browser."""

    def __init__(self, browser, node, shots):
        self.browser, self.node, self.shots = browser, node, shots
        browser.size(1280, 800)
        browser.open("about:blank")  # away from the browser's own page, or another node's
        for kind in ("browser", "performance"):
            browser.log(kind)

    def shot(self, name):
        if self.shots:
            self.browser.screenshot(self.shots / f"{name}.png")

    def open(self):
        self.browser.open(f"{self.node.url}/ui")
        self.browser.until("the node's state",
                           lambda: "running" in self.browser.text("#node-state"))

    def go(self, view):
        self.browser.click(f'nav a[data-view="{view}"]')
        self.browser.until(view, lambda: self.browser.run(
            "return !document.getElementById(arguments[0]).hidden", f"view-{view}"))

    def begin(self):
        """A new conversation, of which nothing is left to chance."""
        self.browser.click("#chat-new")
        if not self.browser.run("return document.getElementById('chat-steady').checked"):
            self.browser.click("#chat-steady")

    def say(self, text):
        """The answer's text, when it is whole."""
        before = len(self.browser.all(".answer"))
        self.browser.type("#chat-text", text + ENTER)
        last = f".answer:nth-of-type({2 * (before + 1)})"
        self.browser.until("the end of the answer",
                           lambda: self.browser.all(f"{last}:not([aria-busy])"))
        return last, self.browser.run(
            "return document.querySelector(arguments[0]).querySelector('.text').textContent", last)

    def watch(self):
        """Fails on what the console said and on requests that went elsewhere."""
        return self.browser.watch(self.node.url)

    def quiet(self):
        wrong = self.watch()
        expect(f"the console said: {wrong}", not wrong)


# ---- what is shown -------------------------------------------------------------------------------

def chats(page):
    browser = page.browser
    page.open()
    browser.until("the model", lambda: browser.texts("#chat-model option") == ["tiny-chat:latest"])
    expect("it says that prompts stay here",
           "stay on this machine" in browser.text("#chat-privacy"))
    page.begin()
    # Every text that the page's script puts into the log, in order, with where it goes.
    browser.run("""window.seen = [];
        new MutationObserver((records) => records.forEach((record) => record.addedNodes.forEach(
          (node) => window.seen.push([record.target.className, node.textContent]))))
        .observe(document.getElementById("chat-log"), {childList: true, subtree: true});""")
    place, text = page.say("What is the capital of France?")
    expect(f"the answer is {text!r}", text == "The capital of France is Paris.")
    seen = browser.run("return window.seen")
    verdicts = [name for name, _ in seen if name.startswith("verdict")]
    expect(f"its verdict comes at the end: {verdicts}",
           verdicts == ["verdict pending", "verdict verified"])
    expect("who served it", browser.text(f"{place} .who") == "this machine")
    peer = browser.run("return document.querySelector(arguments[0]).title", f"{place} .who")
    expect("its PeerId is this node's", peer == page.node.status()["peer_id"])
    expect("the verdict is verified", "verified" in browser.text(f"{place} .verdict"))
    _, text = page.say("And of Germany?")
    expect(f"the talk goes on: {text!r}", text == "The capital of Germany is Berlin.")
    page.shot("chat-desktop")
    page.quiet()


def streams(page):
    page.begin()
    page.browser.run("window.seen = []")
    _, text = page.say("Tell me a long story.")
    parts = [added for name, added in page.browser.run("return window.seen")
             if name == "text" and added]
    expect(f"the answer streams: {parts}", len(parts) > 2 and "".join(parts) == text)
    page.quiet()


def receipts(page):
    """The link leads to the receipt of this answer."""
    address = page.browser.run(
        "return document.querySelector('.answer .more a').getAttribute('href')")
    with urllib.request.urlopen(page.node.url + address, timeout=REQUEST_SECONDS) as response:
        expect("the receipt is COSE", response.headers["Content-Type"] == "application/cose")
        expect("it has bytes", len(response.read()) > 100)


def shows_markup_as_text(page):
    page.begin()
    before = page.browser.run("return document.querySelectorAll('main *').length")
    place, text = page.say("Show me some HTML.")
    expect(f"the answer has markup: {text!r}", "<" in text and ">" in text)
    inside = page.browser.run(
        "return document.querySelector(arguments[0]).querySelector('.text').children.length", place)
    expect("none of it became an element", inside == 0)
    seen = page.browser.text(f"{place} .text")
    expect(f"a person sees the markup: {seen!r}", seen.split() == text.split())
    grown = page.browser.run("return document.querySelectorAll('main *').length") - before
    expect(f"two bubbles have few elements: {grown}", grown < 20)
    # What a person types, likewise; and the browser refuses markup from any string at all.
    page.browser.type("#chat-text", "<img src=x onerror=document.title=1>" + ENTER)
    page.browser.until("the answer", lambda: not page.browser.all(".answer[aria-busy]"))
    expect("no picture came of it", not page.browser.all("#chat-log img"))
    refused = page.browser.run("""try { document.createElement("p").innerHTML = "<b>x</b>"; }
        catch (error) { return error.name; } return "";""")
    expect(f"innerHTML is refused: {refused!r}", refused == "TypeError")
    page.watch()  # the console tells of the refusal


def stops(page):
    browser = page.browser
    # The small model's longest story is told before anybody can press Stop; this one never ends.
    endless = page.node.served / "endless.gguf"
    shutil.copyfile(page.node.made / "random-20m.f16.gguf", endless)
    page.open()
    browser.until("the endless model",
                  lambda: "endless:latest" in browser.texts("#chat-model option"))
    browser.run("""const select = document.getElementById("chat-model");
        select.value = "endless:latest"; select.dispatchEvent(new Event("change"));""")
    page.begin()
    # The page itself presses it, at the first word.
    browser.run("""new MutationObserver((_, self) => {
          if (!document.querySelector(".answer .text")?.textContent) return;
          self.disconnect();
          document.getElementById("chat-stop").click();
        }).observe(document.getElementById("chat-log"), {childList: true, subtree: true});""")
    browser.type("#chat-text", "Tell me a long story." + ENTER)
    browser.until("the end", lambda: "Stopped." in browser.text(".answer"))
    browser.until("the node rests", lambda: page.node.status()["jobs"]["own"] == 0)
    page.quiet()
    endless.unlink()
    browser.until("it is gone", lambda: len(page.node.ask("/api/tags")[1]["models"]) == len(MODELS))
    page.open()
    browser.until("the usual model",
                  lambda: browser.texts("#chat-model option") == ["tiny-chat:latest"])


def lists_models(page):
    browser = page.browser
    page.go("models")
    browser.until("both models", lambda: len(browser.all("#model-list .card")) == 2)
    card = '[data-model="tiny-chat:latest"]'
    browser.until("tiny-chat is in memory", lambda: "in memory: " in browser.text(card))
    expect("and for how long", "min left" in browser.text(card))
    page.shot("models-desktop")
    browser.click(f'{card} button[aria-label^="Unload"]')
    browser.until("it is unloaded", lambda: "not in memory" in browser.text(card))
    browser.type("#pull-name", "nobody/has-this" + ENTER)
    browser.until("why it cannot be pulled",
                  lambda: browser.all("#pull-text.failed") and browser.text("#pull-text"))
    page.watch()  # the console tells of refused requests


def deletes_when_told_twice(page):
    browser = page.browser
    page.node.ask("/api/copy", {"source": "minilm", "destination": "own"})
    page.go("chat")
    page.go("models")
    button = '[data-model="own:latest"] button[aria-label^="Delete"]'
    browser.until("the copy", lambda: browser.all(button))
    browser.click(button)
    browser.until("the question", lambda: "Delete own" in browser.text("#ask-dialog"))
    page.shot("delete-desktop")
    browser.press(ESCAPE)
    browser.until("the question is gone", lambda: not browser.all("#ask-dialog[open]"))
    expect("nothing was deleted", len(page.node.ask("/api/tags")[1]["models"]) == 3)
    browser.click(button)
    browser.until("the question", lambda: browser.all("#ask-dialog[open]"))
    browser.click("#ask-yes")
    browser.until("the copy is gone", lambda: len(browser.all("#model-list .card")) == 2)
    expect("on the node too", len(page.node.ask("/api/tags")[1]["models"]) == 2)
    browser.click('[data-model="minilm:latest"] button[aria-label^="Delete"]')
    browser.until("the question", lambda: browser.all("#ask-dialog[open]"))
    browser.click("#ask-yes")
    browser.until("a file of somebody else's stays",
                  lambda: "not this node's own" in browser.text("#pull-text"))
    page.watch()  # the console tells of the refusal


def pauses(page):
    browser = page.browser
    page.go("policy")
    browser.until("others are served", lambda: "served now" in browser.text("#serving-state"))
    page.shot("policy-desktop")
    browser.click("#pause-button")
    browser.until("it is paused", lambda: "Paused: " in browser.text("#serving-state"))
    status = page.node.status()
    expect(f"on the node too: {status}", status["manual_pause"] and status["paused"])
    expect("the top says so", "paused" in browser.text("#node-state"))
    page.go("chat")
    page.begin()
    _, text = page.say("Hello")
    expect(f"own requests go on: {text!r}", "help you" in text)
    page.go("policy")
    browser.click("#pause-button")
    browser.until("it is resumed", lambda: "served now" in browser.text("#serving-state"))
    expect("on the node too", page.node.status()["paused"] is None)
    expect("the rules are shown", "anybody" in browser.text("#rule-list"))
    page.quiet()


def works_by_keyboard(page):
    """From the top of the page to an answer without a pointer; every control has a name."""
    browser = page.browser
    page.open()
    for selector in ("#chat-model", "#chat-text", "#chat-send", "#chat-new"):
        expect(f"{selector} has a name", browser.label(selector))
    browser.until("the model", lambda: browser.texts("#chat-model option"))
    page.begin()
    browser.run("document.activeElement.blur()")
    reached = []
    for _ in range(20):
        browser.press(TAB)
        reached.append(browser.run("return document.activeElement.id"))
        if reached[-1] == "chat-text":
            break
    expect(f"Tab reaches the message: {reached}", reached[-1] == "chat-text")
    browser.press(*"Hello", ENTER)
    browser.until("an answer", lambda: "help you" in browser.text(".answer .text"))
    page.quiet()


def fits_a_phone(page):
    browser = page.browser
    for dark in (False, True):
        browser.size(375, 740, dark)
        for view in ("models", "peers", "jobs", "policy", "chat"):
            page.go(view)
            wide = browser.run("return document.scrollingElement.scrollWidth")
            expect(f"{view} is {wide} wide", wide <= 375)
            page.shot(f"{view}-phone{'-dark' if dark else ''}")
    papers = []
    for dark in (False, True):
        browser.size(1280, 800, dark)
        papers.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    expect(f"dark and light differ: {papers}", papers[0] != papers[1])
    page.shot("chat-desktop-dark")
    browser.size(1280, 800)
    page.quiet()


STEPS = (chats, receipts, streams, shows_markup_as_text, stops, lists_models,
         deletes_when_told_twice, pauses, works_by_keyboard, fits_a_phone)


# ---- with a key, and among peers -----------------------------------------------------------------

def asks_for_the_key_once(browser, node, shots):
    page = Page(browser, node, shots)
    expect("without the key nothing is told", node.ask("/api/lucid/status")[0] == 401)
    browser.open(f"{node.url}/ui")
    browser.until("the question", lambda: browser.all("#ask-dialog[open]"))
    page.shot("key-desktop")
    browser.type("#ask-key", KEY + ENTER)
    browser.until("the node's state", lambda: "running" in browser.text("#node-state"))
    browser.until("the model", lambda: "tiny-chat:latest" in browser.texts("#chat-model option"))
    page.begin()
    _, text = page.say("What is the capital of France?")
    expect(f"the answer is {text!r}", "Paris" in text)
    kept = browser.run("return [localStorage.length, sessionStorage.length, document.cookie]")
    expect(f"nothing keeps the key: {kept}", kept == [0, 0, ""])
    page.watch()  # the console tells of the first refusal


def lists_jobs(page, provider, shots):
    """What ran for whom, on both nodes; without a word of it."""
    browser, relay = page.browser, page.node
    asked = next(job for job in relay.ask("/api/lucid/jobs")[1]["jobs"])
    expect(f"the relay asked: {asked}", asked["for"] == "this node"
           and asked["verdict"] == "verified" and asked["answer_tokens"] > 0)
    page.go("jobs")
    entry = f'#jobs-asked [data-job="{asked["job"]}"]'
    browser.until("the job", lambda: "tiny-chat:latest" in browser.text(entry))
    expect("its verdict", "verified" in browser.text(entry))
    expect("who did it", provider.status()["peer_id"][-8:] in browser.text(entry))
    expect("no word of it", "France" not in browser.text("#view-jobs")
           and "Paris" not in browser.text("#view-jobs"))
    receipt = browser.run("return document.querySelector(arguments[0]).getAttribute('href')",
                          f"{entry} a")
    page.shot("jobs-desktop")
    browser.size(375, 740, True)
    page.shot("jobs-mesh-phone-dark")
    browser.size(1280, 800)
    for node in (relay, provider):
        with urllib.request.urlopen(node.url + receipt, timeout=REQUEST_SECONDS) as response:
            expect("the receipt is there", len(response.read()) > 100)
    served = provider.ask("/api/lucid/jobs")[1]["jobs"][0]
    expect(f"the provider served it: {served}", served["for"] == "others"
           and served["job"] == asked["job"]
           and served["peer_id"] == relay.status()["peer_id"])
    # The page of the provider, too.
    other = Page(browser, provider, shots)
    other.open()
    other.go("jobs")
    browser.until("the job", lambda: "signed here" in browser.text(
        f'#jobs-served [data-job="{asked["job"]}"]'))
    other.shot("jobs-provider-desktop")
    other.quiet()
    page.open()
    browser.run("""const model = document.getElementById("chat-model");
        const choose = () => {
          model.value = "tiny-chat:latest";
          model.dispatchEvent(new Event("change"));
          if (model.value !== "tiny-chat:latest") setTimeout(choose, 100);
        };
        choose();""")
    browser.until("the model", lambda: browser.run(
        "return document.getElementById('chat-model').value") == "tiny-chat:latest")


def tells_of_peers(browser, relay, provider, shots):
    """A relay with the mesh on shows the provider, and its answer as one from away."""
    page = Page(browser, relay, shots)
    page.open()
    browser.until("the peer's model", lambda: "tiny-chat:latest" in browser.texts(
        "#chat-model option"))
    page.begin()
    browser.run("""const model = document.getElementById("chat-model");
        model.value = "tiny-chat:latest";
        model.dispatchEvent(new Event("change"));""")
    expect("it says who reads", "reads your prompt" in browser.text("#chat-privacy"))
    place, text = page.say("What is the capital of France?")
    expect(f"the answer is {text!r}", text == "The capital of France is Paris.")
    expect("a peer served it", browser.text(f"{place} .who").startswith("peer "))
    title = browser.run("return document.querySelector(arguments[0]).title", f"{place} .who")
    expect("it is the provider", title == provider.status()["peer_id"])
    expect("it is verified", "verified" in browser.text(f"{place} .verdict"))
    page.shot("chat-mesh-desktop")
    lists_jobs(page, provider, shots)
    page.go("chat")
    provider.ask("/api/lucid/pause", {"paused": True})
    _, text = page.say("Hello")
    expect(f"a paused provider serves nobody: {text!r}", text and "help you" not in text)
    provider.ask("/api/lucid/pause", {"paused": False})
    browser.click("#chat-local")
    _, text = page.say("Hello")
    expect(f"only this machine: {text!r}", "not found" in text)
    page.go("peers")
    card = f'[data-peer="{title}"]'
    browser.until("the provider's card", lambda: "ms away" in browser.text(card))
    expect("what it offers", "tiny-chat:latest" in browser.text(card))
    expect("its load", "places taken" in browser.text(card))
    page.shot("peers-desktop")
    browser.size(375, 740, True)
    page.shot("peers-mesh-phone-dark")
    browser.size(1280, 800)
    page.go("policy")
    browser.until("who can read", lambda: "reads your prompt" in browser.text("#privacy-list"))
    page.watch()  # the console tells of the model that is not here


# ---- running -------------------------------------------------------------------------------------

def step(name, work, *arguments):
    began = time.monotonic()
    work(*arguments)
    print(f"  {name.replace('_', ' ')}: {time.monotonic() - began:.1f} s", flush=True)


def listens_at(node):
    """The address of a node's peer, on loopback."""
    return next(address for address in node.status()["listen_addresses"] if "quic" in address)


def scene(root, arguments, nodes):
    """Every step, on nodes that the caller stops."""
    def start(name, models, *flags, policy="allow_unauthenticated_jobs = true\n"):
        nodes.append(Node(arguments.lucidd, root / name, models, *flags, policy=policy))
        return nodes[-1]

    keys = root / "keys"
    keys.write_text(KEY + "\n")
    keys.chmod(0o600)
    browser = driver.Browser(root, free_port())
    try:
        page = Page(browser, start("alone", arguments.models, "--loopback", "--no-mdns"),
                    arguments.shots)
        for work in STEPS:
            step(work.__name__, work, page)
        step("asks_for_the_key_once", asks_for_the_key_once, browser,
             start("keyed", arguments.models, "--no-network", "--api-keys", keys), arguments.shots)
        provider = start("provider", arguments.models, "--loopback", "--no-mdns")
        relay = start("relay", None, "--mode", "relay", "--loopback", "--no-mdns", "--mesh",
                      "--bootstrap-peer", listens_at(provider))
        step("tells_of_peers", tells_of_peers, browser, relay, provider, arguments.shots)
    except Problem:
        if arguments.shots and browser.session:
            browser.screenshot(arguments.shots / "failed.png")
        raise
    finally:
        browser.close()


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lucidd", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path,
                        default=os.environ.get("PHASE_MODELS") or cache_default() / "models")
    parser.add_argument("--shots", type=pathlib.Path)
    return parser.parse_args()


def main():
    arguments = parsed()
    missing = driver.missing() or next(
        (f"{arguments.models / file} is missing (make models)" for file in MODELS.values()
         if not (arguments.models / file).exists()), None)
    if missing:
        print(f"skip: {missing}")
        return SKIPPED
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    nodes, good = [], False
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as folder:
        try:
            scene(pathlib.Path(folder), arguments, nodes)
            good = True
        except Problem as problem:
            print(f"page: {problem}", file=sys.stderr)
        finally:
            for node in nodes:
                status = node.stop()
                if status != 0 or not good:
                    print(f"lucidd ended with {status}; it said:\n{node.said()}")
                    good = good and status == 0
    print("page: passed" if good else "page: failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
