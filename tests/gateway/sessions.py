"""Sessions as their requesters, nodes and gateways have them: a coordinator, its nodes and gateways
beside them as processes; a task of connect_only, its session, what the gateway lets through."""

import pathlib
import signal
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "operate"))

from fleet_lab import LabTest, wait_until  # noqa: E402
from session_steps import GATE, POLICY, SessionSteps  # noqa: E402

SECONDS = {"CONNECT_SESSION_MONITOR_INTERVAL_SECONDS": "1",
           "CONNECT_SESSION_NODE_LOST_SECONDS": "2"}


class Sessions(SessionSteps, LabTest):
    def begin(self, *nodes, **environment):
        self.lab.environment.update({**SECONDS, **environment})
        self.lab.start_coordinator()
        self.lab.first_administrator()
        for name in nodes:
            self.add_gate(name)

    def test_a_session_relays_and_ends_with_its_task(self):
        self.begin("gate")
        refused = self.submit(expected=422)
        self.assertIn("destination_policy_id", refused["message"])
        self.assertIn("PUT /api/v1/destination-policies", refused["hint"])
        self.allow("127.0.0.1", "LOCALHOST.")
        task = self.submit()
        started = self.start_session(task)
        session = started["session"]
        self.assertNotIn(session["session_id"], ("sess_123", ""))
        self.assertRegex(started["session_token"], "^cs_[0-9A-Za-z]{64}$")
        self.assertEqual(session["status"], "active")
        self.assertEqual(session["requester_id"], task["owner_id"])
        self.assertEqual(self.lab.task(task["task_id"])["status"], "running")

        gateway = self.gateway("gate")
        client = self.relay(gateway, started)
        self.assertTrue(self.answer(gateway, started, token="cs_" + "x" * 64)[0].startswith(
            "ERROR denied:"))
        line, _ = self.answer(gateway, started, host="127.0.0.2")
        self.assertTrue(line.startswith("ERROR destination:"), line)
        self.assertEqual(self.call(started, "heartbeat")["gateway_address"], GATE)
        self.lab.ask("DELETE", POLICY, expected=409)

        self.assertEqual(self.call(started, "stop")["status"], "ended")
        self.assertTrue(client.gone())
        gateway.wait("relay 1 ended")
        self.assertTrue(self.answer(gateway, started)[0].startswith("ERROR denied:"))
        done = self.lab.task(task["task_id"])
        self.assertEqual((done["status"], done["runs"][0]["state"]), ("completed", "ended"))
        self.assertEqual(done["result"]["reason"], "stopped by its requester")
        self.assertEqual(done["result"]["sessions"][0]["session_id"], session["session_id"])
        self.assertEqual(done["credits"], {"escrowed": 0, "paid": 0, "refunded": 0})
        self.call(started, "heartbeat", expected=409)
        events = self.lab.ask("GET", "/api/v1/nodes/gate/heartbeat/activity")["events"]
        self.assertEqual([(one["event"], one["session_id"]) for one in events[:2]],
                         [("task_cleared", session["session_id"]),
                          ("task_connected", session["session_id"])])
        self.lab.ask("DELETE", POLICY)

    def test_a_session_expires_by_time_and_by_silence(self):
        self.begin("gate", CONNECT_SESSION_SILENCE_SECONDS="5")
        gateway = self.gateway("gate")
        for seconds, reason in ((12, "its time was up"), (300, "nothing was heard of its client")):
            task = self.submit(seconds, egress_profile="metered_general_egress")
            started = self.start_session(task)
            client = self.relay(gateway, started)
            if reason == "its time was up":
                wait_until("the end of its time", lambda: self.is_over(started))
            done = self.lab.finish(task["task_id"])
            self.assertEqual(done["status"], "completed", done)
            self.assertEqual(done["result"]["status"], "expired")
            self.assertIn(reason, done["result"]["reason"])
            self.assertEqual(self.call(started)["status"], "expired")
            self.assertTrue(client.gone())

    def test_it_goes_on_when_the_coordinator_begins_anew(self):
        self.begin("gate")
        self.allow("127.0.0.1")
        gateway = self.gateway("gate")
        task = self.submit()
        started = self.start_session(task)
        client = self.relay(gateway, started)
        self.assertEqual(self.lab.stop("coordinator"), 0)
        self.talk(client)  # a gateway that cannot ask lets sessions be
        self.lab.start_coordinator()
        self.assertEqual(self.call(started)["status"], "active")
        wait_until("its client counts as there again",
                   lambda: self.call(started, "heartbeat")["internet_active"])
        seen = self.lab.task(task["task_id"])
        self.assertEqual((seen["status"], len(seen["runs"])), ("running", 1))
        self.talk(client)
        self.assertEqual(self.answer(gateway, started)[0], "OK\n")
        self.assertEqual(self.call(started, "stop")["status"], "ended")
        self.assertTrue(client.gone())
        self.assertEqual(self.lab.task(task["task_id"])["status"], "completed")

    def test_a_lost_node_is_replaced(self):
        self.begin("gate-a", "gate-b")
        self.allow("127.0.0.1")
        task = self.submit()
        first = self.start_session(task)
        lost = first["session"]["node_id"]
        self.lab.stop(lost, signal.SIGKILL)
        second = self.start_session(task)
        self.assertEqual(self.call(first)["reason"], "its node was lost")
        other = second["session"]["node_id"]
        self.assertNotEqual(other, lost)
        self.assertEqual(second["session"]["expires_at"], first["session"]["expires_at"])
        self.relay(self.gateway(other), second)
        self.call(second, "stop")
        done = self.lab.finish(task["task_id"])
        self.assertEqual(done["status"], "completed")
        self.assertEqual([one["node_id"] for one in done["result"]["sessions"]], [lost, other])

    def test_nobody_has_a_session_of_another(self):
        self.begin("gate")
        self.allow("127.0.0.1")
        task = self.submit()
        started = self.start_session(task)
        session_id = started["session"]["session_id"]
        mine = self.lab.token
        other = {"username": "other", "password": "correct horse"}
        self.lab.ask("POST", "/api/v1/auth/register", other)
        self.lab.token = self.lab.ask("POST", "/api/v1/auth/login", other)["access_token"]
        self.lab.ask("POST", "/api/v1/connect-sessions/start", {"task_id": task["task_id"]},
                     expected=404)
        for word in ("", "heartbeat", "stop"):
            self.call(started, word, expected=404)
        self.lab.ask("GET", "/api/v1/nodes/gate/gateway-sessions", expected=404)
        self.lab.ask("GET", POLICY, expected=404)
        refused = self.submit(session_id=session_id, expected=422)  # the policy is not theirs
        self.assertIn("destination_policy_id", refused["message"])
        theirs = self.submit(session_id=session_id, egress_profile="metered_general_egress")
        self.assertEqual(theirs["stage"], "waiting for nodes")  # one session, one node
        self.lab.ask("POST", "/api/v1/connect-sessions/start", {"task_id": theirs["task_id"]},
                     expected=503)
        self.lab.token = mine
        self.assertEqual(self.call(started)["status"], "active")
        self.lab.ask("POST", "/api/v1/connect-sessions/start", {"task_id": task["task_id"]},
                     expected=409)


if __name__ == "__main__":
    unittest.main(verbosity=2)
