#!/usr/bin/env python3
"""Rows of SPECIFICATION.md that need nodes: requester and provider on loopback, one-shot nodes.

    tests/bench_node/nodes.py --build build
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from lab import Lab, LabError, namespaces_allowed  # noqa: E402  (the lab of the demo)

JOBS = 200
ONE_SHOTS = 20
CANCELS = 20
DISCOVERIES = 10
FOUND_SECONDS_MAX = 30


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def row(name, values_us, budget):
    p50, p99 = percentile(values_us, 0.5) / 1000, percentile(values_us, 0.99) / 1000
    print(f"{name:16} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   n {len(values_us):4}   "
          f"budget {budget}", flush=True)


def figure(name, value, budget):
    print(f"{name:20} {value}   budget {budget}", flush=True)


def client(build, node, target, module, what):
    program = build / "tests" / "bench_node" / "job_client"
    done = subprocess.run([program, node.socket, target, module, str(what)], capture_output=True,
                          text=True, timeout=300)
    if done.returncode != 0:
        raise LabError(done.stderr.strip())
    return [int(line) for line in done.stdout.split()]


def wait_found(node):
    deadline = time.monotonic() + FOUND_SECONDS_MAX
    while time.monotonic() < deadline:
        done = node.phase("providers", "--json")
        if done.returncode == 0 and json.loads(done.stdout)["providers"]:
            return
        time.sleep(0.1)  # tidy: allow(sleep): another process tells nobody what it found
    raise LabError("the provider was not found")


def tree_pss_kib(pid):
    """PSS of a process and all below it, in KiB."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            total += int(line.split()[1])
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += tree_pss_kib(int(child))
    return total


def one_shots(host, lab, module):
    """A whole process each: start, run, receipt, end. The first, which compiles, is not counted."""
    took = []
    for _ in range(ONE_SHOTS + 1):
        start = time.monotonic()
        done = host.run([lab.program("plasmd"), "execute-job", "--data", host.folder / "one-shot",
                         "--identity-path", host.folder / "one-shot.key", module],
                        input_bytes=b"Hello, World")
        if done.returncode != 0:
            raise LabError(done.stderr.decode(errors="replace"))
        took.append(int((time.monotonic() - start) * 1e6))
    return took[1:]


def discoveries(lab, build, module):
    """On a LAN, told nothing: from the start of a new node to the verified result of its first job,
    which the neighbour ran. Start, mDNS, dial, node document and job are all in it."""
    lab.start("neighbour", "--open", mdns=True)
    program = lab.publish(build / "tests" / "bench_node" / "job_client")
    took = []
    for _ in range(DISCOVERIES):
        host = lab.host("newcomer")
        start = time.monotonic()
        node = lab.start("newcomer", mdns=True, wait=False)
        done = host.run([program, node.socket, "remote", module, "first"])
        took.append(int((time.monotonic() - start) * 1e6))
        node.stop()
        if done.returncode != 0:
            raise LabError(done.stderr.decode(errors="replace"))
    return took


def bench(lab, build, module):
    provider = lab.start("provider", "--open")
    told = [word for address in provider.addresses() for word in ("--bootstrap", address)]
    requester = lab.start("requester", *told)
    wait_found(requester)
    client(build, requester, "local", module, 20)  # warm: module compiled, workers forked
    client(build, requester, "remote", module, 20)
    row("job/local", client(build, requester, "local", module, JOBS), "2 ms")
    row("job/remote", client(build, requester, "remote", module, JOBS), "5 ms")
    row("job/one_shot", one_shots(requester.host, lab, module), "30 ms")
    cancels = [client(build, requester, "remote", module, "cancel")[0] for _ in range(CANCELS)]
    row("job/cancel", cancels, "50 ms")
    idle = tree_pss_kib(provider.process.pid) / 1024
    figure("node/idle_pss", f"{idle:.1f} MiB", "60 MiB")
    figure("example/hello_bytes", f"{pathlib.Path(module).stat().st_size} B", "about 1 KB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    options = parser.parse_args()
    try:
        with Lab(options.build / "bin", isolated=False) as lab:
            bench(lab, options.build.resolve(),
                  lab.publish(options.build / "examples" / "hello.wasm", "examples/hello.wasm"))
        if not namespaces_allowed():
            print("skip: peer/discovery: a LAN of network namespaces needs root")
            return 0
        with Lab(options.build / "bin", isolated=True) as lab:
            module = lab.publish(options.build / "examples" / "hello.wasm", "hello.wasm")
            row("peer/discovery", discoveries(lab, options.build.resolve(), module), "300 ms")
        return 0
    except LabError as error:
        print(f"nodes.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
