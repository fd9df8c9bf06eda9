#!/usr/bin/env python3
"""`--worker llama-server --upstream URL`: another server does the inference, lucidd the rest.

    lucid_upstream.py [Real]

Real is before a real llama-server: the one of a build with PHASE_LLAMA_SOURCE (make bench-lucid),
or of PHASE_LLAMA_SERVER. Without it: a small server of this file that speaks as that one does
(Small), or misbehaves as that one does not on demand (Bad).
"""

import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from lucid_case import (BUILD, HELLO, LUCIDD, MODELS, STORY, Case, Node, free_port, main,
                        poll)

SERVER = pathlib.Path(os.environ.get("PHASE_LLAMA_SERVER") or BUILD / "bin" / "llama-server")


class Real(Case):
    """Before a real llama-server."""

    def setUp(self):
        super().setUp()
        if not SERVER.exists():
            self.skipTest(f"no {SERVER}; make bench-lucid builds one")
        self.server_port = free_port()

    def upstream(self, *words, model="tiny-chat.f16.gguf"):
        if not (MODELS / model).exists():
            self.skipTest(f"{model} is missing; make models makes it")
        with open(self.folder / "llama-server.log", "wb") as log:
            server = subprocess.Popen(
                [SERVER, "-m", MODELS / model, "--alias", "tiny-chat", "--port",
                 str(self.server_port), "-t", "1", "-np", "2", "-c", "2048", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        poll(self.listens, "the server to listen")
        return server

    def listens(self):
        """It listens before its model is loaded, which lucidd waits for."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.server_port)) == 0

    def node(self, *words):
        return Node(self, "--worker", "llama-server", "--upstream",
                    f"http://127.0.0.1:{self.server_port}", *words).ready()

    def slots_busy(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server_port}/slots") as answer:
            return b'"is_processing":true' in answer.read()

    def test_answers_with_a_receipt_that_says_upstream(self):
        self.upstream()  # lucidd waits while it loads
        node = self.node()
        answer = node.chat("Hello")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")
        last = answer.json()
        self.assertEqual(last["done_reason"], "stop")
        self.assertGreater(last["prompt_eval_count"], 0)
        self.assertGreater(last["eval_count"], 0)
        kept = node.ask("GET", f"/api/receipts/{last['x_lucid']['receipt']}")
        self.assertEqual(kept.status, 200, kept)
        self.assertIn("upstream", kept.body.decode(errors="replace"))
        self.assertEqual([model["name"] for model in node.ask("GET", "/api/tags").json()["models"]],
                         ["tiny-chat:latest"])

    def test_streams_calls_tools_keeps_to_schemas(self):
        self.upstream()
        node = self.node()
        stream = node.stream("Hello")
        parts = list(stream)
        self.assertEqual("".join(part["message"]["content"] for part in parts), HELLO)
        self.assertGreater(len(parts), 4)
        tool = {"type": "function", "function": {
            "name": "get_weather", "description": "", "parameters": {
                "type": "object", "properties": {"city": {"type": "string"}}}}}
        called = node.chat("What is the weather in Paris?", tools=[tool]).json()
        self.assertEqual(called["message"]["tool_calls"][0]["function"],
                         {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}})
        self.says(node.chat("Count from 1 to 10.", options={"temperature": 0, "num_predict": 3}),
                  "1, ")
        raw = node.ask("POST", "/api/generate", {
            "model": "tiny-chat", "prompt": "The capital of France is", "raw": True,
            "stream": False, "options": {"temperature": 0, "num_predict": 12}})
        self.assertIn("Paris", raw.json()["response"])

    def test_what_the_server_refuses_is_told_with_its_words(self):
        self.upstream()
        node = self.node()
        embedded = node.ask("POST", "/api/embed", {"model": "tiny-chat", "input": "a"})
        self.assertEqual(embedded.status, 400, embedded)
        self.assertIn("upstream says", embedded.json()["error"])
        long = node.chat("word " * 4000)
        self.assertEqual(long.status, 400, long)
        self.assertIn("context", long.json()["error"])

    def test_a_client_that_leaves_frees_the_slot(self):
        self.upstream()
        node = self.node()
        stream = node.stream(STORY, options={"temperature": 0, "num_predict": 900,
                                             "repeat_penalty": 1.0})
        next(iter(stream))
        stream.close()
        poll(lambda: not self.slots_busy(), "the slot to be free")
        self.says(node.chat("Hello"), HELLO)

    def test_a_server_that_went_away_is_an_error_with_the_next_step(self):
        server = self.upstream()
        node = self.node()
        self.says(node.chat("Hello"), HELLO)
        server.kill()
        server.wait()
        answer = node.chat("Hello")
        self.assertGreaterEqual(answer.status, 500, answer)
        self.assertIn("llama-server", answer.json()["error"])


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def piece(text):
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


CHAT = (piece("Hel") + piece("lo") + event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        + event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2},
                 "timings": {"cache_n": 0, "prompt_ms": 3.5, "predicted_ms": 7.25}})
        + b"data: [DONE]\n\n")
COMPLETION = (event({"content": "Par", "stop": False})
              + event({"content": "is", "stop": True, "stop_type": "limit", "tokens_evaluated": 5,
                       "tokens_predicted": 2}))
EMBEDDING = json.dumps({"data": [{"index": 0, "embedding": [3, 4]}],
                        "usage": {"prompt_tokens": 2}}).encode()
SECONDS_OF_STREAM_MAX = 60


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says what a llama-server says of itself, and then what it was told to say."""

    def do_GET(self):
        if self.server.loads > 0:
            self.server.loads -= 1
            return self.send(503, b'{"error":{"message":"Loading model","code":503}}')
        return self.send(200, b'{"data":[{"id":"/models/far.gguf","meta":{"n_params":460000}}]}'
                         if self.path == "/v1/models" else
                         b'{"chat_template":"x","default_generation_settings":{"n_ctx":64}}')

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        if self.server.endless:
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(SECONDS_OF_STREAM_MAX * 50):
                    self.wfile.write(piece("word "))
                    time.sleep(0.02)  # tidy: allow(sleep): a model that speaks slowly
            except OSError:
                self.server.left.set()
            return None
        return self.send(self.server.status, self.server.answer)

    def send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Before(Case):
    """A node before the server above."""

    def upstream(self, answer=b"", status=200, endless=False, loads=0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        server.answer, server.status, server.endless, server.loads = answer, status, endless, loads
        server.asked, server.left = [], threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        port = server.server_address[1]
        node = Node(self, "--worker", "llama-server", "--upstream", f"http://127.0.0.1:{port}",
                    name=f"node{port}")
        return server, node.ready()


class Small(Before):
    """Before one that answers."""

    def test_answers_come_through_with_a_receipt_that_says_upstream(self):
        server, node = self.upstream(CHAT, loads=2)
        answer = node.chat("Hi", model="far", options={"temperature": 0, "num_predict": 5,
                                                       "stop": ["x"]})
        self.says(answer, "Hello")
        self.assertEqual(answer.headers["x-lucid-receipt-verified"], "true")
        last = answer.json()
        self.assertEqual((last["prompt_eval_count"], last["eval_count"]), (9, 2))
        self.assertEqual((last["prompt_eval_duration"], last["eval_duration"]), (3500000, 7250000))
        kept = node.ask("GET", f"/api/receipts/{last['x_lucid']['receipt']}")
        self.assertIn(b"upstream", kept.body)
        path, asked = server.asked[-1]
        self.assertEqual(path, "/v1/chat/completions")
        self.assertEqual(asked["messages"], [{"role": "user", "content": "Hi"}])
        self.assertEqual((asked["temperature"], asked["max_tokens"], asked["stop"]), (0, 5, ["x"]))
        self.assertEqual("".join(part["message"]["content"]
                                 for part in node.stream("Hi", model="far")), "Hello")

    def test_other_kinds_of_requests_take_their_routes(self):
        server, node = self.upstream(COMPLETION)
        raw = node.ask("POST", "/api/generate", {"model": "far", "prompt": "a", "raw": True,
                                                 "stream": False}).json()
        self.assertEqual((raw["response"], raw["done_reason"], server.asked[-1][0]),
                         ("Paris", "length", "/completion"))
        server.answer = EMBEDDING
        embedded = node.ask("POST", "/api/embed", {"model": "far", "input": "a"}).json()
        self.assertEqual((embedded["embeddings"], embedded["prompt_eval_count"]), ([[0.6, 0.8]], 2))
        self.assertEqual(server.asked[-1][0], "/v1/embeddings")

    def test_a_client_that_leaves_closes_the_connection(self):
        server, node = self.upstream(endless=True)
        stream = node.stream("Hi", model="far")
        next(iter(stream))
        stream.close()
        self.assertTrue(server.left.wait(SECONDS_OF_STREAM_MAX / 2), "it was let speak on")


class Bad(Before):
    """Before one that does not keep to its side, or none."""

    def test_half_an_answer_and_no_answer_are_errors(self):
        server, node = self.upstream()
        for said in (piece("Hel"), b"", b"data: {]\n\n",
                     b'data: {"error":{"message":"no","type":"server_error"}}\n\n'):
            with self.subTest(said):
                server.answer = said
                answer = node.chat("Hello", model="far")
                self.assertGreaterEqual(answer.status, 500, answer)
                self.assertIn("upstream", answer.json()["error"])

    def test_refusals_are_passed_on(self):
        server, node = self.upstream(
            b'{"error":{"message":"start it with --embeddings","type":"not_supported_error"}}', 501)
        answer = node.ask("POST", "/api/embed", {"model": "far", "input": "a"})
        self.assertEqual(answer.status, 400, answer)
        self.assertIn("start it with --embeddings", answer.json()["error"])
        self.assertEqual(len(server.asked), 1)

    def test_nobody_there_is_told_at_start(self):
        done = subprocess.run(
            [LUCIDD, "--worker", "llama-server", "--upstream", f"http://127.0.0.1:{free_port()}",
             "--data", self.folder / "data", "--policy-config", self.folder / "policy.toml",
             "--no-network", "--port", str(free_port())],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("does not answer", done.stderr)
        self.assertIn("--upstream", done.stderr)

    def test_flags_that_do_not_go_together_are_told(self):
        for words, said in ((["--worker", "llama-server"], "needs --upstream"),
                            (["--upstream", "https://box"], "https"),
                            (["--upstream", "http://a", "--worker", "echo"], "goes with")):
            done = subprocess.run([LUCIDD, *words], capture_output=True, text=True, timeout=60,
                                  env={"HOME": str(self.folder)}, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    if sys.argv[1:] != ["Real"]:
        del Real
    else:
        del Small, Bad
        del sys.argv[1:]
    main()
