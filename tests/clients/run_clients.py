#!/usr/bin/env python3
"""Unchanged third-party clients against a running lucidd, or one started for it.

  run_clients.py --base-url URL [--chat-model NAME] [--embed-model NAME] [--only SUITE...]
  run_clients.py --lucidd PROGRAM [the same]    starts it on a free port, stops it at the end

  --models DIR   what tools/models made; by default the models folder of the cache
  --cache DIR    where the clients are installed, pinned by requirements.txt and package-lock.json
  --only         of ollama-python openai-python langchain embeddings ollama-javascript
                 openai-javascript

The first run makes the models and installs the clients from the package registries; later runs stay
on this machine. Ends with a table.
Status: 0 all passed, 1 something failed, 2 wrong usage, 77 npm or node is missing.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"))
from ports import free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "tools" / "models"
PYTHON = {"ollama-python": "test_ollama.py", "openai-python": "test_openai.py",
          "langchain": "test_langchain.py", "embeddings": "test_embeddings.py"}
JAVASCRIPT = {"ollama-javascript": "ollama.test.mjs", "openai-javascript": "openai.test.mjs"}
INSTALL_SECONDS, SUITE_SECONDS, START_SECONDS, STOP_SECONDS = 600, 300, 60, 15
NODE_MAJOR_MIN = 18
SKIPPED = 77


class Problem(Exception):
    """Said to the person, without a traceback."""


def cache_default():
    cache = os.environ.get("PHASE_CACHE_DIR")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        cache = f"{home}/phase-build"
    return pathlib.Path(cache)


def command(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=INSTALL_SECONDS, check=False, **options)
    if done.returncode != 0:
        raise Problem(f"{' '.join(str(word) for word in words[:4])} failed:\n"
                      + (done.stderr or done.stdout)[-3000:])
    return done.stdout


# ---- installing ----------------------------------------------------------------------------------

def stamp_of(*paths):
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def python_clients(cache):
    folder, requirements = cache / "python", HERE / "requirements.txt"
    python, stamp, wanted = (folder / "bin" / "python", folder / "installed",
                             stamp_of(requirements))
    if not stamp.exists() or stamp.read_text() != wanted:
        print("clients: installing the Python clients (75 MB, once)", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", requirements)
        stamp.write_text(wanted)
    return python


def javascript_clients(cache):
    """A folder with the clients and our tests beside them, as modules are found from there."""
    folder, ours = cache / "javascript", HERE / "javascript"
    folder.mkdir(parents=True, exist_ok=True)
    stamp, wanted = folder / "installed", stamp_of(ours / "package-lock.json")
    if not stamp.exists() or stamp.read_text() != wanted:
        print("clients: installing the JavaScript clients (once)", flush=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(ours / name, folder / name)
        command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
        stamp.write_text(wanted)
    for test in ours.glob("*.mjs"):
        shutil.copyfile(test, folder / test.name)
    return folder


def node_missing():
    """What is missing for the JavaScript suites, or nothing."""
    if not shutil.which("npm") or not shutil.which("node"):
        return "node and npm are not installed (apt-get install nodejs npm)"
    version = command("node", "--version").strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR_MIN:
        return f"node {NODE_MAJOR_MIN} or newer is needed, {version} found"
    return None


# ---- the server ----------------------------------------------------------------------------------

def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/api/version", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Server:
    """lucidd with a home of its own, and the models under the names the tests use."""

    def __init__(self, program, models, names):
        self.folder = tempfile.TemporaryDirectory(prefix="clients-")
        root = pathlib.Path(self.folder.name)
        served = root / "models"
        served.mkdir()
        for name, file in names.items():
            shutil.copyfile(models / file, served / f"{name}.gguf")
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", root / "lucidd.log"
        environment = os.environ | {"LUCIDD_PORT": str(port), "LUCIDD_HOST": "127.0.0.1",
                                    "HOME": str(root), "XDG_CONFIG_HOME": str(root / "config"),
                                    "XDG_DATA_HOME": str(root / "data"),
                                    "XDG_STATE_HOME": str(root / "state")}
        environment.pop("OLLAMA_MODELS", None)
        arguments = [program, "--worker", "llama-cpp", "--model-dir", served, "--data",
                     root / "node", "--identity-path", root / "identity.key", "--no-network",
                     "--threads", "1"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in arguments], env=environment,
                                            stdout=log, stderr=log)
        self.wait()

    def wait(self):
        end = time.monotonic() + START_SECONDS
        while not answers(self.url):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Problem(f"{self.url} did not answer; lucidd said:\n{self.said()}")
            try:
                self.process.wait(0.2)
            except subprocess.TimeoutExpired:
                pass

    def said(self):
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self):
        """Its status; nothing of it is left afterwards."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed: it did not stop within " + f"{STOP_SECONDS} s of SIGTERM"


# ---- running -------------------------------------------------------------------------------------

def environment(arguments, python, url):
    words = command(python, "-c", "import expected; print(expected.words())",
                    env=os.environ | {"PYTHONPATH": f"{HERE}:{TOOLS}",
                                      "PYTHONDONTWRITEBYTECODE": "1"})
    return os.environ | {
        "CLIENTS_BASE_URL": url, "CLIENTS_CHAT_MODEL": arguments.chat_model,
        "CLIENTS_EMBED_MODEL": arguments.embed_model, "CLIENTS_MODELS": str(arguments.models),
        "CLIENTS_EXPECTED": words, "PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1", "LANGSMITH_TRACING": "false", "OMP_NUM_THREADS": "1",
        "OLLAMA_HOST": url}


def pytest_suite(python, file, settings, scratch):
    """[(test, passed, text)]"""
    report = pathlib.Path(scratch) / f"{file}.xml"
    subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                    f"--junitxml={report}", HERE / file], env=settings, cwd=scratch, check=False,
                   timeout=SUITE_SECONDS)
    if not report.exists():
        return [(file, False, "pytest wrote no report")]
    results = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        text = (bad[0].get("message") or bad[0].tag).strip() if bad else ""
        results.append((case.get("name"), not bad, text))
    return results or [(file, False, "no test was found")]


TAP = re.compile(r"^(not )?ok \d+ - (.*?)(?: # .*)?$")


def node_suite(folder, file, settings):
    done = subprocess.run(["node", "--test-reporter=tap", file], env=settings, cwd=folder,
                          capture_output=True, text=True, timeout=SUITE_SECONDS, check=False)
    results = [(match.group(2), not match.group(1), "see above" if match.group(1) else "")
               for match in map(TAP.match, done.stdout.splitlines()) if match]
    if done.returncode != 0 or not results:
        print(done.stdout + done.stderr, flush=True)
        if all(passed for _, passed, _ in results):
            results.append((file, False, f"node ended with {done.returncode}"))
    return results


def run(arguments, url, cache):
    python = python_clients(cache)
    settings = environment(arguments, python, url)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for suite in arguments.only:
            print(f"== {suite}", flush=True)
            try:
                if suite in PYTHON:
                    results[suite] = pytest_suite(python, PYTHON[suite], settings, scratch)
                else:
                    results[suite] = node_suite(javascript_clients(cache), JAVASCRIPT[suite],
                                                settings)
            except subprocess.TimeoutExpired:
                results[suite] = [(suite, False, f"not done within {SUITE_SECONDS} s")]
    return results


def table(results):
    """Prints it; whether all passed."""
    print()
    for suite, cases in results.items():
        passed = sum(good for _, good, _ in cases)
        print(f"{suite:20} {passed:3} of {len(cases):3} passed")
        for name, good, text in cases:
            if not good:
                print(f"    failed: {name}: {text.splitlines()[0][:150] if text else ''}")
    return all(good for cases in results.values() for _, good, _ in cases)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--base-url")
    where.add_argument("--lucidd", type=pathlib.Path)
    parser.add_argument("--chat-model", default="tiny-chat")
    parser.add_argument("--embed-model", default="minilm")
    parser.add_argument("--models", type=pathlib.Path,
                        default=os.environ.get("PHASE_MODELS") or cache_default() / "models")
    parser.add_argument("--cache", type=pathlib.Path, default=cache_default() / "clients")
    suites = [*PYTHON, *JAVASCRIPT]
    parser.add_argument("--only", nargs="+", choices=suites, default=suites, metavar="SUITE")
    return parser.parse_args()


def main():
    arguments = parsed()
    cache = arguments.cache.resolve()
    arguments.models = arguments.models.resolve()
    missing = node_missing() if set(arguments.only) & set(JAVASCRIPT) else None
    if missing:
        print(f"skip: {missing}")
        return SKIPPED
    server, good = None, False
    try:
        cache.mkdir(parents=True, exist_ok=True)
        print(f"clients: models in {arguments.models}", flush=True)
        command(sys.executable, TOOLS / "make_models.py", "--out", arguments.models, "--only",
                "minilm", "tiny-chat")
        if arguments.lucidd:
            server = Server(arguments.lucidd.resolve(), arguments.models,
                            {arguments.chat_model: "tiny-chat.f16.gguf",
                             arguments.embed_model: "minilm.f16.gguf"})
        url = server.url if server else arguments.base_url.rstrip("/")
        if not answers(url):
            raise Problem(f"nothing answers at {url}")
        good = table(run(arguments, url, cache))
    except Problem as problem:
        print(f"clients: {problem}", file=sys.stderr)
    finally:
        if server:
            status = server.stop()
            if status != 0 or not good:
                print(f"clients: lucidd ended with {status}; it said:\n{server.said()}")
                good = good and status == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
