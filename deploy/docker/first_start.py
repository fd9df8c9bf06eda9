#!/usr/bin/env python3
"""The secrets of a fleet, its first administrator, and the join tokens of its first nodes.

    deploy/docker/first_start.py --secrets [--env deploy/docker/.env]
    deploy/docker/first_start.py --code CODE [--url http://127.0.0.1:3000] [--user founder]
        [--nodes NAME:REGION,...] [--env deploy/docker/.env]

--secrets, before anything is started, makes VCP_FLEET_SECRET and POSTGRES_PASSWORD where the file
of --env has none; none can be changed afterwards. CODE is what the coordinator that leads printed
at its first start. The password is asked for, or read from the variable VCP_PASSWORD. Each token is
written as JOIN_TOKEN_<NAME> to the same file, mode 0600; a token is used up by the first join.
"""

import argparse
import getpass
import json
import os
import pathlib
import secrets
import sys
import urllib.error
import urllib.request

NODES = "node-us:us-west,node-eu:eu-central,node-apac:ap-southeast"
SECONDS_MAX = 30
SECRETS = ("VCP_FLEET_SECRET", "POSTGRES_PASSWORD")  # in hexadecimal: also part of a URL
SECRET_BYTES = 32


def ask(options, path, body, token=None):
    """POST; the JSON of the answer."""
    request = urllib.request.Request(options.url + "/api/v1" + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            told = json.loads(text)
            text = told["message"] + (f" ({told['hint']})" if told.get("hint") else "")
        except (ValueError, KeyError):
            pass
        raise SystemExit(f"first_start: {path}: {error.code}: {text}") from None
    except OSError as error:
        raise SystemExit(f"first_start: no coordinator answers at {options.url}: {error}") from None


def known(path):
    """{name: value} of the file, or nothing."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def keep(path, values):
    """Replaces the file as a whole, for its owner only: what was in it, and `values`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
              encoding="ascii") as file:
        file.writelines(f"{name}={value}\n" for name, value in {**known(path), **values}.items())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def make_secrets(path):
    there = known(path)
    made = {name: secrets.token_hex(SECRET_BYTES) for name in SECRETS if not there.get(name)}
    keep(path, made)
    said = "made " + " and ".join(made) if made else "the secrets that were there stay"
    print(f"{path}: {said}")


def first_start(options, nodes):
    password = os.environ.get("VCP_PASSWORD") or getpass.getpass(f"Password of {options.user}: ")
    who = {"username": options.user, "password": password}
    ask(options, "/auth/bootstrap", {"code": options.code, **who})
    token = ask(options, "/auth/login", who)["access_token"]
    tokens = {}
    for name, region in nodes:
        made = ask(options, "/nodes", {
            "node_id": name, "region": region, "node_type": "compute",
            "capabilities": {"bandwidth_mbps": 100, "cpu_cores": 1, "memory_gb": 1,
                             "gpu_available": False}}, token)
        tokens[f"JOIN_TOKEN_{name.upper().replace('-', '_')}"] = made["join_token"]
    keep(options.env, tokens)
    print(f"administrator {options.user} made; {len(tokens)} tokens in {options.env}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--secrets", action="store_true", help="make the fleet's, and nothing else")
    what.add_argument("--code", help="of the coordinator's console")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--user", default="founder")
    parser.add_argument("--nodes", default=NODES, help=f"default: {NODES}")
    parser.add_argument("--env", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent / ".env")
    options = parser.parse_args()
    if options.secrets:
        return make_secrets(options.env)
    nodes = [entry.split(":") for entry in options.nodes.split(",")]
    if any(len(node) != 2 for node in nodes):
        parser.error("--nodes is NAME:REGION,NAME:REGION")
    return first_start(options, nodes)


if __name__ == "__main__":
    sys.exit(main())
