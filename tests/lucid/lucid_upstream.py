#!/usr/bin/env python3
"""`--worker llama-server --upstream URL`: a llama-server does the inference, lucidd the rest.

The first part needs a real llama-server (make bench-lucid builds one, PHASE_LLAMA_SERVER names
another) and is skipped without. The second is about a server that misbehaves, which the real one
does not do on demand: a small one of this file.
"""

import http.server
import os
import pathlib
import subprocess
import threading
import urllib.request

from lucid_case import (BUILD, HELLO, LUCIDD, MODELS, STORY, Case, Node, free_port, main,
                        poll)

SERVERS = [pathlib.Path(os.environ.get("PHASE_LLAMA_SERVER") or "/nowhere"),
           BUILD.with_name(BUILD.name + "-baseline") / "bin" / "llama-server",
           BUILD / "bin" / "llama-server"]


class Real(Case):
    """Before a real llama-server."""

    def setUp(self):
        super().setUp()
        self.program = next((path for path in SERVERS if path.exists()), None)
        if self.program is None:
            self.skipTest("no llama-server is built; make bench-lucid builds one")
        self.server_port = free_port()

    def upstream(self, *words, model="tiny-chat.f16.gguf"):
        if not (MODELS / model).exists():
            self.skipTest(f"{model} is missing; make models makes it")
        with open(self.folder / "llama-server.log", "wb") as log:
            server = subprocess.Popen(
                [self.program, "-m", MODELS / model, "--alias", "tiny-chat", "--port",
                 str(self.server_port), "-t", "1", "-np", "2", "-c", "2048", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server

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


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says what a llama-server says of itself, and then answers badly."""

    def do_GET(self):
        body = (b'{"data":[{"id":"bad"}]}' if self.path == "/v1/models"
                else b'{"chat_template":"x","default_generation_settings":{"n_ctx":64}}')
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        pass


class Bad(Case):
    """Before a server that does not keep to its side, or none."""

    def upstream(self, answer):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        server.answer = answer
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return Node(self, "--worker", "llama-server", "--upstream",
                    f"http://127.0.0.1:{server.server_address[1]}").ready()

    def test_half_an_answer_and_no_answer_are_errors(self):
        for said in (b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n', b"", b"data: {]\n\n",
                     b'data: {"error":{"message":"no","type":"server_error"}}\n\n'):
            with self.subTest(said):
                answer = self.upstream(said).chat("Hello", model="bad")
                self.assertGreaterEqual(answer.status, 500, answer)
                self.assertIn("upstream", answer.json()["error"])

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
    main()
