#!/usr/bin/env python3
"""Several lucidd on loopback: who is served, what leaves the machine, providers that are lost."""

import os
import signal
import threading

from lucid_case import HELLO, STORY, Case, Node, main, poll

OPEN = "allow_unauthenticated_jobs = true\nmax_jobs_per_minute_per_key = 1000\n"


class Mesh(Case):
    def provider(self, name, policy, *words):
        """A node with tiny-chat that others may reach."""
        self.publish()
        return Node(self, "--model-dir", self.models, "--parallel", 2, *words, name=name,
                    policy=policy, network=True).ready()

    def asker(self, *words, told=(), name="asker"):
        """A node without a model that asks others."""
        told = [word for node in told for word in node.told()]
        return Node(self, "--no-local-worker", *told, *words, name=name, network=True).ready()

    def served(self, node, **more):
        """Its first answer: peers are found after a while."""
        return poll(lambda: (got := node.chat("Hello", **more)).status == 200 and got, "an answer")

    def allow(self, provider, *nodes, more=""):
        """Lets these nodes send jobs, and waits until that is in force."""
        before = provider.log().count("is in force")
        ids = ", ".join(f'"{node.peer_id()}"' for node in nodes)
        provider.policy_file.write_text(f"authorized_submitters = [{ids}]\n{more}")
        poll(lambda: provider.log().count("is in force") > before, "the policy")


class Admission(Mesh):
    def test_who_is_authorised_is_served_and_others_are_told_what_to_do(self):
        provider = self.provider("provider", "")
        friend = self.asker("--mesh", told=[provider], name="friend")
        stranger = self.asker("--mesh", told=[provider], name="stranger")
        answer = friend.chat("Hello")
        self.assertEqual(answer.status, 404, answer)
        self.allow(provider, friend)
        answer = self.served(friend)
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-routed-via"], f"peer:{provider.peer_id()[-8:]}")
        self.assertEqual(answer.headers["x-lucid-served-by"], provider.peer_id())
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")

        def refused():
            got = stranger.chat("Hello")
            return got if "authorized_submitters" in got.body.decode() else None
        answer = poll(refused, "the refusal")
        self.assertGreaterEqual(answer.status, 400)
        self.assertIn(stranger.peer_id(), answer.json()["error"])

    def test_a_pause_is_for_others_only(self):
        provider = self.provider("provider", OPEN)
        asker = self.asker("--mesh", told=[provider])
        self.served(asker)
        provider.policy_file.write_text(OPEN + "manual_pause = true\n")
        poll(lambda: "is in force" in provider.log(), "the pause")
        answer = asker.chat("Hello")
        self.assertNotEqual(answer.status, 200, answer)
        self.assertTrue(answer.json()["error"])
        self.says(provider.chat("Hello"), HELLO)
        provider.policy_file.write_text(OPEN)
        poll(lambda: provider.log().count("is in force") == 2, "the end of the pause")
        self.says(self.served(asker), HELLO)

    def test_limits_of_others_are_not_the_owners(self):
        provider = self.provider("provider", OPEN + "max_prompt_bytes = 300\n")
        asker = self.asker("--mesh", told=[provider])
        self.served(asker)
        long = "word " * 100
        answer = asker.chat(long)
        self.assertNotEqual(answer.status, 200)
        self.assertIn("prompt bytes", answer.json()["error"])
        self.assertEqual(provider.chat(long).status, 200)

    def test_a_model_that_is_not_served_is_not_told(self):
        provider = self.provider("provider", OPEN + 'serve_models = ["other*"]\n')
        asker = self.asker("--mesh", told=[provider])
        answer = asker.chat("Hello")
        self.assertEqual(answer.status, 404, answer)
        self.says(provider.chat("Hello"), HELLO)


class Leaving(Mesh):
    def test_nothing_leaves_unless_it_is_said(self):
        provider = self.provider("provider", OPEN)
        quiet = self.asker(told=[provider], name="quiet")
        some = self.asker("--mesh-model", "other*", told=[provider], name="some")
        asker = self.asker("--mesh", told=[provider])
        self.served(asker)
        jobs = provider.log().count("admitted")
        for node in (quiet, some):
            self.assertEqual(node.chat("Hello").status, 404)
        answer = asker.chat("Hello", headers={"X-Lucid-Local-Only": "true"})
        self.assertEqual(answer.status, 404, answer)
        self.assertEqual(provider.log().count("admitted"), jobs)
        self.says(asker.chat("Hello"), HELLO)

    def test_what_is_here_stays_here(self):
        provider = self.provider("provider", OPEN)
        own = self.provider("own", "", "--mesh", *provider.told())
        answer = own.chat("Hello")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-routed-via"], "local")
        self.assertNotIn("admitted", provider.log())

    def test_held_back_until_verified(self):
        provider = self.provider("provider", OPEN)
        asker = self.asker("--mesh", "--require-verified", told=[provider])
        answer = self.served(asker)
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")

    def test_a_receipt_of_another_is_kept_over_a_restart(self):
        provider = self.provider("provider", OPEN)
        asker = self.asker("--mesh", told=[provider])
        job = self.served(asker).json()["x_lucid"]["receipt"]
        path = f"/api/receipts/{job}?part=receipt"
        before = asker.ask("GET", path)
        self.assertEqual(before.status, 200)
        asker.stop()
        asker.start().ready()
        self.assertEqual(asker.ask("GET", path).body, before.body)


class Losing(Mesh):
    def two(self):
        """Two providers, and one that asks and has been answered."""
        first = self.provider("first", OPEN)
        second = self.provider("second", OPEN, *first.told())
        asker = self.asker("--mesh", told=[first, second])
        self.served(asker)
        poll(lambda: asker.knows(first, second), "both to be known")
        return {node.peer_id(): node for node in (first, second)}, asker

    def lost(self, number):
        """A provider that gets `number` while it tells a story: the other finishes it."""
        nodes, asker = self.two()
        stream = asker.stream(STORY)
        self.assertEqual(stream.status, 200)
        lines = iter(stream)
        seen = [next(lines)]
        by = stream.headers["x-lucid-served-by"]
        os.kill(nodes[by].process.pid, number)
        seen += list(lines)
        stream.close()
        return by, seen, asker

    def finished(self, by, seen):
        self.assertTrue(seen[-1].get("done"), seen[-1])
        self.assertNotIn("error", seen[-1])

    def test_killed_while_it_answers(self):
        by, seen, asker = self.lost(signal.SIGKILL)
        self.finished(by, seen)
        self.says(asker.chat("Hello"), HELLO)

    def test_stopped_while_it_answers(self):
        by, seen, asker = self.lost(signal.SIGSTOP)
        self.finished(by, seen)
        self.says(asker.chat("Hello"), HELLO)

    def test_killed_before_the_first_token(self):
        nodes, asker = self.two()
        for node in nodes.values():  # what they load takes until they are killed
            for worker in node.workers():
                os.kill(worker, signal.SIGSTOP)
        before = {peer: node.log().count("admitted") for peer, node in nodes.items()}
        answers = []
        asking = threading.Thread(target=lambda: answers.append(asker.chat("Hello")))
        asking.start()

        def taken():
            return next((peer for peer, node in nodes.items()
                         if node.log().count("admitted") > before[peer]), None)
        by = poll(taken, "a provider to take it")
        for peer, node in nodes.items():
            if peer != by:
                for worker in node.workers():
                    os.kill(worker, signal.SIGCONT)
        nodes[by].kill()
        asking.join()
        self.says(answers[0], HELLO)
        self.assertNotEqual(answers[0].headers["x-lucid-served-by"], by)

    def test_the_only_one_killed_is_a_clear_error(self):
        provider = self.provider("provider", OPEN)
        asker = self.asker("--mesh", told=[provider])
        self.served(asker)
        stream = asker.stream(STORY)
        lines = iter(stream)
        next(lines)
        provider.kill()
        rest = list(lines)
        stream.close()
        if not rest[-1].get("done"):
            self.assertTrue(rest[-1]["error"], rest[-1])
        answer = asker.chat("Hello")
        self.assertGreaterEqual(answer.status, 404, answer)
        self.assertTrue(answer.json()["error"])


if __name__ == "__main__":
    main()
