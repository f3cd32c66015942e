"""`bandpact offer`, `acquire` and `relinquish` against running agents with simulated radios on a simulated air."""

import json
import os
import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import Result
from typer.testing import CliRunner

from agent.cli.main import app
from agent.events import read_events
from agent.node.control import SOCKET, Client, NotRunning
from agent.trial.folder import Layout, prepare
from agent.trial.processes import FRUGAL, Child, free_ports, spawn, stop
from agent.trial.run import NODE, Options, _start_air, scenario_of
from agent.units import UnitMissing, parse_power, parse_time
from sim.airclient import AirClient
from tests.agent.test_plugs import waited

ROOT = Path(__file__).resolve().parents[2]
CLASS = "cbrs-gaa"


class Two:
    """A holder that offers nothing by itself and a user that wants nothing by itself."""

    def __init__(self, root: Path) -> None:
        options = Options(scenario="neighbours", seed=3, duration_s=None, recording=None, base_port=None)
        scenario, spec, duration_s = scenario_of(options)
        self.commodity = spec.terms.commodity
        self.layout: Layout = prepare(
            root, scenario, spec, seed=3, duration_s=duration_s, ports=free_ports(len(scenario.nodes), None)
        )
        self.children: list[Child] = []
        self.air: list[Child] = []
        self.air.append(_start_air(self.layout)[0])
        for name in ("holder", "user-a"):
            path = self.layout.config_of(name)
            values = tomllib.loads(path.read_text()) | {"offers": [], "wants": []}
            del values["start_file"]
            path.write_text(tomli_w.dumps(values))
            self.children.append(spawn(name, NODE, path, root))
        self.client = AirClient(self.layout.air_endpoint)

    def run(self, name: str, *words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--config", str(self.layout.config_of(name))])

    def steps(self, name: str, *words: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and the answers of a command with --json."""
        done = self.run(name, *words, "--json")
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        return [e for e in read_events(self.layout.root / name) if e["event"] == event]

    def rf(self, name: str) -> str:
        return str(self.client.state()["radios"][name]["rf"])

    def close(self) -> None:
        stop(self.children)
        self.client.close()
        stop(self.air)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    made = Two(tmp_path_factory.mktemp("c"))
    assert waited(lambda: all(made.events(n, "ready") for n in ("holder", "user-a")))
    yield made
    made.close()


def acquired(two: Two, band: str, *words: str) -> str:
    code, steps = two.steps("user-a", "acquire", band, *words)
    assert code == 0, steps
    assert [s["step"] for s in steps[:-1] if s["step"] != "no offer"] == [
        "taken up",
        "requested",
        "accepted",
        "settled",
    ]
    assert steps[-1]["ok"]
    return str(steps[-1]["sid"])


@pytest.mark.feature("S1")
@pytest.mark.feature("S2")
@pytest.mark.feature("S5")
def test_offer_acquire_relinquish(two: Two) -> None:
    code, steps = two.steps(
        "holder", "offer", "3550-3570MHz", "--class", two.commodity, "--eirp", "20dBm", "--wait", "30s"
    )
    assert code == 0, steps
    sid = acquired(two, "3550-3560MHz", "--for", "30s")
    assert waited(lambda: two.rf("user-a") == "on" or any(e["state"] == "OPEN" for e in two.events("user-a", "gate")))

    refused = two.run("user-a", "acquire", "3550-3560MHz", "--for", "10s")
    assert refused.exit_code == 1
    assert "CONFLICT request.cell" in refused.stderr
    assert f"held by {sid[:8]}" in refused.stderr

    gone = two.run("user-a", "relinquish", sid[:10])
    assert gone.exit_code == 0, gone.output
    assert "silent, and the holder is told" in gone.stdout
    assert two.rf("user-a") == "off"
    assert waited(lambda: any(e["reason"] == "relinquished" for e in two.events("holder", "ended")))
    again = two.run("user-a", "relinquish", sid[:10])
    assert again.exit_code == 1
    assert "0 settlements in force" in again.stderr


def test_ctrl_c_gives_back_what_is_held(two: Two) -> None:
    command = [sys.executable, "-m", "agent.cli.main", "acquire", "3560-3570MHz", "--for", "60s", "--hold", "--json"]
    process = subprocess.Popen(
        [*command, "--config", str(two.layout.config_of("user-a"))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **FRUGAL, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    seen: list[dict[str, Any]] = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1].get("step") == "gate" and seen[-1]["state"] == "OPEN":
            process.send_signal(signal.SIGINT)
            break
    seen += [json.loads(line) for line in process.stdout]
    assert process.wait(30) == 130, seen
    process.stdout.close()
    assert [s["step"] for s in seen if s.get("step") in ("silencing", "relinquished")] == ["silencing", "relinquished"]
    assert two.rf("user-a") == "off"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("3580-3590MHz",), "does not hold"),
        (("3560-3570MHz", "--for", "2h"), "ends too soon"),
        (("3560-3570MHz", "--for", "5s", "--eirp", "29dBm"), "allows at most 20 dBm"),
    ],
)
def test_what_nobody_offers(two: Two, words: tuple[str, ...], says: str) -> None:
    done = two.run("user-a", "acquire", *words, "--wait", "0s")
    assert done.exit_code == 1
    assert "no offer covers it" in done.stderr
    assert says in done.stderr


def test_an_offer_of_nothing_it_can_hear_says_so(two: Two) -> None:
    done = two.run("holder", "offer", "3600-3610MHz", "--class", two.commodity, "--wait", "0s")
    assert done.exit_code == 1
    assert "known to be free" in done.stderr
    done = two.run("holder", "offer", "3550-3570MHz", "--class", "nothing", "--wait", "0s")
    assert done.exit_code == 1
    assert two.commodity in done.stderr


def test_the_socket_is_its_owners_and_takes_no_nonsense(two: Two) -> None:
    run_folder = two.layout.root / "user-a" / "run"
    mode = (run_folder / SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    client = Client(run_folder)
    for command, why in (
        ({"do": "destroy"}, "'acquire', 'offer', 'relinquish', 'cancel'"),
        ({}, "do"),
        ({"do": "acquire", "low_hz": "1", "high_hz": 2, "for_ms": 1}, "low_hz"),
        ({"do": "acquire", "low_hz": 5, "high_hz": 5, "for_ms": 1}, "not below"),
        ({"do": "acquire", "low_hz": 1, "high_hz": 2, "for_ms": True}, "for_ms"),
        ({"do": "offer", "low_hz": [], "high_hz": {}, "for_ms": -1}, "low_hz"),
        ({"do": "relinquish", "sid": "", "more": 1}, "more"),
    ):
        client.say(**command)
        (answer,) = client.answers(5000, 5000)
        assert not answer["ok"]
        assert why in answer["why"]
    client._socket.send(b"\xff not json")
    assert next(client.answers(5000, 5000))["why"] == "not a JSON object"
    client.close()


def test_without_an_agent_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(tmp_path)
    client.say(do="offer")
    with pytest.raises(NotRunning, match="bandpact run"):
        next(client.answers(50, 50))
    client.close()


@pytest.mark.parametrize("words", [("acquire", "3550-3560"), ("acquire", "3550-3560MHz", "--for", "60")])
def test_quantities_need_units(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "none.toml")])
    assert done.exit_code == 2
    assert "with a unit" in done.stderr


def test_units() -> None:
    assert (parse_time("250ms"), parse_time("1.5min"), parse_time("2h")) == (0.25, 90.0, 7200.0)
    assert (parse_power("20dBm"), parse_power("-3.5 dBm")) == (20_000, -3_500)
    for text in ("20", "dBm", "20 dB"):
        with pytest.raises(UnitMissing):
            parse_power(text)
