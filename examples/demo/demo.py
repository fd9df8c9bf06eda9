#!/usr/bin/env python3
"""The main job, end to end: a WASM job crosses the network and its receipt verifies.

A bootstrap node, two providers and a requester start with temporary keys, ports and folders. The
requester knows only the bootstrap node's address. Each step prints what it shows; a step that fails
ends the demo with a non-zero status.

    examples/demo/demo.py [--bin build/bin] [--module examples/hello.wasm] [--keep-logs FOLDER]
                          [--loopback]
"""

import argparse
import json
import pathlib
import shutil
import sys
import time

from lab import LabError
from show import ROOT, play, require, say, step

INPUT = b"Hello, World"
OUTPUT = b"dlroW ,olleH"
FOUND_SECONDS_MAX = 60


def both(done):
    """stdout and stderr of a finished program, for a person."""
    return (done.stdout + done.stderr).decode(errors="replace").strip()


def wait_providers(node, count):
    """Polls until the requester sees `count` providers by the DHT."""
    deadline = time.monotonic() + FOUND_SECONDS_MAX
    found = []
    while time.monotonic() < deadline:
        done = node.phase("providers", "--json")
        if done.returncode == 0:
            found = json.loads(done.stdout)["providers"]
            if len(found) >= count:
                return found
        time.sleep(0.2)
    raise LabError(
        f"found {len(found)} of {count} providers in {FOUND_SECONDS_MAX} s: {both(done)}")


def run_php(requester, lab, module):
    step("PHP SDK: submit hello.wasm with \"Hello, World\" to another machine")
    require(shutil.which("php"), "php is missing; run tools/setup")
    done = requester.host.run(["php", lab.folder / "examples" / "demo_php.php", module],
                              extra={"PHASE_CONTROL_SOCKET": str(requester.socket)})
    say(both(done))
    require(done.returncode == 0, "the PHP example failed")
    text = done.stdout.decode(errors="replace")
    require(OUTPUT.decode() in text, "the PHP example did not print the output")
    require("receipt verified" in text, "the PHP example did not verify the receipt")


def run_phase(requester, module, save):
    """Submits over the mesh with the command line; returns the peer id of who served."""
    done = requester.phase("run", "--remote", "--stdin", "-", "--save", save, module,
                           input_bytes=INPUT)
    say(done.stdout.decode(errors="replace"))
    say(done.stderr.decode(errors="replace").strip())
    require(done.returncode == 0, f"phase run ended with {done.returncode}")
    require(done.stdout == OUTPUT, f"phase run printed {done.stdout!r}")
    shown = requester.phase("receipt", "show", save / "receipt.cose", "--json")
    require(shown.returncode == 0, both(shown))
    return json.loads(shown.stdout)["provider"]


def verify(requester, save, expect_ok, label):
    """Checks saved files offline and prints the verdict after `label`."""
    # stdin was streamed, so its commitment is not in the manifest: the verifier brings it.
    given = save / "stdin"
    given.write_bytes(INPUT)
    done = requester.phase("verify", save / "receipt.cose", "--manifest", save / "manifest.cose",
                           "--input", given,
                           "--transcript", save / "transcript.json", "--json")
    verdict = json.loads(done.stdout)
    if expect_ok:
        require(verdict["verified"] and done.returncode == 0, f"not verified: {both(done)}")
        say("receipt verified")
        return
    require(not verdict["verified"] and done.returncode == 3, f"{label} was accepted")
    say(f"{label} refused: {verdict['failed_check']}")


def tamper(requester, save):
    step("Tampering")
    verify(requester, save, True, "receipt")
    forged = save.parent / "forged"
    shutil.copytree(save, forged)
    receipt = bytearray((save / "receipt.cose").read_bytes())
    receipt[len(receipt) // 2] ^= 0x01
    (forged / "receipt.cose").write_bytes(receipt)
    verify(requester, forged, False, "tampered receipt")

    shutil.copy(save / "receipt.cose", forged / "receipt.cose")
    transcript = json.loads((save / "transcript.json").read_text())
    pieces = transcript["transcript"] if isinstance(transcript, dict) else transcript
    pieces[0]["data"] = "RExST1cgLG9sbGVI"  # "DLROW ,olleH"
    (forged / "transcript.json").write_text(json.dumps(transcript))
    verify(requester, forged, False, "tampered output")


def demo(lab, module):
    step("Start a bootstrap node, two providers and a requester (mDNS off)")
    bootstrap = lab.start("bootstrap")
    told = [word for address in bootstrap.addresses() for word in ("--bootstrap", address)]
    providers = {}
    for name in ("provider-1", "provider-2"):
        node = lab.start(name, "--open", *told)
        providers[node.peer_id] = name
        say(f"{name}  {node.peer_id}")
    requester = lab.start("requester", *told)
    say(f"requester   {requester.peer_id}  knows only {bootstrap.addresses()[0]}")

    step("Find providers of capability wasm by the DHT")
    for found in wait_providers(requester, 2):
        require(found["peer_id"] in providers, f"a stranger answered: {found['peer_id']}")
        say(f"{found['peer_id']}  {found['arch']}  {found['runtime']}")

    run_php(requester, lab, module)

    step("phase run: the same job from the command line")
    save = requester.host.folder / "saved"
    served_by = run_phase(requester, module, save)
    require(served_by in providers and served_by != requester.peer_id,
            "the receipt's key is not a provider's")
    say(f"served by {providers[served_by]}")
    tamper(requester, save)

    step(f"Stop {providers[served_by]}; the other one takes over")
    lab.nodes[providers[served_by]].stop()
    second = run_phase(requester, module, requester.host.folder / "saved-2")
    require(second in providers and second != served_by, "the stopped provider answered")
    say(f"served by {providers[second]}")


def scene(lab, options):
    lab.publish(ROOT / "sdk" / "php", "sdk/php")
    lab.publish(ROOT / "examples" / "demo_php.php", "examples/demo_php.php")
    demo(lab, lab.publish(options.module, "examples/hello.wasm"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--module", default=ROOT / "examples" / "hello.wasm")
    return play(parser, scene)


if __name__ == "__main__":
    sys.exit(main())
