#!/usr/bin/env python3
"""What clients of Ollama and OpenAI are told exactly, also where there is nothing to tell."""

import json

from lucid_case import TINY, Case, Node, main, poll

ZEROS = "sha256:" + "0" * 64
JSON, TEXT = "application/json", "text/plain"


def openai(message, kind, code=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


NOT_FOUND = {"error": "model 'nope' not found"}
PULL_FIRST = {"error": 'model "nope" not found, try pulling it first'}
REQUIRED = {"error": "model is required"}
NO_VECTORS = '"tiny-chat" does not support embeddings'
HELLO = [{"role": "user", "content": "Hello"}]
# method, path, body, status, answer: JSON, or text as it stands
ANSWERS = (
    ("HEAD", "/", None, 200, ""),
    ("GET", "/", None, 200, "Ollama is running"),
    ("HEAD", "/api/version", None, 200, ""),
    ("GET", "/api/version", None, 200, {"version": "0.24.0"}),
    ("GET", "/api/status", None, 200, {"cloud": {"disabled": True, "source": "none"}}),
    ("GET", "/api/nothing", None, 404, "404 page not found"),
    ("POST", "/api/tags", {}, 405, "405 method not allowed"),
    ("GET", "/api/chat", None, 405, "405 method not allowed"),
    ("PUT", "/", None, 405, "405 method not allowed"),
    ("GET", "/v1/nothing", None, 404, openai("no such path: /v1/nothing", "not_found_error")),
    ("GET", "/v1/models/nope", None, 404,
     openai("model 'nope' not found", "not_found_error", "model_not_found")),
    ("GET", "/v1/messages", None, 405, {"type": "error", "error": {
        "type": "api_error", "message": "this path does not take that method"}}),
    ("POST", "/api/chat", {"model": "nope"}, 404, NOT_FOUND),
    ("POST", "/api/chat", {}, 400, REQUIRED),
    ("POST", "/api/generate", {"model": "nope"}, 404, NOT_FOUND),
    ("POST", "/api/generate", {}, 404, {"error": "model '' not found"}),
    ("POST", "/api/show", {"model": "nope"}, 404, NOT_FOUND),
    ("POST", "/api/show", {}, 400, REQUIRED),
    ("DELETE", "/api/delete", {"model": "nope"}, 404, NOT_FOUND),
    ("POST", "/api/copy", {"source": "nope", "destination": "x"}, 404,
     {"error": 'model "nope" not found'}),
    ("POST", "/api/copy", {"source": TINY}, 400,
     {"error": "source and destination are required"}),
    ("POST", "/api/copy", {"source": TINY, "destination": "b/../x"}, 400,
     {"error": "invalid model name: b/../x"}),
    ("POST", "/api/embed", {"model": "nope", "input": "x"}, 404, PULL_FIRST),
    ("POST", "/api/embed", {"input": "x"}, 400, REQUIRED),
    ("POST", "/api/embeddings", {"model": "nope", "prompt": "x"}, 404, PULL_FIRST),
    ("POST", "/api/embeddings", {"prompt": "x"}, 400, REQUIRED),
    ("POST", "/api/embed", {"model": TINY, "input": "x"}, 400, {"error": NO_VECTORS}),
    ("POST", "/api/embeddings", {"model": TINY, "prompt": "x"}, 400, {"error": NO_VECTORS}),
    ("POST", "/v1/embeddings", {"model": TINY, "input": "x"}, 400,
     openai(NO_VECTORS, "invalid_request_error")),
    ("POST", "/v1/rerank", {"model": TINY, "query": "x", "documents": ["a"]}, 400,
     openai('"tiny-chat" does not support reranking', "invalid_request_error")),
    ("POST", "/api/push", {"model": "nope"}, 404, NOT_FOUND),
    ("POST", "/api/create", {"model": "x"}, 400,
     {"error": "neither 'from' or 'files' was specified"}),
    ("HEAD", f"/api/blobs/{ZEROS}", None, 404, ""),
    ("POST", "/api/blobs/zzz", b"abc", 400, {"error": "invalid digest format"}),
    ("POST", "/v1/chat/completions", {"model": "nope", "messages": HELLO}, 404,
     openai("model 'nope' not found", "not_found_error", "model_not_found")),
    ("POST", "/v1/chat/completions", {}, 400,
     openai("model is required", "invalid_request_error")),
    ("POST", "/v1/messages", {"model": "nope", "max_tokens": 1, "messages": HELLO}, 404,
     {"type": "error", "error": {"type": "not_found_error", "message": "model 'nope' not found"}}),
    ("GET", "/api/receipts/zz", None, 404, {"error": "there is no receipt of job zz"}),
)


class Surface(Case):
    def test_answers_are_those_of_the_published_apis(self):
        node = self.tiny()
        for method, path, body, status, answer in ANSWERS:
            with self.subTest(f"{method} {path} {body}"):
                got = node.ask(method, path, body)
                self.assertEqual(got.status, status, got)
                if isinstance(answer, dict):
                    self.assertEqual(got.json(), answer)
                    self.assertTrue(got.headers["content-type"].startswith(JSON), got)
                elif answer:
                    self.assertEqual(got.body.decode(), answer)
                    self.assertTrue(got.headers["content-type"].startswith(TEXT), got)
                else:
                    self.assertEqual(got.body, b"")
                if status == 405:
                    self.assertIn("allow", got.headers)

    def test_the_nodes_own_api_names_what_it_knows(self):
        answer = self.echo().ask("GET", "/api/lucid/nothing")
        self.assertEqual(answer.status, 404)
        error = answer.json()["error"]
        self.assertEqual(error["code"], "not_found")
        self.assertIn("/api/lucid/status", error["hint"])

    def test_a_stop_string_that_ended_the_answer_is_named(self):
        node = self.tiny()
        body = {"model": TINY, "max_tokens": 50, "temperature": 0, "messages": HELLO,
                "stop_sequences": ["no such", "help"]}
        answer = node.ask("POST", "/v1/messages", body).json()
        self.assertEqual(answer["stop_reason"], "stop_sequence")
        self.assertEqual(answer["stop_sequence"], "help")
        self.assertEqual(answer["content"][0]["text"], "Hello! How can I ")
        body["stop_sequences"] = ["no such"]
        answer = node.ask("POST", "/v1/messages", body).json()
        self.assertEqual((answer["stop_reason"], answer["stop_sequence"]), ("end_turn", None))
        body["stop_sequences"], body["stream"] = ["help"], True
        stream = node.ask("POST", "/v1/messages", body).body.decode()
        self.assertIn('"stop_sequence":"help"', stream)

    def test_a_model_of_a_peer_that_does_not_embed_says_so(self):
        self.publish()
        provider = Node(self, "--model-dir", self.models, name="provider", network=True,
                        policy="allow_unauthenticated_jobs = true\n").ready()
        asker = Node(self, "--no-local-worker", "--mesh", *provider.told(), name="asker",
                     network=True).ready()
        poll(lambda: asker.chat("Hello").status == 200, "the peer")
        for path, field in (("/api/embed", "input"), ("/api/embeddings", "prompt"),
                            ("/v1/embeddings", "input")):
            answer = asker.ask("POST", path, {"model": TINY, field: "x"})
            self.assertEqual(answer.status, 400, answer)
            self.assertIn("does not embed", json.dumps(answer.json()["error"]))

    def test_pages_of_allowed_origins_see_the_headers(self):
        node = self.echo()
        asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type, x-lucid-local-only"}
        answer = node.ask("OPTIONS", "/api/chat", headers=asked)
        self.assertEqual(answer.status, 204, answer)
        self.assertEqual(answer.headers["access-control-allow-origin"], "http://localhost:3000")
        self.assertIn("x-lucid-local-only", answer.headers["access-control-allow-headers"])
        answer = node.chat("abc", "echo", headers={"Origin": "http://localhost:3000"})
        self.assertIn("X-Lucid-Served-By", answer.headers["access-control-expose-headers"])
        for origin in ("https://evil.example", "null"):
            refused = node.ask("OPTIONS", "/api/chat", headers=asked | {"Origin": origin})
            self.assertEqual(refused.status, 403, refused)
            self.assertNotIn("access-control-allow-origin", refused.headers)


if __name__ == "__main__":
    main()
