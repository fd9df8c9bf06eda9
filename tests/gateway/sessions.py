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
from gateway import Client, Gateway, Server, echo  # noqa: E402
from lab import LabError  # noqa: E402

SECONDS = {"CONNECT_SESSION_MONITOR_INTERVAL_SECONDS": "1",
           "CONNECT_SESSION_NODE_LOST_SECONDS": "2"}
POLICY = "/api/v1/destination-policies/test"


class Sessions(LabTest):
    def setUp(self):
        super().setUp()
        self.echo = Server(echo)
        self.addCleanup(self.echo.close)

    def begin(self, *nodes, **environment):
        self.lab.environment.update({**SECONDS, **environment})
        self.lab.start_coordinator()
        self.lab.first_administrator()
        for name in nodes:
            self.add_node(name)

    def add_node(self, name):
        token = self.lab.register(name, node_type="open_internet")
        self.lab.start_agent(name, "--node-type", "open_internet", token=token)
        wait_until(f"{name} is online", lambda: self.lab.node(name)["status"] == "online")

    def gateway(self, node):
        """The gateway beside a node, with a key of the node's owner that may read only."""
        key = self.lab.ask("POST", "/api/v1/auth/api-keys",
                           {"name": node, "scopes": ["nodes:read"]}, expected=201)["api_key"]
        url = f"{self.lab.url}/api/v1/nodes/{node}/gateway-sessions"
        gateway = Gateway(self.lab.folder, "--allow-private", "--sessions-url", url, file=False,
                          environment={"VCP_API_KEY": key})
        self.addCleanup(gateway.stop)
        return gateway

    def submit(self, seconds=300, expected=201, **inputs):
        inputs = {"session_id": "sess_123", "requester_id": "somebody", "duration_seconds": seconds,
                  "bandwidth_limit_mbps": 100, "egress_profile": "allowlist_domains",
                  "destination_policy_id": "test", **inputs}
        return self.lab.submit("connect_only", inputs, expected=expected,
                               max_execution_time_sec=max(300, seconds))

    def allow(self, *rules):
        return self.lab.ask("PUT", POLICY, {"allowed_destinations": list(rules)})

    def start(self, task):
        task_id = task["task_id"]
        wait_until("a node for the task",
                   lambda: self.lab.task(task_id)["stage"] == "waiting for its session")
        return self.lab.ask("POST", "/api/v1/connect-sessions/start", {"task_id": task_id},
                            expected=201)

    def call(self, started, word="", expected=200):
        path = f"/api/v1/connect-sessions/{started['session']['session_id']}"
        return self.lab.ask("POST" if word else "GET", path + (word and "/" + word),
                            expected=expected)

    def answer(self, gateway, started, host="127.0.0.1", token=None):
        """What the gateway says, and the client it said it to."""
        client = Client(gateway.port)
        self.addCleanup(client.socket.close)
        client.hello(started["session"]["session_id"], f"{host}:{self.echo.port}",
                     token=token or started["session_token"])
        return client.line(), client

    def relay(self, gateway, started):
        """A client that talks through the gateway, as soon as that has heard of the session."""
        def let_in():
            self.call(started, "heartbeat")
            line, client = self.answer(gateway, started)
            return client if line == "OK\n" else None

        client = wait_until("the gateway knows the session", let_in)
        self.talk(client)
        return client

    def talk(self, client):
        client.socket.sendall(b"over the gateway")
        self.assertEqual(client.read(16), b"over the gateway")

    def test_a_session_relays_and_ends_with_its_task(self):
        self.begin("gate")
        refused = self.submit(expected=422)
        self.assertIn("destination_policy_id", refused["message"])
        self.assertIn("PUT /api/v1/destination-policies", refused["hint"])
        self.allow("127.0.0.1", "LOCALHOST.")
        task = self.submit()
        started = self.start(task)
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
        self.call(started, "heartbeat")
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
            started = self.start(task)
            client = self.relay(gateway, started)
            if reason == "its time was up":
                wait_until("the end of its time", lambda: self.beat(started) != 200)
            done = self.lab.finish(task["task_id"])
            self.assertEqual(done["status"], "completed", done)
            self.assertEqual(done["result"]["status"], "expired")
            self.assertIn(reason, done["result"]["reason"])
            self.assertEqual(self.call(started)["status"], "expired")
            self.assertTrue(client.gone())

    def beat(self, started):
        """The status of a heartbeat."""
        try:
            self.call(started, "heartbeat")
            return 200
        except LabError:
            return 409

    def test_it_goes_on_when_the_coordinator_begins_anew(self):
        self.begin("gate")
        self.allow("127.0.0.1")
        gateway = self.gateway("gate")
        task = self.submit()
        started = self.start(task)
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
        first = self.start(task)
        lost = first["session"]["node_id"]
        self.lab.stop(lost, signal.SIGKILL)
        second = self.start(task)
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
        started = self.start(task)
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
