"""The files of deploy/ and render.yaml: what they start is started here as processes, without
containers; ports, paths, packages and names agree."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from fleet_lab import AMBIENT, BUILD, ROOT, LabTest, wait_until

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


def render():
    return {service["name"]: service
            for service in yaml.safe_load((ROOT / "render.yaml").read_text())["services"]}


def unit(name):
    """{key: value} of a unit; the last one counts."""
    out = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            out[key] = value
    return out


class Started(LabTest):
    def here(self, text):
        """A command of a file, with this test's folder, and loopback instead of every address."""
        text = text.replace("/var/lib/ambient-vcp", str(self.lab.folder / "var"))
        return text.replace("0.0.0.0", "127.0.0.1").replace(":3000", f":{self.lab.port}")

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
        return subprocess.run([self.here(part) for part in command], capture_output=True,
                              text=True, check=False, timeout=60,
                              env={**self.lab.environment, **environment})

    def stops(self):
        for name in list(self.lab.processes):
            self.assertEqual(self.lab.stop(name), 0, self.lab.log(name)[-1000:])

    def test_the_compose_file_is_a_fleet(self):
        services = compose()["services"]
        start = services.pop("coordinator")
        environment = {name: self.here(value) for name, value in start["environment"].items()}
        self.begin("coordinator", [AMBIENT, *map(self.here, start["command"])], environment)
        self.ready()
        self.assertEqual(self.status_of("/api/v1/health", "coordinator:3000"), 200)
        healthy = self.health(environment)
        self.assertEqual(healthy.returncode, 0, healthy.stdout)
        self.assertIn("coordinator: ", healthy.stdout)

        code = self.lab.wait_log("coordinator", r"One-time code: (\S+)").group(1)
        tokens = self.lab.folder / "tokens.env"
        done = subprocess.run(
            [DOCKER / "first_start.py", "--code", code, "--url", self.lab.url, "--env", tokens],
            env={**self.lab.environment, "VCP_PASSWORD": "a password of tests"}, check=False,
            capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tokens.stat().st_mode & 0o777, 0o600)
        known = dict(line.split("=", 1) for line in tokens.read_text().splitlines())

        self.assertEqual(set(services), set(REGIONS))
        for name, service in services.items():
            token = service["environment"]["VCP_JOIN_TOKEN"]
            variable = re.fullmatch(r"\$\{(\w+):-\}", token).group(1)
            self.assertEqual(service["environment"]["VCP_API_URL"], "http://coordinator:3000")
            command = [self.here(part).replace("/var/node", f"/var/{name}")
                       for part in service["command"]]
            self.begin(name, [AMBIENT, *command],
                       {"VCP_API_URL": self.lab.url, "VCP_JOIN_TOKEN": known[variable]})
        self.lab.token = self.lab.ask("POST", "/api/v1/auth/login", {
            "username": "founder", "password": "a password of tests"})["access_token"]
        wait_until("three nodes online", lambda: {
            node["node_id"]: node["region"] for node in self.lab.ask("GET", "/api/v1/nodes")
            if node["status"] == "online"} == REGIONS)
        self.stops()
        self.assertEqual(self.health(environment).returncode, 1)  # nobody answers any more

    def test_the_blueprint_is_a_fleet(self):
        services = render()
        web, worker = services["ambient-vcp"], services["ambient-vcp-node"]
        port = next(entry["value"] for entry in web["envVars"] if entry["key"] == "PORT")
        self.assertEqual(port, "3000")
        self.begin("coordinator", shlex.split(self.here(web["dockerCommand"])),
                   {"PORT": str(self.lab.port), "JWT_SECRET": "0123456789abcdef" * 3,
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
        self.begin("coordinator", command(coordinator, f"--listen 127.0.0.1:{self.lab.port}"))
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
            self.assertEqual(service["disk"]["mountPath"], volume)
            self.assertTrue((ROOT / service["dockerfilePath"]).is_file())

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
        installed = BASE_PACKAGES | set(" ".join(of_dockerfile("RUN")).split())
        for name in names:
            packages = set(re.findall(rf"^([^:,\s]+)[:,].*/{re.escape(name)}$", owners, re.M))
            self.assertTrue(packages & installed, f"{name} of {packages} is not in the image")


if __name__ == "__main__":
    unittest.main(verbosity=2)
