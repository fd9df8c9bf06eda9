#!/usr/bin/env python3
"""lucidd among providers that do wrong: each ends in another's answer, or in a clear error."""

import base64
import http.client
import json
import os
import signal
import subprocess
import time

from lucid_case import (BUILD, HELLO, PHASE, SECONDS_MAX, STORY, TALKS, TINY, Node, main, poll)
from lucid_mesh import OPEN, Mesh

ROGUE = BUILD / "tests" / "lucid" / "rogue_provider"
SHORT, LONG = 5, 30  # with nobody honest there; else one on a busy machine is not given up


class Rogue(Node):
    """A provider with a fault."""

    def __init__(self, case, fault, *words):
        self.fault = fault
        super().__init__(case, *words, name="rogue-" + fault.replace("_", "-"), network=True)
        self.ready()

    def start(self):
        self.words = [ROGUE, "--fault", self.fault, "--model-dir", self.case.models,
                      "--data", self.folder / "data", "--libp2p-port", self.peer_port,
                      "--worker-path", BUILD / "bin" / "phase-worker",
                      *self.words[self.words.index("--no-mdns") + 3:]]
        return super().start()


class Faults(Mesh):
    """For each fault: alone a clear error, beside an honest provider its answer."""

    def errors(self, asker):
        """What a client is told, whole and streaming; nothing hangs."""
        found = []
        whole = asker.chat("Hello")
        if whole.status == 200:
            self.fail(f"a lie passed: {whole}")
        found.append(whole.json()["error"])
        stream = asker.stream("Hello")
        lines = list(stream)
        stream.close()
        self.assertTrue(lines[-1].get("error"), lines[-1])
        found.append(lines[-1]["error"])
        return found

    def check(self, fault, results, patience=None):
        """`patience`: the flag that ends the waiting for such a one. Nobody else is hurried."""
        self.publish()
        rogue = Rogue(self, fault)
        hurry = [patience, SHORT] if patience else []
        alone = self.asker("--mesh", *hurry, told=[rogue], name="alone")
        poll(lambda: alone.chat("Hello") and "asked by" in rogue.log(), "the rogue to be asked")
        errors = self.errors(alone)
        alone.kill()
        print(f"  {fault}: {errors[0][:110]}")
        met = rogue.log().count("asked by")
        honest = self.provider("honest", OPEN)
        hurry = [patience, LONG] if patience else []
        both = self.asker("--mesh", *hurry, told=[honest, rogue], name="both")
        self.served(both)
        poll(lambda: both.knows(honest, rogue), "both to be known")
        # Whom nobody asked yet is tried before whose answers are known to take a while.
        found = [rogue.log().count("asked by") > met]  # by the very first ask
        for text, words in TALKS:
            answer = both.chat(text)
            self.says(answer, words)  # whatever became of the one that does wrong
            told = answer.json()["x_lucid"]
            self.assertEqual(str(told["verified"]).lower(), "true")
            self.assertEqual(told["served_by"], honest.peer_id())
            found += [one["result"] for one in told.get("earlier", [])
                      if one["served_by"] == rogue.peer_id()]
        self.assertTrue(any(found), "it was never asked")
        self.assertLessEqual(set(found) - {True, False}, results)
        return errors

    def test_lies_about_the_output(self):
        for text in self.check("alter_output", {"refused"}):
            self.assertIn("refused", text)

    def test_signs_for_another_model(self):
        for text in self.check("other_subject", {"refused"}):
            self.assertIn("refused", text)

    def test_advertises_a_model_it_lacks(self):
        for text in self.check("lacks_model", {"declined"}):
            self.assertIn("model", text)

    def test_stalls_before_the_first_token(self):
        for text in self.check("beat_only", {"lost"}, "--first-token-seconds"):
            self.assertIn(f"made no output for {SHORT} s", text)

    def test_stalls_while_it_answers(self):
        for text in self.check("stall_midway", {"lost"}, "--silence-seconds"):
            self.assertIn(f"made no output for {SHORT} s", text)

    def test_never_answers_the_offer(self):
        for text in self.check("mute", {"lost"}, "--first-token-seconds"):
            self.assertIn(f"made no output for {SHORT} s", text)

    def test_floods(self):
        for text in self.check("flood", {"lost"}):
            self.assertTrue(text)

    def test_breaks_off(self):
        for text in self.check("crash", {"lost"}):
            self.assertTrue(text)


class Hedging(Mesh):
    def test_a_second_one_is_asked_when_the_first_is_late(self):
        self.publish()
        honest = self.provider("honest", OPEN)
        rogue = Rogue(self, "beat_only", *honest.told())
        asker = self.asker("--mesh", "--first-token-seconds", SECONDS_MAX * 3, told=[honest, rogue])
        hedge = {"X-Lucid-Hedge": "1"}
        self.served(asker, headers=hedge)

        poll(lambda: asker.knows(honest, rogue), "both to be known")
        for text, words in TALKS[1:]:
            answer = asker.chat(text, headers=hedge)
            self.says(answer, words)
            told = answer.json()["x_lucid"]
            self.assertEqual(told["served_by"], honest.peer_id())
            for one in told.get("earlier", []):
                self.assertEqual(one["served_by"], rogue.peer_id())
        self.assertIn("asked by", rogue.log())


class Conversations(Mesh):
    def usage(self, node, *turns):
        messages = [{"role": "assistant" if i % 2 else "user", "content": text}
                    for i, text in enumerate(turns)]
        def served():
            got = node.ask("POST", "/v1/chat/completions",
                           {"model": TINY, "messages": messages, "temperature": 0},
                           {"X-Lucid-Conversation": "of-two-people"})
            return got if got.status == 200 else None
        answer = poll(served, "an answer")  # the first one: nothing of this caller was there before
        body = answer.json()
        return (body["usage"]["prompt_tokens_details"]["cached_tokens"],
                answer.headers["x-lucid-served-by"], body["choices"][0]["message"]["content"])

    def test_a_prefix_is_computed_once_for_its_caller_only(self):
        first = self.provider("first", OPEN)
        second = self.provider("second", OPEN, *first.told())
        ada = self.asker("--mesh", told=[first, second], name="ada")
        bob = self.asker("--mesh", told=[first, second], name="bob")
        turns = ["My name is Grace."]
        _, server, said = self.usage(ada, *turns)
        turns += [said, "What is my name?"]
        cached, again, _ = self.usage(ada, *turns)
        self.assertEqual(again, server)
        self.assertGreater(cached, 10)
        for provider in (first, second):
            if provider.peer_id() != server:
                provider.kill()  # bob's way leads to where ada's prefix is
        cached, by, _ = self.usage(bob, *turns)
        self.assertEqual(by, server)
        self.assertEqual(cached, 0, "another caller's prefix was used")
        cached, by, _ = self.usage(bob, *turns)
        self.assertGreater(cached, 10, "its own is")


class Replay(Mesh):
    """A provider lost after the first token: the next one says the same words."""

    def test_a_sampled_answer_goes_on_with_the_same_words(self):
        options = {"temperature": 0.8, "seed": 7}
        nodes = [self.provider("first", OPEN)]
        nodes.append(self.provider("second", OPEN, *nodes[0].told()))
        asker = self.asker("--mesh", told=nodes)
        poll(lambda: asker.knows(*nodes), "both to be known")
        whole = asker.chat(STORY, options=options).json()["message"]["content"]
        stream = asker.stream(STORY, options=options)
        lines = iter(stream)
        seen = [next(lines)]
        lost = stream.headers["x-lucid-served-by"]
        next(node for node in nodes if node.peer_id() == lost).kill()
        seen += list(lines)
        stream.close()
        last = seen[-1]
        self.assertTrue(last.get("done"), last)
        self.assertEqual("".join(line["message"]["content"] for line in seen), whole)
        told = last["x_lucid"]
        self.assertEqual(str(told["verified"]).lower(), "true")
        if told["served_by"] == lost:
            self.skipTest("the answer was there before the provider was lost")
        self.assertEqual(told["earlier"], [{"job": stream.headers["x-lucid-job"],
                                            "served_by": lost, "result": "lost"}])
        # The one receipt covers all that was said.
        output = asker.ask("GET", f"/api/receipts/{told['receipt']}?part=output").body
        self.assertEqual(self.verified(asker, told["receipt"]), 0)
        pieces = [piece for piece in json.loads(output)["transcript"] if piece["stream"] == 1]
        said = b"".join(base64.b64decode(piece["data"]) for piece in pieces).decode()
        self.assertEqual(said, whole)

    def verified(self, asker, job):
        names = {"receipt": "r.cose", "manifest": "m.cose", "output": "t.json"}
        for part, name in names.items():
            got = asker.ask("GET", f"/api/receipts/{job}?part={part}")
            self.assertEqual(got.status, 200, got)
            (self.folder / name).write_bytes(got.body)
        words = [PHASE, "verify", self.folder / "r.cose", "--manifest", self.folder / "m.cose",
                 "--transcript", self.folder / "t.json", "--json"]
        done = subprocess.run(words, capture_output=True, timeout=SECONDS_MAX, check=False)
        self.shown = done.stdout.decode()
        return done.returncode

    def test_a_client_that_leaves_gets_a_partial_receipt(self):
        provider = self.provider("provider", OPEN)
        asker = self.asker("--mesh", told=[provider])
        self.served(asker)
        stream = asker.stream(STORY, options={"temperature": 0, "num_predict": 8000})
        next(iter(stream))
        job = stream.headers["x-lucid-job"]
        left = time.monotonic()
        stream.close()
        poll(lambda: asker.ask("GET", f"/api/receipts/{job}?part=receipt").status == 200,
             "the partial receipt")
        took = (time.monotonic() - left) * 1000
        print(f"  cancel to partial receipt at the asker: {took:.1f} ms")
        self.assertEqual(self.verified(asker, job), 0, self.shown)
        self.assertIn("cancelled", self.shown)


class Saturation(Mesh):
    def test_more_than_the_queue_takes_is_told_to_come_again(self):
        node = self.tiny("--max-queue", 2, "--parallel", 1)
        self.says(node.chat("Hello"), HELLO)
        workers = node.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        results = []
        begun = [self.begin(node) for _ in range(2)]
        poll(lambda: node.chat("Hello").status == 503, "the queue to be full")
        for path, body in (("/api/chat", {"stream": False}), ("/api/generate", {"prompt": "x"}),
                           ("/v1/chat/completions", {}), ("/v1/messages", {"max_tokens": 5})):
            messages = {} if "prompt" in body else {
                "messages": [{"role": "user", "content": "Hello"}]}
            answer = node.ask("POST", path, {"model": TINY} | messages | body)
            self.assertEqual(answer.status, 503, (path, answer))
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
            self.assertTrue(answer.json()["error"])
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        for wire in begun:
            results.append(wire.getresponse())
            self.assertEqual(results[-1].status, 200)
            self.assertIn(b'"done":true', results[-1].read())
            wire.close()
        self.says(node.chat("Hello"), HELLO)

    def begin(self, node):
        """A request that is sent, and whose answer is not read yet."""

        wire = http.client.HTTPConnection("127.0.0.1", node.port, timeout=SECONDS_MAX)
        wire.request("POST", "/api/chat", json.dumps(
            {"model": TINY, "messages": [{"role": "user", "content": "Hello"}]}))
        return wire

    def test_a_larger_context_does_not_starve(self):
        node = self.tiny("--parallel", 4, "--llama-ctx-size", 256)
        stop = []

        def small(_):
            count = 0
            while not stop:
                answer = node.chat("Hello")
                self.assertEqual(answer.status, 200, answer)
                count += 1
            return count

        def large(number):
            if number > 0:
                return small(number)
            try:
                return node.chat("Hello", options={"temperature": 0, "num_ctx": 512})
            finally:
                stop.append(True)
        answers = self.at_once(7, large)
        self.says(answers[0], HELLO)
        self.assertTrue(all(isinstance(count, int) for count in answers[1:]), answers)


if __name__ == "__main__":
    main()
