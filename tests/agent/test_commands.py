"""`bandpact offer`, `acquire` and `relinquish` against running agents with simulated radios on a simulated air."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from click.testing import Result
from typer.testing import CliRunner

from agent.cli.main import app
from agent.cli.sourceoptions import seconds_of
from agent.config.keyfiles import load_chain, write_chain
from agent.node.control import SOCKET, Client, ControlDoor, NotRunning
from agent.node.events import read_events
from agent.trial.coordinator import TrialAuthority
from agent.trial.folder import NETWORK, Layout, prepare
from agent.trial.processes import FRUGAL, Child, free_ports, spawn, stop
from agent.trial.run import NODE, Options, scenario_of, start_air
from agent.words.units import UnitMissing, degrees_text, parse_power, parse_time
from settlement.chain import bodies
from settlement.chain.bodies import Revocation
from settlement.chain.credentials import Subject
from settlement.chain.records import Attestation, Frame, sign_record
from sim.airclient import AirClient
from tests.agent.realparts import ended
from tests.agent.test_plugs import waited

ROOT = Path(__file__).resolve().parents[2]
CLASS = "cbrs-gaa"


class Two:
    """A holder that offers nothing by itself and a user that wants nothing by itself."""

    offered: tuple[int, list[dict[str, Any]]]
    """What the command said that offers what the tests acquire parts of."""

    def __init__(self, root: Path) -> None:
        options = Options(scenario="neighbours", seed=3, duration_s=None, recording=None, base_port=None)
        scenario, spec, duration_s = scenario_of(options)
        scenario = replace(scenario, emitters=())  # a radar would keep its channel from everyone
        self.commodity = spec.terms.commodity
        desks: list[TrialAuthority] = []

        class Kept(TrialAuthority):
            """The coordinator of this run, which the test goes on with."""

            def __init__(self, *arguments: Any, **named: Any) -> None:
                super().__init__(*arguments, **named)
                desks.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agent.trial.folder.TrialAuthority", Kept)
            self.layout: Layout = prepare(
                root, scenario, spec, seed=3, duration_s=duration_s, ports=free_ports(len(scenario.nodes), None)
            )
        (self.desk,) = desks
        self.children: list[Child] = []
        self.air: list[Child] = []
        self.client = AirClient(self.layout.air_endpoint)

    def begin(self) -> None:
        """Start all of it; `close` ends what of it was started."""
        self.air.append(start_air(self.layout)[0])
        for name in ("holder", "user-a"):
            path = self.layout.config_of(name)
            values = tomllib.loads(path.read_text()) | {"offers": [], "wants": []}
            del values["start_file"]
            path.write_text(tomli_w.dumps(values))
            self.children.append(spawn(name, NODE, path, self.layout.root))
        assert waited(lambda: all(self.events(n, "ready") for n in ("holder", "user-a")))
        # What every test here acquires a part of, whichever is run alone.
        self.offered = self.steps(
            "holder", "offer", "3550-3570MHz", "--class", self.commodity, "--eirp", "20dBm", "--wait", "30s"
        )

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
    try:
        made.begin()
        yield made
    finally:
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
    code, steps = two.offered
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
    seen: list[dict[str, Any]] = []
    with ended(process):
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(json.loads(line))
            if seen[-1].get("step") == "gate" and seen[-1]["state"] == "OPEN":
                process.send_signal(signal.SIGINT)
                break
        seen += [json.loads(line) for line in process.stdout]
        assert process.wait(30) == 130, seen
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


@pytest.mark.feature("M2")
def test_explain_lists_every_offer_and_why(two: Two) -> None:
    done = two.run("user-a", "acquire", "3580-3590MHz", "--wait", "0s", "--explain", "--json")
    rows = next(json.loads(line) for line in done.stdout.splitlines() if '"considered"' in line)["offers"]
    assert rows
    assert all(not row["taken"] and row["holder"] == "holder" and "does not hold" in row["why"] for row in rows)
    said = two.run("user-a", "acquire", "3580-3590MHz", "--wait", "0s", "--explain")
    assert f"{len(rows)} offers seen" in said.stdout
    assert "passed  3550-3570 MHz by holder" in said.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--eirp", "45dBm"), "POWER [capability.8.eirp] 45 dBm (required: <="),
        (("--price", "9000000000000000000"), "PRICE [disposition.13.price]"),
    ],
)
def test_an_offer_beyond_its_credential_is_refused_before_anything_is_signed(
    two: Two, words: tuple[str, ...], reason: str
) -> None:
    done = two.run("holder", "offer", "3550-3570MHz", "--class", two.commodity, "--wait", "5s", *words)
    assert done.exit_code == 1
    assert f"refused before anything was signed: {reason}" in done.stderr
    log = two.layout.root / "holder" / "lineage.db"
    audited = CliRunner().invoke(
        app, ["audit", "verify", str(log), "--network", NETWORK, "--anchor", two.layout.anchor, "--json"]
    )
    assert audited.exit_code in (0, 3), audited.output
    assert json.loads(audited.stdout)["lineages"][0]["problems"] == []


def test_a_second_agent_in_the_folder_is_refused_and_the_first_goes_on(two: Two) -> None:
    config = two.layout.config_of("user-a")
    first = next(child for child in two.children if child.name == "user-a")
    second = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "run", "--config", str(config), "--health-port", "0"],
        cwd=ROOT, env={**os.environ, **FRUGAL}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"in use by process {first.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    enrol = two.layout.root / "user-a"
    refused = CliRunner().invoke(
        app, ["node", "enrol", str(enrol), str(enrol / "credential.chain"), "--network", NETWORK, "--anchor", "00" * 32]
    )
    assert f"in use by process {first.process.pid}" in refused.stderr
    assert first.process.poll() is None
    assert two.run("user-a", "tx", "status").exit_code == 2 or two.run("user-a", "status").exit_code in (0, 4)


def test_status_says_what_an_operator_asks(two: Two) -> None:
    assert waited((two.layout.root / "user-a" / "run" / "status.json").exists)
    said = two.run("user-a", "status").stdout
    for word in ("gate", "armed", "peer   holder", "heard"):
        assert word in said


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
        ({"do": "destroy"}, "'acquire', 'offer', 'auction open'"),
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
    for data in (b"\xff not json", b"[" * 200_000):
        client._socket.send(data)
        assert next(client.answers(5000, 5000))["why"] == "not a JSON object"
    client.close()


RADAR_FREE = "3560-3570MHz"


def once_free(two: Two, band: str, length: str) -> str:
    """Acquire a band whose last lease may still run."""
    answers: list[dict[str, Any]] = []

    def ask() -> bool:
        code, steps = two.steps("user-a", "acquire", band, "--for", length)
        answers[:] = steps
        return code == 0

    assert waited(ask), answers
    return str(answers[-1]["sid"])


def reissued(two: Two, name: str) -> Path:
    """What the desk makes of the request that `node rekey` wrote: the same scope, another key."""
    folder = two.layout.root / name
    assert CliRunner().invoke(app, ["node", "rekey", str(folder)]).exit_code == 0
    again = CliRunner().invoke(app, ["node", "rekey", str(folder)])
    assert again.exit_code == 1
    assert "never overwritten" in again.stderr
    asked = tomllib.loads((folder / "rotate.request").read_text())
    old = two.desk.registry.admit(load_chain(folder / "credential.chain")[-1])
    assert isinstance(old, Subject)
    body = bodies.Credential(
        level=old.level, scope=old.scope, transport_key=bytes.fromhex(asked["transport"]), device=asked["device"]
    )
    claims = two.desk._claims(bytes.fromhex(asked["public"]), name, two.desk.authority.name)
    chain = folder / "next.chain"
    write_chain(chain, (two.desk.root, two.desk._sign_credential(two.desk.authority, body, claims)))
    return chain


@pytest.mark.feature("G9")
@pytest.mark.attack(22)
def test_a_running_node_takes_up_a_new_key_and_goes_on(two: Two) -> None:
    offered = two.steps("holder", "offer", "3550-3570MHz", "--class", two.commodity, "--eirp", "20dBm", "--wait", "30s")
    assert offered[0] == 0, offered
    sid = once_free(two, RADAR_FREE, "60s")
    opened = lambda which: any(e["sid"] == which and e["state"] == "OPEN" for e in two.events("user-a", "gate"))  # noqa: E731
    assert waited(lambda: opened(sid))
    chain, old = reissued(two, "user-a"), (two.layout.root / "user-a" / "sign.key").read_text()
    foreign = two.run("user-a", "node", "rotate", str(two.layout.root / "holder" / "credential.chain"))
    assert foreign.exit_code == 1
    assert "BINDING" in foreign.stderr
    turned = two.run("user-a", "node", "rotate", str(chain))
    assert turned.exit_code == 0, turned.output
    assert (two.layout.root / "user-a" / "sign.key").read_text() != old
    assert waited(lambda: bool(two.events("holder", "rotated")))
    assert two.rf("user-a") == "on", "what was settled goes on"
    assert two.run("user-a", "relinquish", sid[:10]).exit_code == 0
    later = once_free(two, RADAR_FREE, "60s")
    assert waited(lambda: opened(later)), "the warden knows the new key as its own"
    assert two.run("user-a", "relinquish", later[:10]).exit_code == 0
    assert waited(lambda: len([e for e in two.events("holder", "ended") if e["sid"] in (sid, later)]) == 2)
    again = two.run("user-a", "node", "rotate", str(chain))
    assert again.exit_code == 1
    assert "node rekey" in again.stderr


@pytest.mark.feature("G8")
def test_an_authoritys_word_is_handed_to_a_running_node_and_travels(two: Two, tmp_path: Path) -> None:
    desk, word = two.desk, tmp_path / "list"
    desk._seq += 1
    frame = Frame(
        network=desk.network,
        author=desk.authority.hash,
        seq=desk._seq,
        previous=desk._previous,
        attestation=Attestation.of(desk._fix()),
    )
    fresh_ns = time.time_ns() + 600 * 1_000_000_000
    word.write_bytes(sign_record(desk._key, frame, Revocation(version=1, fresh_until_ns=fresh_ns, bits=bytes(8))))
    told = two.run("user-a", "node", "tell", str(word))
    assert told.exit_code == 0, told.output
    assert "revocation taken" in told.stdout
    assert waited(lambda: bool(two.events("holder", "status list")))
    again = two.run("user-a", "node", "tell", str(word))
    assert again.exit_code == 0, again.output
    assert "revocation known here already" in again.stdout
    own = tmp_path / "own"
    own.write_bytes(load_chain(two.layout.root / "user-a" / "credential.chain")[-1])
    refused = two.run("user-a", "node", "tell", str(own))
    assert refused.exit_code == 1
    assert "credential; give a record of" in refused.stderr


def test_without_an_agent_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(tmp_path)
    client.say(do="offer")
    with pytest.raises(NotRunning, match="bandpact run"):
        next(client.answers(50, 50))
    client.close()


def test_a_command_ends_when_its_agent_does(tmp_path: Path) -> None:
    control, client = ControlDoor(tmp_path), Client(tmp_path)
    client.say(do="acquire")
    assert control.socket.poll(5000)
    (asked,) = control.receive()
    control.tell(asked.client, step="taken up")
    answers = client.answers(5000, None)
    assert next(answers)["step"] == "taken up"
    control.close()
    with pytest.raises(NotRunning, match="ended"):
        next(answers)
    client.close()


@pytest.mark.parametrize("words", [("acquire", "3550-3560"), ("acquire", "3550-3560MHz", "--for", "60")])
def test_quantities_need_units(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "none.toml")])
    assert done.exit_code == 2
    assert "with a unit" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("sense", "sim:", "--for", "20 parsecs"),
        ("record", "sim:", "tape", "--for", "20 parsecs"),
        ("record", "sim:", "tape", "--for", "2ms", "--place", "36.95,-76.3", "--place-radius", "10"),
        ("sense", "sim:", "--channel-width", "10"),
        ("calibrate", "sim:", "table.toml", "--power-dbm", "-30", "--uncertainty-db", "1", "--rate", "2 mega"),
    ],
)
def test_quantities_of_a_receiver_have_units_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "with a unit" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", ["0", "0MHz", "9" * 5000, "\u00b2"])
def test_a_rate_that_is_none_is_refused_with_its_option(tmp_path: Path, rate: str) -> None:
    tone = ("--power-dbm", "-30", "--uncertainty-db", "1")
    done = CliRunner().invoke(app, ["calibrate", "sim:", str(tmp_path / "t.toml"), *tone, "--rate", rate])
    assert done.exit_code == 2
    assert done.stderr.startswith("bandpact: --rate ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("words", ["sense sim: --gain-db", "record sim: tape --gain-db", "lease boundary 00 --azimuth"])
def test_what_is_no_number_is_refused_with_its_option(words: str, number: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), number])
    assert done.exit_code == 2
    assert f"for {words.rsplit(maxsplit=1)[-1]}: {number} is no quantity" in done.stderr.replace("'", "")


@pytest.mark.parametrize("price", ["\u00b2", "9" * 5000])
def test_a_price_that_is_no_number_is_refused_with_the_way_to_write_it(price: str) -> None:
    done = CliRunner().invoke(app, ["offer", "3550-3560MHz", "--class", "cbrs", "--from", f"60s:{price}"])
    assert done.exit_code == 2
    assert "write TIME:PRICE" in done.stderr


def test_how_sure_a_place_is_needs_the_place(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["record", "sim:", str(tmp_path / "tape"), "--place-radius", "10m"])
    assert done.exit_code == 2
    assert "give --place LAT,LON beside it" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_place_is_shown_in_degrees_with_their_directions() -> None:
    assert degrees_text(36.95, -76.3) == "36.95000 N 76.30000 W"
    assert degrees_text(-1.0, 2.5) == "1.00000 S 2.50000 E"


def test_a_bare_number_is_seconds_where_scripts_have_given_seconds() -> None:
    assert [seconds_of(one) for one in ("20", "20s", "0.5", "500ms", None)] == [20, 20, 0.5, 0.5, None]


def test_units() -> None:
    assert (parse_time("250ms"), parse_time("1.5min"), parse_time("2h")) == (0.25, 90.0, 7200.0)
    assert (parse_power("20dBm"), parse_power("-3.5 dBm")) == (20_000, -3_500)
    for text in ("20", "dBm", "20 dB"):
        with pytest.raises(UnitMissing):
            parse_power(text)


def test_stop_is_for_good_while_the_agent_runs(two: Two) -> None:
    """The last of the module: user-a is latched from here on."""
    code, steps = two.steps("holder", "offer", "3560-3570MHz", "--class", two.commodity, "--wait", "30s")
    assert code == 0, steps
    once_free(two, RADAR_FREE, "20s")
    assert waited(lambda: two.rf("user-a") == "on")
    done = two.run("user-a", "stop")
    assert done.exit_code == 0, done.output
    assert "disarmed and latched" in done.stdout
    assert two.rf("user-a") == "off"
    assert waited(lambda: two.events("user-a", "gate")[-1]["state"] == "LATCHED")
    assert not waited(lambda: two.rf("user-a") == "on", 2.0)
