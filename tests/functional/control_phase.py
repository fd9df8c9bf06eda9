#!/usr/bin/env python3
"""phase: jobs through a daemon and without one, receipts checked offline; the API as bytes."""

import base64
import json
import os
import signal
import socket
import subprocess
import time

from plasmd_lab import BUILD, HELLO, SECONDS_MAX, Case, Home, main, poll, write_modules

PHASE = BUILD / "bin" / "phase"
TEXT = b"Hello, World"
REVERSED = b"dlroW ,olleH"


class PhaseCase(Case):
    """A home with a daemon that can be started, and phase beside it."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Home()
        cls.modules = write_modules(cls.shared.folder / "modules")

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def setUp(self):
        super().setUp()
        self.socket = self.home.folder / "control.sock"
        self.log = self.home.folder / "daemon.log"

    def start_daemon(self, *words):
        with open(self.log, "wb") as log:
            daemon = self.home.start(
                "start", "--no-network", "--data", self.home.folder / "node", "--identity-path",
                self.home.folder / "node.key", "--control-socket", self.socket, *words,
                stdin=subprocess.DEVNULL, stderr=log)
        poll(lambda: b"ready: 12D3KooW" in self.log.read_bytes() or daemon.poll() is not None)
        self.assertIsNone(daemon.poll(), self.log.read_text(errors="replace"))
        return daemon

    def command(self, *words):
        return [PHASE, "--socket", self.socket, *map(str, words)]

    def phase(self, *words, stdin=b""):
        return subprocess.run(self.command(*words), input=stdin, capture_output=True,
                              timeout=SECONDS_MAX, check=False, env=self.home.environment,
                              cwd=self.home.folder)

    def start_phase(self, *words, **options):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE} | options
        process = subprocess.Popen(self.command(*words), env=self.home.environment,
                                   cwd=self.home.folder, **options)
        self.home.started.append(process)
        return process

    def saved(self):
        """The folder of a job that was run and saved."""
        folder = self.home.folder / "done"
        self.exits(self.phase("run", "--save", folder, HELLO, stdin=TEXT), 0)
        return folder

    def verify(self, folder, *words):
        """phase verify; a one-shot node streams stdin, so its hash is needed."""
        if "--input" not in words:
            words = [*words, "--commitment", folder / "input.json"]
        return self.verify_bare(folder, *words)

    def verify_bare(self, folder, *words):
        return self.phase("verify", folder / "receipt.cose", "--manifest",
                          folder / "manifest.cose", *words)


class RunThroughADaemon(PhaseCase):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()

    def test_output_is_stdout_and_the_verdict_is_on_stderr(self):
        done = self.phase("run", HELLO, stdin=TEXT)
        self.exits(done, 0)
        self.assertEqual(done.stdout, REVERSED)
        self.assertIn(b"receipt verified", done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        quiet = self.phase("run", "--quiet", HELLO, stdin=TEXT)
        self.exits(quiet, 0)
        self.assertEqual((quiet.stdout, quiet.stderr), (REVERSED, b""))

    def test_one_json_document_for_programs(self):
        done = self.phase("run", "--json", HELLO, stdin=TEXT)
        self.exits(done, 0)
        document = json.loads(done.stdout)
        self.assertEqual(base64.b64decode(document["stdout"]), REVERSED)
        self.assertTrue(document["verdict"]["verified"])
        self.assertEqual(document["completion"]["kind"], "exited")
        self.assertEqual(done.stderr, b"")

    def test_stdin_from_files_small_and_large(self):
        small = self.home.folder / "small"
        small.write_bytes(TEXT)
        done = self.phase("run", "--stdin", small, HELLO)
        self.assertEqual(done.stdout, REVERSED)
        large = self.home.folder / "large"
        large.write_bytes(os.urandom(9 << 20))
        done = self.phase("run", "--stdin", large, HELLO)
        self.exits(done, 0)
        self.assertEqual(done.stdout, large.read_bytes()[::-1])
        self.assertIn(b"receipt verified", done.stderr)

    def test_arguments_environment_and_exit_code_are_the_modules(self):
        module = self.modules / "arguments.wasm"
        done = self.phase("run", "--env", "KEY=value", "--arg", "first", module, "second", "--flag")
        self.exits(done, 3)
        for word in (b"first", b"second", b"--flag", b"KEY=value"):
            self.assertIn(word, done.stdout)

    def test_traps_and_limits_are_named(self):
        done = self.phase("run", self.modules / "trap.wasm")
        self.exits(done, 1)
        self.assertEqual(done.stdout, b"out")
        self.assertTrue(done.stderr.startswith(b"err"), done.stderr)
        self.assertIn(b"trapped: unreachable", done.stderr)
        done = self.phase("run", "--timeout-ms", 300, "--fuel", (1 << 63) - 1,
                          self.modules / "endless_loop.wasm")
        self.exits(done, 1)
        self.assertIn(b"limited: wall", done.stderr)
        self.assertIn(b"receipt verified", done.stderr)

    def test_ctrl_c_cancels_and_shows_the_partial_receipt(self):
        running = self.start_phase("run", self.modules / "ready_then_sleep.wasm")
        self.assertEqual(running.stdout.read(5), b"ready")
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 130, said)
        self.assertIn(b"receipt verified", said)
        self.assertIn(b"cancelled", said)
        self.assertEqual(out, b"")
        jobs = json.loads(self.phase("job", "list", "--json").stdout)["jobs"]
        self.assertEqual(jobs[0]["state"], "done")

    def test_a_reader_that_goes_away_ends_the_job(self):
        running = self.start_phase("run", "--output-bytes", 200 << 20,
                                   self.modules / "output_flood.wasm", stdin=subprocess.DEVNULL)
        running.stdout.read(1)
        running.stdout.close()
        running.wait(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 141)
        poll(lambda: json.loads(self.phase("status", "--json").stdout)["jobs"]["submitted"] == 0)

    def test_jobs_can_be_looked_at_also_after_a_restart(self):
        self.exits(self.phase("run", HELLO, stdin=TEXT), 0)
        job = json.loads(self.phase("job", "list", "--json").stdout)["jobs"][0]["id"]

        def look():
            done = self.phase("job", "result", job)
            self.exits(done, 0)
            self.assertEqual(done.stdout, REVERSED)
            self.assertIn(b"receipt verified", done.stderr)
            self.assertIn(b"done", self.phase("job", "show", job).stdout)
            shown = json.loads(self.phase("receipt", "show", job, "--json").stdout)
            self.assertEqual(shown["completion"],
                             {"kind": "exited", "exit_code": 0, "reason": ""})
            return shown

        before = look()
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(timeout=SECONDS_MAX), 0)
        self.start_daemon()
        self.assertEqual(look(), before)
        self.exits(self.phase("job", "show", "00000000-0000-4000-8000-000000000000"), 1)
        self.exits(self.phase("job", "show", "../status"), 2)

    def test_a_job_that_a_crash_cut_off_says_so(self):
        running = self.start_phase("run", "--quiet", self.modules / "ready_then_sleep.wasm")
        self.assertEqual(running.stdout.read(5), b"ready")
        self.daemon.kill()
        self.daemon.wait()
        _, said = running.communicate(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 69, said)
        self.start_daemon()
        job = json.loads(self.phase("job", "list", "--json").stdout)["jobs"][0]
        self.assertEqual((job["state"], job["error"]["code"]), ("failed", "connection_closed"))

    def test_status_peers_and_providers(self):
        self.assertIn(b"12D3KooW", self.phase("status").stdout)
        self.exits(self.phase("peers"), 0)
        providers = self.phase("providers", "--wait", 0)
        self.assertIn(providers.returncode, (0, 69), providers.stderr)
        nobody = self.phase("ping", "nobody")
        self.assertIn(nobody.returncode, (1, 69), nobody.stderr)


class RunWithoutADaemon(PhaseCase):
    def test_a_local_job_runs_by_a_one_shot_node(self):
        for words in (["run", "--local", HELLO], ["run", HELLO]):
            done = self.phase(*words, stdin=TEXT)
            self.exits(done, 0)
            self.assertEqual(done.stdout, REVERSED)
            self.assertIn(b"receipt verified", done.stderr)

    def test_exit_codes_and_options_are_the_same(self):
        module = self.modules / "arguments.wasm"
        done = self.phase("run", "--env", "KEY=value", module, "first", "--flag", stdin=b"")
        self.exits(done, 2)
        self.assertIn(b"KEY=value", done.stdout)
        self.exits(self.phase("run", self.modules / "trap.wasm"), 1)
        private = self.phase("run", "--private", HELLO, stdin=TEXT)
        self.exits(private, 0)
        self.assertIn(b"receipt verified", private.stderr)

    def test_ctrl_c_cancels(self):
        running = self.start_phase("run", self.modules / "ready_then_sleep.wasm")
        self.assertEqual(running.stdout.read(5), b"ready")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 130, said)

    def test_what_needs_a_daemon_says_how_to_start_one(self):
        for words in (["run", "--remote", HELLO], ["peers"], ["status"], ["job", "list"],
                      ["run", "--checkpoint", 10, HELLO]):
            done = self.phase(*words)
            self.exits(done, 69)
            self.assertIn(b"plasmd start", done.stderr)

    def test_usage_errors_are_2_and_files_are_named(self):
        for words in (["run"], ["run", "--no-such", HELLO], ["frobnicate"], ["verify"],
                      ["run", "--local", "--remote", HELLO], ["run", "--timeout", 0, HELLO]):
            self.exits(self.phase(*words), 2)
        missing = self.phase("run", "no-such.wasm")
        self.exits(missing, 1)
        self.assertIn(b"no-such.wasm", missing.stderr)
        for words in (["--help"], ["run", "--help"], ["verify", "--help"],
                      ["job", "list", "--help"]):
            done = self.phase(*words)
            self.exits(done, 0)
            self.assertIn(b"phase", done.stdout)
        self.assertIn(b"phase 0.1.0", self.phase("--version").stdout)
        self.assertIn(b"phase 0.1.0", self.phase("version").stdout)


class Verify(PhaseCase):
    """Without a daemon: everything comes from files."""

    def setUp(self):
        super().setUp()
        self.folder = self.saved()
        self.transcript = ["--transcript", self.folder / "transcript.json"]

    def refused(self, done, check):
        self.exits(done, 3)
        self.assertEqual(done.stdout.decode().strip(), f"receipt refused: {check}")

    def test_a_good_receipt(self):
        out, text = self.home.folder / "out", self.home.folder / "in"
        out.write_bytes(REVERSED)
        text.write_bytes(TEXT)
        for words in (self.transcript, ["--output", out, "--input", text], []):
            done = self.verify(self.folder, *words)
            self.exits(done, 0)
            self.assertEqual(done.stdout, b"receipt verified\n")
        self.assertIn(b"output not checked", self.verify(self.folder).stderr)
        document = json.loads(self.verify(self.folder, "--json", *self.transcript).stdout)
        self.assertTrue(document["verified"] and document["output_checked"])
        alias = self.phase("receipt", "verify", self.folder / "receipt.cose", "--manifest",
                           self.folder / "manifest.cose", "--commitment",
                           self.folder / "input.json", "--provider",
                           document["receipt"]["provider"])
        self.exits(alias, 0)

    def test_running_it_again_reaches_the_next_level(self):
        self.start_daemon()
        folder, text = self.home.folder / "exact", self.home.folder / "in"
        self.exits(self.phase("run", "--profile", "det-1", "--save", folder, HELLO, stdin=TEXT), 0)
        text.write_bytes(TEXT)
        again = ["--level", "re-execute", "--input", text]
        done = self.verify_bare(folder, *again, "--module", HELLO)
        self.exits(done, 0)
        self.assertIn(b"run again with the same result", done.stderr)
        document = json.loads(
            self.verify_bare(folder, *again, "--module", HELLO, "--json").stdout)
        self.assertEqual((document["level"], document["verified"]), ("re-execute", True))
        self.assertGreater(document["receipt"]["fuel"], 100)  # stated, not claimed
        self.assertNotIn("fuel", document["receipt"]["claimed"])

        self.refused(self.verify_bare(folder, *again), "level")  # nothing to run
        self.refused(self.verify_bare(folder, *again, "--module", self.modules / "trap.wasm"),
                     "level")
        self.refused(self.verify(self.folder, *again, "--module", HELLO), "level")  # profile fast
        text.write_bytes(TEXT[:-1])
        self.refused(self.verify_bare(folder, *again, "--module", HELLO), "input_commitment")

    def test_a_changed_receipt_output_input_or_provider_is_refused_by_name(self):
        receipt = self.folder / "receipt.cose"
        good = receipt.read_bytes()
        receipt.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        self.refused(self.verify(self.folder, *self.transcript), "signature")
        self.exits(self.phase("receipt", "show", receipt), 3)
        receipt.write_bytes(good[:-1])
        self.refused(self.verify(self.folder, *self.transcript), "receipt_form")
        receipt.write_bytes(good)
        other = self.home.folder / "other"
        other.write_bytes(b"dlroW ,olleX")
        self.refused(self.verify(self.folder, "--output", other), "output_commitment")
        other.write_bytes(b"dlroW")
        self.refused(self.verify(self.folder, "--output", other), "output_length")
        self.refused(self.verify(self.folder, "--input", other), "input_commitment")
        self.refused(self.verify(self.folder, "--provider", "00" * 32), "provider_key")

    def test_a_receipt_for_streamed_stdin_needs_the_stdin(self):
        folder = self.home.folder / "streamed"
        running = self.start_phase("run", "--save", folder, HELLO)
        running.stdin.write(TEXT[:5])
        running.stdin.flush()
        time.sleep(0.3)  # tidy: allow(sleep): longer than phase waits before it streams
        out, said = running.communicate(TEXT[5:], timeout=SECONDS_MAX)
        self.assertEqual((running.returncode, out), (0, REVERSED), said)
        words = ["--transcript", folder / "transcript.json"]
        self.refused(self.verify_bare(folder, *words), "input_commitment")
        self.exits(self.verify(folder, *words), 0)
        (self.home.folder / "in").write_bytes(TEXT)
        self.exits(self.verify(folder, *words, "--input", self.home.folder / "in"), 0)
        (self.home.folder / "in").write_bytes(TEXT[:5])
        self.refused(self.verify(folder, *words, "--input", self.home.folder / "in"),
                     "input_commitment")

    def test_a_receipt_of_another_job_is_refused(self):
        manifest = (self.folder / "manifest.cose").read_bytes()
        again = self.saved()
        (again / "manifest.cose").write_bytes(manifest)
        self.refused(self.verify(again), "job_id")

    def test_a_private_receipt_needs_its_salt(self):
        folder = self.home.folder / "private"
        self.exits(self.phase("run", "--private", "--save", folder, HELLO, stdin=TEXT), 0)
        words = ["--transcript", folder / "transcript.json"]
        self.assertEqual((folder / "salt.hex").stat().st_mode & 0o777, 0o600)
        unsalted = self.verify(folder, *words)
        self.exits(unsalted, 3)
        self.assertTrue(unsalted.stdout.startswith(b"receipt refused: "), unsalted.stdout)
        salt = (folder / "salt.hex").read_text().strip()
        self.exits(self.verify(folder, *words, "--salt", salt), 0)

    def test_files_that_are_none_are_errors(self):
        self.exits(self.verify(self.folder, "--output", self.home.folder / "missing"), 1)
        (self.home.folder / "bad.json").write_text("[1,2")
        self.exits(self.verify(self.folder, "--transcript", self.home.folder / "bad.json"), 1)
        self.exits(self.verify(self.folder, "--provider", "me"), 2)
        self.exits(self.phase("verify", self.folder / "receipt.cose"), 2)


class ControlApi(PhaseCase):
    """Bytes on the socket, as another program's mistakes would send them."""

    def setUp(self):
        super().setUp()
        self.start_daemon()

    def ask(self, text):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS_MAX)
            client.connect(str(self.socket))
            client.sendall(text.encode())
            reply = b""
            while piece := client.recv(65536):
                reply += piece
        head, _, body = reply.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def get(self, path, header=""):
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                        f"Connection: close\r\n{header}\r\n")

    def post(self, path, body):
        return self.ask(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}")

    def test_pages_of_strangers_are_refused(self):
        self.assertEqual(self.get("/v1/status")[0], 200)
        self.assertEqual(self.get("/v1/status", "Origin: http://example.org\r\n")[0], 403)
        self.assertEqual(self.ask("GET /v1/status HTTP/1.1\r\nHost: example.org\r\n\r\n")[0], 403)

    def test_errors_have_a_code_a_message_and_a_status(self):
        cases = [(404, "not_found", self.get("/v1/nothing")),
                 (404, "not_found", self.get("/v1/jobs/00000000-0000-4000-8000-000000000000")),
                 (400, "invalid_argument", self.get("/v1/jobs?limit=1000")),
                 (400, "malformed", self.post("/v1/jobs", "{")),
                 (400, "invalid_argument", self.post("/v1/jobs", json.dumps({"modul": 1}))),
                 (404, "not_found", self.post("/v1/jobs", json.dumps({"module": "0" * 64}))),
                 (400, "invalid_argument", self.post("/v1/ping", "{}"))]
        for status, code, (got, body) in cases:
            error = json.loads(body)["error"]
            self.assertEqual((got, error["code"]), (status, code), body)
            self.assertTrue(error["message"])


if __name__ == "__main__":
    main()
