"""A whole day of history at speed: what it takes on disk and how long scrolling back takes; set BANDPACT_DAY_S."""

import os
import time
from pathlib import Path

import pytest

from agent.history.store import LENGTHS, MINUTE, NS, SECOND
from tests.agent.history.days import START_NS, written

DAY_S = int(os.environ.get("BANDPACT_DAY_S", "86400"))


@pytest.mark.feature("E9")
def test_a_day_fits_and_scrolls(tmp_path: Path) -> None:
    store = written(tmp_path / "history", DAY_S, close=False)
    took_mb = store.size() / 1e6
    times: list[float] = []
    works: list[float] = []
    for hours_back in range(24):
        to_ns = START_NS + (DAY_S - hours_back * 3600) * NS
        for resolution, rows in ((MINUTE, 1440), (SECOND, 300)):
            began, worked = time.perf_counter(), time.thread_time()
            store.rows(resolution, to_ns - rows * LENGTHS[resolution], to_ns)
            times.append(time.perf_counter() - began)
            works.append(time.thread_time() - worked)
    a_day_mb = took_mb * 86_400 / DAY_S
    worked_ms = 1e3 * sorted(works)[len(works) // 2]
    median_ms, worst_ms = 1e3 * sorted(times)[len(times) // 2], 1e3 * max(times)
    print(f"\n{DAY_S} s: {took_mb:.1f} MB, {a_day_mb:.1f} MB a day")
    print(
        f"scroll-back median {median_ms:.0f} ms, worst {worst_ms:.0f} ms; of processor time median {worked_ms:.0f} ms"
    )
    assert a_day_mb < 50
    assert worked_ms < 200
