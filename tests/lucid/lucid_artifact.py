#!/usr/bin/env python3
"""Models as content: pulled from several peers, cut off and gone on with, named and pinned."""

import hashlib
import json
import re
import resource
import shutil
import subprocess

from lucid_case import HELLO, LUCIDD, MODELS, SECONDS_MAX, TINY, Case, Node, Stream, main, poll

SHARED = "share_models = [\"*\"]\nshare_with_anybody = true\n"
MIB = 1 << 20
BIG = "random-20m.f16.gguf"


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Artifacts(Case):
    def holder(self, name, *words, file="tiny-chat.f16.gguf", model=TINY, policy=SHARED):
        """A node with a model folder of its own."""
        if not (MODELS / file).exists():
            self.skipTest(f"{MODELS / file} is missing; make models makes it")
        folder = self.folder / f"models-{name}"
        folder.mkdir()
        shutil.copyfile(MODELS / file, folder / f"{model}.gguf")
        return Node(self, "--model-dir", folder, *words, name=name, policy=policy,
                    network=True).ready()

    def puller(self, *told, name="puller", **options):
        words = [word for node in told for word in node.told()]
        return Node(self, *words, name=name, network=True, **options).ready()

    def pull(self, node, model=TINY):
        """Lines of a whole pull."""
        stream = Stream(node.port, "/api/pull", {"model": model})
        self.assertEqual(stream.status, 200, stream.headers)
        lines = list(stream)
        stream.close()
        return lines

    def push(self, node, model=TINY):
        stream = Stream(node.port, "/api/push", {"model": model})
        lines = list(stream)
        stream.close()
        return lines

    def pulled(self, node, model=TINY):
        """The same, again until peers are found; it must succeed."""
        def found():
            lines = self.pull(node, model)
            return lines if "nobody here serves" not in lines[-1].get("error", "") else None
        lines = poll(found, "a peer that shares it")
        self.assertEqual(lines[-1], {"status": "success"}, lines[-3:])
        return lines

    def until(self, node, model, share):
        """A pull that is followed until a share of it is there: the stream, and the bytes."""
        while True:
            stream = Stream(node.port, "/api/pull", {"model": model})
            for line in stream:
                if line.get("completed", 0) > share * line.get("total", 1):
                    return stream, line["completed"], line["total"]
                self.assertNotEqual(line.get("status"), "success", "it was over before")
                if "error" in line:
                    self.assertIn("nobody here serves", line["error"])
            stream.close()

    def fetched(self, node):
        """Bytes of each fetch that ended, as the log says: in all, and fetched then."""
        return [(int(all_), int(now)) for all_, now in re.findall(
            r"artifact [0-9a-f]{64}: (\d+) bytes, (\d+) of them fetched now", node.log())]

    def lucidd(self, node, *words, status=0):
        done = subprocess.run([LUCIDD, *words, "--data", node.folder / "data"],
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, status, done)
        return done.stdout + done.stderr


class Pulling(Artifacts):
    def test_from_two_at_once_in_ollamas_lines(self):
        slow = SHARED + f"share_bytes_per_second = {6 * MIB}\n"
        first = self.holder("first", file=BIG, model="big", policy=slow)
        second = self.holder("second", *first.told(), file=BIG, model="big", policy=slow)
        node = self.puller(first, second)
        lines = self.pulled(node, "big")
        digest, size = digest_of(MODELS / BIG), (MODELS / BIG).stat().st_size
        self.assertEqual(lines[0], {"status": "pulling manifest"})
        layers = [line for line in lines if "digest" in line]
        for line in layers:
            self.assertEqual(line["status"], f"pulling {digest[:12]}")
            self.assertEqual(line["digest"], f"sha256:{digest}")
            self.assertEqual(line["total"], size)
        self.assertEqual(layers[-1]["completed"], size)
        self.assertEqual([line["status"] for line in lines[-3:]],
                         ["verifying sha256 digest", "writing manifest", "success"])
        self.assertEqual(self.fetched(node), [(size, size)])
        self.assertIn("from 2 peers", node.log())
        entry = next(entry for entry in node.ask("GET", "/api/tags").json()["models"]
                     if entry["name"] == "big:latest")
        self.assertEqual(entry["digest"], digest)

    def test_what_was_pulled_answers_and_is_not_fetched_again(self):
        node = self.puller(self.holder("holder"))
        self.pulled(node)
        self.says(node.chat("Hello"), HELLO)
        again = self.pull(node)
        self.assertEqual(again[-1], {"status": "success"})
        self.assertEqual(len(self.fetched(node)), 1)

    def test_killed_midway_it_goes_on_where_it_was(self):
        holder = self.holder("holder", file=BIG, model="big",
                             policy=SHARED + f"share_bytes_per_second = {8 * MIB}\n")
        node = self.puller(holder)
        stream, seen, total = self.until(node, "big", 0.3)
        node.kill()
        stream.close()
        node.start().ready()
        lines = self.pulled(node, "big")
        first = next(line["completed"] for line in lines if "completed" in line)
        self.assertGreaterEqual(first, seen)
        (size, now), = self.fetched(node)
        self.assertEqual(size, total)
        self.assertLessEqual(now, total - seen, "what was there was fetched again")
        print(f"figures: {total} bytes; {seen} seen before the kill, {now} fetched after it")

    def test_a_client_that_leaves_stops_it_and_parts_stay(self):
        holder = self.holder("holder", file=BIG, model="big",
                             policy=SHARED + f"share_bytes_per_second = {8 * MIB}\n")
        node = self.puller(holder)
        stream, seen, total = self.until(node, "big", 0.2)
        stream.close()
        parts = node.folder / "data" / "models" / "artifacts" / "parts"
        data = next(parts.glob("*.data"))

        def quiet():
            before = data.stat().st_mtime_ns
            return poll(lambda: holder.ask("GET", "/api/version").status == 200) and (
                data.stat().st_mtime_ns == before)
        poll(quiet, "the fetch to stop")
        self.assertEqual(self.fetched(node), [])
        self.pulled(node, "big")
        (_, now), = self.fetched(node)
        self.assertLessEqual(now, total - seen)

    def test_two_who_pull_the_same_share_it(self):
        holder = self.holder("holder", policy=SHARED + f"share_bytes_per_second = {MIB // 2}\n")
        node = self.puller(holder)
        poll(lambda: any(peer["connected"] for peer in
                         node.ask("GET", "/api/lucid/peers").json()["peers"]), "the holder")
        results = self.at_once(3, lambda _: self.pull(node))
        for lines in results:
            self.assertEqual(lines[-1], {"status": "success"}, lines)
        self.assertEqual(len(self.fetched(node)), 1)

    def test_by_digest_and_by_artifact_id(self):
        holder = self.holder("holder")
        node = self.puller(holder)
        digest = digest_of(MODELS / "tiny-chat.f16.gguf")
        self.pulled(node, f"sha256:{digest}")
        self.says(node.chat("Hello"), HELLO)
        known = json.loads(self.lucidd(node, "names", "--json"))["names"]
        artifact = known[0]["records"][0]["artifact"]
        other = self.puller(holder, name="other")
        lines = self.pull(other, f"artifact:{artifact}")
        self.assertEqual(lines[-1], {"status": "success"}, lines)
        self.says(other.chat("Hello"), HELLO)

    def test_what_nobody_serves_says_so_and_what_to_do(self):
        holder = self.holder("holder")
        node = self.puller(holder)
        lines = self.pull(node, "nobody-has-this")
        self.assertIn("nobody here serves nobody-has-this", lines[-1]["error"])
        self.assertIn("share", lines[-1]["error"])
        answer = node.ask("POST", "/api/pull", {"model": "nobody-has-this", "stream": False})
        self.assertEqual(answer.status, 404, answer)

    def test_a_disk_that_fills_is_said_and_keeps_what_came(self):
        holder = self.holder("holder", file=BIG, model="big")
        limit = 8 * MIB
        node = self.puller(holder, limits=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)))
        lines = poll(lambda: (got := self.pull(node, "big"))
                     and "nobody here serves" not in got[-1]["error"] and got, "the error")
        self.assertIn("make room", lines[-1]["error"])
        self.assertEqual(node.ask("GET", "/api/version").status, 200)
        node.kill()
        node.limits = None
        node.start().ready()
        self.pulled(node, "big")
        (size, now), = self.fetched(node)
        self.assertLess(now, size - 4 * MIB, "what came before the disk was full was kept")

    def test_a_disk_without_room_is_said_before(self):
        folder = self.folder / "small"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting a small disk needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        holder = self.holder("holder", file=BIG, model="big")
        node = self.puller(holder, name="small")
        lines = poll(lambda: (got := self.pull(node, "big"))
                     and "nobody here serves" not in got[-1].get("error", "") and got, "the error")
        self.assertIn("no room on the disk", lines[-1]["error"])
        self.assertEqual(self.fetched(node), [])


class Sharing(Artifacts):
    def test_nothing_is_shared_until_it_is_said(self):
        holder = self.holder("holder", policy="allow_unauthenticated_jobs = true\n")
        node = self.puller(holder)
        lines = self.pull(node)
        self.assertIn("nobody here serves", lines[-1]["error"])
        said = self.push(holder)
        self.assertEqual(said[0], {"status": "retrieving manifest"})
        self.assertTrue(any(line["status"].startswith("pushing ") and "digest" in line
                            for line in said), said)
        self.assertEqual(said[-1], {"status": "success"})
        self.pulled(node)
        self.says(node.chat("Hello"), HELLO)
        self.assertIn("no longer shared", self.lucidd(holder, "unshare", TINY))
        other = self.puller(holder, name="other")
        lines = self.pull(other)
        self.assertIn("nobody here serves", lines[-1]["error"])

    def test_a_push_that_reaches_nobody_says_so(self):
        holder = self.holder("holder", policy="")
        said = self.push(holder)
        self.assertTrue(any("lets nobody fetch" in line["status"] for line in said), said)
        self.assertEqual(holder.ask("POST", "/api/push", {"model": "no-such"}).status, 404)

    def test_what_was_pulled_imported_or_is_ollamas_is_shared_too(self):
        weights = (MODELS / "tiny-chat.f16.gguf").read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        ollama = self.folder / "ollama"
        (ollama / "blobs").mkdir(parents=True)
        (ollama / "blobs" / f"sha256-{digest}").write_bytes(weights)
        manifest = ollama / "manifests" / "registry.ollama.ai" / "library" / "theirs" / "latest"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [
            {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}",
             "size": len(weights)}]}))
        holder = Node(self, "--ollama-models", ollama, name="holder", policy=SHARED,
                      network=True).ready()
        other = (MODELS / "tiny-chat.q8_0.gguf").read_bytes()
        uploaded = "sha256:" + hashlib.sha256(other).hexdigest()
        self.assertEqual(holder.ask("POST", f"/api/blobs/{uploaded}", other).status, 201)
        made = holder.ask("POST", "/api/create", {"model": "up", "files": {"x.gguf": uploaded}})
        self.assertEqual(made.lines()[-1], {"status": "success"})
        node = self.puller(holder, policy=SHARED)
        for model in ("theirs", "up"):
            self.pulled(node, model)
            self.says(node.chat("Hello", model), HELLO)
        holder.kill()
        third = self.puller(node, name="third")
        self.pulled(third, "up")
        self.says(third.chat("Hello", "up"), HELLO)


class Names(Artifacts):
    def two(self):
        """Two holders who mean different contents by one name, and who wants it."""
        first = self.holder("first")
        second = self.holder("second", *first.told(), file="tiny-chat.q8_0.gguf")
        return first, second, self.puller(first, second)

    def conflict(self, node, *holders):
        def shown():
            lines = self.pull(node)
            if "nobody here serves" in lines[-1].get("error", ""):
                return None
            self.assertNotEqual(lines[-1].get("status"), "success", "only one was heard")
            return lines[-1]["error"]
        error = poll(shown, "the conflict")
        for word in ("conflict", "@sha256:", *(holder.peer_id() for holder in holders)):
            self.assertIn(word, error)
        return error

    def connected(self, node, *holders):
        """Waits until a node knows what each of these says of the name."""
        def known():
            node.ask("POST", "/api/pull", {"model": f"{TINY}@sha256:{'0' * 64}", "stream": False})
            names = json.loads(self.lucidd(node, "names", TINY, "--json"))["names"]
            said = {record["publisher"] for name in names for record in name["records"]}
            return said >= {holder.peer_id() for holder in holders}
        poll(known, "both to be heard")

    def test_a_conflict_is_shown_and_a_digest_chooses(self):
        first, second, node = self.two()
        self.connected(node, first, second)
        self.conflict(node, first, second)
        digest = digest_of(MODELS / "tiny-chat.q8_0.gguf")
        self.pulled(node, f"{TINY}@sha256:{digest[:16]}")
        self.says(node.chat("Hello"), HELLO)
        shown = self.lucidd(node, "names", TINY)
        self.assertIn("conflict: publishers differ", shown)
        self.assertIn(f"pinned to sha256:{digest}", shown)

    def test_a_pin_to_a_publisher_chooses_while_the_node_runs(self):
        first, second, node = self.two()
        self.connected(node, first, second)
        self.lucidd(node, "pin", TINY, "--publisher", second.peer_id())
        self.pulled(node)
        digest = digest_of(MODELS / "tiny-chat.q8_0.gguf")
        entry = next(entry for entry in node.ask("GET", "/api/tags").json()["models"]
                     if entry["name"] == f"{TINY}:latest")
        self.assertEqual(entry["digest"], digest)

    def test_the_first_content_is_held_to(self):
        first = self.holder("first")
        node = self.puller(first)
        self.pulled(node)
        self.assertIn("by its first use", self.lucidd(node, "names", TINY))
        self.assertEqual(node.ask("DELETE", "/api/delete", {"model": TINY}).status, 200)
        first.kill()
        shutil.rmtree(node.folder / "data" / "models" / "artifacts" / "trees")
        (node.folder / "data" / "models" / "artifacts" / "trees").mkdir()
        (node.folder / "data" / "models" / "artifacts" / "names.json").unlink()
        second = self.holder("second", *node.told(), file="tiny-chat.q8_0.gguf")
        error = self.conflict(node, second)
        self.assertIn("pinned", error)
        self.assertIn("lucidd unpin", error)
        self.assertIn("is no longer pinned", self.lucidd(node, "unpin", TINY))
        self.pulled(node)

    def asker(self, *holders):
        """Who has no model, asks others, and knows what each of these offers."""
        words = [word for holder in holders for word in holder.told()]
        node = Node(self, "--no-local-worker", "--mesh", *words, name="asker", network=True).ready()
        poll(lambda: node.knows(*holders), "the offers of both")
        return node

    def test_an_ask_by_a_name_of_two_contents_is_refused(self):
        lets = "allow_unauthenticated_jobs = true\n"
        first = self.holder("first", policy=SHARED + lets)
        second = self.holder("second", *first.told(), file="tiny-chat.q8_0.gguf",
                             policy=SHARED + lets)
        node = self.asker(first, second)
        for answer in (node.chat("Hello"),
                       node.ask("POST", "/v1/chat/completions", {"model": TINY, "messages": [
                           {"role": "user", "content": "Hello"}]})):
            self.assertEqual(answer.status, 409, answer)
            for word in ("conflict", "@sha256:", "lucidd pin", first.peer_id(), second.peer_id()):
                self.assertIn(word, answer.body.decode())
        self.assertNotIn("admitted", first.log() + second.log())
        digest = digest_of(MODELS / "tiny-chat.q8_0.gguf")
        answer = node.chat("Hello", f"{TINY}@sha256:{digest[:16]}")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-served-by"], second.peer_id())
        self.assertEqual(node.chat("Hello", f"{TINY}@sha256:{'0' * 16}").status, 404)
        self.lucidd(node, "pin", TINY, "--publisher", first.peer_id())
        answer = node.chat("Hello")
        self.says(answer, HELLO)
        self.assertEqual(answer.headers["x-lucid-served-by"], first.peer_id())
        self.lucidd(node, "pin", TINY, f"sha256:{digest}")
        answer = node.chat("Hello")
        self.assertEqual(answer.headers["x-lucid-served-by"], second.peer_id(), answer)
        second.kill()
        answer = node.chat("Hello")
        self.assertNotEqual(answer.status, 200, answer)
        self.lucidd(node, "unpin", TINY)

    def test_a_digest_is_held_to_here_too(self):
        node = self.holder("own")
        digest = digest_of(MODELS / "tiny-chat.f16.gguf")
        self.says(node.chat("Hello", f"{TINY}@sha256:{digest}"), HELLO)
        self.assertEqual(node.chat("Hello", f"{TINY}@sha256:{'0' * 64}").status, 404)

    def test_wrong_words_are_errors(self):
        node = self.echo(network=True)
        self.assertIn("not a digest", self.lucidd(node, "pin", TINY, "sha256:12", status=2))
        self.assertIn("was not pinned", self.lucidd(node, "unpin", TINY, status=1))
        for model in ("tiny@sha256:12", "artifact:12", "../x"):
            answer = node.ask("POST", "/api/pull", {"model": model})
            self.assertEqual(answer.status, 400, (model, answer))


if __name__ == "__main__":
    main()
