"""Nodes on one machine that meet over a network: for the demo and the functional tests.

As root every host is a network namespace on one bridge, with a user of its own; otherwise all hosts
are this machine and differ by port. Everything lives in one temporary folder and is gone after
`Lab.close()`.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from ports import free_port

READY_SECONDS_MAX = 30  # a node that does not answer by then is given up
STOP_SECONDS_MAX = 20   # from SIGTERM to the end of a node
FIRST_UID = 64_100      # numeric users of the hosts; none needs to exist
PORT = 4001
HOSTS_MAX = 16
SUBNET = "10.77.0"


class LabError(Exception):
    """A step of the lab failed; the text says which and why."""


def run(command, **options):
    """Runs a helper command to its end; its stderr is the error."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def enter(namespace):
    """What to put before a command so that it runs in a network namespace.

    Enters the network alone: `ip netns exec` would also remount /sys, which a root folder that is
    no mount point (chroot) does not allow.
    """
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def namespaces_allowed():
    """Whether this process may make and join network namespaces: root, no tight container."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None:
        return False
    name, wire = f"phase-try-{os.getpid()}", f"pt{os.getpid() % 1_000_000}"
    tries = (["ip", "netns", "add", name],
             ["ip", "link", "add", wire, "netns", name, "type", "veth", "peer", "name", "other",
              "netns", name],
             [*enter(name), "ip", "link", "set", "lo", "up"])
    allowed = all(subprocess.run(words, capture_output=True).returncode == 0 for words in tries)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return allowed


class Host:
    """One machine of the lab: a namespace and a user, or this machine."""

    def __init__(self, lab, name, number):
        self.lab = lab
        self.name = name
        self.uid = FIRST_UID + number if lab.users else None
        self.folder = lab.folder / name
        self.folder.mkdir(mode=0o700)
        if self.uid is not None:
            os.chown(self.folder, self.uid, self.uid)
        self.namespace = None
        self.address = "127.0.0.1"
        self.port = free_port()
        lab.hosts[name] = self  # from here on it goes with the lab, whenever Ctrl-C comes
        if lab.namespaces:
            self.address = f"{SUBNET}.{number + 1}"
            self.port = PORT
            self._make_namespace(number)

    def _make_namespace(self, number):
        tag = f"{os.getpid() % 100_000}-{number}"
        self.namespace = f"phase-{tag}"
        inside, outside = f"pi{tag}", f"po{tag}"
        run(["ip", "netns", "add", self.namespace])
        run(["ip", "link", "add", inside, "netns", self.namespace, "type", "veth",
             "peer", "name", outside, "netns", self.lab.hub])
        run([*enter(self.lab.hub), "ip", "link", "set", outside, "master", "hub", "up"])
        run([*enter(self.namespace), "ip", "address", "add", f"{self.address}/24", "dev", inside])
        run([*enter(self.namespace), "ip", "link", "set", inside, "up"])
        run([*enter(self.namespace), "ip", "link", "set", "lo", "up"])

    def command(self, words):
        """`words` as they run on this host, as its user."""
        prefix = []
        if self.namespace:
            prefix += enter(self.namespace)
        if self.uid is not None:
            prefix += ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups",
                       "--inh-caps=-all", "--no-new-privs"]
        return prefix + [str(word) for word in words]

    def environment(self, extra=None):
        """Only what is named here; nothing of the caller's home."""
        keep = {key: os.environ[key] for key in ("PATH", "LANG", "TERM") if key in os.environ}
        keep |= {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}
        return keep | (extra or {})

    def run(self, words, input_bytes=b"", timeout=120, extra=None):
        """Runs a program to its end on this host. Returns the CompletedProcess, in bytes."""
        return subprocess.run(self.command(words), input=input_bytes, capture_output=True,
                              timeout=timeout, env=self.environment(extra), cwd=self.folder)

    def drop_udp(self):
        """From now on no UDP packet enters or leaves this host."""
        rules = ("add table inet lab; "
                 "add chain inet lab in { type filter hook input priority 0; }; "
                 "add chain inet lab out { type filter hook output priority 0; }; "
                 "add rule inet lab in meta l4proto udp drop; "
                 "add rule inet lab out meta l4proto udp drop")
        run([*enter(self.namespace), "nft", rules])

    def close(self):
        if self.namespace:
            subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


class Node:
    """A running plasmd."""

    def __init__(self, host, arguments, wait=True):
        self.host = host
        self.status, self.peer_id = None, None
        self.socket = host.folder / "control.sock"
        self.log_path = host.folder / "plasmd.log"
        words = [host.lab.program("plasmd"), "start", "--data", host.folder / "data",
                 "--identity-path", host.folder / "identity.key", "--control-socket", self.socket,
                 *arguments]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(host.command(words), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=host.environment(),
                                            cwd=host.folder, start_new_session=True)
        host.lab.nodes[host.name] = self  # as above: before it is waited for
        if wait:
            self.wait_ready()

    def wait_ready(self):
        self.status = self._wait_status()
        self.peer_id = self.status["peer_id"]

    def _wait_status(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise LabError(f"{self.host.name}: plasmd ended with {self.process.returncode}:\n"
                               + self.log()[-2000:])
            done = self.phase("status", "--json")
            if done.returncode == 0:
                return json.loads(done.stdout)
            time.sleep(0.05)
        raise LabError(f"{self.host.name}: plasmd was not ready in {READY_SECONDS_MAX} s:\n"
                       + self.log()[-2000:])

    def log(self):
        """What the node wrote so far."""
        return self.log_path.read_text(errors="replace")

    def phase(self, *words, **options):
        """Runs the command line against this node, on its host."""
        return self.host.run([self.host.lab.program("phase"), "--socket", self.socket, *words],
                             **options)

    def addresses(self):
        """Its listen addresses with its peer id, as another node is told them."""
        return [f"/ip4/{self.host.address}/{transport}/p2p/{self.peer_id}"
                for transport in (f"udp/{self.host.port}/quic-v1", f"tcp/{self.host.port}")]

    def stop(self, kill=False):
        """SIGTERM and wait; SIGKILL when it does not end, or at once when asked."""
        if self.process.poll() is not None:
            return self.process.returncode
        # setpriv and nsenter replace themselves, so this process is plasmd.
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS_MAX)
            raise LabError(f"{self.host.name}: plasmd did not end after SIGTERM") from None


class Lab:
    """Hosts and nodes with one life. Use with `with`."""

    def __init__(self, binaries, isolated=None):
        self.namespaces = namespaces_allowed() if isolated is None else isolated
        self.users = os.geteuid() == 0 and shutil.which("setpriv") is not None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="phase-lab-"))
        os.chmod(self.folder, 0o755)
        self.hosts, self.nodes = {}, {}
        self.hub = f"phase-{os.getpid() % 100_000}-hub"
        # Copies: the folder the programs were built in may be closed to the hosts' users.
        self.programs = self.folder / "bin"
        self.programs.mkdir(mode=0o755)
        for name in ("plasmd", "lucidd", "phase", "phase-worker"):
            if (pathlib.Path(binaries) / name).exists():
                shutil.copy(pathlib.Path(binaries) / name, self.programs / name)
        if self.namespaces:
            run(["ip", "netns", "add", self.hub])
            run([*enter(self.hub), "ip", "link", "add", "hub", "type", "bridge"])
            run([*enter(self.hub), "ip", "link", "set", "hub", "up"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def program(self, name):
        return self.programs / name

    def publish(self, path, name=None):
        """A copy of a file or folder that every host may read."""
        path = pathlib.Path(path)
        target = self.folder / (name or path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copy(path, target)
        run(["chmod", "-R", "a+rX", self.folder / pathlib.Path(name or path.name).parts[0]])
        return target

    def host(self, name):
        if name not in self.hosts:
            if len(self.hosts) >= HOSTS_MAX:
                raise LabError("too many hosts")
            Host(self, name, len(self.hosts))
        return self.hosts[name]

    def start(self, name, *arguments, listen=True, mdns=False, wait=True):
        """Starts a node on the host of that name. Without mDNS it knows only what it is told."""
        host = self.host(name)
        words = [*([] if mdns else ["--no-mdns"]), *arguments]
        if listen:
            for transport in (f"udp/{host.port}/quic-v1", f"tcp/{host.port}"):
                words += ["--listen", f"/ip4/{host.address}/{transport}"]
        return Node(host, words, wait)

    def close(self):
        """Ends all and leaves nothing behind; a second Ctrl-C does not stop it."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for node in self.nodes.values():
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes.values():
            try:
                node.stop()
            except LabError:
                pass
        for host in self.hosts.values():
            host.close()
        if self.namespaces:
            subprocess.run(["ip", "netns", "del", self.hub], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(signal.SIGINT, before)
