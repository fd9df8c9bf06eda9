"""The files of deploy/ and render.yaml: what they start is started here as processes, without
containers but with a real PostgreSQL; ports, paths, packages and names agree."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from fleet_lab import AMBIENT, BUILD, ROOT, LabTest, wait_until
from lab import LabError
from ports import free_port

sys.path.insert(0, str(ROOT / "tests" / "postgres"))
import server  # noqa: E402

try:
    import yaml
except ImportError:
    print("skip: no YAML reader for Python (python3-yaml)")
    sys.exit(77)

DOCKER = ROOT / "deploy" / "docker"
SYSTEMD = ROOT / "deploy" / "systemd"
# In every Debian image, slim or not.
BASE_PACKAGES = {"libc6", "libgcc-s1", "libstdc++6"}
REGIONS = {"node-us": "us-west", "node-eu": "eu-central", "node-apac": "ap-southeast"}


def dockerfile():
    """[(instruction, rest)], continued lines joined, comments dropped."""
    text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


def of_dockerfile(instruction):
    return [rest for name, rest in dockerfile() if name == instruction]


def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def filled(text, known):
    """What compose makes of ${NAME:-default} and ${NAME:?what to do}."""
    def value(found):
        name, kind, other = found.groups()
        if not known.get(name) and kind == "?":
            raise AssertionError(f"{name}: {other}")
        return known.get(name) or other
    return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", value, text)


def blueprint():
    return yaml.safe_load((ROOT / "render.yaml").read_text())


def render():
    return {service["name"]: service for service in blueprint()["services"]}


def unit(name):
    """{key: value} of a unit; the last one counts."""
    out = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            out[key] = value
    return out


class Started(LabTest):
    def here(self, text, port=None):
        """A command of a file, with this test's folder, and loopback instead of every address."""
        text = text.replace("/var/lib/ambient-vcp", str(self.lab.folder / "var"))
        return text.replace("0.0.0.0", "127.0.0.1").replace(":3000", f":{port or self.lab.port}")

    def database(self):
        """Ends the test where PostgreSQL is not installed."""
        if server.programs() is None:
            self.skipTest("PostgreSQL is not installed")
        made = server.Server()
        self.addCleanup(made.remove)
        return made

    def begin(self, name, command, env=None):
        (self.lab.folder / "var").mkdir(exist_ok=True)
        self.lab.start(name, command, env)

    def ready(self):
        self.lab.url = self.lab.wait_log("coordinator", r"ready: .* at (http://\S+)").group(1)
        self.assertEqual(self.lab.url, f"http://127.0.0.1:{self.lab.port}")

    def status_of(self, path, host):
        request = urllib.request.Request(self.lab.url + path, headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def health(self, environment):
        command = json.loads(of_dockerfile("HEALTHCHECK")[0].split("CMD", 1)[1])
        done = subprocess.run([self.here(part) for part in command], capture_output=True,
                              text=True, check=False, timeout=60,
                              env={**self.lab.environment, **environment})
        return done.returncode, done.stdout

    def stops(self):
        for name in list(self.lab.processes):
            self.assertEqual(self.lab.stop(name), 0, self.lab.log(name)[-1000:])

    def test_the_compose_file_is_a_fleet(self):
        services = compose()["services"]
        secrets = self.first_start("--secrets")
        database = self.compose_database(services.pop("database"), secrets)
        self.ports = {name: port for name, port in (("coordinator", self.lab.port),
                                                    ("coordinator-2", free_port()))}
        for name in self.ports:
            environment = self.start_coordinator_of(name, services.pop(name), secrets, database)
            self.assertEqual(self.health(environment)[0], 0)

        code = self.lab.wait_log("coordinator", r"One-time code: (\S+)").group(1)
        # By the one that does not lead.
        self.lab.url = f"http://127.0.0.1:{self.ports['coordinator-2']}"
        known = self.first_start("--code", code, "--url", self.lab.url)
        self.assertEqual({name: known[name] for name in secrets}, secrets)
        self.assertEqual(self.first_start("--secrets"), known)  # what is there stays

        both = ",".join(f"http://127.0.0.1:{port}" for port in self.ports.values())
        self.assertEqual(set(services), set(REGIONS))
        for name, service in services.items():
            self.assertEqual(service["environment"]["VCP_API_URL"],
                             ",".join(f"http://{host}:3000" for host in self.ports))
            token = filled(service["environment"]["VCP_JOIN_TOKEN"], known)
            self.assertTrue(token.startswith("jt_"), token)
            command = [self.here(part).replace("/var/node", f"/var/{name}")
                       for part in service["command"]]
            self.begin(name, [AMBIENT, *command], {"VCP_API_URL": both, "VCP_JOIN_TOKEN": token})
        self.lab.token = self.lab.ask("POST", "/api/v1/auth/login", {
            "username": "founder", "password": "a password of tests"})["access_token"]
        self.all_online()
        first = self.lab.submit()["task_id"]
        self.assertEqual(self.lab.finish(first)["status"], "completed")

        # The one that leads dies: the other one has the fleet, and what was done.
        self.assertEqual(self.lab.stop("coordinator", signal.SIGKILL), -signal.SIGKILL)
        del self.lab.processes["coordinator"]
        self.lab.wait_log("coordinator-2", r"this coordinator leads now")
        self.lab.wait_log("coordinator-2", r"ready: dashboard and API")
        self.all_online()
        self.assertEqual(self.lab.task(first)["status"], "completed")
        self.assertEqual(self.lab.finish(self.lab.submit()["task_id"])["status"], "completed")
        status, said = self.health({"VCP_API_URL": both})  # a node's: one of both is enough
        self.assertEqual(status, 0, said)
        self.assertIn("? coordinator: ", said)
        self.stops()
        self.assertEqual(self.health({"VCP_API_URL": both})[0], 1)  # nobody answers any more

    def first_start(self, *words):
        """What the file has afterwards."""
        path = self.lab.folder / "fleet.env"
        done = subprocess.run([DOCKER / "first_start.py", *words, "--env", path], check=False,
                              capture_output=True, text=True, timeout=60,
                              env={**self.lab.environment, "VCP_PASSWORD": "a password of tests"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        return dict(line.split("=", 1) for line in path.read_text().splitlines())

    def compose_database(self, service, secrets):
        """A server with the user and the database that the image would make."""
        made = self.database()
        given = {name: filled(value, secrets) for name, value in service["environment"].items()}
        self.assertGreaterEqual(len(given["POSTGRES_PASSWORD"]), 32)
        made.query(f"CREATE ROLE {given['POSTGRES_USER']} LOGIN PASSWORD "
                   f"'{given['POSTGRES_PASSWORD']}'")
        made.query(f"CREATE DATABASE {given['POSTGRES_DB']} OWNER {given['POSTGRES_USER']}")
        program, *words = service["healthcheck"]["test"][1:]
        asked = [f"{made.bin}/{program}", *words, "--port", str(made.port)]
        self.assertEqual(subprocess.run(asked, check=False, timeout=60).returncode, 0)
        return made

    def start_coordinator_of(self, name, service, secrets, database):
        """One of the compose file's; the environment it has."""
        port = self.ports[name]
        command = [self.here(part, port).replace("/var/coordinator", f"/var/{name}")
                   .replace(f"{name}:{port}", f"127.0.0.1:{port}") for part in service["command"]]
        environment = {key: self.here(filled(value, secrets), port)
                       for key, value in service["environment"].items()}
        environment["DATABASE_URL"] = environment["DATABASE_URL"].replace(
            "@database:5432/", f"@127.0.0.1:{database.port}/")
        self.begin(name, [AMBIENT, *command], environment)
        self.lab.wait_log(name, r"ready: (dashboard and API|.* leads .*; connections go on)")
        self.lab.url = f"http://127.0.0.1:{port}"
        for host in self.ports:
            self.assertEqual(self.status_of("/api/v1/health", f"{host}:3000"), 200)
        return environment

    def all_online(self):
        def online():
            try:
                return {node["node_id"]: node["region"] for node in
                        self.lab.ask("GET", "/api/v1/nodes") if node["status"] == "online"}
            except (OSError, LabError):
                return None  # nobody leads at this moment
        wait_until("three nodes online", lambda: online() == REGIONS)

    def test_the_blueprint_is_a_fleet(self):
        services = render()
        web, worker = services["ambient-vcp"], services["ambient-vcp-node"]
        variables = {entry["key"]: entry for entry in web["envVars"]}
        self.assertEqual(variables["PORT"]["value"], "3000")
        state = variables["DATABASE_URL"]["fromDatabase"]
        self.assertEqual(state["property"], "connectionString")
        self.assertIn(state["name"], [made["name"] for made in blueprint()["databases"]])
        self.assertTrue(variables["VCP_FLEET_SECRET"]["generateValue"])
        self.assertNotIn("disk", web)  # the state is in the database only
        self.begin("coordinator", shlex.split(self.here(web["dockerCommand"])),
                   {"PORT": str(self.lab.port), "DATABASE_URL": self.database().url,
                    "VCP_FLEET_SECRET": "0123456789abcdef" * 3,
                    "TRUSTED_PROXY_CIDRS": "10.0.0.0/8", "RENDER_SERVICE_NAME": "ambient-vcp",
                    "RENDER_EXTERNAL_HOSTNAME": "fleet.example.org"})
        self.ready()
        path = web["healthCheckPath"]
        self.assertEqual(self.status_of(path, "fleet.example.org"), 200)
        self.assertEqual(self.status_of(path, "ambient-vcp-x1y2:3000"), 200)
        self.assertEqual(self.status_of(path, "elsewhere.example.org"), 403)
        self.lab.first_administrator()
        self.assertIn(["--id", "node-render"], pairs(worker["dockerCommand"]))
        token = self.lab.register("node-render")
        self.begin("node", shlex.split(self.here(worker["dockerCommand"])),
                   {"COORDINATOR": f"127.0.0.1:{self.lab.port}", "VCP_JOIN_TOKEN": token})
        wait_until("the node online", lambda: self.lab.node("node-render")["status"] == "online")
        self.stops()

    def test_the_units_are_a_fleet(self):
        coordinator, node = (unit(f"ambient-vcp-{name}.service")
                             for name in ("coordinator", "node@"))
        def command(of, arguments):
            line = self.here(of["ExecStart"]).replace("/usr/bin/ambient-vcp", str(AMBIENT))
            return shlex.split(line.replace("%i", "first").replace("$ARGUMENTS", arguments))
        self.assertIn("EnvironmentFile=-/etc/ambient-vcp/fleet.env",
                      (SYSTEMD / "ambient-vcp-coordinator.service").read_text().splitlines())
        self.begin("coordinator", command(coordinator, f"--listen 127.0.0.1:{self.lab.port}"),
                   {"DATABASE_URL": self.database().url,
                    "VCP_FLEET_SECRET": "0123456789abcdef" * 2})
        self.ready()
        self.lab.first_administrator()
        self.begin("node", command(node, "--region us-west"),
                   {"VCP_API_URL": self.lab.url, "VCP_JOIN_TOKEN": self.lab.register("first")})
        wait_until("the node online", lambda: self.lab.node("first")["status"] == "online")
        for of in (coordinator, node):
            folder = pathlib.PurePath("/var/lib", of["StateDirectory"])
            self.assertIn(str(folder), of["ExecStart"])
            self.assertEqual(of["StateDirectoryMode"], "0700")
            self.assertGreater(int(of["TimeoutStopSec"]), 30)  # --drain-seconds
        self.stops()

    def test_a_bare_container_starts(self):
        self.assertEqual(json.loads(of_dockerfile("ENTRYPOINT")[0]), ["ambient-vcp"])
        command = json.loads(of_dockerfile("CMD")[0])
        self.begin("coordinator", [AMBIENT, *map(self.here, command)])
        self.ready()
        self.stops()


def with_dependencies(packages):
    """The packages and all that apt installs because of them, as far as they are here."""
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\n"],
                            capture_output=True, text=True, check=True).stdout
    needs = {}
    for line in listed.splitlines():
        name, _, wanted = line.partition("\t")
        plain = re.sub(r"\([^)]*\)|:\w+", "", wanted)
        needs[name] = set(re.findall(r"[a-z0-9][a-z0-9+.-]+", plain))
    out, new = set(), set(packages)
    while new:
        out |= new
        new = set().union(*(needs.get(name, set()) for name in new)) - out
    return out


def pairs(command):
    words = shlex.split(command.replace("'", " "))
    return [list(pair) for pair in zip(words, words[1:])]


class Written(unittest.TestCase):
    def test_systemd_accepts_the_units(self):
        with tempfile.TemporaryDirectory(prefix="phase-units-") as folder:
            for path in SYSTEMD.glob("*.service"):
                text = path.read_text().replace("/usr/bin/ambient-vcp", str(AMBIENT))
                name = path.name.replace("@.", "@first.")
                (pathlib.Path(folder) / name).write_text(text)
                try:
                    done = subprocess.run(
                        ["systemd-analyze", "verify", "--man=no", f"{folder}/{name}"],
                        capture_output=True, text=True, check=False, timeout=60,
                        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
                except FileNotFoundError:
                    self.skipTest("no systemd-analyze here")
                said = [line for line in done.stderr.splitlines() if name in line]
                self.assertEqual((done.returncode, said), (0, []), done.stderr)

    def test_ports_and_paths_agree(self):
        exposed = of_dockerfile("EXPOSE")[0].split()
        self.assertEqual(exposed, ["3000/tcp", "3001/tcp", "3001/udp", "3002/tcp"])
        volume = of_dockerfile("VOLUME")[0]
        home = next(rest for rest in of_dockerfile("ENV") if rest.startswith("HOME="))
        self.assertEqual(home, f"HOME={volume}")
        services = compose()["services"]
        self.assertEqual(services["coordinator"]["ports"], ["127.0.0.1:3000:3000"])
        named = set(compose()["volumes"])
        database = services.pop("database")
        self.assertEqual(database["volumes"], ["database:/var/lib/postgresql/data"])
        self.assertEqual(len({tuple(service["volumes"]) for service in services.values()}),
                         len(services))
        for service in services.values():
            (mounted,) = service["volumes"]
            name, at = mounted.split(":")
            self.assertEqual(at, volume)
            self.assertIn(name, named)
            folder = service["command"][service["command"].index("--data-dir") + 1]
            self.assertTrue(folder.startswith(volume + "/"))
            self.assertTrue((DOCKER / service["build"]["context"] /
                             service["build"]["dockerfile"]).resolve().is_file())
        for service in render().values():
            self.assertEqual(service.get("disk", {}).get("mountPath", volume), volume)
            self.assertTrue((ROOT / service["dockerfilePath"]).is_file())

    def test_secrets_stay_out_of_the_image_and_of_git(self):
        ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        self.assertIn("deploy/docker/.env", ignored)
        self.assertIn("/deploy/docker/.env", (ROOT / ".gitignore").read_text().splitlines())
        with self.assertRaisesRegex(AssertionError, "first_start.py --secrets"):
            filled(compose()["services"]["coordinator"]["environment"]["VCP_FLEET_SECRET"], {})

    def test_the_image_copies_what_is_there_and_runs_as_nobody_else(self):
        for rest in of_dockerfile("COPY"):
            source = rest.split()[-2]
            if not rest.startswith("--from"):
                self.assertTrue((ROOT / source).exists(), source)
        self.assertRegex(of_dockerfile("USER")[0], r"^[1-9]\d*:[1-9]\d*$")
        target = subprocess.run(["make", "-n", "programs"], cwd=ROOT, check=False,
                                capture_output=True)
        self.assertEqual(target.returncode, 0, target.stderr)

    def test_the_image_has_the_libraries(self):
        system = pathlib.Path("/etc/os-release").read_text()
        if 'VERSION_CODENAME=bookworm' not in system:
            self.skipTest("the image is Debian 12; here it is not")
        names = set()
        for program in ("ambient-vcp", "phase-worker"):
            listed = subprocess.run(["ldd", BUILD / "bin" / program], capture_output=True,
                                    text=True, check=True).stdout
            names |= {pathlib.Path(path).resolve().name
                      for path in re.findall(r"=> (/\S+)", listed)}
        owners = subprocess.run(["dpkg", "-S", *(f"*/{name}" for name in names)], check=False,
                                capture_output=True, text=True).stdout
        installed = with_dependencies(
            BASE_PACKAGES | set(of_dockerfile("RUN")[-1].split()))
        self.assertNotIn("libpq5", with_dependencies(BASE_PACKAGES))
        for name in names:
            packages = set(re.findall(rf"^([^:,\s]+)[:,].*/{re.escape(name)}$", owners, re.M))
            self.assertTrue(packages & installed, f"{name} of {packages} is not in the image")


if __name__ == "__main__":
    unittest.main(verbosity=2)
