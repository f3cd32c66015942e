"""The main job as its user runs it: `bandpact trial` in a process of its own, and what it leaves behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.agent.realparts import ended
from tests.radio.plutobench import needs_libiio

TRIAL = [sys.executable, "-m", "agent.cli.main"]
LIMIT_S = 120


def bandpact(*arguments: str, cwd: Path, timeout: float = LIMIT_S) -> "subprocess.CompletedProcess[str]":
    """Run the command without a terminal and without input."""
    return subprocess.run(
        [*TRIAL, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "120"},
        check=False,
    )


@dataclass(frozen=True)
class Ran:
    result: dict[str, Any]
    folder: Path
    out: str
    err: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    cwd = tmp_path_factory.mktemp("trial")
    done = bandpact("trial", "--seed", "7", "--duration", "20s", "--json", "OUT.json", "--report", "DIR", cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return Ran(json.loads((cwd / "OUT.json").read_text()), cwd / "DIR", done.stdout, done.stderr)


@pytest.mark.feature("U1")
def test_result_has_the_agreed_names(ran: Ran) -> None:
    result = ran.result
    assert set(result) >= {
        "seed", "nodes", "offers", "settled", "refused", "emissions", "gate", "settlement_ms", "lineage", "incumbent",
        "report",
    }  # fmt: skip
    assert set(result["emissions"]) >= {"inside_s", "outside_s", "violations"}
    assert set(result["gate"]["close_latency_ms"]) >= {"p50", "p99", "max"}
    assert set(result["settlement_ms"]) >= {"p50", "p99"}
    assert set(result["lineage"]) >= {"records", "verified"}
    assert set(result["incumbent"]) >= {"detected", "latency_ms"}
    assert (result["seed"], result["nodes"]) == (7, 4)


@pytest.mark.feature("R6")
def test_the_oracle_saw_power_only_inside_live_settlements(ran: Ran) -> None:
    emissions = ran.result["emissions"]
    assert emissions["inside_s"] > 1
    assert (emissions["outside_s"], emissions["violations"]) == (0, 0)


@pytest.mark.feature("S2")
@pytest.mark.feature("S7")
def test_both_users_settle_and_conflicts_are_refused(ran: Ran) -> None:
    assert ran.result["settled"] >= 3
    assert ran.result["refused"]["CONFLICT"] >= 1
    assert ran.result["settlement_ms"]["median"] > 0
    assert ran.result["settlement_ms"]["p99"] is None  # of so few


ATTACKED = ["SIGNATURE", "DOMAIN", "REPLAY", "TRANSPORT_BINDING", "SCOPE", "TIMEOUT", "NO_PERMIT", "UNKNOWN_PEER"]


@pytest.mark.feature("G5")
@pytest.mark.parametrize("reason", ATTACKED)
def test_each_attack_was_refused_with_its_reason(ran: Ran, reason: str) -> None:
    assert ran.result["refused"].get(reason, 0) >= 1


@pytest.mark.feature("E3")
def test_the_radar_is_heard_and_its_channel_falls_silent(ran: Ran) -> None:
    assert ran.result["incumbent"]["detected"]
    assert ran.result["incumbent"]["latency_ms"] > 0


@pytest.mark.feature("U6")
def test_report_and_lineages_are_kept(ran: Ran) -> None:
    names = {path.name for path in ran.folder.iterdir()}
    assert names >= {"report.html", "holder.db", "user-a.db", "user-b.db", "attacker.db", "anchors.txt"}
    page = (ran.folder / "report.html").read_text()
    assert "PASS" in page
    assert "data:image/png;base64," in page


def test_plain_lines_without_a_terminal(ran: Ran) -> None:
    assert "\x1b[" not in ran.err
    assert "settled 3550-3560 MHz" in ran.err
    assert "PASS" in ran.out


@pytest.mark.feature("G6")
def test_audit_verifies_it_offline(ran: Ran) -> None:
    done = bandpact("audit", "verify", str(ran.folder), "--json", cwd=ran.folder)
    assert done.returncode == 0, done.stdout
    outcome = json.loads(done.stdout)
    assert outcome["ok"]
    assert outcome["settlements"] == ran.result["settled"]
    assert all(row["sealed"] for row in outcome["lineages"])


@pytest.mark.feature("G6")
def test_audit_tells_what_each_node_kept_from_its_log_again(ran: Ran) -> None:
    done = bandpact("audit", "replay", str(ran.folder), "--json", cwd=ran.folder)
    outcome = json.loads(done.stdout)
    assert [row["kept"]["differences"] for row in outcome["lineages"]] == [[]] * 4, "the attacker's own log as well"
    assert done.returncode == 0, done.stdout


@pytest.mark.attack(50)
@pytest.mark.parametrize("where", [0.02, 0.3, 0.55, 0.8, 0.999])
def test_one_flipped_byte_is_found(ran: Ran, tmp_path: Path, where: float) -> None:
    shutil.copytree(ran.folder, tmp_path / "copy")
    victim = tmp_path / "copy" / "user-a.db"
    data = bytearray(victim.read_bytes())
    data[int(len(data) * where)] ^= 0x01
    victim.write_bytes(data)
    assert bandpact("audit", "verify", str(tmp_path / "copy"), "--json", cwd=tmp_path).returncode == 5


@pytest.mark.parametrize("name", ["nowhere", "holder.db/x"])
def test_audit_of_nothing_is_one_clear_line(tmp_path: Path, name: str) -> None:
    done = bandpact("audit", "verify", name, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr


def test_a_lineage_of_noise_is_tampering(tmp_path: Path, ran: Ran) -> None:
    shutil.copy(ran.folder / "anchors.txt", tmp_path)
    (tmp_path / "noise.db").write_bytes(bytes(range(256)) * 64)
    alone = bandpact("audit", "verify", "noise.db", cwd=tmp_path)
    assert alone.returncode == 1
    assert "not a lineage" in alone.stderr
    shutil.copy(ran.folder / "holder.seal", tmp_path / "noise.seal")
    assert bandpact("audit", "verify", "noise.db", cwd=tmp_path).returncode == 5


BAD = [
    (["--recording", "missing.sigmf-meta"], "missing.sigmf-meta"),
    (["--scenario", "missing.toml"], "missing.toml"),
    (["--scenario", "broken.toml"], "broken.toml"),
    (["--scenario", "unknown-node.toml"], "nobody"),
    (["--json", "no/such/folder/OUT.json"], "no/such/folder"),
    (["--report", "a-file"], "a-file"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_input_is_one_line_that_names_it(tmp_path: Path, arguments: list[str], named: str) -> None:
    (tmp_path / "broken.toml").write_text("[[nodes")
    (tmp_path / "a-file").write_text("not a folder")
    (tmp_path / "unknown-node.toml").write_text(
        '[[nodes]]\nname = "h"\nrole = "holder"\nlat_deg = 1.0\nlon_deg = 1.0\n'
        '[[trial.offers]]\nnode = "nobody"\nlow_hz = 1\nhigh_hz = 2\n'
    )
    before = sorted(tmp_path.rglob("*"))
    done = bandpact("trial", "--duration", "5s", *arguments, cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert named in done.stderr
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.name != "trial-report"] == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = bandpact("trial", "--base-port", str(port), cwd=tmp_path, timeout=60)
    assert done.returncode in (1, 2)
    assert str(port) in done.stderr


def children_of(marker: str) -> list[str]:
    """Command lines of running processes that mention a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found += [line] if marker in line else []
    return found


@pytest.mark.feature("U1")
def test_ctrl_c_leaves_no_process_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("c")
    process = subprocess.Popen(
        [*TRIAL, "trial", "--duration", "20s", "--report", "DIR"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
    )
    with ended(process):
        assert process.stderr is not None
        for line in process.stderr:
            if "settled" in line:
                break
        assert len(children_of(f"{tmp_path}/bandpact-")) >= 9
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert children_of(f"{tmp_path}/bandpact-") == []
    assert list((tmp_path / "DIR").iterdir()) == []


@pytest.mark.feature("R4")
@pytest.mark.feature("E5")
def test_a_recording_on_the_air_keeps_its_channel_from_being_offered(iq_dir: Path, tmp_path: Path) -> None:
    recording = iq_dir / "tdlte-1889.9MHz.sigmf-meta"
    done = bandpact(
        "trial", "--seed", "8", "--duration", "12s", "--recording", str(recording), "--json", "OUT.json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "OUT.json").read_text())
    assert result["settled"] >= 1
    assert result["emissions"]["violations"] == 0
    assert "offers 3550-3560 MHz" in done.stderr
    assert "finds no offer for 3560-3570 MHz" in done.stderr


@pytest.mark.alone  # four radios of 2 MS/s each take both processors
@pytest.mark.feature("R3")
def test_the_whole_trial_through_the_pluto_driver(tmp_path: Path) -> None:
    """The unchanged driver on real libiio, each node's on a simulated Pluto of its own, the oracle beneath them."""
    needs_libiio()
    arguments = ("--radio", "pluto", "--seed", "7", "--duration", "20s", "--json", "OUT.json", "--report", "DIR")
    done = bandpact("trial", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "OUT.json").read_text())
    assert (result["emissions"]["outside_s"], result["emissions"]["violations"]) == (0, 0)
    assert result["emissions"]["inside_s"] > 1
    assert result["settled"] >= 2
    assert result["incumbent"]["detected"]
