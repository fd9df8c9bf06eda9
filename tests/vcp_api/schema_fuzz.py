#!/usr/bin/env python3
"""Every operation of the OpenAPI document against a running server, by schemathesis.

  schema_fuzz.py --server PROGRAM [--seconds N]   starts it: one line {port, code}; ends with stdin
  schema_fuzz.py --url URL --code CODE            one that runs, without an administrator yet

Installs schemathesis once into the cache, pinned by requirements.txt.
Status: 0 nothing found, 1 something, 77 it cannot be installed here.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
INSTALL_SECONDS, STOP_SECONDS, EXTRA_SECONDS = 600, 15, 240
# Streams have no end that a fuzzer could wait for; a logout ends its own session; a change of role
# or rate would lock it out; it has no bytes of WebAssembly; and beside connect-sessions/start
# stands a path with a parameter, which it takes for another one's methods. Unit tests ask these.
LEFT_OUT = ("/api/v1/events", "/api/v1/tasks/{task_id}/events", "/api/v1/auth/logout",
            "/api/v1/admin/users/{user_id}/role", "/api/v1/admin/throttle-overrides",
            "/api/v1/modules", "/api/v1/connect-sessions/start")
# A status of 500 is in no document of ours, so status_code_conformance finds it; what is said to be
# not available yet answers 501 as documented.
CHECKS = ("status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "negative_data_rejection", "ignored_auth", "unsupported_method",
          "allow_header_conformance")


def installed():
    cache = os.environ.get("PHASE_CACHE_DIR")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        cache = f"{home}/phase-build"
    folder, requirements = pathlib.Path(cache) / "schemathesis", HERE / "requirements.txt"
    stamp = folder / "installed"
    wanted = hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        done = subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet",
                               "--require-hashes", "--only-binary=:all:", "-r", requirements],
                              capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode != 0:
            print(f"skip: schemathesis cannot be installed: {done.stderr[-500:]}")
            sys.exit(77)
        stamp.write_text(wanted)
    return folder / "bin" / "schemathesis"


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def token(url, code):
    who = {"username": "fuzzer", "password": "correct horse"}
    post(f"{url}/api/v1/auth/bootstrap", {"code": code, **who})
    return post(f"{url}/api/v1/auth/login", who)["access_token"]


@contextlib.contextmanager
def started(program):
    server = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(server.stdout.readline())
        yield f"http://127.0.0.1:{said['port']}", said["code"]
    finally:
        alive = server.poll() is None
        server.stdin.close()
        status = server.wait(timeout=STOP_SECONDS)
        if not alive or status != 0:
            print(f"the server ended by itself, or with status {status}")
            sys.exit(1)


def fuzz(program, url, code, seconds):
    words = [program, "run", f"{url}/api-docs/openapi.json", "-H",
             f"Authorization: Bearer {token(url, code)}", "--checks", ",".join(CHECKS),
             "--phases", "examples,coverage,fuzzing", "--max-examples", "15",
             "--max-time", str(seconds), "--generation-deterministic", "--continue-on-failure",
             "--request-timeout", "30", "--suppress-health-check", "all"]
    for path in LEFT_OUT:
        words += ["--exclude-path", path]
    with tempfile.TemporaryDirectory() as folder:  # it leaves files where it runs
        done = subprocess.run(words, check=False, cwd=folder, timeout=seconds + EXTRA_SECONDS)
    return 0 if done.returncode == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server")
    parser.add_argument("--url")
    parser.add_argument("--code")
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    program = installed()
    if given.url:
        return fuzz(program, given.url, given.code, given.seconds)
    with started(given.server) as (url, code):
        return fuzz(program, url, code, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
