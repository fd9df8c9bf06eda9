#!/usr/bin/env python3
"""Peers between network namespaces: QUIC over a wire, TCP where UDP is dropped, mDNS, no resolver.

Method: two namespaces joined by a veth pair, a peer_probe in each, driven over its stdin. Needs
root, ip and nft; says `skip: why` and exits 77 where they are not allowed. Removes what it made.
"""

import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import time

BUILD = pathlib.Path(os.environ["PHASE_BUILD"])
PROBE = BUILD / "tests" / "peer_probe"
TAG = f"phase{os.getpid()}"
LEFT, RIGHT = f"{TAG}a", f"{TAG}b"
LEFT_IP, RIGHT_IP = "10.213.7.1", "10.213.7.2"
ANSWER_SECONDS = 60  # a hanging probe fails the test; no test waits this long on purpose


def skip(why):
    print(f"skip: {why}")
    sys.exit(77)


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


def enter(name):
    """Before a command: it runs in that network, the rest of its world as it is."""
    return ("nsenter", f"--net=/run/netns/{name}")


def allowed():
    for tool in ("ip", "nft", "nsenter"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    if os.geteuid() != 0:
        skip("network namespaces need root")
    try:
        run("ip", "netns", "add", LEFT)
    except subprocess.CalledProcessError as error:
        skip(f"network namespaces are not allowed here: {error.stderr.strip()}")


def make_wire():
    run("ip", "netns", "add", RIGHT)
    run("ip", "link", "add", "wire", "netns", LEFT, "type", "veth", "peer", "name", "wire",
        "netns", RIGHT)
    for name, ip in ((LEFT, LEFT_IP), (RIGHT, RIGHT_IP)):
        run(*enter(name), "ip", "link", "set", "lo", "up")
        run(*enter(name), "ip", "address", "add", f"{ip}/24", "dev", "wire")
        run(*enter(name), "ip", "link", "set", "wire", "up")


def drop_udp(name):
    """No UDP leaves or enters: as behind many company firewalls."""
    run(*enter(name), "nft", "add table inet cut")
    for hook in ("input", "output"):
        run(*enter(name), "nft",
            f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}")
        run(*enter(name), "nft",
            f"add rule inet cut {hook} meta l4proto udp counter drop")


def dropped(name):
    rules = run(*enter(name), "nft", "list", "table", "inet", "cut").stdout
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", rules))


def allow_udp(name):
    run(*enter(name), "nft", "delete", "table", "inet", "cut")


class Probe:
    def __init__(self, where, *options, before=()):
        self.process = subprocess.Popen(
            [*enter(where), *before, str(PROBE), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.id = self.answer()[0]

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_SECONDS)
        assert ready, "the probe does not answer"
        line = self.process.stdout.readline().decode().strip("\n")
        assert line.startswith("ok"), line
        return line[2:].strip().split("\t") if line[2:].strip() else []

    def ask(self, line):
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()
        return self.answer()

    def until(self, line, wanted):
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:
            got = self.ask(line)
            if wanted(got):
                return got
            time.sleep(0.1)  # tidy: allow(sleep): what another process has found out has no event
        raise AssertionError(f"{line}: never as wanted, last {got}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def listen(ip, *kinds):
    forms = {"quic": f"/ip4/{ip}/udp/4001/quic-v1", "tcp": f"/ip4/{ip}/tcp/4001"}
    return [word for kind in kinds for word in ("--listen", forms[kind])]


def quic_over_the_wire():
    with Probe(LEFT, *listen("0.0.0.0", "quic")) as server, Probe(RIGHT) as client:
        address = next(a for a in server.ask("listening") if LEFT_IP in a)
        assert "quic-v1" in address, address
        assert client.ask(f"dial {address}") == [server.id]
        client.ask(f"echo {server.id} 1000000 20000")


def tcp_where_udp_is_dropped():
    """The client knows both addresses. With UDP gone it must get through in less time than QUIC
    takes to give up (5 s): the deadline below is that bound, no measurement."""
    with Probe(LEFT, *listen("0.0.0.0", "quic", "tcp"), "--idle-ms", "100") as server, \
            Probe(RIGHT, "--idle-ms", "100") as client:
        address = next(a for a in server.ask("listening") if LEFT_IP in a and "quic" in a)
        assert client.ask(f"dial {address}") == [server.id]
        client.ask(f"echo {server.id} 10 20000")
        client.until("connected", lambda ids: server.id not in ids)
        drop_udp(RIGHT)
        try:
            client.ask(f"echo {server.id} 1000000 4000")
            assert dropped(RIGHT) > 0, "QUIC was not even tried"
        finally:
            allow_udp(RIGHT)


def mdns_finds_a_neighbour():
    with Probe(LEFT, *listen("0.0.0.0", "quic", "tcp"), "--mdns") as server, \
            Probe(RIGHT, *listen("0.0.0.0", "quic", "tcp"), "--mdns") as client:
        assert not client.ask("warnings"), client.ask("warnings")
        client.until("known", lambda ids: server.id in ids)
        client.ask(f"echo {server.id} 1000 20000")
        server.until("known", lambda ids: client.id in ids)


def starts_without_a_resolver():
    bare = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /etc && exec "$@"', "sh")
    with Probe(LEFT, *listen("0.0.0.0", "tcp")) as server, Probe(RIGHT, before=bare) as client:
        warnings = client.ask("warnings")
        assert len(warnings) == 1 and "resolv.conf" in warnings[0], warnings
        address = next(a for a in server.ask("listening") if LEFT_IP in a)
        assert client.ask(f"dial {address}") == [server.id]


def starts_without_multicast():
    """An interface that cannot do multicast, or none at all, is no reason not to run."""
    with Probe(LEFT, *listen("127.0.0.1", "tcp"), "--mdns") as server:
        assert server.ask("listening")


def main():
    assert PROBE.exists(), f"{PROBE} is not built"
    allowed()
    try:
        make_wire()
        for test in (quic_over_the_wire, tcp_where_udp_is_dropped, mdns_finds_a_neighbour,
                     starts_without_a_resolver, starts_without_multicast):
            test()
            print(f"ok {test.__name__}", flush=True)
    finally:
        for name in (LEFT, RIGHT):
            run("ip", "netns", "delete", name, check=False)


if __name__ == "__main__":
    main()
