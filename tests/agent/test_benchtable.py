"""The benchmark table says what the benches said: misses as misses, what failed or took too long as not measured."""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.bench.sensingload import PULSES_A_LOOK, look_samples
from agent.bench.table import commands
from agent.bench.table.benchpage import page
from agent.bench.table.benchrow import BenchRow, BenchVerdict, Target, number
from agent.bench.table.commands import COMMANDS, BenchCommand, run_command
from agent.bench.table.sensingrows import rate_rows
from agent.bench.table.unmeasured import unmeasured_rows
from agent.bench.table.whole import run
from tests.agent.sweep import invoked

pytestmark = pytest.mark.feature("X4")
WORLD = next(one for one in COMMANDS if one.name == "world")


def row(**values: Any) -> BenchRow:
    return BenchRow(area="a", what="w", unit="ms", **values)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (row(ours=3.0, target=Target(limit=3.0)), BenchVerdict.MET),
        (row(ours=3.1, target=Target(limit=3.0)), BenchVerdict.MISSED),
        (row(ours=3.0, target=Target(limit=3.0, least=True)), BenchVerdict.MET),
        (row(ours=2.9, target=Target(limit=3.0, least=True)), BenchVerdict.MISSED),
        (row(ours=3.0, beside=2.0, target=Target(limit=1.5, by_ratio=True)), BenchVerdict.MET),
        (row(ours=3.1, beside=2.0, target=Target(limit=1.5, by_ratio=True)), BenchVerdict.MISSED),
        (row(ours=3.1, target=Target(limit=1.5, by_ratio=True)), BenchVerdict.UNMEASURED),
        (row(target=Target(limit=1.5), why="no bench"), BenchVerdict.UNMEASURED),
        (row(ours=3.1), BenchVerdict.NO_TARGET),
    ],
)
def test_a_figure_is_met_at_its_bound_and_missed_beyond(one: BenchRow, verdict: BenchVerdict) -> None:
    assert one.verdict is verdict


def test_every_target_that_nothing_measures_says_why() -> None:
    assert all(one.verdict is BenchVerdict.UNMEASURED and one.why and one.target for one in unmeasured_rows())


def test_the_page_has_the_figures_of_the_run_and_counts_its_misses(tmp_path: Path) -> None:
    found = run(tmp_path, quick=True, limit_s=60, tell=lambda _: None, commands=[WORLD])
    speed = next(one for one in found.rows if one.unit == "× real")
    assert speed.ours is not None
    assert speed.ours > 0
    text = page(found)
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {speed.what} "))
    assert f" {number(speed.ours)} × real " in line
    assert ("**missed**" in line) == (speed.ours < 700)
    assert f"{found.counts()['not measured']} not measured" in text
    assert "too short to go by" in text
    assert f"bandpact bench world {WORLD.quick} --json" in text
    assert found.before.cores == len(os.sched_getaffinity(0))
    assert list(tmp_path.iterdir()) == []


def test_a_bench_that_fails_is_not_measured_and_says_why(tmp_path: Path) -> None:
    broken = replace(WORLD, quick="--seeds 0")
    ran = run_command(broken, tmp_path, quick=True, left_s=60)
    (one,) = ran.rows
    assert one.verdict is BenchVerdict.UNMEASURED
    assert "--seeds" in one.why
    assert WORLD.area == one.area


def test_json_of_another_form_is_not_taken_for_figures(tmp_path: Path) -> None:
    other = next(one for one in COMMANDS if one.name == "chain")
    ran = run_command(replace(WORLD, rows=other.rows), tmp_path, quick=True, left_s=60)
    assert "another form" in ran.rows[0].why


def test_a_bench_without_time_is_not_begun(tmp_path: Path) -> None:
    ran = run_command(WORLD, tmp_path, quick=True, left_s=0)
    assert "before it began" in ran.rows[0].why
    assert ran.took_s == 0


def test_a_bench_over_its_time_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ignores the interrupt and has a child of its own: both are gone, and nothing of it is taken for a figure."""
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    script = tmp_path / "stubborn"
    script.write_text(f"#!{sys.executable}\n{program}")
    script.chmod(0o755)
    monkeypatch.setattr(commands.sys, "executable", str(script))
    monkeypatch.setattr(commands, "ENDS_S", 0.2)
    slow = BenchCommand(name="slow", area="a", full="", quick="", limit_s=2.0, rows=lambda _: iter(()))
    ran = run_command(slow, tmp_path, quick=True, left_s=60)
    assert "longer than 2 s" in ran.rows[0].why
    child, deadline_s = int((tmp_path / "child").read_text()), time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_shares_outside_their_interval_are_counted_beside_chance() -> None:
    def counted(found: float, number: int) -> dict[str, Any]:
        interval = {"low": found - 0.01, "high": found + 0.01, "trials": 100}
        return {"group": "Coverage of x", "condition": str(number), "expected": 0.95, "found": found, **interval}

    held = [counted(0.95, number) for number in range(20)]
    (fine,) = rate_rows(held)
    assert fine.ours == 0
    assert fine.verdict is BenchVerdict.MET
    (off,) = rate_rows([counted(0.5, number) for number in range(20)])
    assert off.ours == 20
    assert off.verdict is BenchVerdict.MISSED


def test_every_bench_of_the_table_is_a_command_and_takes_its_words() -> None:
    def helps() -> Iterator[str]:
        for one in COMMANDS:
            done = invoked(["bench", one.name, "--help"])
            assert done.code == 0
            yield from (
                word
                for word in (*one.full.split(), *one.quick.split())
                if word.startswith("--") and word not in done.out
            )

    assert list(helps()) == []


def test_a_bench_nobody_has_is_refused_with_the_names_of_those_there_are() -> None:
    done = invoked(["bench", "table", "--only", "none"])
    assert done.code == 2
    assert all(one.name in done.err for one in COMMANDS)


def test_the_table_as_json_writes_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoked(["bench", "table", "--quick", "--json", "--only", "world"])
    assert done.code == 0
    found = json.loads(done.out)
    assert {one["verdict"] for one in found["rows"]} <= {one.value for one in BenchVerdict}
    assert found["counts"]["not measured"] == len([one for one in found["rows"] if one["ours"] is None])
    assert list(tmp_path.iterdir()) == []


def test_dense_looks_have_their_pulses() -> None:
    quiet, dense = look_samples(1, pulses=0), look_samples(1, pulses=PULSES_A_LOOK)
    changed = (dense[:, 0] != quiet[:, 0]).nonzero()[0]
    starts = 1 + int(((changed[1:] - changed[:-1]) > 1).sum())
    assert starts == PULSES_A_LOOK
