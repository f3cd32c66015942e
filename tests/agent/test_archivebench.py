"""The bench of five years of log: its arithmetic by hand, and a run of hours held against it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from agent.bench.archive import ArchivePlan, KindBytes, LogBytes, on_paper, run
from settlement.chain.leaf import decode_leaf
from settlement.chain.scope import Window
from settlement.core.reasons import Refusal
from settlement.records.market import Request
from sim.world.city import ASKED_S
from sim.world.plan import NS
from tests.settlement.quorum.forgery import body_of

pytestmark = pytest.mark.feature("G6")
PACKED_WITHIN = 1.3
"""A log beside its compact copy; without packing it takes half as much again."""


def test_the_paper_counts_bodies_while_they_are_kept_and_stubs_afterwards() -> None:
    kinds = {
        "renew": KindBytes(a_day=1000.0, body=400.0, stub=140.0),
        "grant": KindBytes(a_day=10.0, body=600.0, stub=0.0),
    }
    log = LogBytes(entries=1, file_bytes=1, row=300.0, kinds=kinds)
    found = on_paper(log, 100.0, {"renewals": 30.0})
    assert found["entries"] == 101_000
    assert found["stubs"] == 70_000
    assert found["bytes"] == 30_000 * 400 + 70_000 * 140 + 1000 * 600 + 101_000 * 300
    assert found["bytes_without_retention"] == 100_000 * 400 + 1000 * 600 + 101_000 * 300


def test_a_run_of_hours_keeps_what_the_rule_says_and_lets_the_rest_go(tmp_path: Path) -> None:
    plan = ArchivePlan(scale=14_600, lease_s=10.0)
    assert plan.hours == 3
    found = run(plan, tmp_path)
    for side in ("holder", "user"):
        log = found[side]
        assert log["settlements"] >= 4
        assert any("renewals" in line for line in log["let_go"])
        assert 0 < log["paper"]["stubs"] < log["paper"]["entries"]
        assert log["paper"]["bytes"] < log["paper"]["bytes_without_retention"]
        assert log["sealed_bytes"] < log["bytes"] < PACKED_WITHIN * log["sealed_bytes"]
    assert found["holder"]["kinds"]["envelope"]["stub"] < found["holder"]["kinds"]["envelope"]["body"]
    asked = Counter(round((window.end_ns - window.start_ns) / NS) for window in windows_asked(tmp_path))
    assert set(asked) == set(ASKED_S)
    assert max(asked.values()) - min(asked.values()) <= 1


def windows_asked(folder: Path) -> Iterator[Window]:
    """The windows of the REQUESTs in the user's log, whose records of that type are all kept."""
    (log,) = folder.glob("**/u000*.db")
    db = apsw.Connection(str(log), flags=apsw.SQLITE_OPEN_READONLY)
    for (raw,) in db.execute("SELECT body FROM leaf WHERE typ = 'request'"):
        leaf = decode_leaf(raw)
        assert not isinstance(leaf, Refusal)
        body = body_of(leaf.record)
        assert isinstance(body, Request)
        yield body.cell.window
    db.close()
