"""The settlement bench makes settlements of every mode, and its floor sends what theirs take."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from agent.bench import sides
from agent.bench.pair import COSIGNED_MAX, _trips, latency, profile
from agent.bench.pairgrowth import GrowthTown, Spent, beside_open, beside_peers
from agent.bench.profiled import CODING, LOG, REST, SIGNING, STEPS, Profile, kinds, shares
from agent.bench.table.pairrows import pair_rows
from agent.bench.town import BARE, MODES, ROUND, BenchHolder, Mode, town
from settlement.chain.lineage import LineageError
from tests.agent.realparts import ended, until

pytestmark = pytest.mark.feature("S1")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mode", [BARE, MODES[-1]], ids=lambda mode: mode.name)
def test_a_mode_is_timed_beside_a_floor_of_its_own_sizes(tmp_path: Path, mode: Mode) -> None:
    row = latency(tmp_path / "town", 2, ROUND, mode)
    assert row["mode"] == mode.name
    assert row["settlements"] == ROUND
    assert 0 < row["floor_p50_ms"] <= row["floor_p99_ms"]
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    sizes = row["message_bytes"]
    # A GRANT that rests on envelopes carries the composite; a CONFIRM that was witnessed the line and who is behind it.
    assert (sizes["grant"] > 1000) == mode.enveloped
    assert (sizes["confirm"] > 2000) == (mode.witnesses > 0)


def test_more_settlements_than_a_cosigner_holds_are_timed_in_towns_one_after_another(tmp_path: Path) -> None:
    row = latency(tmp_path / "town", 1, COSIGNED_MAX + ROUND, Mode("coordinated", cosigned=True))
    assert row["settlements"] == COSIGNED_MAX + ROUND


def test_time_in_a_library_is_of_its_kind_and_what_is_built_in_of_whoever_calls_it() -> None:
    step, bench = ("/x/settlement/party/party.py", 3, "act"), ("/x/agent/bench/pair.py", 9, "one")
    stats = {
        step: (1, 1, 2.0, 9.0, {}),
        ("~", 0, "<method 'execute' of 'apsw.Connection' objects>"): (5, 5, 4.0, 4.0, {step: (5, 5, 4.0, 4.0)}),
        ("~", 0, "<built-in method cbor2._cbor2.dumps>"): (1, 1, 1.0, 1.0, {step: (1, 1, 1.0, 1.0)}),
        ("~", 0, "<built-in method builtins.len>"): (
            3,
            3,
            0.75,
            0.75,
            {step: (2, 2, 0.5, 0.5), bench: (1, 1, 0.25, 0.25)},
        ),
        ("/x/settlement/chain/keys.py", 1, "verify"): (1, 1, 0.25, 0.25, {}),
    }
    found = kinds(stats)
    assert found == {STEPS: 2.5, LOG: 4.0, CODING: 1.0, REST: 0.25, SIGNING: 0.25}
    assert shares([found, {LOG: 8.0}]) == {LOG: 75.0, STEPS: 15.6, CODING: 6.2, REST: 1.6, SIGNING: 1.6}


def test_a_profile_that_was_not_begun_says_nothing() -> None:
    assert Profile().end() == {}
    assert shares([]) == {}


def test_where_the_time_of_a_settlement_goes_is_told_for_both_processes(tmp_path: Path) -> None:
    found = profile(tmp_path / "town", 1, 5, BARE)
    assert (found["mode"], found["settlements"]) == ("bare", 5)
    assert sum(found["percent"].values()) == pytest.approx(100, abs=0.5)
    assert {LOG, SIGNING, CODING, STEPS} <= found["percent"].keys()


def test_the_table_says_where_the_time_goes_beside_what_it_took() -> None:
    timed = {"p99_ms": 8, "floor_p50_ms": 2, "floor_p99_ms": 3, "floor_cpu_ms": 2, "settlements": 30, "mode": "bare"}
    latency = [timed | {"peers": peers, "p50_ms": 5, "cpu_ms": 7.0} for peers in (4, 64)]
    load = [{"peers": peers, "in_flight": 32, "settlements": 30, "settlements_per_s": 300} for peers in (4, 64)]
    turns = {"settlements": 30, "whole_cpu_ms": 7.5}
    growth = [
        {"peers": peers, "in_flight": n, "cpu_ms_per_settlement": ms, "holder_cpu_ms": ms - 1, "steps": peers / 2}
        | turns
        for n, peers, ms in ((1, 4, 6.0), (1, 64, 13.0), (32, 4, 3.0), (32, 64, 7.0))
    ]
    opened = [{"open": n, "cpu_ms_per_settlement": 5.0, "holder_cpu_ms": 2.0} | turns for n in (0, 1000)]
    told = {"mode": "bare", "settlements": 30, "percent": {LOG: 40.0, STEPS: 60.0}}
    found = {"latency": latency, "modes": [latency[0]], "load": load, "open": opened}
    found |= {"growth": growth, "profile": [told]}
    rows = {row.what: row for row in pair_rows(found)}
    assert rows["p50, bare, 4 peers"].note.endswith("profile: log and commits 40%, steps of the pair 60%")
    alone = rows["CPU of a settlement at 64 peers, one at a time"]
    assert (alone.ours, alone.beside) == (13.0, 6.0)
    assert "the holder's 12 beside 5 ms" in alone.note, "what the holder's process takes of it is told too"
    flying = rows["CPU of a settlement at 64 peers, 32 in flight"].note
    assert "8 at 4 peers, 0.5 at 64 peers; durable steps a settlement 32 beside 2" in flying
    assert "both processes in all 7.5 beside 7.5 ms" in rows["CPU of a settlement beside 1,000 open ones"].note


def test_what_a_settlement_costs_is_compared_in_turns_of_two_towns(tmp_path: Path) -> None:
    rows = beside_peers(tmp_path / "peers", 1, 2, 2, ROUND)
    assert [(row["peers"], row["in_flight"]) for row in rows] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    rows += beside_open(tmp_path / "open", 9, 2 * ROUND)
    assert [(row["open"], row["settlements"]) for row in rows[4:]] == [(0, 2 * ROUND), (9, 2 * ROUND)]
    assert all(0 < row["holder_cpu_ms"] < row["cpu_ms_per_settlement"] for row in rows)
    assert all(row["whole_cpu_ms"] > 0 and row["steps"] >= 1 for row in rows)


def test_turns_in_which_nothing_is_logged_are_no_part_of_a_settlement(tmp_path: Path) -> None:
    with town(tmp_path, 2) as (holder, made):
        made.one()
        one = GrowthTown(holder, made)

        def stand_idle() -> Spent:
            looked = iter(range(300))
            return one.spend(lambda _: made.until(lambda: next(looked, 300) == 300, 1))

        # On a slow machine what follows the settlement is still dealt with when the first is counted.
        idle = next((spent for spent in (stand_idle() for _ in range(10)) if spent.steps == 0), None)
        assert idle is not None
        assert idle.turns_s == 0.0
        assert idle.whole_s > 0
        settled = one.spend(lambda town: town.one_at_a_time(1))
        assert settled.steps >= 5
        assert 0 < settled.holder_s < settled.turns_s < settled.whole_s


def test_a_holder_that_waits_for_the_floor_is_ended_with_its_town(tmp_path: Path) -> None:
    ended: list[int | None] = []

    def interrupted() -> None:
        with town(tmp_path, 1) as (holder, made):
            made.one()
            holder.tell("floor", (_trips(holder, made, BARE), 1))
            try:
                raise KeyboardInterrupt
            finally:
                ended.append(holder._process.exitcode)
                held.append(holder)

    held: list[BenchHolder] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == [None], "it was waiting"
    assert held[0]._process.exitcode == -signal.SIGKILL


def test_a_bench_that_is_interrupted_says_so_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C goes to the whole group of processes, the holder's too."""
    words = ["-m", "agent.cli.main", "bench", "settlement", "--count", "200", "--peers", "2", "--folder", str(tmp_path)]
    began = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    with ended(began):
        assert until(lambda: any(tmp_path.glob(".bench-*/*/0/user-0/bare.db")), 60)
        os.killpg(began.pid, signal.SIGINT)
        said, _ = began.communicate(timeout=60)
    assert began.returncode == 130
    assert said.splitlines() == ["bandpact: interrupted"]
    assert list(tmp_path.iterdir()) == []


def test_a_holder_of_a_bench_on_a_full_disk_ends_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise LineageError("lineage.db: commit failed: database or disk is full; free disk space, then restart")

    monkeypatch.setattr(sides, "_serve", full)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    sides.serve_holder(cast("Any", None), cast("Any", None))
    assert capsys.readouterr().err.splitlines() == [
        "the holder of the bench: lineage.db: commit failed: database or disk is full; free disk space, then restart"
    ]
