#!/usr/bin/env python3
"""Every documented command is run.

Each Markdown page of the tree is read. Blocks marked `sh` are run in order, in one shell a page,
with a home folder of their own and build/bin in the path; a block marked `text` that follows must
equal what was printed, where `<word>` stands for any text. Commands that other tests run are
checked to be so. In the READMEs of src, *Try it* names tests that exist.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("PHASE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("PHASE_BUILD") or ROOT / "build")
PAGE_SECONDS_MAX = 180

# What cannot be run inside a test, and the test that runs it; None: it is what runs us.
ELSEWHERE = {
    "make demo": "demo",
    "make test": None,
    "tools/setup --set test --check": "setup_plans",
    "cmake -S . -B build -G Ninja -DPHASE_TESTS=OFF": None,
}
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def pages():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, stdout=subprocess.PIPE,
                            text=True, check=False).stdout.split()
    return listed or [str(path.relative_to(ROOT)) for path in ROOT.glob("**/*.md")
                      if "build" not in path.parts and "vendor" not in path.parts]


def ctest_names():
    out = subprocess.run(["ctest", "--test-dir", str(BUILD), "-N"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return re.findall(r"Test +#\d+: (\S+)", out)


def targets():
    """What the build can make, as ninja lists it."""
    return subprocess.run(["ninja", "-C", str(BUILD), "-t", "targets", "all"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout


def blocks(text):
    """[(commands, expected output or None)] of the sh blocks of a page."""
    found, previous_end = [], None
    for match in BLOCK.finditer(text):
        language, body = match.group(1), match.group(2)
        if language == "sh":
            found.append([body, None])
            previous_end = match.end()
        elif language == "text" and previous_end is not None and \
                not text[previous_end:match.start()].strip():
            found[-1][1] = body
    return [tuple(entry) for entry in found]


def elsewhere(command, tests):
    """A complaint about a command that is run elsewhere, or None; False: it is to be run here."""
    if command not in ELSEWHERE:
        return False
    test = ELSEWHERE[command]
    if test is not None and test not in tests:
        return f"`{command}` should be run by the test {test}, which does not exist"
    if command.startswith("make ") and subprocess.run(
            ["make", "-n", command.split()[1]], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return f"`{command}`: no such target"
    return None


def matches(expected, printed):
    """Whether the output is the expected one; `<word>` stands for any text within a line."""
    parts = re.split(r"<[a-z][a-z0-9 -]*>", expected.strip())
    pattern = r"[^\n]+".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed.strip()) is not None


def run_page(page, tests):
    """Runs one page; returns complaints."""
    complaints, script, expectations = [], ["set -eu -o pipefail"], []
    for body, expected in blocks((ROOT / page).read_text(encoding="utf-8")):
        runnable = []
        for command in re.sub(r"\\\n", " ", body).splitlines():
            verdict = elsewhere(command.strip(), tests)
            if verdict:
                complaints.append(verdict)
            elif verdict is False and command.strip():
                runnable.append(command)
        script += ["printf '\\n@@block@@\\n'"] + runnable
        expectations.append((body, expected))
    if len(script) == 1 + len(expectations):
        return complaints
    status, output, errors = run_script("\n".join(script))
    if status != 0:
        return complaints + [f"a command ended with status {status}:\n{output}\n{errors}"]
    for (body, expected), printed in zip(expectations, output.split("\n@@block@@\n")[1:]):
        if expected is not None and not matches(expected, printed):
            complaints.append(f"{body.strip()}\nprinted\n{printed}\nthe page says\n{expected}")
    return complaints


def run_script(script):
    """Runs a shell script in a home of its own; whatever it started ends with it."""
    with tempfile.TemporaryDirectory(prefix="phase-docs-") as home:
        environment = {"PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}", "HOME": home,
                       "XDG_RUNTIME_DIR": home, "PHASE_DATA_DIR": f"{home}/data",
                       "LANG": "C.UTF-8"}
        with subprocess.Popen(["bash", "-c", script], cwd=ROOT, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True,
                              errors="replace") as process:
            try:
                output, errors = process.communicate(timeout=PAGE_SECONDS_MAX)
                status = process.returncode
            except subprocess.TimeoutExpired:
                status, output, errors = 124, "", f"no end after {PAGE_SECONDS_MAX} s"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    return status, output, errors


def try_it(page, tests):
    """The commands under *Try it* of a README of src: each selects a test."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = re.search(r"^## Try it\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"`([^`\n]+)`", section.group(1)) if section else []
    complaints = [] if commands else ["*Try it* names no command"]
    for command in commands:
        words = shlex.split(command)
        if words[:3] == ["ctest", "--test-dir", "build"] and "-R" in words:
            pattern = words[words.index("-R") + 1]
            if not any(re.search(pattern, name) for name in tests):
                complaints.append(f"`{command}` selects no test")
        elif words[0].startswith("build/bench/"):
            if f"{words[0].rsplit('/', 1)[1]}:" not in targets():
                complaints.append(f"`{command}`: there is no such benchmark")
        elif words[0] in ("ctest", "make", "phase", "plasmd") or words[0].startswith("build/"):
            complaints.append(f"`{command}`: write it as ctest --test-dir build -R '...'")
    return complaints


def main():
    tests, failed, count = ctest_names(), 0, 0
    for page in pages():
        complaints = try_it(page, tests) if page.startswith("src/") and \
            page.endswith("README.md") else run_page(page, tests)
        count += 1
        for complaint in complaints:
            failed += 1
            print(f"{page}: {complaint}\n")
    print(f"{count} pages read, {failed} complaints")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
