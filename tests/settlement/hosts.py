"""Separate hosts for tests: network namespaces in one user namespace, without root, removed with the test.

Either joined by the kernel, a veth each into one bridge, or by the air of `tests.settlement.lossy`, which delays and
drops packets where this kernel has no netem.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Listener
from pathlib import Path

from tests.settlement.peers import WAIT_S, Peer, Spec, Street

ROOT = Path(__file__).resolve().parent.parent.parent
SUBNET, SUBNET_6 = "10.77.0", "fd77:7::"
PAUSED = "T"


class HostsError(Exception):
    """This machine cannot make network namespaces; the text says what was tried."""


class Process:
    """A child process with the interface of `multiprocessing`."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self.pid = child.pid

    @property
    def exitcode(self) -> int | None:
        return self._child.poll()

    def is_alive(self) -> bool:
        return self._child.poll() is None

    def join(self, timeout_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)

    def kill(self) -> None:
        self._child.kill()

    def paused(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == PAUSED

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class Hosts:
    """One network namespace for each host, and one that connects them."""

    def __init__(self, names: list[str], *, kernel: bool) -> None:
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self.numbers = {name: number for number, name in enumerate(names, 1)}
        self._air: subprocess.Popen[bytes] | None = None
        try:
            self._keep("between", ["unshare", "--user", "--map-root-user", "--net"])
            for name in names:
                self._keep(name, [*self.inside("between"), "unshare", "--net"])
                self.run(name, "ip link set lo up")
            if kernel:
                self._bridge()
            else:
                self._lossy(names)
        except BaseException:
            self.close()
            raise

    def _keep(self, name: str, command: list[str]) -> None:
        """Start a process that holds the namespace until its input ends; it reports once it is inside."""
        script = ["sh", "-c", "echo in; exec cat >/dev/null"]
        keeper = subprocess.Popen(
            [*command, *script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._keepers[name] = keeper
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() != b"in\n":
            raise HostsError(f"{' '.join(command[:3])}: {keeper.stderr.read().decode().strip()}")

    def pid(self, name: str) -> int:
        return self._keepers[name].pid

    def inside(self, name: str) -> list[str]:
        """The command prefix that runs a program on that host."""
        return ["nsenter", "-t", str(self.pid(name)), "--user", "--net", "--preserve-credentials"]

    def run(self, name: str, command: str) -> None:
        done = subprocess.run([*self.inside(name), *command.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HostsError(f"{command}: {done.stderr.strip()}")

    def _bridge(self) -> None:
        self.run("between", "ip link add middle type bridge")
        self.run("between", "ip link set middle up")
        for name, number in self.numbers.items():
            self.run("between", f"ip link add to-{name} type veth peer name eth0 netns {self.pid(name)}")
            self.run("between", f"ip link set to-{name} master middle up")
            self._address(name, number, "eth0")

    def _address(self, name: str, number: int, device: str) -> None:
        self.run(name, f"ip addr add {SUBNET}.{number}/24 dev {device}")
        self.run(name, f"ip addr add {SUBNET_6}{number}/64 dev {device} nodad")
        self.run(name, f"ip link set {device} up")

    def _lossy(self, names: list[str]) -> None:
        pids = [str(self.pid(name)) for name in names]
        command = [sys.executable, "-m", "tests.settlement.lossy", *pids]
        self._air = subprocess.Popen(
            [*self.inside("between"), *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._air.stdout is not None
        if self._air.stdout.readline() != b"up\n":
            raise HostsError("no tun device")
        for name, number in self.numbers.items():
            self._address(name, number, "air")

    def netem(self, name: str, rules: str) -> bool:
        """Shape the traffic to a host; returns False where the kernel has no netem."""
        try:
            self.run("between", f"tc qdisc add dev to-{name} root netem {rules}")
        except HostsError:
            return False
        return True

    def shape(self, *, delay_ms: int, loss_percent: int) -> None:
        """Set the air's delay of each packet and its loss rate."""
        assert self._air is not None
        assert self._air.stdin is not None
        self._air.stdin.write(f"{delay_ms} {loss_percent}\n".encode())
        self._air.stdin.flush()

    def dropped(self) -> int:
        """End the air; returns the number of packets it dropped."""
        assert self._air is not None
        said, _ = self._air.communicate(timeout=WAIT_S)
        return int(said)

    def cut(self, name: str) -> None:
        """Drop every packet to or from that host, without its interface going down."""
        self.run("between", f"ip link set to-{name} nomaster")

    def heal(self, name: str) -> None:
        self.run("between", f"ip link set to-{name} master middle")

    def close(self) -> None:
        for child in [*([self._air] if self._air else []), *reversed(self._keepers.values())]:
            child.kill()
            child.communicate()


class Town(Street):
    """A street whose nodes run on separate hosts; one may pause at a chosen point of a chosen step."""

    def __init__(self, folder: Path, hosts: Hosts, *, family: int = 4, **more: object) -> None:
        super().__init__(folder, **more)  # type: ignore[arg-type]
        self.hosts, self.family = hosts, family

    def place(self, name: str, port: int = 4700) -> str:
        number = self.hosts.numbers[name]
        host = f"{SUBNET}.{number}" if self.family == 4 else f"[{SUBNET_6}{number}]"
        return f"tcp://{host}:{port}"

    def start(self, spec: Spec) -> Peer:
        address = str(self.folder / f"{spec.name}.socket")
        Path(address).unlink(missing_ok=True)
        command = [*self.hosts.inside(spec.name), sys.executable, "-m", "tests.settlement.hostnode", address]
        with Listener(address) as listener:
            child = Process(subprocess.Popen(command, cwd=ROOT))
            pipe = listener.accept()
        pipe.send(spec)
        peer = Peer(spec, child, pipe)  # type: ignore[arg-type]
        if not pipe.poll(WAIT_S):
            raise TimeoutError(f"{spec.name} does not start")
        peer.endpoint = pipe.recv()
        self.peers[spec.name] = peer
        return peer

    def wait_paused(self, name: str) -> Process:
        process = self.peers[name].process
        assert isinstance(process, Process)
        deadline = time.monotonic() + WAIT_S
        while not process.paused():
            assert time.monotonic() < deadline, f"{name} does not come to its point"
            process.join(0.01)
        return process


@contextlib.contextmanager
def hosts(names: list[str], *, kernel: bool) -> Iterator[Hosts]:
    """Hosts, removed at the end. Raises HostsError where this machine cannot make them."""
    made = Hosts(names, kernel=kernel)
    try:
        yield made
    finally:
        made.close()
