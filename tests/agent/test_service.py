"""Doctor, configuration, health and the unit: what is wrong is named, with its mend."""

import asyncio
import contextlib
import io
import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from pydantic import BaseModel
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.section import Section
from agent.config.settings import ConfigError, line_of, load_layers
from agent.doctor.checks import lone_source
from agent.doctor.mends import CLOCK_MENDS
from agent.kit.spec import Part
from agent.node.watcher import settings_of
from agent.service import logs
from agent.service.health import app_of
from agent.service.probes import Watchdog
from agent.service.snapshot import problems, read_status, write_status
from agent.timekeeping.assembly import clock_plan, memory_of, place_plan
from agent.timekeeping.kernel import read_state
from agent.timekeeping.memory import AHEAD_NS, BUILT_NS
from agent.timekeeping.values import Cause
from agent.trial.spec import OfferPlan
from hw_profiles.loader import load_radio
from hw_profiles.switch import plainly
from radio.drivers.section import RadioSection
from tests.radio.plutobench import bench

ROOT = Path(__file__).resolve().parents[2]
RUN = CliRunner()


TUNED = {"rx_center_hz": 1, "sample_rate_hz": 1, "rx_bandwidth_hz": 1}


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "here",
        "role": "user",
        "network": "net",
        "listen": "tcp://127.0.0.1:1",
        "folder": str(folder),
        "run_folder": str(folder),
        "anchors": [],
        "rule": str(folder / "rule"),
        "area_radius_mm": 1,
        "radio": {"endpoint": f"ipc://{folder}/air", "station": "here", **TUNED},
        "place": {"source": "simulated"},
        "clock": {
            "agree_s": 0.0,
            "sources": [{"kind": "simulated", "clock": {"utc_at_zero_ns": 1_790_000_000 * 10**9}}],
        },
        "channels": [],
        **changes,
    }  # fmt: skip


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "node.toml"
    path.write_text(tomli_w.dumps(config(folder, **changes)))
    return path


def status(**changes: Any) -> dict[str, Any]:
    base = {
        "node": "here",
        "simulation": True,
        "mono_ns": time.monotonic_ns(),
        "warden": True,
        "gate": {"state": "ARMED", "reason": "NO_PERMIT", "mono_ns": 0},
        "clock": {
            "trusted": True, "reason": "ok", "bound_ns": 1500, "budget_ns": 1_000_000,
            "position": {"trusted": True, "reason": "ok", "radius_mm": 10},
        },
        "peers": 1,
        "late": None,
        "worst_turn_ns": 900_000,
        "keys": None,
        "disk_free_bytes": 1 << 40,
    }  # fmt: skip
    return {**base, **changes}


def blind() -> dict[str, Any]:
    return status(clock={**status()["clock"], "trusted": False, "reason": "bound over budget", "bound_ns": 2_000_000})


@pytest.mark.feature("U2")
def test_doctor_reads_this_machines_clock_truthfully_and_ends_with_4(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["doctor", "--json", "--config", str(written(tmp_path)), "--wait", "200ms"])
    found = json.loads(done.stdout)
    assert done.exit_code == 4
    assert found["ready"] is False
    kernel = next(check for check in found["checks"] if check["name"] == "host clock")
    synchronised = read_state().synchronised
    assert kernel["state"] == ("ok" if synchronised else "warn")
    assert kernel["found"].startswith("synchronised" if synchronised else "unsynchronised")
    assert found["clock"]["trusted"] is True
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert (states["clock"], states["keys"], states["radio"]) == ("ok", "fail", "fail")
    assert all(check["mend"] for check in found["checks"] if check["state"] == "fail")


@pytest.mark.feature("R7")
def test_doctor_says_that_a_pluto_would_go_on_without_its_host(tmp_path: Path) -> None:
    with bench(quiet=True) as made:
        radio = {**TUNED, "driver": "pluto", "uri": made.uri, "simulated": True}
        node = written(tmp_path, radio=radio)
        done = RUN.invoke(app, ["doctor", "--json", "--config", str(node), "--wait", "0"])
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (checks["radio"]["state"], checks["radio"]["found"].split()[-1]) == ("ok", "OFF")
    assert (checks["dead-man"]["state"], checks["dead-man"]["mend"]) == (
        "warn",
        "install deploy/pluto/deadman.sh on it",
    )


@pytest.mark.feature("U2")
def test_doctor_follows_the_kernels_word_where_that_is_the_only_source(tmp_path: Path) -> None:
    clock = {"agree_s": 0.0, "budget_us": 20_000, "sources": [{"kind": "kernel"}]}
    done = RUN.invoke(app, ["doctor", "--json", "--config", str(written(tmp_path, clock=clock)), "--wait", "300ms"])
    found = json.loads(done.stdout)["clock"]
    if not read_state().synchronised:
        assert (found["trusted"], found["reason"]) == (False, "unsynchronised")


def test_every_reason_has_its_mend() -> None:
    assert {cause.value for cause in Cause} - set(CLOCK_MENDS) == {"ok", "holdover"}


@pytest.mark.feature("U2")
def test_clock_watch_draws_the_bound(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["clock", "watch", "--config", str(written(tmp_path)), "--for", "300ms", "--every", "100ms"])
    assert done.exit_code == 0
    assert "trusted   |#......" in done.stdout
    assert "of 1 ms  ok" in done.stdout


@pytest.mark.feature("U2")
@pytest.mark.parametrize("words", [("--for", "0s"), ("--for", "0"), ("--for", "1s", "--every", "10ms")])
def test_clock_watch_refuses_to_watch_for_no_time(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = RUN.invoke(app, ["clock", "watch", "--config", str(written(tmp_path)), *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "or more" in done.stderr


# -- configuration -------------------------------------------------------------------------------------------------


def test_an_error_names_file_line_and_key(tmp_path: Path) -> None:
    path = written(tmp_path, clock={"budget_us": -1, "sources": [{"kind": "kernel"}]})
    number = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.startswith("budget_us"))
    done = RUN.invoke(app, ["config", "check", "--config", str(path)])
    assert done.exit_code == 1
    assert f"{path}:{number}: clock.budget_us" in done.stderr


@pytest.mark.parametrize("said", ['"yes"', '"no"', "1", '"1"'])
def test_a_quoted_word_decides_nothing(tmp_path: Path, said: str) -> None:
    """`simulated = "yes"` made a radio count as simulated, whose clock and place may then be simulated too."""
    path = written(tmp_path)
    text = path.read_text()
    path.write_text(f"{text}\n[warden]\napart = {said}\n")
    done = RUN.invoke(app, ["config", "check", str(path)])
    assert done.exit_code == 1
    assert "warden.apart: write true or false" in done.stderr
    path.write_text(f"{text}\n[warden]\napart = true\n")
    assert RUN.invoke(app, ["config", "check", str(path)]).exit_code == 0


def test_no_table_of_a_file_takes_any_word_for_true_or_false() -> None:
    known, bases = list[type[BaseModel]](), [Section, RadioSection, Part, OfferPlan.__base__]
    while bases:
        known += (below := [one for base in bases for one in base.__subclasses__()])  # type: ignore[union-attr]
        bases = list(below)
    keys = [(one, name, field) for one in known for name, field in one.model_fields.items()]
    switches = [(one.__name__, name, field.metadata) for one, name, field in keys if field.annotation is bool]
    assert len(switches) > 20
    assert not [one for one in switches if not any(getattr(how, "func", None) is plainly for how in one[2])]


def test_a_line_is_found_in_its_own_table() -> None:
    text = "a = 1\n[one]\na = 2\n[two.three]\na = 3\n"
    assert [line_of(text, loc) for loc in (("a",), ("one", "a"), ("two", "three", "a"), ("b",))] == [1, 3, 5, None]


def test_the_strongest_place_wins_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    user = tmp_path / "home" / "bandpact"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("protect_s = 9.0\nheartbeat_limit_ms = 150\nname = 'weak'\n")
    monkeypatch.setenv("BANDPACT_HEARTBEAT_LIMIT_MS", "120")
    path = written(tmp_path)
    done = RUN.invoke(app, ["config", "show", "--json", "--origin", "--config", str(path)])
    found = json.loads(done.stdout)
    assert found["name"] == {"value": "here", "origin": str(path)}
    assert found["protect_s"] == {"value": 9.0, "origin": str(user / "config.toml")}
    assert found["heartbeat_limit_ms"] == {"value": 120, "origin": "environment BANDPACT_HEARTBEAT_LIMIT_MS"}
    assert found["clock.budget_us"]["origin"] == "default"


@pytest.mark.attack(37)
def test_only_a_radio_on_loopback_can_be_called_simulated(tmp_path: Path) -> None:
    radio = {"driver": "pluto", "rx_center_hz": 1, "sample_rate_hz": 1, "rx_bandwidth_hz": 1}
    real = load_layers([written(tmp_path, radio={**radio, "uri": "ip:192.168.2.1"})])
    assert not clock_plan(real).simulated_ok
    assert not place_plan(real).simulated_ok
    beside = load_layers([written(tmp_path, radio={**radio, "uri": "ip:127.0.0.1:30431", "simulated": True})])
    assert clock_plan(beside).simulated_ok
    with pytest.raises(ConfigError, match="simulated"):
        load_layers([written(tmp_path, radio={**radio, "uri": "ip:192.168.2.1", "simulated": True})])


@pytest.mark.feature("S6")
def test_holdover_runs_at_the_profiles_drift_unless_the_node_says_its_own(tmp_path: Path) -> None:
    profile = load_radio("simulated").timing.host_drift_ppb
    assert clock_plan(load_layers([written(tmp_path)])).drift_ppb == profile
    clock = {**config(tmp_path)["clock"], "drift_ppb": 7_000}
    assert clock_plan(load_layers([written(tmp_path, clock=clock)])).drift_ppb == 7_000


@pytest.mark.parametrize(
    "clock",
    [
        {"sources": []},
        {"sources": [{"kind": "sundial"}]},
        {"need": 2, "sources": [{"kind": "kernel"}]},
        {"budget_us": 20_000, "sources": [{"kind": "kernel"}, {"kind": "kernel"}]},
        {"sources": [{"kind": "kernel"}]},
        {"budget_us": 4.0, "sources": [{"kind": "gpsd"}]},
        {"need": 2, "sources": [{"kind": "kernel"}, {"kind": "chrony"}]},
    ],
)
def test_a_clock_that_could_never_be_trusted_is_refused(tmp_path: Path, clock: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="clock"):
        load_layers([written(tmp_path, clock=clock)])


@pytest.mark.attack(72)
def test_a_real_radios_clock_is_held_against_the_host_the_build_and_its_own_past(tmp_path: Path) -> None:
    radio = {**TUNED, "driver": "pluto", "uri": "ip:192.0.2.1", "profile": "pluto-ad9363"}
    clock = {"budget_us": 20_000, "system_clock_within_s": 0.5, "sources": [{"kind": "kernel"}]}
    real = load_layers([written(tmp_path, radio=radio, clock=clock)])
    plan = clock_plan(real)
    assert (plan.not_before_ns, plan.not_after_ns) == (BUILT_NS, BUILT_NS + AHEAD_NS)
    assert plan.host_tolerance_ns == 500_000_000
    assert clock_plan(real, not_before_ns=BUILT_NS + 7).not_before_ns == BUILT_NS + 7
    memory = memory_of(real)
    assert memory is not None
    memory.keep(BUILT_NS + 9)
    assert clock_plan(real, not_before_ns=BUILT_NS + 7, memory=memory).not_before_ns == BUILT_NS + 9
    simulated = clock_plan(load_layers([written(tmp_path)]))
    assert (simulated.not_before_ns, simulated.host_tolerance_ns) == (0, None)


@pytest.mark.feature("U2")
@pytest.mark.parametrize(
    ("sources", "warned"),
    [
        ([("gpsd", True)], True),
        ([("kernel", True), ("chrony", True)], True),
        ([("gpsd", True), ("chrony", True)], False),
        ([("gpsd", True), ("chrony", False)], True),
        ([("simulated", True)], False),
    ],
)
def test_doctor_warns_when_one_source_alone_decides(sources: list[tuple[str, bool]], *, warned: bool) -> None:
    told = list(lone_source({"sources": [{"name": kind, "kind": kind, "live": live} for kind, live in sources]}))
    assert [check.state for check in told] == ["warn"] * warned
    assert all("clock.need = 2" in check.mend for check in told)


# -- the command's frame -------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom agent.cli.main import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pydantic', 'zmq', 'matplotlib', 'starlette', 'cryptography', 'structlog'}"
        " & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def get(read: Callable[[], dict[str, Any] | None], path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(read)), base_url="http://node") as web:
            return await web.get(path)

    return asyncio.run(ask())


# -- health --------------------------------------------------------------------------------------------------------


@pytest.mark.feature("U5")
def test_a_ready_node_says_so() -> None:
    assert get(status, "/livez").status_code == 200
    ready = get(status, "/readyz?verbose")
    assert ready.status_code == 200
    assert "[+] clock: ok" in ready.text
    assert "bandpact_clock_error_bound_seconds 1.5e-06" in get(status, "/metrics").text


@pytest.mark.feature("U5")
@pytest.mark.parametrize(
    ("found", "part", "reason"),
    [
        (None, "agent", "no state"),
        (status(mono_ns=0), "agent", "last heard"),
        (status(warden=False), "radio", "does not run"),
        (status(gate=None), "radio", "does not answer"),
        (status(late="the gate loop took 1.2 s for a turn"), "radio", "1.2 s"),
        (status(keys="credential EXPIRED"), "keys", "EXPIRED"),
        (status(disk_free_bytes=1000), "disk", "0.00 GB free"),
        (status(disk_free_bytes=None), "disk", "cannot"),
        (status(gate={"state": "LATCHED", "reason": "LATCHED", "mono_ns": 0}), "radio", "LATCHED"),
        (blind(), "clock", "bound over budget"),
    ],
)
def test_readyz_names_the_failing_part(found: dict[str, Any] | None, part: str, reason: str) -> None:
    if found is not None and found["mono_ns"]:
        found["mono_ns"] = time.monotonic_ns()
    answer = get(lambda: found, "/readyz?verbose")
    assert answer.status_code == 503
    line = next(line for line in answer.text.splitlines() if line.startswith(f"[-] {part}"))
    assert reason in line
    others = [one for one in answer.text.splitlines()[:-1] if one != line]
    assert all(one.startswith("[?]" if part == "agent" else "[+]") for one in others), answer.text


@pytest.mark.feature("U5")
def test_a_state_is_written_whole_and_shown(tmp_path: Path) -> None:
    write_status(tmp_path, status())
    assert problems(read_status(tmp_path)) == {}
    done = RUN.invoke(app, ["status", "--folder", str(tmp_path)])
    assert done.exit_code == 0
    assert "SIMULATION" in done.stdout
    (tmp_path / "status.json").write_text("{")
    done = RUN.invoke(app, ["status", "--folder", str(tmp_path), "--json"])
    assert done.exit_code == 4
    assert "agent" in json.loads(done.stdout)["problems"]


@pytest.mark.feature("U5")
@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", '{"mono_ns": "x"}', '{"mono_ns": 1e400}', "\x00\xff",
        json.dumps(status(clock={})), json.dumps(status(gate={"state": "OPEN"})), json.dumps(status(mono_ns=None)),
        json.dumps(status(mono_ns=10**400)), json.dumps(status(disk_free_bytes=-(10**400))),
        json.dumps(status(alarms=[None])), json.dumps(status(process=10**30)),
    ],
)  # fmt: skip
def test_a_state_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_bytes(text.encode("latin-1"))
    assert read_status(tmp_path) is None
    done = RUN.invoke(app, ["status", "--folder", str(tmp_path)])
    assert done.exit_code == 4
    assert f"not ready: agent: {tmp_path / 'status.json'} cannot be read" in done.output.replace("\n", "")
    assert "start the node, or delete it" in done.output
    (tmp_path / "status.json").unlink()
    (tmp_path / "status.json").mkdir()
    assert "is a folder" in RUN.invoke(app, ["status", "--folder", str(tmp_path)]).output
    (tmp_path / "status.json").rmdir()
    assert "no state on this host" in RUN.invoke(app, ["status", "--folder", str(tmp_path)]).output


@pytest.mark.attack(69)
@pytest.mark.parametrize(
    "change",
    [{"settlements": [None]}, {"channels": [{}]}, {"settlements": 7}, {"mesh": []}, {"neighbours": [{"name": "a"}]}],
)
def test_a_state_of_another_program_is_said_to_be_so(tmp_path: Path, change: dict[str, Any]) -> None:
    write_status(tmp_path, status(**change))
    done = RUN.invoke(app, ["status", "--folder", str(tmp_path)])
    assert (done.exit_code, done.stderr.count("\n")) == (4, 1)
    assert "not the state of a node of this version" in done.stderr


@pytest.mark.attack(69)
@pytest.mark.parametrize("text", ['"x"', "[]", "{}", '{"nodes": {}}', '{"nodes": [7]}', "7", "[" * 9999])
def test_a_plan_of_a_page_that_is_none_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.json").write_text(text)
    done = RUN.invoke(app, ["page", "--folder", str(tmp_path)])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no page was served from here" in done.stderr


@pytest.mark.feature("U5")
@pytest.mark.parametrize("name", ["bandpact.service", "bandpact-warden.service", "bandpact-mute.service"])
def test_the_unit_is_clean_for_systemd(tmp_path: Path, name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here; apt-get install systemd")
    unit = tmp_path / name
    shutil.copy(ROOT / "deploy" / name, unit)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# -- logs ----------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = kept, level


@pytest.mark.feature("U5")
def test_logs_are_json_for_the_journal_and_readable_on_a_terminal(root_logger: logging.Logger) -> None:
    journal, terminal = io.StringIO(), Terminal()
    for stream in (journal, terminal):
        logs.begin(stream)
        logs.tell("gate", {"node": "here", "state": "OPEN"})
        logs.tell("warden silent", {"event": "a field of that name", "rf": "off"})
        root_logger.getChild("library").error("cannot %s", "listen")
    lines = [json.loads(line) for line in journal.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("gate", "info"), ("warden silent", "warning"), ("cannot listen", "error")
    ]  # fmt: skip
    assert (lines[0]["state"], lines[1]["kind_of"]) == ("OPEN", "a field of that name")
    assert "OPEN" in terminal.getvalue()
    assert "{" not in terminal.getvalue()


@pytest.mark.feature("E10")
def test_a_node_is_told_where_an_incumbent_can_be(tmp_path: Path) -> None:
    plain = settings_of(load_layers([written(tmp_path)]))
    assert plain.incumbent_bands is None
    assert (plain.keep_s, plain.again_s) == (120.0, 60.0), "a node keeps two minutes, and judges one of them anew"
    bands = [{"low_hz": 3_550_000_000, "high_hz": 3_700_000_000}]
    (known,) = settings_of(load_layers([written(tmp_path, incumbent_bands=bands)])).incumbent_bands or ()
    assert (known.low_hz, known.high_hz) == (3.55e9, 3.7e9)


@pytest.mark.feature("E1")
def test_a_nodes_transform_fits_its_sample_rate(tmp_path: Path) -> None:
    loaded = load_layers([written(tmp_path)])
    sizes = []
    for rate_hz in (2_000_000, 10_000_000, 30_720_000):
        radio = loaded.radio.model_copy(update={"sample_rate_hz": rate_hz})
        sizes.append(settings_of(loaded.model_copy(update={"radio": radio})).fft_size)
    assert sizes == [256, 512, 1024]


def test_it_is_said_at_once_that_the_node_is_ready_and_then_twice_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts after the node waits for the word: it is looked for often until it is there."""
    asked: list[float] = []

    class Waits:
        def wait(self, seconds: float) -> bool:
            asked.append(seconds)
            return len(asked) > 6

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "n"))
        heard.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        watchdog = Watchdog(lambda: None if len(asked) > 3 else "the agent's loop does not turn yet", lambda: "idle")
        monkeypatch.setattr(watchdog, "_stop", Waits())
        watchdog._run()
        watchdog._socket.close()
        said: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said += heard.recv(4096).decode().split("\n")
    assert asked[:4] == [asked[0]] * 4
    assert asked[0] <= 0.05
    assert asked[4:] == [0.5] * 3
    assert said.count("READY=1") == 1
    assert said.index("READY=1") < said.index("WATCHDOG=1")
