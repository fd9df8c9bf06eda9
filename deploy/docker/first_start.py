#!/usr/bin/env python3
"""The first administrator of a coordinator, and the join tokens of its first nodes.

    deploy/docker/first_start.py --code CODE [--url http://127.0.0.1:3000] [--user founder]
        [--nodes NAME:REGION,...] [--env deploy/docker/.env]

CODE is what the coordinator printed at its first start. The password is asked for, or read from the
variable VCP_PASSWORD. Each token is written as JOIN_TOKEN_<NAME> to the file of --env, mode 0600; a
token is used up by the first join.
"""

import argparse
import getpass
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request

NODES = "node-us:us-west,node-eu:eu-central,node-apac:ap-southeast"
SECONDS_MAX = 30


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--code", required=True, help="of the coordinator's console")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--user", default="founder")
    parser.add_argument("--nodes", default=NODES, help=f"default: {NODES}")
    parser.add_argument("--env", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent / ".env")
    options = parser.parse_args()
    nodes = [entry.split(":") for entry in options.nodes.split(",")]
    if any(len(node) != 2 for node in nodes):
        parser.error("--nodes is NAME:REGION,NAME:REGION")
    password = os.environ.get("VCP_PASSWORD") or getpass.getpass(f"Password of {options.user}: ")
    who = {"username": options.user, "password": password}
    ask(options, "/auth/bootstrap", {"code": options.code, **who})
    token = ask(options, "/auth/login", who)["access_token"]
    lines = []
    for name, region in nodes:
        made = ask(options, "/nodes", {
            "node_id": name, "region": region, "node_type": "compute",
            "capabilities": {"bandwidth_mbps": 100, "cpu_cores": 1, "memory_gb": 1,
                             "gpu_available": False}}, token)
        lines.append(f"JOIN_TOKEN_{name.upper().replace('-', '_')}={made['join_token']}\n")
    with open(os.open(options.env, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
              encoding="ascii") as file:
        file.writelines(lines)
    print(f"administrator {options.user} made; {len(lines)} tokens in {options.env}")


if __name__ == "__main__":
    sys.exit(main())
