#!/usr/bin/env python3
"""plasmd without a daemon: version, init, run, execute-job; streams, exit codes and errors."""

import json
import os
import signal
import stat
import subprocess

from plasmd_lab import HELLO, Case, Home, data, document, events, main, write_modules

CONFIG_LINES = ["Initialized config at: ", "Default config:", "Edit this file to configure:"]


class Plain(Case):
    def test_prints_its_version(self):
        done = self.home.plasmd("--version")
        self.exits(done, 0)
        self.assertRegex(done.stdout.decode(), r"^plasmd \d+\.\d+\.\d+\n$")
        done = self.home.plasmd("version")
        self.exits(done, 0)
        self.assertRegex(done.stdout.decode(), r"^plasmd version \d+\.\d+\.\d+\n")

    def test_help_names_the_commands_and_an_example(self):
        text = self.home.plasmd("--help").stdout.decode()
        for word in ("init", "start", "run", "execute-job", "version", "Examples:"):
            self.assertIn(word, text)
        self.assertIn("WASM [ARGS...]", self.home.plasmd("run", "--help").stdout.decode())

    def test_a_wrong_command_line_is_status_2(self):
        for words in ([], ["serve"], ["start", "--nonsense"], ["run"], ["run", "-x", "m.wasm"]):
            done = self.home.plasmd(*words)
            self.exits(done, 2)
            self.assertEqual(done.stdout, b"")

    def test_init_writes_a_file_once(self):
        done = self.home.plasmd("init")
        self.exits(done, 0)
        path = self.home.folder / ".config" / "plasm" / "config.json"
        text = done.stdout.decode()
        for line in CONFIG_LINES:
            self.assertIn(line, text)
        self.assertIn(str(path), text)
        self.assertEqual(json.loads(path.read_text())["max_concurrent_jobs"], 4)
        path.write_text("{}")
        done = self.home.plasmd("init")
        self.exits(done, 1)
        self.assertIn(f"Config already exists at: {path}", done.stderr.decode())
        self.assertEqual(path.read_text(), "{}")
        done = self.home.plasmd("init", "--path", path)
        self.exits(done, 1)


class Config(Case):
    def wrong(self, words, status, *texts):
        done = self.home.plasmd(*words)
        self.exits(done, status)
        for text in texts:
            self.assertIn(text, done.stderr.decode())

    def test_a_missing_file_that_was_named_is_an_error(self):
        self.wrong(["start", "--config", "absent.json"], 1, "no configuration at absent.json")

    def test_unknown_keys_are_errors_with_the_nearest(self):
        path = self.home.folder / "c.json"
        path.write_text('{"bootstrap_peer": []}')
        self.wrong(["start", "-c", path], 2, 'unknown key "bootstrap_peer"',
                   'did you mean "bootstrap_peers"?')

    def test_a_default_file_is_read_and_checked(self):
        path = self.home.folder / ".config" / "plasm" / "config.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"limits": {"max_cpu_cores": "two"}}')
        self.wrong(["start"], 2, "limits.max_cpu_cores", str(path))
        self.wrong(["run", HELLO], 2, "limits.max_cpu_cores")

    def test_text_that_is_not_json_is_named_with_its_line(self):
        path = self.home.folder / "c.json"
        path.write_text('{\n"open": true,\n}')
        self.wrong(["start", "-c", path], 1, "line 3")

    def test_an_allowlist_entry_that_is_no_key_is_an_error(self):
        self.wrong(["start", "--allow", "somebody"], 1, "neither a peer id nor a public key")


class Run(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = Home()
        cls.modules = write_modules(cls.shared.folder / "modules")

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def test_streams_go_straight_through(self):
        done = self.home.plasmd("run", HELLO, stdin=b"Hello, World")
        self.exits(done, 0)
        self.assertEqual(done.stdout, b"dlroW ,olleH")
        self.assertIn("receipt verified", done.stderr.decode())
        done = self.home.plasmd("run", "-q", HELLO, stdin=b"abc")
        self.assertEqual((done.stdout, done.stderr), (b"cba", b""))

    def test_the_exit_code_is_the_modules(self):
        for count in (0, 1, 3):
            done = self.home.plasmd("run", "-q", self.modules / "arguments.wasm",
                                    *(["x"] * count))
            self.exits(done, count)

    def test_arguments_and_environment_reach_the_module_and_nothing_else(self):
        done = self.home.plasmd("run", "-q", "--env", "A=1=2", "--env", "B=",
                                self.modules / "arguments.wasm", "--quiet", "", "ü",
                                env={"SECRET": "mine"})
        self.exits(done, 3)
        self.assertEqual(done.stdout.decode(), "module\0--quiet\0\0ü\0A=1=2\0B=\0")

    def test_a_trap_keeps_its_output_and_says_so(self):
        done = self.home.plasmd("run", "-q", self.modules / "trap.wasm")
        self.exits(done, 1)
        self.assertEqual(done.stdout, b"out")
        self.assertTrue(done.stderr.startswith(b"err"))
        self.assertIn(b"trapped (unreachable)", done.stderr)

    def test_limits_that_are_hit_are_named(self):
        done = self.home.plasmd("run", "--timeout-ms", "300", self.modules / "memory_fill.wasm")
        self.exits(done, 1)
        self.assertIn(b"limited (wall)", done.stderr)
        done = self.home.plasmd("run", "--fuel", "100000", self.modules / "endless_loop.wasm")
        self.exits(done, 1)
        self.assertIn(b"limited (fuel)", done.stderr)

    def test_a_file_that_is_not_there_is_an_error(self):
        done = self.home.plasmd("run", "absent.wasm")
        self.exits(done, 1)
        self.assertIn(b"absent.wasm", done.stderr)

    def test_a_signal_cancels_the_job(self):
        process = self.home.start("run", self.modules / "ready_then_sleep.wasm")
        self.assertEqual(process.stdout.read(5), b"ready")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, said)
        self.assertIn(b"cancelled", said)

    def test_stdin_streams(self):
        process = self.home.start("run", "-q", HELLO)
        process.stdin.write(b"Hello, ")
        process.stdin.flush()
        process.stdin.write(b"World")
        out, _ = process.communicate(timeout=60)
        self.assertEqual(out, b"dlroW ,olleH")

    def test_megabytes_pass_in_and_out(self):
        text = os.urandom(3 << 20)
        done = self.home.plasmd("run", "-q", HELLO, stdin=text)
        self.exits(done, 0)
        self.assertEqual(done.stdout, text[::-1])

    def test_a_reader_that_goes_away_ends_it(self):
        process = self.home.start("run", "-q", "--output-bytes", str(200 << 20),
                                  self.modules / "output_flood.wasm", stderr=subprocess.DEVNULL)
        process.stdout.read(10)
        process.stdout.close()
        self.assertNotEqual(process.wait(60), 0)


class ExecuteJob(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = Home()
        cls.modules = write_modules(cls.shared.folder / "modules")

    @classmethod
    def tearDownClass(cls):
        cls.shared.close()

    def test_prints_one_document(self):
        done = self.home.plasmd("execute-job", HELLO, stdin=b"Hello, World")
        self.exits(done, 0)
        self.assertEqual(done.stderr, b"")
        result = document(done)
        self.assertEqual(result["exit_code"], 0)
        self.assertEqual(result["stdout"], "dlroW ,olleH")
        self.assertEqual(result["stderr"], "")
        self.assertRegex(result["job_id"], r"^[0-9a-f]{64}$")
        self.assertTrue(result["receipt"])
        self.assertTrue(result["verdict"]["verified"])

    def test_the_receipt_is_signed_by_the_identity_of_the_node(self):
        first = document(self.home.plasmd("execute-job", HELLO))
        second = document(self.home.plasmd("execute-job", HELLO))
        self.assertEqual(first["provider_key"], second["provider_key"])
        key = self.home.folder / ".config" / "phase" / "identity.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(key.stat().st_size, 32)
        other = self.home.folder / "other.key"
        third = document(self.home.plasmd("execute-job", "--identity-path", other, HELLO))
        self.assertNotEqual(first["provider_key"], third["provider_key"])

    def test_a_key_that_others_can_read_is_refused(self):
        self.exits(self.home.plasmd("execute-job", HELLO), 0)
        key = self.home.folder / ".config" / "phase" / "identity.key"
        key.chmod(0o644)
        done = self.home.plasmd("execute-job", HELLO)
        self.exits(done, 1)
        self.assertIn(b"chmod 600", done.stderr)

    def test_events_come_as_they_happen(self):
        process = self.home.start("execute-job", "--events", self.modules / "ready_then_sleep.wasm")
        first = json.loads(process.stdout.readline())
        self.assertEqual(first["event"], "accepted")
        while True:
            event = json.loads(process.stdout.readline())
            if event["event"] == "output":
                break
        self.assertEqual((event["stream"], data(event)), (1, b"ready"))
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, said)
        last = events(out)[-1]
        self.assertEqual(last["event"], "result")
        self.assertEqual(last["id"], first["id"])
        self.assertEqual(last["completion"]["kind"], "cancelled")
        self.assertTrue(last["verdict"]["verified"])

    def test_every_completion_has_a_receipt(self):
        table = {"trap": ("trapped", "unreachable"), "recursion": ("trapped", "stack_overflow"),
                 "malformed": ("invalid", "module_malformed"),
                 "undefined_import": ("invalid", "import_undefined")}
        for name, (kind, reason) in table.items():
            with self.subTest(name):
                done = self.home.plasmd("execute-job", self.modules / f"{name}.wasm")
                self.exits(done, 0)
                result = document(done)
                self.assertEqual(result["completion"]["kind"], kind)
                self.assertEqual(result["completion"]["reason"], reason)
                self.assertIsNone(result["exit_code"])
                self.assertTrue(result["verdict"]["verified"])

    def test_isolation_stands_in_the_receipt(self):
        result = document(self.home.plasmd("execute-job", "--isolation", "none", HELLO))
        self.assertEqual(result["isolation"], ["none"])
        result = document(self.home.plasmd("execute-job", HELLO))
        self.assertIn("seccomp", result["isolation"])

    def test_leaves_nothing_behind_but_key_and_cache(self):
        self.home.environment["TMPDIR"] = str(self.home.folder / "tmp")
        (self.home.folder / "tmp").mkdir()
        self.exits(self.home.plasmd("execute-job", HELLO), 0)
        self.assertEqual(list((self.home.folder / "tmp").iterdir()), [])
        left = {path.name for path in (self.home.folder / "data").iterdir()}
        self.assertEqual(left, {"modules", "modules.key"})

    def test_a_data_folder_that_cannot_be_made_costs_only_the_cache(self):
        (self.home.folder / "file").write_text("")
        self.home.environment["PHASE_DATA_DIR"] = str(self.home.folder / "file" / "data")
        self.exits(self.home.plasmd("execute-job", HELLO), 0)

    def test_without_a_home_it_says_what_to_give(self):
        for name in ("HOME", "XDG_RUNTIME_DIR"):
            del self.home.environment[name]
        done = self.home.plasmd("execute-job", HELLO)
        self.exits(done, 2)
        self.assertIn(b"--identity-path", done.stderr)


if __name__ == "__main__":
    main()
