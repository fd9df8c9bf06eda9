"""A fleet goes from an earlier program to this one while it works: nodes one after the other, then
the coordinator on the same data folder; one node stays old. And an old program on a new state."""

import threading
import unittest

from fleet_lab import AMBIENT, LabTest, wait_until
from lab import LabError
import previous

NODES = ("one", "two", "three")
WORKERS = 3
# Between two steps so many more are accepted, so that each step has work on its way.
TASKS_A_STEP = 4


class Load:
    """Tasks, one after the other in each thread, whoever answers; what was accepted is kept."""

    def __init__(self, lab):
        self.lab, self.accepted, self.stopping = lab, [], False
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True)
                        for number in range(WORKERS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        seed = number
        while not self.stopping:
            seed += WORKERS
            inputs = {"monte_carlo_pi": {"samples": 3_000_000, "seed": seed}}
            try:
                task = self.lab.submit(inputs=inputs, min_nodes=1 + seed % 2)["task_id"]
            except (OSError, LabError):
                continue  # nobody was there, or nobody was told: nothing that we count on
            self.accepted.append(task)
            try:
                self.lab.finish(task)
            except (OSError, LabError):
                pass  # asked again at the end

    def goes_on(self):
        seen = len(self.accepted)
        wait_until("more tasks are accepted", lambda: len(self.accepted) >= seen + TASKS_A_STEP)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Upgrade(LabTest):
    def begin(self, program, nodes):
        lab = self.lab
        lab.start_coordinator(program=program)
        lab.first_administrator()
        for name in nodes:
            lab.start_agent(name, token=lab.register(name), program=program)
        lab.wait_measured(*nodes)

    def result(self, task_id):
        task = self.lab.task(task_id)
        return task["status"], task["result"], task["credits"]

    def check(self, accepted):
        """Nothing is lost, nobody is paid twice for a task; the chain goes on."""
        ends = [self.lab.finish(one) for one in accepted]
        self.assertEqual({end["status"] for end in ends}, {"completed"}, ends)
        entries = self.lab.export()
        self.assertEqual([entry["sequence"] for entry in entries],
                         list(range(1, len(entries) + 1)))
        for before, after in zip(entries, entries[1:]):
            self.assertEqual(after["previous"], before["hash"])
        paid = [(entry["reference"], entry["to"]) for entry in entries if entry["kind"] == "pay"]
        self.assertEqual(len(paid), len(set(paid)))
        self.assertLessEqual(set(accepted), {reference for reference, _ in paid})
        return entries

    def test_a_fleet_is_upgraded_while_it_works(self):
        lab = self.lab
        self.begin(OLD, NODES)
        load = Load(lab)
        try:
            load.goes_on()
            for name in NODES[:2]:  # the third one stays as it is
                self.assertEqual(lab.stop(name), 0)
                lab.start_agent(name)
                lab.wait_measured(name)
                load.goes_on()
            first = load.accepted[0]
            before = self.result(first), lab.export()
            self.assertEqual(lab.stop("coordinator"), 0)
            lab.start_coordinator()
            lab.wait_measured(*NODES)
            load.goes_on()
        finally:
            load.stop()
        entries = self.check(load.accepted)
        self.assertEqual((self.result(first), entries[:len(before[1])]), before)
        # The old one and the new ones get the same out of a module.
        task = lab.finish(lab.submit(inputs={"monte_carlo_pi": {"samples": 9_000, "seed": 7}},
                                     min_nodes=3)["task_id"])
        self.assertEqual(task["status"], "completed", task)
        self.assertEqual(sorted(task["result"]["agreed_by"]), sorted(NODES))
        for name in NODES:
            self.assertIsNone(lab.processes[name].poll())
        # At last the old node, too; its key and its name are what they were.
        self.assertEqual(lab.stop(NODES[2]), 0)
        lab.start_agent(NODES[2])
        lab.wait_measured(*NODES)

    def test_the_coordinator_first_then_the_nodes(self):
        lab = self.lab
        self.begin(OLD, NODES[:2])
        load = Load(lab)
        try:
            load.goes_on()
            self.assertEqual(lab.stop("coordinator"), 0)
            lab.start_coordinator()
            load.goes_on()
            for name in NODES[:2]:
                self.assertEqual(lab.stop(name), 0)
                lab.start_agent(name)
                lab.wait_measured(name)
                load.goes_on()
        finally:
            load.stop()
        self.check(load.accepted)

    def test_an_old_coordinator_on_a_new_state_works_or_says_why_not(self):
        lab = self.lab
        self.begin(AMBIENT, NODES[:1])
        task = lab.submit()["task_id"]
        lab.finish(task)
        before = self.result(task), lab.export()
        self.assertEqual(lab.stop("coordinator"), 0)
        try:
            lab.start_coordinator(program=OLD)
        except LabError:
            self.assertNotEqual(lab.processes["coordinator"].wait(), 0)
            self.assertRegex(lab.log("coordinator"), r"has version \d+, this program knows \d")
        else:
            lab.wait_measured(NODES[0])
            self.check([task, lab.submit()["task_id"]])
            self.assertEqual(lab.stop("coordinator"), 0)
        # Nothing was spoiled by it.
        lab.start_coordinator()
        lab.wait_measured(NODES[0])
        entries = self.check([task, lab.submit()["task_id"]])
        self.assertEqual((self.result(task), entries[:len(before[1])]), before)


if __name__ == "__main__":
    OLD = previous.previous_programs() / "ambient-vcp"
    unittest.main(verbosity=2)
