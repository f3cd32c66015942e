"""`bandpact run` as systemd starts it: up, healthy, watched, stopped with RF off; the radio is the simulated one."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.trial.folder import Layout, prepare
from agent.trial.processes import FRUGAL, Child, free_ports, spawn, stop
from agent.trial.run import NODE, Options, scenario_of, start_air
from radio.ports import TxSettings
from sim.airclient import AirClient
from sim.radio import SimRadio
from tests.agent.test_plugs import waited

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A node by `bandpact run` beside its neighbour, with a socket in the place of systemd's."""

    def __init__(self, layout: Layout, home: Path) -> None:
        self.layout, self.said = layout, list[str]()
        self.port = free_ports(1, None)[0]
        self.log = layout.root / "run.log"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(layout.root / "notify"))
        self.notify.setblocking(False)
        env = {
            **os.environ,
            **FRUGAL,
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": str(layout.root / "notify"),
            "WATCHDOG_USEC": "5000000",
            "XDG_CONFIG_HOME": str(home),
        }
        command = [sys.executable, "-m", "agent.cli.main", "run", "--config", str(layout.config_of("user-a"))]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "--health-port", str(self.port)], stdin=subprocess.DEVNULL, stderr=out, stdout=out, env=env
            )

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 when nobody listens yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    def hear(self) -> list[str]:
        """What systemd would have been told since the last call."""
        fresh: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                fresh.append(self.notify.recv(4096).decode().strip())
        self.said += fresh
        return fresh

    def heard(self, line: str) -> bool:
        self.hear()
        return line in self.said

    def warden(self) -> int:
        agent = self.process.pid
        children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
        return next(int(pid) for pid in children if b"warden_process" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def radio_by_doctor(self) -> tuple[str, str]:
        """State and the end of what `bandpact doctor` finds of the radio."""
        config = str(self.layout.config_of("user-a"))
        done = CliRunner().invoke(app, ["doctor", "--json", "--wait", "0", "--config", config])
        assert done.exit_code in (0, 4)
        found = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "radio")
        return found["state"], found["found"].rpartition(": ")[2]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.notify.close()


def laid_out(root: Path) -> Layout:
    options = Options(scenario="neighbours", seed=3, duration_s=None, recording=None, base_port=None)
    scenario, spec, duration_s = scenario_of(options)
    ports = free_ports(len(scenario.nodes), None)
    return prepare(root, scenario, spec, seed=3, duration_s=duration_s, ports=ports, pluto_ports=[])


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, AirClient]]:
    root = tmp_path_factory.mktemp("r")
    layout = laid_out(root)
    home = root / "home"
    (home / "bandpact").mkdir(parents=True)
    (home / "bandpact" / "config.toml").write_text("protect_s = 7.5\n")
    neighbour = spawn("holder", NODE, layout.config_of("holder"), root)
    made = Service(layout, home)
    air: list[Child] = []
    try:
        assert waited(lambda: "[-] radio: the radio does not answer" in made.get("/readyz?verbose")[1])
        assert made.get("/readyz")[0] == 503
        assert waited(lambda: made.heard("READY=1"))
        child, _ = start_air(layout)
        air.append(child)
        client = AirClient(layout.air_endpoint)
        yield made, client
        client.close()
    finally:
        made.close()
        stop([neighbour, *air])


@pytest.mark.feature("U5")
def test_a_service_comes_up_is_watched_and_stops_silent(service: tuple[Service, AirClient]) -> None:
    run, air = service

    def rf() -> str:
        return str(air.state()["radios"]["user-a"]["rf"])

    assert waited(lambda: rf() == "on"), run.log.read_text()
    assert run.get("/livez") == (200, "ok")
    assert waited(lambda: run.get("/readyz")[0] == 200), run.get("/readyz?verbose")
    text = run.get("/readyz?verbose")[1]
    assert all(f"[+] {part}: ok" in text for part in ("agent", "radio", "clock", "position", "keys", "disk"))
    metrics = run.get("/metrics")[1]
    assert "bandpact_clock_error_bound_seconds" in metrics
    assert "bandpact_gate_loop_worst_seconds" in metrics
    assert waited(lambda: run.heard("WATCHDOG=1"))

    assert run.radio_by_doctor() == ("ok", "TX ON, the gate is open")

    warden = run.warden()
    os.kill(warden, signal.SIGSTOP)
    try:
        assert waited(lambda: rf() == "off")
        assert waited(lambda: "[-] radio: the gate loop was last heard" in run.get("/readyz?verbose")[1])
        assert run.get("/readyz")[0] == 503
        # What was on its way when the warden was stopped may still be heard; then nothing that feeds the watchdog is.
        assert waited(lambda: (fresh := run.hear()) and "WATCHDOG=1" not in fresh)
        starved: list[str] = []
        assert waited(lambda: starved.extend(run.hear()) or len(starved) > 1)
        assert "WATCHDOG=1" not in starved
    finally:
        os.kill(warden, signal.SIGCONT)
    run.said.clear()
    assert waited(lambda: run.heard("WATCHDOG=1"))

    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(20) == 0
    assert rf() == "off"
    assert run.radio_by_doctor() == ("ok", "TX OFF")
    with contextlib.closing(SimRadio(run.layout.air_endpoint, "user-a")) as radio:
        radio.tune_tx(
            TxSettings(
                center_hz=3_555_000_000, sample_rate_hz=30_720_000, bandwidth_hz=10_000_000, attenuation_mdb=80_000
            )
        )
        assert run.radio_by_doctor()[0] == "fail"
    assert run.get("/livez") == (0, "")
    lines = [json.loads(line) for line in run.log.read_text().splitlines()]
    assert {"ready", "gate", "warden silent", "closed"} <= {line["event"] for line in lines}
    assert all(line["level"] in ("info", "warning") and line["timestamp"].endswith("Z") for line in lines)
    effective = run.layout.root / "user-a" / "run" / "config.toml"
    assert tomllib.loads(effective.read_text())["protect_s"] == 7.5
    assert effective.stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_said_in_one_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("r")
    layout = laid_out(root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        command = [sys.executable, "-m", "agent.cli.main", "run", "--config", str(layout.config_of("user-a"))]
        done = subprocess.run(
            [*command, "--health-port", str(taken.getsockname()[1])],
            capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 1
    assert "another --health-port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.feature("U5")
def test_without_its_radio_it_waits_says_so_and_ends_on_ctrl_c(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("r")
    run = Service(laid_out(root), root)
    try:
        assert waited(lambda: run.get("/livez")[0] == 200)
        assert waited(lambda: "[-] radio: the radio does not answer" in run.get("/readyz?verbose")[1])
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(20) == 0
    finally:
        run.close()
    assert "Traceback" not in run.log.read_text()
