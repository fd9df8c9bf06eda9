"""Running a fleet for long: backups while it works and restores, what is kept, a coordinator that
is replaced under its nodes, nodes of another version."""

import concurrent.futures
import shutil
import signal
import subprocess
import unittest

from fleet_lab import AMBIENT, LabTest, wait_until

TASKS = 12


def command(*words):
    return subprocess.run([AMBIENT, *map(str, words)], capture_output=True, text=True, timeout=60,
                          check=False)


class Operate(LabTest):
    def begin(self, *words, nodes=("one",)):
        lab = self.lab
        lab.start_coordinator(*words)
        lab.first_administrator()
        for name in nodes:
            lab.start_agent(name, token=lab.register(name))
        lab.wait_measured(*nodes)

    def known(self):
        """What a client sees of the past: tasks and ledger."""
        tasks = {task["task_id"]: (task["status"], task["result"], task["credits"],
                                   [run["output_commitment"] for run in task["runs"]])
                 for task in self.lab.ask("GET", "/api/v1/tasks?limit=500")}
        return tasks, self.lab.export()

    def test_a_backup_of_a_working_coordinator_is_its_state(self):
        lab = self.lab
        self.begin()
        for _ in range(3):
            self.assertEqual(lab.finish(lab.submit()["task_id"])["status"], "completed")
        lab.submit("wasm_execution", inputs={}, expected=422)
        before = self.known()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # it goes on working
            load = [pool.submit(lambda: lab.finish(lab.submit()["task_id"])) for _ in range(TASKS)]
            done = command("backup", "--data-dir", lab.folder / "coordinator", lab.folder / "copy")
            self.assertEqual(done.returncode, 0, done.stderr)
            for one in load:
                self.assertEqual(one.result()["status"], "completed")
        self.assertRegex(done.stdout, r"backed up to .*: \d+ files, \d+ bytes; 1 nodes, \d+ tasks, "
                                      r"\d+ ledger entries, head [0-9a-f]{64}")
        sums = subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"],
                              cwd=lab.folder / "copy", capture_output=True, text=True, check=False)
        self.assertEqual(sums.returncode, 0, sums.stdout + sums.stderr)
        self.assertFalse((lab.folder / "coordinator" / "snapshot").exists())
        taken = done.stdout.split(" head ")[1].strip()
        after = self.known()
        heads = [entry["hash"] for entry in after[1]]
        self.assertIn(taken, heads)  # the copy is the ledger as it was at a moment
        self.assertEqual(lab.stop("one"), 0)
        self.assertEqual(lab.stop("coordinator"), 0)

        done = command("restore", "--data-dir", lab.folder / "again", lab.folder / "copy")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(taken, done.stdout)
        lab.start_coordinator(data="again")
        tasks, ledger = self.known()  # the account and its session are there too
        self.assertEqual([entry["hash"] for entry in ledger], heads[:heads.index(taken) + 1])
        for task_id, seen in before[0].items():
            self.assertEqual(tasks[task_id], seen)
        lab.start_agent("one")  # the node's name, and the coordinator's key, were kept
        lab.wait_measured("one")
        self.assertEqual(lab.finish(lab.submit()["task_id"])["status"], "completed")

    def test_backups_of_a_stopped_one_and_what_is_refused(self):
        lab, folder = self.lab, self.lab.folder
        self.begin()
        lab.finish(lab.submit()["task_id"])
        before = self.known()
        self.assertEqual(lab.stop("coordinator"), 0)
        done = command("backup", "--data-dir", folder / "coordinator", folder / "copy")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(before[1][-1]["hash"], done.stdout)

        refused = command("backup", "--data-dir", folder / "coordinator", folder / "copy")
        self.assertIn("is not empty", refused.stderr)
        refused = command("backup", "--data-dir", folder / "nothing", folder / "other")
        self.assertIn("holds no coordinator's state", refused.stderr)
        refused = command("restore", "--data-dir", folder / "coordinator", folder / "copy")
        self.assertIn("is not empty", refused.stderr)

        def spoil(what, change):
            spoiled = folder / "spoiled"
            shutil.copytree(folder / "copy", spoiled)
            change(spoiled)
            result = command("restore", "--data-dir", folder / "new", spoiled)
            self.assertNotEqual(result.returncode, 0, what)
            self.assertFalse((folder / "new").exists(), what)
            shutil.rmtree(spoiled)
            return result.stderr

        def flip(spoiled):
            data = bytearray((spoiled / "fleet.db").read_bytes())
            data[len(data) // 2] ^= 1
            (spoiled / "fleet.db").write_bytes(data)
        self.assertIn("fleet.db was changed", spoil("one bit", flip))
        self.assertIn("no such file", spoil(
            "a file is missing", lambda at: (at / "accounts/accounts.db").unlink()).lower())
        self.assertIn("a line that no backup has", spoil(
            "a path that leads out",
            lambda at: (at / "SHA256SUMS").write_text("0" * 64 + "  ../x\n")))
        self.assertIn("does not list fleet.db", spoil(
            "nothing is listed", lambda at: (at / "SHA256SUMS").write_text("")))
        lab.start_coordinator()
        self.assertEqual(self.known(), before)

    def test_finished_tasks_are_kept_up_to_a_number_and_the_ledger_whole(self):
        lab = self.lab
        self.begin("--tasks-kept", "1000")
        for _ in range(5):
            lab.finish(lab.submit()["task_id"])
        tasks, ledger = self.known()
        self.assertEqual(len(tasks), 5)  # what goes, and when: DatabaseJournalTest
        self.assertEqual(sum(entry["kind"] == "escrow" for entry in ledger), 5)
        bad = command("coordinator", "--tasks-kept", "0")
        self.assertEqual(bad.returncode, 2)

    def test_a_coordinator_is_replaced_under_its_nodes(self):
        lab, nodes = self.lab, ("one", "two")
        self.begin("--drain-seconds", "0", nodes=nodes)
        slow = {"monte_carlo_pi": {"samples": 100_000_000, "seed": 1}}
        accepted = [lab.submit(inputs={"monte_carlo_pi": {"samples": 100_000_000, "seed": seed}})
                    ["task_id"] for seed in range(6)]
        accepted.append(lab.submit(inputs=slow, min_nodes=2)["task_id"])
        wait_until("a task runs", lambda: any(
            run["state"] == "running" for one in accepted for run in lab.task(one)["runs"]))
        self.assertEqual(lab.stop("coordinator"), 0)
        lab.start_coordinator("--drain-seconds", "0")
        ends = [lab.finish(one) for one in accepted]
        self.assertEqual({end["status"] for end in ends}, {"completed"}, ends)
        lab.wait_measured(*nodes)
        self.assertTrue(all(lab.processes[name].poll() is None for name in nodes))
        paid = [(entry["reference"], entry["to"]) for entry in lab.export()
                if entry["kind"] == "pay"]
        self.assertEqual(len(paid), len(set(paid)))
        self.assertEqual({reference for reference, _ in paid}, set(accepted))
        # And without a good-bye.
        self.assertEqual(lab.stop("coordinator", signal.SIGKILL), -signal.SIGKILL)
        lab.start_coordinator()
        self.assertEqual(lab.finish(lab.submit()["task_id"])["status"], "completed")

    def test_nodes_are_replaced_one_after_the_other(self):
        lab, nodes = self.lab, ("one", "two")
        self.begin(nodes=nodes)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            stop = []
            def work():
                ends = []
                while not stop or len(ends) < 2:
                    ends.append(lab.finish(lab.submit()["task_id"])["status"])
                return ends
            load = [pool.submit(work) for _ in range(3)]
            try:
                for name in nodes:
                    self.assertEqual(lab.stop(name), 0)  # drained
                    lab.start_agent(name)
                    lab.wait_measured(name)
            finally:
                stop.append(True)
            for one in load:
                self.assertEqual(set(one.result()), {"completed"})


class Computation(LabTest):
    def test_computations_are_run_by_nodes_and_agreed_upon(self):
        lab, names = self.lab, ("one", "two", "three")
        lab.start_coordinator()
        lab.first_administrator()
        for name in names:
            lab.start_agent(name, token=lab.register(name))
        lab.wait_measured(*names)
        done = lab.finish(lab.submit(inputs={"expression": "(2 + 3) × 4 − 6 ÷ 4"},
                                     min_nodes=3)["task_id"])
        self.assertEqual((done["status"], done["result"]["value"]),
                         ("completed", {"kind": "expression", "value": 18.5}), done)
        self.assertEqual(sorted(done["result"]["agreed_by"]), sorted(names))
        self.assertTrue(all(run["receipt_verified"] for run in done["runs"]))
        pi = lab.finish(lab.submit(inputs={"monte_carlo_pi": {"samples": 1_000_000, "seed": 3}},
                                   min_nodes=2)["task_id"])["result"]["value"]
        self.assertAlmostEqual(pi["value"], 3.14159, delta=6 * pi["standard_error"])
        text = lab.finish(lab.submit(inputs={"prompt": "Heat moves. Heat stays?"})["task_id"])
        self.assertEqual(text["result"]["value"]["sentences"], 2)
        wrong = lab.finish(lab.submit(inputs={"expression": "1/0"})["task_id"])
        self.assertEqual((wrong["status"], wrong["result"]["exit_code"]), ("completed", 2))
        self.assertEqual(wrong["result"]["value"]["error"]["message"], "division by zero")


if __name__ == "__main__":
    unittest.main(verbosity=2)
