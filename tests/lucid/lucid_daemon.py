#!/usr/bin/env python3
"""One lucidd on loopback: its port, signals, policy file, keys, who may ask, and its receipts."""

import json
import os
import signal
import socket
import subprocess

from lucid_case import HELLO, LUCIDD, PHASE, SECONDS_MAX, STORY, TINY, Case, Node, main, poll


class Start(Case):
    def test_a_taken_port_is_named_with_what_to_do(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            node = Node(self, "--worker", "echo", port=port)
            self.assertEqual(node.wait(), 1, node.log())
        for word in (str(port), "taken", "--port", "OLLAMA_HOST"):
            self.assertIn(word, node.log())

    def test_a_model_folder_that_is_not_there(self):
        node = Node(self, "--model-dir", self.folder / "nowhere")
        self.assertNotEqual(node.wait(), 0)
        self.assertIn("--model-dir", node.log())

    def test_a_data_folder_belongs_to_one_node(self):
        first = self.echo()
        second = Node(self, "--worker", "echo", "--data", first.folder / "data", name="second")
        self.assertNotEqual(second.wait(), 0, second.log())
        self.says(first.chat("abc", "echo"), "cba")

    def test_without_models_and_without_a_mesh_it_says_what_to_do(self):
        node = Node(self, "--no-local-worker").ready()
        self.assertIn("--mesh", node.log())
        answer = node.chat("Hello")
        self.assertEqual(answer.status, 404, answer)
        self.assertIn("not found", answer.json()["error"])


class Signals(Case):
    def test_a_running_answer_ends_before_the_node(self):
        node = self.tiny("--drain-seconds", SECONDS_MAX)
        lines = iter(stream := node.stream(STORY))
        first = next(lines)
        node.signal(signal.SIGTERM)
        poll(lambda: "no new requests" in node.log(), "the drain")
        rest = [first, *lines]
        stream.close()
        self.assertTrue(rest[-1]["done"], rest[-1])
        self.assertNotIn("error", rest[-1])
        self.assertGreater(len("".join(line["message"]["content"] for line in rest)), 300)
        self.assertEqual(node.wait(), 0)
        self.assertIn("drained", node.log())

    def test_a_second_signal_stops_at_once(self):
        node = self.tiny("--drain-seconds", 600)
        # What keeps the drain from ending: an answer whose worker does not go on.
        node.chat("Hello")
        for worker in node.workers():
            os.kill(worker, signal.SIGSTOP)
        stuck = self.begun(node)
        node.signal(signal.SIGTERM)
        poll(lambda: "no new requests" in node.log(), "the drain")
        self.assertIsNone(node.process.poll())
        node.signal(signal.SIGINT)
        self.assertEqual(node.wait(), 128 + signal.SIGINT)
        stuck.close()

    def begun(self, node):
        """A request that is under way: its head and body are sent, nothing is read."""
        body = json.dumps({"model": TINY, "messages": [{"role": "user", "content": "Hello"}]})
        wire = socket.create_connection(("127.0.0.1", node.port), SECONDS_MAX)
        admitted = node.log().count("admitted")
        wire.sendall(f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
                     f"\r\n\r\n{body}".encode())
        poll(lambda: node.log().count("admitted") > admitted, "the request")
        return wire


class Policy(Case):
    def check(self, text):
        file = self.folder / "checked.toml"
        file.write_text(text)
        return subprocess.run([LUCIDD, "policy", "check", file], capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False)

    def test_check_tells_right_from_wrong(self):
        shown = subprocess.run([LUCIDD, "policy", "show"], capture_output=True, text=True,
                               timeout=SECONDS_MAX, check=True).stdout
        for text in ("", shown, "manual_pause = true\n"):
            done = self.check(text)
            self.assertEqual(done.returncode, 0, done)
            self.assertIn("nobody else", done.stdout)
        self.assertIn("anybody", self.check("allow_unauthenticated_jobs = true\n").stdout)
        for text, word in (("manual_puase = true\n", "manual_puase"),
                           ("manual_pause = 1\n", "manual_pause"),
                           ("\nmax_tokens_ceiling = 0\n", "line 2"), ("= 1\n", "line 1"),
                           ("authorized_submitters = [\"me\"]\n", "authorized_submitters")):
            done = self.check(text)
            self.assertNotEqual(done.returncode, 0, text)
            self.assertIn(word, done.stderr)
        missing = subprocess.run([LUCIDD, "policy", "check", self.folder / "none.toml"],
                                 capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        self.assertNotEqual(missing.returncode, 0)

    def test_a_node_does_not_start_with_a_wrong_one(self):
        node = Node(self, "--worker", "echo", policy="manual_puase = true\n")
        self.assertNotEqual(node.wait(), 0)
        self.assertIn("manual_puase", node.log())

    def test_one_is_made_where_there_is_none(self):
        node = self.echo()
        self.assertEqual(self.check(node.policy_file.read_text()).returncode, 0)

    def test_a_changed_file_is_taken_and_a_wrong_one_left(self):
        node = self.echo(policy="")
        force = "is in force"
        node.policy_file.write_text("max_tokens_ceiling = 5\n")
        poll(lambda: node.log().count(force) == 1, "the watch")
        node.policy_file.write_text("max_tokens_ceiling = none\n")
        poll(lambda: "the last good policy stays" in node.log(), "the refusal")
        node.policy_file.write_text("max_tokens_ceiling = 6\n")
        poll(lambda: node.log().count(force) == 2, "the watch")
        node.signal(signal.SIGHUP)
        poll(lambda: node.log().count(force) == 3, "SIGHUP")
        self.says(node.chat("abc", "echo"), "cba")

    def test_the_owner_is_served_whatever_it_says(self):
        node = self.echo(policy="manual_pause = true\nserve_models = []\nmax_tokens_ceiling = 1\n"
                                "max_prompt_bytes = 1\nmax_concurrent_remote_jobs = 0\n")
        self.says(node.chat("abcdef", "echo"), "fedcba")


class Access(Case):
    def test_keys_are_wanted_where_there_are_keys(self):
        keys = self.folder / "keys"
        keys.write_text("first-key-of-good-length\n\nsecond-key-of-good-length\n")
        node = self.echo("--api-keys", keys)
        for path in ("/api/tags", "/v1/models"):
            self.assertEqual(node.ask("GET", path).status, 401)
            wrong = {"Authorization": "Bearer not-a-key-of-this-node"}
            self.assertEqual(node.ask("GET", path, headers=wrong).status, 401)
            for key in ("first", "second"):
                right = {"Authorization": f"Bearer {key}-key-of-good-length"}
                self.assertEqual(node.ask("GET", path, headers=right).status, 200)
        self.assertEqual(node.chat("abc", "echo").status, 401)
        self.assertNotIn("good-length", node.log())

    def test_a_missing_key_file_is_an_error(self):
        node = Node(self, "--worker", "echo", "--api-keys", self.folder / "none")
        self.assertNotEqual(node.wait(), 0)
        self.assertIn("none", node.log())

    def test_foreign_pages_and_names_are_refused(self):
        node = self.echo("--origin", "https://pages.example")
        self.assertEqual(node.ask("GET", "/api/tags").status, 200)
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"},
                        {"Origin": "null"}):
            answer = node.ask("GET", "/api/tags", headers=headers)
            self.assertEqual(answer.status, 403, answer)
        for origin in ("https://pages.example", "http://localhost:3000"):
            answer = node.ask("GET", "/api/tags", headers={"Origin": origin})
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["access-control-allow-origin"], origin)

    def test_requests_that_are_none(self):
        node = self.echo()
        for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"model":1}', b"[" * 100_000,
                     b'{"model":"echo","messages":"x"}', b'{"model":"echo","colour":1}'):
            answer = node.ask("POST", "/api/chat", body)
            self.assertEqual(answer.status, 400, (body[:40], answer))
            self.assertTrue(answer.json()["error"])
        self.says(node.chat("abc", "echo"), "cba")

    def test_a_body_too_large_is_refused_before_it_is_read(self):
        node = self.echo()
        with socket.create_connection(("127.0.0.1", node.port), SECONDS_MAX) as wire:
            wire.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n"
                         b"Content-Length: 99999999999\r\n\r\n")
            self.assertIn(b" 413 ", wire.makefile("rb").readline())
        text = "a" * (17 << 20)
        answer = node.chat(text, "echo")
        self.assertEqual(answer.status, 413, answer)
        self.says(node.chat("abc", "echo"), "cba")


class Receipts(Case):
    def test_they_outlive_the_node_and_are_right(self):
        node = self.tiny()
        answer = node.chat("Hello")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-routed-via"], "local")
        self.assertEqual(answer.headers["x-lucid-served-by"], node.peer_id())
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")
        job = answer.json()["x_lucid"]["receipt"]
        parts = {part: node.ask("GET", f"/api/receipts/{job}?part={part}").body
                 for part in ("receipt", "manifest", "output", "prompt")}
        self.verify(parts)
        self.assertEqual(node.stop(), 0)
        node.start().ready()
        for part in ("receipt", "manifest"):
            again = node.ask("GET", f"/api/receipts/{job}?part={part}")
            self.assertEqual((again.status, again.body), (200, parts[part]))
        unknown = node.ask("GET", f"/api/receipts/{'0' * len(job)}")
        self.assertEqual(unknown.status, 404)

    def verify(self, parts):
        names = {"receipt": "r.cose", "manifest": "m.cose", "output": "t.json"}
        for part, name in names.items():
            (self.folder / name).write_bytes(parts[part])
        words = [PHASE, "verify", self.folder / "r.cose", "--manifest", self.folder / "m.cose",
                 "--transcript", self.folder / "t.json", "--json"]
        done = subprocess.run(words, capture_output=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(json.loads(done.stdout)["verified"])

    def test_answers_held_back_until_verified(self):
        node = self.tiny("--require-verified")
        answer = node.chat("Hello")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")
        stream = node.stream(STORY)
        lines = list(stream)
        stream.close()
        self.assertTrue(lines[-1]["done"])
        self.assertEqual(str(lines[-1]["x_lucid"]["verified"]).lower(), "true")


if __name__ == "__main__":
    main()
