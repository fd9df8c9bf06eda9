#!/usr/bin/env python3
"""The dashboard in a headless Chromium, against a running coordinator with real nodes.

  pages.py --vcp PROGRAM --examples DIR [--shots DIR]

  --examples  where hello.wasm, ticker.wasm and lying_node are
  --shots     where screenshots go; by default none are made

Status: 0 all passed, 1 something failed, 77 there is no Chromium.
"""

import argparse
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "ui"), str(HERE.parents[1] / "examples" / "demo")]

import driver  # noqa: E402
from driver import Problem, expect  # noqa: E402
from fleet import Api, Coordinator  # noqa: E402
from ports import free_port  # noqa: E402

ENTER, TAB, ESCAPE, SPACE = "\ue007", "\ue004", "\ue00c", " "
NAME, PASSWORD = "ada", "a password for this test"
NODES = ("us-1", "eu-1", "ap-1")
LIAR = "eu-2"
REGIONS = {"us-1": "us-west", "eu-1": "eu-central", "ap-1": "ap-southeast", LIAR: "eu-central"}
PAGES = ("", "nodes", "nodes/us-1", "tasks", "tasks/new", "map", "credits", "events", "account",
         "admin")
PHONE, DESK = (375, 740), (1280, 900)
SHIFT_MAX = 0.1  # of Core Web Vitals: "good"
TASK_SECONDS = 120  # a node that was not heard for a moment is tried again only after a while
SKIPPED = 77


class Pages:
    """The dashboard of one coordinator, in one browser."""

    def __init__(self, browser, fleet, examples, shots):
        self.browser, self.fleet, self.shots = browser, fleet, shots
        self.module, self.ticker = examples / "hello.wasm", examples / "ticker.wasm"
        self.liar = examples / "lying_node"
        self.task = None
        browser.size(*DESK)
        browser.open("about:blank")
        for kind in ("browser", "performance"):
            browser.log(kind)

    def shot(self, name):
        if self.shots:
            self.browser.screenshot(self.shots / f"{name}.png")

    def main(self):
        return self.browser.text("main")

    def go(self, path, title):
        self.browser.run("location.hash = arguments[0]", f"/{path}")
        self.browser.until(f"the page {path}", lambda: title in self.browser.text("h1"))

    def field(self, label, kind="input"):
        """A selector of the field with that label, in the open dialog or the page."""
        found = self.browser.run("""
            const place = document.querySelector("dialog[open]") ?? document.querySelector("main");
            for (const label of place.querySelectorAll("label")) {
              if (label.textContent !== arguments[0]) continue;
              const field = document.getElementById(label.htmlFor);
              if (field && field.matches(arguments[1])) return field.id;
            }
            return null;""", label, kind)
        expect(f"a field is called {label}", found)
        return f'[id="{found}"]'

    def fill(self, label, text, kind="input"):
        """Types over what is there."""
        place = self.field(label, kind)
        self.browser.type(place, "\ue009a\ue000" + text)

    def press(self, text, within="main"):
        """Clicks the button or link that says so."""
        found = self.browser.run("""
            const place = document.querySelector("dialog[open]")
                ?? document.querySelector(arguments[1]);
            for (const one of place.querySelectorAll("button, a")) {
              if (one.textContent.trim() === arguments[0] && !one.disabled) {
                one.setAttribute("data-pressed", ""); return true;
              }
            }
            return false;""", text, within)
        expect(f"there is a button {text!r}", found)
        self.browser.click("[data-pressed]")
        self.browser.run("document.querySelector('[data-pressed]')"
                         "?.removeAttribute('data-pressed')")

    def sees(self, text, within="main"):
        self.browser.until(f"{text!r} in {within}", lambda: text in self.browser.text(within))

    def row(self, key):
        return self.browser.text(f'tr[data-key="{key}"]')

    def quiet(self, *allowed):
        """Nothing on the console but what was asked for, and no request elsewhere."""
        wrong = [one for one in self.browser.watch(self.fleet.url)
                 if not any(f"status of {status}" in one for status in allowed)]
        expect(f"the console said: {wrong}", not wrong)


# ---- who asks ------------------------------------------------------------------------------------

def makes_the_first_administrator(pages):
    browser = pages.browser
    browser.open(pages.fleet.url)
    browser.until("the first page",
                  lambda: "first administrator" in browser.text("h1"))
    pages.shot("first-administrator")
    pages.fill("One-time code", "not-the-code")
    pages.fill("User name", NAME)
    pages.fill("Password", PASSWORD)
    pages.press("Make the account")
    browser.until("a refusal", lambda: browser.all(".problem .what"))
    pages.shot("first-administrator-refused")
    pages.fill("One-time code", pages.fleet.code())
    pages.press("Make the account")
    browser.until("the overview", lambda: browser.text("h1") == "Overview")
    pages.sees("Connected, live", ".top")
    pages.sees("No node has joined yet.")
    pages.shot("overview-empty")
    expect("scripts see no session", browser.run("return document.cookie") == "")
    kept = browser.run("return JSON.stringify({...localStorage, ...sessionStorage})")
    expect(f"nothing secret is kept: {kept}", kept == "{}")
    pages.quiet(401)


def signs_out_and_in(pages):
    browser = pages.browser
    pages.press("Sign out", "body")
    browser.until("the sign-in page", lambda: browser.text("h1") == "Sign in")
    pages.fill("User name", NAME)
    pages.fill("Password", "another password")
    pages.press("Sign in")
    browser.until("a refusal", lambda: browser.all(".problem .what"))
    pages.fill("Password", PASSWORD)
    pages.press("Sign in")
    browser.until("the overview", lambda: browser.text("h1") == "Overview")
    browser.open(pages.fleet.url + "/#/account")
    browser.until("the session outlives a reload", lambda: NAME in browser.text("main"))
    pages.quiet(401)


# ---- nodes ---------------------------------------------------------------------------------------

def register(pages, name, shots=False):
    """By the form of the page of nodes; the command that is shown. The dialog stays open."""
    browser = pages.browser
    pages.press("Register a node")
    pages.fill("Name", name)
    pages.fill("Region", REGIONS[name])
    if shots:
        pages.shot("register")
    pages.press("Register")
    browser.until("the command", lambda: browser.all("dialog .copy pre"))
    command = browser.run("return document.querySelector('dialog .copy pre').textContent")
    expect(f"one line: {command!r}", "\n" not in command and name in command)
    if shots:
        pages.shot("register-command")
    return command


def registers_nodes(pages):
    """Each by the form; the command shown is run as it is."""
    browser = pages.browser
    pages.go("nodes", "Nodes")
    pages.sees("No node is registered.")
    for name in NODES:
        command = register(pages, name, shots=name == NODES[0])
        pages.fleet.join(name, command)
        browser.click("dialog .close")
    for name in NODES:
        browser.until(f"{name} online", lambda one=name: "online" in pages.row(one))
    pages.shot("nodes")
    pages.press("Register a node")
    pages.fill("Name", NODES[0])
    pages.press("Register")
    browser.until("a refusal with its reason", lambda: browser.all("dialog .problem .what"))
    pages.shot("register-refused")
    browser.press(ESCAPE)
    browser.until("no dialog", lambda: not browser.all("dialog"))
    pages.quiet(409)


def shows_health_in_terms(pages):
    browser = pages.browser
    name = NODES[0]
    pages.go(f"nodes/{name}", name)
    browser.until("four terms", lambda: len(browser.all(".term")) == 4)
    browser.until("latency as the coordinator measured it",
                  lambda: "ms" in browser.text('[data-term="latency"] .value'))
    weights = [text.split()[-1] for text in browser.texts(".term .head .quiet")]
    expect(f"the weights: {weights}", weights == ["0.4", "0.3", "0.2", "0.1"])
    parts = [float(text.split("=")[1]) for text in browser.texts(".term .sum")]
    whole = float(browser.text(".panel header .bar .figure"))
    expect(f"the parts {parts} make the whole {whole}", abs(sum(parts) - whole) <= 0.25)
    expect("each term has its evidence", all(browser.texts(".term .evidence")))
    for term in browser.run("""return [...document.querySelectorAll(".term")].map((one) => [
        one.querySelector(".value").textContent, one.querySelector(".figure").textContent])"""):
        expect(f"what is unknown counts nothing: {term}", term[0] != "unknown" or term[1] == "0")
    pages.sees("claimed by the node")
    expect("three breakers", len(browser.all(".breakers li")) == 3)
    pages.shot("node")
    pages.quiet()


def change(pages, word, label):
    """One of a node's buttons, and yes."""
    browser = pages.browser
    browser.click(f'[data-change="{word}"]')
    browser.until("the question", lambda: browser.all("dialog[open]"))
    pages.press(label)
    browser.until("the answer", lambda: not browser.all("dialog"))


def changes_a_node(pages):
    browser = pages.browser
    name = NODES[2]
    pages.go(f"nodes/{name}", name)
    browser.until("its buttons", lambda: browser.all('[data-change="cordon"]'))
    browser.click('[data-change="cordon"]')
    pages.sees("It gets no new task.", "dialog")
    pages.shot("cordon")
    pages.press("Keep as it is")
    expect("nothing changed", not browser.all('[data-change="uncordon"]'))
    for word, label, cordoned in (("cordon", "Cordon", True), ("uncordon", "Uncordon", False),
                                  ("drain", "Drain", True), ("uncordon", "Uncordon", False)):
        change(pages, word, label)
        browser.until(f"after {word}", lambda one=cordoned: (
            ("cordoned" in browser.text(".heading")) == one))
        if word == "drain":
            pages.shot("node-cordoned")
    pages.quiet()


# ---- tasks ---------------------------------------------------------------------------------------

def upload(pages, module):
    pages.go("tasks/new", "Submit a task")
    pages.browser.type(pages.field("Module"), str(module))
    pages.browser.until("the upload", lambda: "SHA-256" in pages.browser.text(".upload"))


def submit(pages):
    """Its id."""
    pages.press("Submit")
    pages.browser.until("the task's page", lambda: pages.browser.all(".stages"))
    return pages.browser.run("return location.hash").split("/")[-1]


def runs_of(pages, count):
    table = 'table[aria-label="Runs"] tbody tr'
    pages.browser.until("its runs", lambda: len(pages.browser.all(table)) == count)
    return pages.browser.texts(table)


def submits_a_module(pages):
    browser = pages.browser
    pages.go("tasks/new", "Submit a task")
    pages.press("Submit")
    pages.sees("Choose a module")
    browser.type(pages.field("Module"), str(HERE / "pages.py"))
    pages.sees("does not begin like a WebAssembly module")
    upload(pages, pages.module)
    pages.fill("Quorum", str(len(NODES)))
    pages.fill("Input", "Hello, World", "textarea")
    pages.shot("submit")
    pages.task = submit(pages)
    browser.until("its end", lambda: "completed" in browser.text(".heading .badge"),
                  TASK_SECONDS)
    pages.sees("Agreed by")
    runs = runs_of(pages, len(NODES))
    expect(f"every run is verified: {runs}", all("verified" in run for run in runs))
    output = browser.text('[data-output="result"]')
    expect(f"its output is there: {output}", "dlroW ,olleH" in output)
    pages.shot("task")
    pages.quiet()


def shows_receipts(pages):
    browser = pages.browser
    browser.until("receipts", lambda: len(browser.all(
        'table[aria-label="Receipts"] tbody tr')) == len(NODES))
    rows = browser.texts('table[aria-label="Receipts"] tbody tr')
    expect(f"each with its verdict: {rows}", all("verified" in row for row in rows))
    browser.run("""window.saved = [];
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { window.saved.push(blob.size); return make(blob); };""")
    browser.click(f'[aria-label="Download the receipt of {NODES[0]}"]')
    expect("it is saved", browser.run("return window.saved[0]") > 100)
    pages.quiet()


def finds_out_a_liar(pages):
    """One of four signs something else; it is refuted, loses its bond, is sent away and removed."""
    browser = pages.browser
    pages.go("nodes", "Nodes")
    pages.fleet.join(LIAR, register(pages, LIAR), pages.liar)
    pages.press("Watch it join")
    browser.until("its page", lambda: browser.text("h1") == LIAR)
    browser.until("it joined", lambda: "online" in browser.text(".heading"))
    upload(pages, pages.module)
    pages.fill("Quorum", str(len(NODES) + 1))
    pages.fill("Input", "Hello, World", "textarea")
    submit(pages)
    browser.until("its end", lambda: "completed" in browser.text(".heading .badge"),
                  TASK_SECONDS)
    for run in runs_of(pages, len(NODES) + 1):
        expect(f"the liar alone is refuted: {run}", ("refuted" in run) == (LIAR in run))
    agreed = next(row for row in browser.texts(".facts > div") if row.startswith("Agreed by"))
    expect(f"it has no part in the result: {agreed}",
           LIAR not in agreed and all(name in agreed for name in NODES))
    browser.until("all receipts", lambda: len(browser.all(
        'table[aria-label="Receipts"] tbody tr')) == len(NODES) + 1)
    pages.shot("task-refuted")
    pages.go(f"nodes/{LIAR}", LIAR)
    pages.sees("lost its bond")
    pages.sees("1 disputed")
    pages.shot("node-slashed")
    change(pages, "reject", "Reject")
    browser.until("it is rejected", lambda: "rejected" in browser.text(".heading"))
    browser.until("it leaves", lambda: not pages.fleet.nodes[LIAR].alive())
    pages.shot("node-rejected")
    change(pages, "remove", "Remove")
    browser.until("the list", lambda: browser.text("h1") == "Nodes")
    browser.until("it is gone", lambda: browser.all(f'tr[data-key="{NODES[0]}"]')
                  and not browser.all(f'tr[data-key="{LIAR}"]'))
    del pages.fleet.nodes[LIAR]  # told to leave, it says so by its status
    pages.quiet()


def follows_a_run(pages):
    """What a module prints is there while it works; it is cancelled, and the bid comes back."""
    browser = pages.browser
    upload(pages, pages.ticker)
    pages.fill("Arguments", "100000", "textarea")
    pages.fill("Fuel", str(10 ** 12))
    submit(pages)
    browser.until("what it prints", lambda: any(
        "tick 3" in text for text in browser.texts("pre[data-output]")), TASK_SECONDS)
    expect("it runs", browser.text(".stages .now") == "running")
    pages.shot("task-running")
    pages.press("Cancel the task")
    pages.press("Cancel the task")
    browser.until("its end", lambda: "cancelled" in browser.text(".heading .badge"))
    pages.shot("task-cancelled")
    pages.quiet()


def lists_tasks(pages):
    browser = pages.browser
    pages.go("tasks", "Tasks")
    browser.until("the task", lambda: "completed" in pages.row(pages.task))
    expect("how far it is", f"{len(NODES)} of {len(NODES)} verified" in pages.row(pages.task))
    browser.run("""const select = document.querySelector(".filters select");
        select.value = "failed"; select.dispatchEvent(new Event("change", {bubbles: true}));""")
    pages.sees("No task fits these filters.")
    pages.press("Show all")
    browser.until("all again", lambda: browser.all(f'tr[data-key="{pages.task}"]'))
    pages.shot("tasks")
    pages.quiet()


def computes(pages):
    browser = pages.browser
    pages.go("tasks/new", "Submit a task")
    browser.run("document.querySelectorAll('input[name=type]')[1].click()")
    pages.fill("Expression", "(2 + 3) * 7")
    pages.press("Submit")
    browser.until("the task's page", lambda: browser.all(".stages"))
    browser.until("its end", lambda: "completed" in browser.text(".heading .badge"),
                  TASK_SECONDS)
    expect("the value", "35" in browser.text('[data-output="result"]'))
    pages.quiet()


def cancels(pages):
    """A task no node can do now waits for one; its bid comes back."""
    browser = pages.browser
    for name in NODES:
        pages.api.ask("POST", f"/nodes/{name}/cordon")
    upload(pages, pages.module)
    submit(pages)
    browser.until("it waits", lambda: "waiting for nodes" in browser.text(".stages .now"))
    pages.shot("task-waiting")
    pages.press("Cancel the task")
    pages.sees("the rest of the bid comes back", "dialog")
    pages.press("Cancel the task")
    browser.until("its end", lambda: "cancelled" in browser.text(".heading .badge"))
    for name in NODES:
        pages.api.ask("POST", f"/nodes/{name}/uncordon")
    pages.quiet()


# ---- the rest ------------------------------------------------------------------------------------

def draws_the_map(pages):
    browser = pages.browser
    pages.go("map", "Map")
    browser.until("the regions", lambda: len(browser.all(".fleet .region")) == len(NODES))
    expect("one dot for each node", len(browser.all(".fleet a .node")) == len(NODES))
    pages.shot("map")
    browser.run("document.querySelector('.fleet .region').focus()")
    browser.press(ENTER)
    browser.until("one region", lambda: len(browser.all(".fleet .region")) == 1)
    pages.quiet()


def checks_credits(pages):
    browser = pages.browser
    pages.go("credits", "Credits")
    pages.sees("the chain holds")
    kinds = " ".join(browser.texts('table[aria-label="Ledger entries"] tbody tr'))
    expect(f"grant and escrow are booked: {kinds}", "grant" in kinds and "escrow" in kinds)
    pages.press("Check the whole chain")
    pages.sees("All accounts:")
    pages.shot("credits")
    pages.quiet()


def follows_events(pages):
    browser = pages.browser
    pages.go("events", "Events")
    pages.api.ask("POST", f"/nodes/{NODES[1]}/cordon")
    pages.api.ask("POST", f"/nodes/{NODES[1]}/uncordon")
    browser.until("an event of it", lambda: NODES[1] in browser.text(".events"))
    pages.shot("events")
    pages.quiet()


def administrates(pages):
    browser = pages.browser
    pages.go("admin", "Admin")
    browser.until("the user", lambda: NAME in browser.text('table[aria-label="Users"]'))
    browser.until("the audit log", lambda: browser.all('table[aria-label="Audit log"] tbody tr'))
    place = pages.field("How nodes are chosen", "select")
    browser.run("""const select = document.querySelector(arguments[0]);
        select.value = "round-robin";
        select.dispatchEvent(new Event("change", {bubbles: true}));""", place)
    browser.until("the strategy", lambda: pages.api.ask("GET", "/cluster/stats")["strategy"]
                  == "round-robin")
    pages.shot("admin")
    pages.quiet()


def makes_a_key(pages):
    browser = pages.browser
    pages.go("account", "Account")
    pages.fill("Name of a new key", "a test")
    pages.press("Make a key")
    browser.until("the key", lambda: browser.all(".copy pre"))
    key = browser.run("return document.querySelector('.copy pre').textContent")
    expect("it has its form", key.startswith("vcp_") and len(key) == 36)
    browser.until("its row", lambda: browser.run("""
        const row = [...document.querySelectorAll("tr[data-key]")]
            .find((one) => one.textContent.includes("a test"));
        row?.querySelector(".danger").click();
        return Boolean(row);"""))
    browser.until("the question", lambda: browser.all("dialog[open]"))
    pages.press("Revoke")
    browser.until("it is gone", lambda: "a test" not in pages.main())
    pages.quiet()


def says_what_is_not_there(pages):
    browser = pages.browser
    pages.go("nowhere/%zz", "No such page")
    pages.shot("no-such-page")
    for path in ("nodes/nobody", "tasks/00000000-0000-4000-8000-000000000000"):
        browser.run("location.hash = arguments[0]", f"/{path}")
        browser.until(f"why there is nothing at {path}", lambda: browser.all(".problem .what"))
    pages.shot("no-such-task")
    pages.quiet(404)


def shows_charts(pages):
    browser = pages.browser
    pages.go("", "Overview")
    browser.until("figures", lambda: f"{len(NODES)}" in browser.text(".stats"))
    expect("six charts", len(browser.all(".chart svg")) == 6)
    browser.until("a course", lambda: browser.run(
        "return document.querySelector('.chart .line').getAttribute('d').length > 3"))
    pages.shot("overview")
    pages.quiet()


# ---- for everybody -------------------------------------------------------------------------------

def works_by_keyboard(pages):
    """From the top of the page to a dialog and back, without a pointer."""
    browser = pages.browser
    browser.open("about:blank")  # what follows begins at the top of a new page
    browser.open(pages.fleet.url + "/#/nodes")
    browser.until("nodes", lambda: browser.all(f'tr[data-key="{NODES[0]}"]'))
    browser.press(TAB)
    expect("first the way past the navigation",
           "Skip" in browser.run("return document.activeElement.textContent"))
    browser.press(ENTER)
    expect("it leads to the content", browser.run("return document.activeElement.id") == "main")
    reached = ""
    for _ in range(10):
        browser.press(TAB)
        reached = browser.run("return document.activeElement.textContent")
        if reached == "Register a node":
            break
    expect(f"Tab reaches the button: {reached}", reached == "Register a node")
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    expect(f"the focus is visible: {outline}", outline == "solid")
    pages.shot("focus")
    browser.press(ENTER)
    browser.until("the dialog", lambda: browser.all("dialog[open]"))
    for _ in range(30):
        browser.press(TAB)
        expect("the focus stays in the dialog", browser.run(
            "return document.activeElement === document.body"
            " || document.querySelector('dialog').contains(document.activeElement)"))
    browser.press(ESCAPE)
    browser.until("it closes", lambda: not browser.all("dialog"))
    expect("the focus returns",
           browser.run("return document.activeElement.textContent") == "Register a node")
    pages.quiet()


def names_every_control(pages):
    browser = pages.browser
    for path in (*PAGES, f"tasks/{pages.task}"):
        browser.run("location.hash = arguments[0]", f"/{path}")
        browser.until(path, lambda: browser.all("h1") and not browser.all("main .waiting"))
        nameless = browser.run("""
            const name = (one) => one.getAttribute("aria-label") || one.textContent.trim()
                || [...(one.labels ?? [])].map((label) => label.textContent.trim()).join("");
            return [...document.querySelectorAll(
                "button, a[href], input, select, textarea, [role=button], table, svg[role]")]
              .filter((one) => !name(one)).map((one) => one.outerHTML.slice(0, 120));""")
        expect(f"controls without a name on {path}: {nameless}", not nameless)
        expect(f"one first heading on {path}", len(browser.all("h1")) == 1)
    pages.quiet()


def fits_a_phone(pages):
    """Also in the dark; nothing is wider than the screen, nothing touchable is too small."""
    browser = pages.browser
    for dark in (False, True):
        browser.size(*PHONE, dark)
        for path in (*PAGES, f"tasks/{pages.task}"):
            browser.run("location.hash = arguments[0]", f"/{path}")
            browser.until(path, lambda: browser.all("h1") and not browser.all("main .waiting"))
            width, room = browser.run("""const page = document.documentElement;
                return [page.scrollWidth, page.clientWidth]""")
            expect(f"{path or 'overview'} is {width} wide, the screen {room}", width <= room)
            small = browser.run("""return [...document.querySelectorAll("main button, main select")]
                .filter((one) => one.getBoundingClientRect().height < 32)
                .map((one) => one.outerHTML.slice(0, 80))""")
            expect(f"too small to touch on {path}: {small}", not small)
            name = path.replace("/", "-") or "overview"
            pages.shot(f"phone-{'dark' if dark else 'light'}-{name}")
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        shade = sum(int(part) for part in ground[4:-1].split(",")) / 3
        expect(f"the ground is {ground}", shade < 60 if dark else shade > 200)
    browser.size(*DESK)
    pages.quiet()


def does_not_jump(pages):
    browser = pages.browser
    browser.open("about:blank")
    browser.open(pages.fleet.url + "/#/")
    browser.until("figures", lambda: "of" in browser.text(".stats"))
    browser.until("charts", lambda: browser.run(
        "return document.querySelector('.chart .line')?.getAttribute('d').length > 3"))
    browser.until("tasks", lambda: browser.all(f'tr[data-key="{pages.task}"]'))
    shift = browser.run("""
        let sum = 0;
        const all = new PerformanceObserver(() => undefined);
        all.observe({type: "layout-shift", buffered: true});
        all.takeRecords().forEach((one) => { sum += one.hadRecentInput ? 0 : one.value; });
        return sum;""")
    expect(f"the layout shifts by {shift}", shift < SHIFT_MAX)
    print(f"    layout shift of the overview: {shift:.4f}", flush=True)
    pages.quiet()


def tells_when_nobody_answers(pages):
    browser = pages.browser
    browser.open(pages.fleet.url + "/#/nodes")
    browser.until("live", lambda: "Connected, live" in browser.text(".connection"))
    ended = pages.fleet.process.stop()
    expect(f"the coordinator ends well: {ended}", ended == 0)
    browser.until("it is told", lambda: browser.text(".connection") == "Not connected")
    expect("what was known stays", browser.all(f'tr[data-key="{NODES[0]}"]'))
    pages.shot("not-connected")
    pages.fleet.start()
    browser.until("it is back", lambda: "Connected" in browser.text(".connection"))
    browser.until("live again", lambda: "live" in browser.text(".connection"))
    browser.until("its nodes are back", lambda: "online" in pages.row(NODES[0]))
    browser.watch(pages.fleet.url)  # the console tells of what was not reached


STEPS = (makes_the_first_administrator, signs_out_and_in, registers_nodes, shows_health_in_terms,
         changes_a_node, submits_a_module, shows_receipts, finds_out_a_liar, lists_tasks, computes,
         follows_a_run, cancels, draws_the_map, checks_credits, follows_events, administrates,
         makes_a_key, says_what_is_not_there, shows_charts, works_by_keyboard, names_every_control,
         fits_a_phone, does_not_jump, tells_when_nobody_answers)


# ---- running -------------------------------------------------------------------------------------

def scene(root, arguments, fleet):
    fleet.start()
    browser = driver.Browser(root, free_port())
    try:
        pages = Pages(browser, fleet, arguments.examples.resolve(), arguments.shots)
        for work in STEPS:
            began = time.monotonic()
            work(pages)
            if work is makes_the_first_administrator:
                pages.api = Api(fleet.url, NAME, PASSWORD)
            print(f"  {work.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s",
                  flush=True)
    except Problem:
        if arguments.shots and browser.session:
            browser.screenshot(arguments.shots / "failed.png")
        raise
    finally:
        browser.close()


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--vcp", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=pathlib.Path, required=True)
    parser.add_argument("--shots", type=pathlib.Path)
    return parser.parse_args()


def main():
    arguments = parsed()
    missing = driver.missing()
    if missing:
        print(f"skip: {missing}")
        return SKIPPED
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    good = False
    with tempfile.TemporaryDirectory(prefix="pages-", ignore_cleanup_errors=True) as folder:
        root = pathlib.Path(folder)
        fleet = Coordinator(arguments.vcp, root / "fleet")
        try:
            scene(root, arguments, fleet)
            good = True
        except Problem as problem:
            print(f"pages: {problem}", file=sys.stderr)
        finally:
            ended = fleet.stop()
            if ended or not good:
                print(f"ended badly: {ended}\n{fleet.said()}")
                good = good and not ended
    print("pages: passed" if good else "pages: failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
