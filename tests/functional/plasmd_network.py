#!/usr/bin/env python3
"""A job between two machines.

Other users, other network namespaces, over QUIC and over TCP where UDP is dropped; who may; what is
said when nobody is there.
"""

import json
import os
import signal
import subprocess

from plasmd_lab import BUILD, HELLO, SECONDS_MAX, Case, main, poll
from lab import Lab, Node, namespaces_allowed

NEEDS_ROOT = "network namespaces need root and iproute2"


def told(node):
    return [word for address in node.addresses() for word in ("--bootstrap", address)]


class Network(Case):
    def setUp(self):
        super().setUp()
        if not namespaces_allowed():
            self.skipTest(NEEDS_ROOT)
        self.lab = Lab(BUILD / "bin", isolated=True)
        self.addCleanup(self.lab.close)
        self.module = self.lab.publish(HELLO, "hello.wasm")

    def run_remote(self, node, *words):
        done = node.phase("run", "--remote", "--json", "--stdin", "-", *words, self.module,
                          input_bytes=b"Hello, World")
        return done, json.loads(done.stdout) if done.stdout else None

    def served(self, requester, provider):
        """Has a job done and checks who signed for it."""
        done, result = self.run_remote(requester)
        self.exits(done, 0)
        self.assertTrue(result["verdict"]["verified"], result["verdict"])
        self.assertEqual(result["provider"], provider.peer_id)
        self.assertNotEqual(result["provider"], requester.peer_id)
        return result

    def test_provider_and_requester_are_other_users_on_other_networks(self):
        provider = self.lab.start("provider", "--open")
        requester = self.lab.start("requester", *told(provider))
        self.assertNotEqual(provider.host.uid, requester.host.uid)
        self.assertNotEqual(provider.host.namespace, requester.host.namespace)
        for node in (provider, requester):
            pid = node.process.pid
            self.assertEqual(os.stat(f"/proc/{pid}").st_uid, node.host.uid)
        inside = [os.readlink(f"/proc/{node.process.pid}/ns/net") for node in (provider, requester)]
        self.assertNotEqual(*inside)
        self.served(requester, provider)

    def test_over_quic_where_tcp_is_not_told(self):
        provider = self.lab.start("provider", "--open")
        quic = provider.addresses()[0]
        self.assertIn("/quic-v1/", quic)
        requester = self.lab.start("requester", "--bootstrap", quic)
        self.served(requester, provider)

    def test_over_tcp_where_udp_is_dropped(self):
        for name in ("provider", "requester"):
            self.lab.host(name).drop_udp()
        provider = self.lab.start("provider", "--open")
        requester = self.lab.start("requester", *told(provider))
        self.served(requester, provider)

    def test_nobody_may_by_default(self):
        provider = self.lab.start("provider", "--allow", "a" * 64)
        requester = self.lab.start("requester", *told(provider))
        done = requester.phase("run", "--provider", provider.peer_id, self.module)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"allowlist", done.stderr)
        self.assertIn(requester.peer_id, provider.log())
        self.assertIn("unauthorized", provider.log())

    def test_those_on_the_allowlist_may(self):
        first = self.lab.start("requester")
        peer_id = first.peer_id
        first.stop()
        provider = self.lab.start("provider", "--allow", peer_id)
        requester = self.lab.start("requester", *told(provider))
        self.assertEqual(requester.peer_id, peer_id)
        self.served(requester, provider)

    def test_limits_of_the_provider_hold_for_others(self):
        provider = self.lab.start("provider", "--open")
        requester = self.lab.start("requester", *told(provider))
        done = requester.phase("run", "--provider", provider.peer_id, "--memory", "256",
                               self.module)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"insufficient_resources", done.stderr)
        self.served(requester, provider)

    def test_with_every_provider_stopped_the_message_is_clear(self):
        bootstrap = self.lab.start("bootstrap")
        provider = self.lab.start("provider", "--open", *told(bootstrap))
        requester = self.lab.start("requester", *told(bootstrap))
        self.served(requester, provider)
        provider.stop()
        done, _ = self.run_remote(requester)
        self.exits(done, 69)
        self.assertIn(b"provider", done.stderr)

    def test_a_killed_provider_is_replaced_by_another(self):
        bootstrap = self.lab.start("bootstrap")
        providers = {node.peer_id: node for node in (
            self.lab.start(name, "--open", *told(bootstrap)) for name in ("one", "two"))}
        requester = self.lab.start("requester", *told(bootstrap))
        done, result = self.run_remote(requester)
        self.exits(done, 0)
        first = result["provider"]
        providers[first].stop(kill=True)
        done, result = self.run_remote(requester)
        self.exits(done, 0)
        self.assertIn(result["provider"], providers)
        self.assertNotEqual(result["provider"], first)

    def test_a_draining_provider_finishes_what_runs_and_takes_nothing_new(self):
        provider = self.lab.start("provider", "--open", "--drain-seconds", "600")
        requester = self.lab.start("requester", *told(provider))
        client = subprocess.Popen(
            requester.host.command([self.lab.program("phase"), "--socket", requester.socket,
                                    "run", "--remote", "--stdin", "-", self.module]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=requester.host.environment())
        self.home.started.append(client)
        poll(lambda: "admitted" in provider.log())
        provider.process.send_signal(signal.SIGTERM)
        poll(lambda: "no new jobs" in provider.log())
        done = requester.phase("run", "--provider", provider.peer_id, self.module)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"shutting_down", done.stderr)
        out, said = client.communicate(b"Hello, World", timeout=SECONDS_MAX)
        self.assertEqual((client.returncode, out), (0, b"dlroW ,olleH"), said)
        self.assertEqual(provider.process.wait(SECONDS_MAX), 0)

    def test_mdns_finds_what_nobody_was_told(self):
        # The lab's nodes have it off; a host of its own starts one with it on.
        words = ["--open"]
        nodes = []
        for name in ("left", "right"):
            host = self.lab.host(name)
            listen = [word for transport in (f"udp/{host.port}/quic-v1", f"tcp/{host.port}")
                      for word in ("--listen", f"/ip4/{host.address}/{transport}")]
            nodes.append(Node(host, words + listen))
            self.lab.nodes[name] = nodes[-1]
        done, result = self.run_remote(nodes[0])
        self.exits(done, 0)
        self.assertEqual(result["provider"], nodes[1].peer_id)


if __name__ == "__main__":
    main()
