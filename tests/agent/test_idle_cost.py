"""What a node does again and again costs what it must, and no more: reports, waterfalls, bursts."""

import threading
from concurrent.futures import wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from agent.config.settings import OfferSection
from agent.node import watcher
from agent.node.policy import HolderPolicy
from agent.node.traffic import BurstMaker
from agent.node.watcher import COLUMNS, ROW_NS, ROWS_MAX, Watcher, Waterfall
from sensing.survey import SurveyReport

pytestmark = pytest.mark.feature("E1")
NS = 1_000_000_000


def offer(**changes: Any) -> OfferSection:
    values = {"low_hz": 0, "high_hz": 1, "commodity": "cbrs", "max_eirp_mdbm": 0, "price": 0, "for_s": 60, "after_s": 1}
    return OfferSection.model_validate(values | changes)


def never() -> SurveyReport:
    raise AssertionError("a report was made though nothing is due")


def test_no_report_is_made_where_no_offer_is_due() -> None:
    config = SimpleNamespace(offers=(offer(),))
    policy = HolderPolicy(cast("Any", config))
    assert policy.due(0.5, never, []) == []
    policy.made.add(0)
    assert policy.due(5.0, never, []) == []
    policy.standing.append((offer(), 100 * NS))
    assert policy.again(NS, never, []) == []
    policy.newcomer()
    few = cast("SurveyReport", SimpleNamespace(looks=30, channels=()))
    assert policy.again(20 * NS, lambda: few, []) == []
    policy.newcomer()
    assert policy.again(21 * NS, never, []) == [], "once in ten seconds"


def look(start_ns: int, level: float) -> Any:
    return SimpleNamespace(psd=np.full(COLUMNS * 4, level, np.float32), start_ns=start_ns)


def test_a_waterfall_holds_the_whole_run_in_bounded_memory(tmp_path: Path) -> None:
    radio = SimpleNamespace(sample_rate_hz=1_000_000, rx_center_hz=0)
    fall = Waterfall(cast("Any", SimpleNamespace(radio=radio)))
    held = fall._rows.nbytes
    loud = {10, ROWS_MAX + 11, 3 * ROWS_MAX}
    for number in range(3 * ROWS_MAX + 1):
        fall.add(look(number * ROW_NS, 1.0 if number in loud else 1e-6))
    assert fall._rows.nbytes == held
    fall.save(tmp_path)
    with np.load(tmp_path / watcher.WATERFALL) as saved:
        level, times_ns = saved["level_db"], saved["times_ns"]
    assert len(level) == len(times_ns) <= ROWS_MAX
    assert times_ns[0] == 0
    assert (np.diff(times_ns) == 4 * ROW_NS).all()
    assert times_ns[-1] > (3 * ROWS_MAX - 4) * ROW_NS
    # The strongest of what was joined stays, in the row of its time.
    where = np.flatnonzero(level[:, 0] > -1)
    assert [int(times_ns[row] // ROW_NS) for row in where] == [number // 4 * 4 for number in sorted(loud)]


class Slow:
    """Bursts that are made only once `go` is set."""

    go = threading.Event()

    def __init__(self, _config: object, *, eirp_mdbm: int, bandwidth_hz: int, seed: int) -> None:
        assert self.go.wait(10)
        if eirp_mdbm < 0:
            raise ValueError("no such level")
        self.one = np.full((4, 2), bandwidth_hz + seed, np.int16)

    def burst(self) -> np.ndarray[Any, Any]:
        return self.one


def test_bursts_are_made_beside_the_loop() -> None:
    Slow.go.clear()
    failed: list[tuple[bytes, str]] = []
    maker = BurstMaker(cast("Any", None), lambda sid, why: failed.append((sid, why)), Slow)
    maker.make(b"a", eirp_mdbm=0, bandwidth_hz=5, seed=1)
    maker.make(b"b", eirp_mdbm=-1, bandwidth_hz=5, seed=1)
    assert maker.next(b"a") is None, "the loop waited for the bursts"
    assert maker.next(b"never made") is None
    Slow.go.set()
    wait(maker._of.values())
    maker.close()
    burst = maker.next(b"a")
    assert burst is not None
    assert int(burst[0, 0]) == 6
    assert maker.next(b"b") is None
    assert [(sid, "no such level" in why) for sid, why in failed] == [(b"b", True)]
    assert maker.next(b"b") is None
    assert len(failed) == 1
    maker.end(b"a")
    assert maker.next(b"a") is None


def test_what_is_shown_is_reported_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    made: list[int] = []

    def report(_self: Watcher) -> SurveyReport:
        made.append(now[0])
        return cast("SurveyReport", SimpleNamespace(now_ns=now[0]))

    monkeypatch.setattr(Watcher, "report", report)
    monkeypatch.setattr(watcher.time, "monotonic_ns", lambda: now[0])
    one = Watcher.__new__(Watcher)
    one._recent = None
    for second in range(60):
        now[0] = second * NS
        assert now[0] - one.recent().now_ns <= watcher.RECENT_NS + watcher.WATCHED_NS
    assert 4 <= len(made) <= 6
