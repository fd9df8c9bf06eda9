#!/usr/bin/env python3
"""Two machines, one model: the one without it answers through the other, with a receipt.

    examples/demo/demo_lucid.py [--bin build/bin] [--models FOLDER] [--loopback]
                                [--keep-logs FOLDER]

Starts two lucidd that have a small real model and one that has none, each with its own key, ports
and data folder; streams an answer over the mesh; checks its receipt offline; refuses an altered
transcript; kills the machine that is answering and goes on. Leaves nothing behind.
"""

import argparse
import base64
import json
import os
import pathlib
import sys
import time

from lab import LabError
from lucid_lab import HTTP_PORT, LucidNode
from show import play, require, say, step

MODEL = "tiny-chat"
QUESTION, ANSWER = "What is the capital of France?", "The capital of France is Paris."
STORY = "Tell me a long story."
MACHINES = ("desk", "attic")
FOUND_SECONDS_MAX = 60
KILLS_MAX = 5  # a small model can be done before its machine is dead
SERVING = "allow_unauthenticated_jobs = true\nauto_pause_on_battery = false\n"


def free_http_port(lab, number):
    return HTTP_PORT if lab.namespaces else 21_434 + os.getpid() % 10_000 + number


def chat(node, question, **more):
    """Streams one answer: headers, text, last object."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}],
            "options": {"temperature": 0, **more}}
    lines = node.stream("/api/chat", body)
    head, text, last = next(lines), "", None
    if head["status"] != 200:
        raise LabError(f"status {head['status']}: {list(lines)}")
    for line in lines:
        if "error" in line:
            raise LabError(line["error"])
        piece = line["message"]["content"]
        text += piece
        if piece:
            say(piece, end="")
        last = line
    say()
    return head["headers"], text, last


def wait_served(node):
    """Until peers that have the model are found."""
    deadline = time.monotonic() + FOUND_SECONDS_MAX
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": False}
    while time.monotonic() < deadline:
        status, _, answer = node.ask("POST", "/api/chat", body)
        if status == 200:
            return
        time.sleep(0.2)
    raise LabError(f"no peer with the model in {FOUND_SECONDS_MAX} s: {answer.decode()}")


def verify(node, lab, folder, label, expect_ok):
    done = node.host.run([lab.program("phase"), "verify", folder / "receipt.cose", "--manifest",
                          folder / "manifest.cose", "--transcript", folder / "transcript.json",
                          "--json"])
    verdict = json.loads(done.stdout)
    if expect_ok:
        require(verdict["verified"], f"not verified: {verdict}")
        say("receipt verified")
    else:
        require(not verdict["verified"] and done.returncode == 3, f"{label} was accepted")
        say(f"{label} refused: {verdict['failed_check']}")


def check_offline(node, lab, job, provider):
    step("The receipt, checked offline against the transcript")
    folder = node.host.folder / "receipt"
    folder.mkdir()
    for part, name in (("receipt", "receipt.cose"), ("manifest", "manifest.cose"),
                       ("output", "transcript.json")):
        status, _, body = node.ask("GET", f"/api/receipts/{job}?part={part}")
        require(status == 200, f"no {part}: {body.decode(errors='replace')}")
        (folder / name).write_bytes(body)
    verify(node, lab, folder, "receipt", True)
    done = node.host.run([lab.program("phase"), "receipt", "show", folder / "receipt.cose",
                          "--json"])
    shown = json.loads(done.stdout)
    require(shown["provider"] == provider, "the receipt is signed by another than who served")
    transcript = json.loads((folder / "transcript.json").read_text())
    first = transcript["transcript"][0]
    text = base64.b64decode(first["data"])
    first["data"] = base64.b64encode(text.replace(b"T", b"t", 1)).decode()
    (folder / "transcript.json").write_text(json.dumps(transcript))
    verify(node, lab, folder, "altered transcript", False)


def ask_and_kill(node, providers):
    """One long answer whose provider is killed at its first words. Who, and the last object."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": STORY}],
            "options": {"temperature": 0}}
    lines = node.stream("/api/chat", body)
    first = next(lines)["headers"]["x-lucid-served-by"]
    name = next(name for name, one in providers.items() if one.peer_id == first)
    text, last = "", {}
    for line in lines:
        require("error" not in line, f"the answer ended: {line.get('error')}")
        if not text:
            providers[name].stop(kill=True)
        text += line["message"]["content"]
        say(line["message"]["content"], end="")
        last = line
    say()
    require(last.get("done") and text.endswith("The end."), "the answer has no end")
    return name, first, last["x_lucid"]


def survive(node, providers, start, start_laptop):
    step("Kill the machine that is answering, mid-stream")
    for _ in range(KILLS_MAX):
        name, first, told = ask_and_kill(node, providers)
        if told["served_by"] != first:
            say(f"{name} was killed; {told['routed_via']} finished the answer")
            return
        say(f"({name} was done before it died; once more)")
        start(name)
        node.stop()
        node = start_laptop()  # knows nothing of who died
        wait_served(node)
    raise LabError("every answer was done before its machine could be killed")


def demo(lab, models):
    step("Start two machines with a model and one without (mDNS off)")
    providers, told = {}, []

    def start(name):
        node = LucidNode(lab.host(name), free_http_port(lab, MACHINES.index(name)),
                         ["--model-dir", models, "--parallel", 2, *told], SERVING)
        lab.nodes[name] = providers[name] = node

    for name in MACHINES:
        start(name)
        node = providers[name]
        told += [word for address in node.addresses() for word in ("--bootstrap-peer", address)]
        say(f"{name}   {node.peer_id}  has {MODEL}")

    def start_laptop():
        lab.nodes["laptop"] = LucidNode(lab.host("laptop"), free_http_port(lab, 2),
                                        ["--no-local-worker", "--mesh", *told])
        return lab.nodes["laptop"]

    laptop = start_laptop()
    say(f"laptop {laptop.peer_id}  has no model, mesh on")
    wait_served(laptop)

    step(f"Ask the laptop: {QUESTION}")
    headers, text, last = chat(laptop, QUESTION)
    require(text == ANSWER, f"another answer came: {text!r}")
    require(headers["x-lucid-routed-via"].startswith("peer:"), "it was not routed to a peer")
    told_by = last["x_lucid"]
    require(told_by["verified"] is True or told_by["verified"] == "true", f"verdict: {told_by}")
    say(f"routed via {told_by['routed_via']}, receipt {str(told_by['receipt'])[:16]}…, verified")

    check_offline(laptop, lab, told_by["receipt"], told_by["served_by"])
    survive(laptop, providers, start, start_laptop)


def scene(lab, options):
    cache = pathlib.Path(os.environ.get("PHASE_CACHE_DIR") or pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "phase-build")
    model = (options.models or cache / "models") / f"{MODEL}.f16.gguf"
    require(model.exists(), f"{model} is missing; make it with: make models")
    lab.publish(model, f"models/{MODEL}.gguf")
    demo(lab, lab.folder / "models")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", type=pathlib.Path, help="what make models made")
    return play(parser, scene)


if __name__ == "__main__":
    sys.exit(main())
