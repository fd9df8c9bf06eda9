#!/usr/bin/env python3
"""Models of one lucidd: folders, loading and letting go, lost workers, uploads, many at once."""

import hashlib
import json
import os
import resource
import shutil
import signal
import socket

from lucid_case import HELLO, MODELS, STORY, TINY, Case, Node, main, poll

PARIS = "The capital of France is Paris."


def running(node):
    return {entry["name"]: entry for entry in node.ask("GET", "/api/ps").json()["models"]}


def names(node):
    return {entry["name"] for entry in node.ask("GET", "/api/tags").json()["models"]}


class Folders(Case):
    def ollama(self, system="You are a pirate.", layers=()):
        """Ollama's folder as it keeps it: blobs by digest, manifests by name."""
        self.publish()
        folder = self.folder / "ollama"
        (folder / "blobs").mkdir(parents=True)

        def layer(kind, content):
            digest = hashlib.sha256(content).hexdigest()
            (folder / "blobs" / f"sha256-{digest}").write_bytes(content)
            return {"mediaType": f"application/vnd.ollama.image.{kind}",
                    "digest": f"sha256:{digest}", "size": len(content)}

        weights = (self.models / f"{TINY}.gguf").read_bytes()
        parameters = json.dumps({"temperature": 0, "num_ctx": 512, "stop": ["brings"],
                                 "mirostat": 2}).encode()
        made = [layer("model", weights), layer("system", system.encode()),
                layer("params", parameters), layer("license", b"MIT")]
        manifest = folder / "manifests" / "registry.ollama.ai" / "library" / "pirate" / "latest"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [*made, *layers]}))
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        return folder

    def test_ollamas_is_read_in_place(self):
        folder = self.ollama()
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        node = Node(self, "--ollama-models", folder).ready()
        self.assertEqual(names(node), {"pirate:latest"})
        answer = node.ask("POST", "/api/chat", {
            "model": "pirate", "stream": False, "messages": [{"role": "user", "content": "Hello"}]})
        self.says(answer, "Ahoy! What ")
        self.assertEqual(running(node)["pirate:latest"]["context_length"], 512)
        self.assertEqual({path: path.stat().st_mtime_ns for path in folder.rglob("*")}, before)

    def test_by_the_variable_and_in_the_home(self):
        folder = self.ollama()
        node = Node(self, environment={"OLLAMA_MODELS": str(folder)}).ready()
        self.assertEqual(names(node), {"pirate:latest"})
        node.stop()
        home = self.folder / "home"
        shutil.copytree(folder, home / ".ollama" / "models")
        node = Node(self, name="other", environment={"HOME": str(home)}).ready()
        self.assertEqual(names(node), {"pirate:latest"})

    def test_what_is_broken_there_is_left_alone(self):
        folder = self.ollama()
        library = folder / "manifests" / "registry.ollama.ai" / "library"
        for name, text in (("broken", "{"), ("list", "[]"), ("bare", '{"layers":[1,{}]}'),
                           ("gone", json.dumps({"layers": [{
                               "mediaType": "application/vnd.ollama.image.model",
                               "digest": "sha256:" + "0" * 64}]})),
                           ("path", json.dumps({"layers": [{
                               "mediaType": "application/vnd.ollama.image.model",
                               "digest": "sha256:../../../../etc/passwd"}]}))):
            (library / name).mkdir()
            (library / name / "latest").write_text(text)
        node = Node(self, "--ollama-models", folder).ready()
        self.assertEqual(names(node), {"pirate:latest"})

    def test_a_file_that_is_no_model_is_left_alone(self):
        (self.models / "junk.gguf").write_bytes(b"GGUF" + bytes(range(256)) * 64)
        (self.models / "empty.gguf").touch()
        node = self.tiny()
        self.assertEqual(names(node), {f"{TINY}:latest"})
        self.says(node.chat("Hello"), HELLO)

    def test_a_file_that_comes_later_is_served(self):
        node = self.tiny()
        self.says(node.chat("Hello"), HELLO)
        self.publish(name="second")
        self.says(poll(lambda: (got := node.chat("Hello", "second")).status == 200 and got), HELLO)
        os.remove(self.models / "second.gguf")
        poll(lambda: names(node) == {f"{TINY}:latest"}, "the file to be gone")


    def test_a_file_that_is_written_anew(self):
        node = self.tiny("--keep-alive", "0")
        self.says(node.chat("Hello"), HELLO)
        file = self.models / f"{TINY}.gguf"
        content = file.read_bytes()
        os.remove(file)
        file.write_bytes(content)  # the same bytes in another file
        self.says(node.chat("Hello"), HELLO)
        before = node.ask("GET", "/api/tags").json()["models"][0]["digest"]
        os.remove(file)
        shutil.copyfile(MODELS / "tiny-chat.q8_0.gguf", file)
        poll(lambda: node.ask("GET", "/api/tags").json()["models"][0]["digest"] != before,
             "the other file")
        self.says(node.chat("Hello"), HELLO)


class Recipes(Case):
    def create(self, node, **more):
        answer = node.ask("POST", "/api/create", {"model": "made", "from": TINY,
                                                  "stream": False} | more)
        self.assertEqual(answer.status, 200, answer)

    def ask(self, node, text="Hello", **more):
        return node.ask("POST", "/api/chat", {"model": "made", "stream": False, "messages": [
            {"role": "user", "content": text}]} | more)

    def test_its_system_message_and_options_are_applied(self):
        node = self.tiny()
        self.create(node, system="You are a pirate.",
                    parameters={"temperature": 0, "stop": "ye", "num_ctx": 256})
        self.says(self.ask(node), "Ahoy! What brings ")
        self.assertEqual(running(node)["made:latest"]["context_length"], 256)
        answer = self.ask(node, options={"stop": ["What"]})
        self.says(answer, "Ahoy! ")
        answer = self.ask(node, messages=[{"role": "system", "content": ""},
                                          {"role": "user", "content": "Hello"}])
        self.assertNotIn("Ahoy", answer.json()["message"]["content"])
        generate = node.ask("POST", "/api/generate", {"model": "made", "prompt": "Hello",
                                                      "stream": False})
        self.assertEqual(generate.json()["response"], "Ahoy! What brings ")
        self.says(node.chat("Hello"), HELLO)

    def test_its_messages_go_before(self):
        node = self.tiny()
        self.create(node, parameters={"temperature": 0}, messages=[
            {"role": "user", "content": "What is the capital of France?"},
            {"role": "assistant", "content": PARIS}])
        self.says(self.ask(node, "And of Germany?"), "The capital of Germany is Berlin.")
        generate = node.ask("POST", "/api/generate", {
            "model": "made", "prompt": "And of Germany?", "stream": False})
        self.assertEqual(generate.json()["response"], "The capital of Germany is Berlin.")

    def test_its_template_takes_the_place_of_the_models(self):
        node = self.tiny()
        self.create(node, parameters={"temperature": 0},
                    template="The capital of France is")
        self.says(self.ask(node), " Paris.")

    def test_the_recipe_outlives_the_node(self):
        node = self.tiny()
        self.create(node, system="You are a pirate.", parameters={"temperature": 0})
        self.assertEqual(node.stop(), 0)
        node.start().ready()
        self.says(self.ask(node), "Ahoy! What brings ye aboard?")


class Loading(Case):
    def test_keep_alive_zero_lets_go_after_the_answer(self):
        node = self.tiny()
        self.says(node.chat("Hello"), HELLO)
        loaded = len(node.workers())
        self.says(node.chat("Hello", keep_alive=0), HELLO)
        poll(lambda: not running(node) and len(node.workers()) < loaded, "the model to go")

    def test_for_ever_and_for_a_while(self):
        node = self.tiny()
        self.says(node.chat("Hello", keep_alive=-1), HELLO)
        for_ever = running(node)[f"{TINY}:latest"]
        self.says(node.chat("Hello", keep_alive="1h"), HELLO)
        hour = running(node)[f"{TINY}:latest"]
        self.assertLess(hour["expires_at"], for_ever["expires_at"])
        self.assertGreater(hour["size"], 100_000)
        self.says(node.chat("Hello", keep_alive="200ms"), HELLO)
        poll(lambda: not running(node), "the model to expire")

    def test_unload_of_what_is_loaded_and_of_what_is_not(self):
        node = self.tiny()
        body = {"model": TINY, "keep_alive": 0, "stream": False}
        self.assertEqual(node.ask("POST", "/api/generate", body).json()["done_reason"], "unload")
        self.says(node.chat("Hello"), HELLO)
        self.assertEqual(set(running(node)), {f"{TINY}:latest"})
        self.assertEqual(node.ask("POST", "/api/generate", body).json()["done_reason"], "unload")
        self.assertEqual(running(node), {})

    def test_an_unload_waits_for_who_is_answered(self):
        node = self.tiny()
        stream = node.stream(STORY)
        lines = iter(stream)
        first = next(lines)
        node.ask("POST", "/api/generate", {"model": TINY, "keep_alive": 0, "stream": False})
        rest = [first, *lines]
        stream.close()
        self.assertTrue(rest[-1].get("done"), rest[-1])
        poll(lambda: not running(node), "the model to go")

    def test_the_longest_unused_goes_when_there_is_no_room(self):
        self.publish(name="first")
        self.publish("tiny-chat.q8_0.gguf", "second")
        third = self.publish("minilm.f16.gguf", "third").stat().st_size
        embed = {"model": "third", "input": "x"}
        node = Node(self, "--model-dir", self.models).ready()
        for model in ("first", "second"):
            self.says(node.chat("Hello", model), HELLO)
        sizes = {name: entry["size"] for name, entry in running(node).items()}
        node.stop()
        # Room for one of the two while the third is being loaded: its file and 64 MiB.
        room = third + (64 << 20) + sizes["first:latest"] + sizes["second:latest"]
        node = Node(self, "--model-dir", self.models, "--memory", (room >> 20) - 1,
                    name="small").ready()
        for model in ("first", "second", "first"):
            self.says(node.chat("Hello", model), HELLO)
        answer = node.ask("POST", "/api/embed", embed)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(set(running(node)), {"first:latest", "third:latest"})

    def test_what_a_model_cannot_do_is_said_before_the_answer(self):
        self.publish("minilm.f16.gguf", "minilm")
        node = self.tiny()
        hello = [{"role": "user", "content": "Hello"}]
        for path, body, word in (
                ("/api/chat", {"model": "minilm", "messages": hello}, "chat"),
                ("/api/generate", {"model": "minilm", "prompt": "x"}, "generate"),
                ("/api/chat", {"model": TINY, "messages": hello, "think": True}, "thinking"),
                ("/api/embed", {"model": TINY, "input": "x"}, "embeddings"),
                ("/v1/chat/completions", {"model": "minilm", "messages": hello}, "chat"),
                ("/v1/rerank", {"model": "minilm", "query": "x", "documents": ["y"]}, "rerank")):
            answer = node.ask("POST", path, body)
            self.assertEqual(answer.status, 400, (path, answer))
            self.assertIn(f"does not support {word}", answer.body.decode())
        self.assertEqual(running(node), {})


class Trouble(Case):
    def lose_while_answering(self, node, lost, model=TINY):
        """Kills processes of a node while it tells a story. Its last line says so."""
        self.says(node.chat("Hello"), HELLO)
        stream = node.stream(STORY, model=model)
        lines = iter(stream)
        next(lines)
        for number in (signal.SIGSTOP, signal.SIGKILL):  # so that it does not end before
            for worker in lost(node.workers()):
                os.kill(worker, number)
        rest = list(lines)
        stream.close()
        self.assertTrue(rest[-1].get("error"), rest[-1])

    def test_a_lost_worker_is_an_error_and_the_next_request_works(self):
        node = self.tiny()
        self.lose_while_answering(node, lambda workers: workers[-1:])
        self.says(node.chat("Hello"), HELLO)

    def test_all_worker_processes_lost(self):
        self.publish("random-20m.f16.gguf", "endless")
        node = self.tiny()
        # It must still speak when its processes were found.
        self.lose_while_answering(node, lambda workers: workers, "endless")
        answers = []

        def answered():
            answers.append(node.chat("Hello"))
            return answers[-1].status == 200
        poll(answered, "the workers to be back")
        self.says(answers[-1], HELLO)
        for early in answers[:-1]:
            self.assertEqual(early.status, 503, early)
            self.assertIn("retry-after", early.headers)

    def test_a_worker_lost_between_requests_is_replaced(self):
        node = self.tiny()
        self.says(node.chat("Hello"), HELLO)
        for worker in node.workers():
            os.kill(worker, signal.SIGKILL)
        answer = poll(lambda: (got := node.chat("Hello")).status == 200 and got, "a new worker")
        self.says(answer, HELLO)

    def test_an_upload_without_room_leaves_nothing(self):
        limit = 4 << 20
        node = self.tiny(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        content = os.urandom(1 << 20) * 8
        digest = hashlib.sha256(content).hexdigest()
        answer = node.ask("POST", f"/api/blobs/sha256:{digest}", content)
        self.assertGreaterEqual(answer.status, 500, answer)
        self.assertTrue(answer.json()["error"])
        self.assertEqual(self.blobs(node), [])
        self.assertEqual(node.ask("HEAD", f"/api/blobs/sha256:{digest}").status, 404)
        self.says(node.chat("Hello"), HELLO)

    def test_an_upload_of_other_bytes_leaves_nothing(self):
        node = self.tiny()
        answer = node.ask("POST", "/api/blobs/sha256:" + "0" * 64, b"x" * 1000)
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(self.blobs(node), [])
        for name in ("sha256:xyz", "sha256:..%2F..%2Fx", "md5:" + "0" * 32):
            answer = node.ask("POST", f"/api/blobs/{name}", b"x")
            self.assertIn(answer.status, (400, 404), (name, answer))
        self.assertEqual(self.blobs(node), [])

    def test_an_upload_that_is_given_up_leaves_nothing(self):
        node = self.tiny()
        with socket.create_connection(("127.0.0.1", node.port)) as wire:
            wire.sendall(f"POST /api/blobs/sha256:{'0' * 64} HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
            poll(lambda: self.blobs(node), "the upload to begin")
        poll(lambda: not self.blobs(node), "the upload to be cleared away")

    def blobs(self, node):
        return [path.name for path in (node.folder / "data").rglob("*")
                if path.is_file() and path.parent.name == "blobs"]

    def test_an_upload_makes_a_model(self):
        node = self.tiny()
        content = (MODELS / "tiny-chat.q8_0.gguf").read_bytes()
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.assertEqual(node.ask("POST", f"/api/blobs/{digest}", content).status, 201)
        self.assertEqual(node.ask("HEAD", f"/api/blobs/{digest}").status, 200)
        made = node.ask("POST", "/api/create", {"model": "up", "files": {"x.gguf": digest}})
        self.assertEqual(made.lines()[-1], {"status": "success"})
        self.says(node.chat("Hello", "up"), HELLO)
        self.assertEqual(node.ask("DELETE", "/api/delete", {"model": "up"}).status, 200)
        self.assertEqual(self.blobs(node), [])

    def test_thirty_two_at_once(self):
        node = self.tiny("--parallel", 8)
        questions = [("Hello", HELLO), ("What is the capital of France?", PARIS),
                     ("Count from 1 to 10.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
        answers = self.at_once(32, lambda number: node.chat(questions[number % 3][0]))
        for number, answer in enumerate(answers):
            self.says(answer, questions[number % 3][1])
        jobs = {answer.json()["x_lucid"]["receipt"] for answer in answers}
        self.assertEqual(len(jobs), 32)

    def test_other_engine_options_wait_for_their_turn(self):
        node = self.tiny("--parallel", 2)
        contexts = [512, 1024, 2048]
        answers = self.at_once(12, lambda number: node.chat(
            "Hello", options={"temperature": 0, "num_ctx": contexts[number % 3]}))
        for answer in answers:
            self.says(answer, HELLO)


if __name__ == "__main__":
    main()
