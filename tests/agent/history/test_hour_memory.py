"""Tests of the memory that the end of an hour takes in the process that keeps the history.

Resident memory before and after two hours' ends: 87 and 101 MB; with Arrow's own allocator, and an hour of seconds as
objects at once, 93 and 171.
"""

import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent.history import table as tables
from agent.history.rows import Row, rolled
from agent.history.store import LENGTHS, MINUTE, NS, SECOND, Store
from agent.history.table import MINUTES_AT_ONCE
from agent.page.pageprocess import PageBeside
from tests.agent.history.days import START_NS, seconds

pytestmark = pytest.mark.feature("E9")


def test_a_page_is_started_with_an_allocator_that_gives_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(subprocess, "Popen", lambda *_command, env, **_options: given.update(env))
    PageBeside(nodes=[], folder=tmp_path, port=0)._spawned(tmp_path / "plan")
    assert given["ARROW_DEFAULT_MEMORY_POOL"] == "system"


def test_what_a_minute_left_free_goes_back_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    pool = type("Pool", (), {"release_unused": lambda _self: given_back.append(len(written))})()
    monkeypatch.setattr(pa, "default_memory_pool", lambda: pool)
    store, written = Store(folder=tmp_path, write_ns=60 * NS), []
    store.open()
    for row in seconds(130):
        store.add(row)
        written.append(row)
    assert given_back == [60, 120]


def test_an_hour_is_made_a_few_minutes_at_a_time_and_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a gap, so that the few minutes are not the same of each hour, and more of them than are made at once."""
    store, most = Store(folder=tmp_path, write_ns=60 * NS), []
    store.open()
    for number, row in enumerate(seconds(60 * (2 * MINUTES_AT_ONCE + 2))):
        if not 130 <= number < 310:
            store.add(row)
    store.close()
    made = tables.rows_of

    def rows_of(*tables: Any) -> list[Row]:
        rows = made(*tables)
        most.append(len(rows))
        return rows

    monkeypatch.setattr(tables, "rows_of", rows_of)
    Store(folder=tmp_path).open()  # finishes the hour
    monkeypatch.undo()
    assert max(most) == 60 * MINUTES_AT_ONCE
    assert not [path for path in (tmp_path / SECOND).glob("*.parquet") if path.stem.count("-") == 2]
    reader, end_ns = Store(folder=tmp_path), START_NS + 3600 * NS
    found = reader.rows(MINUTE, START_NS, end_ns)
    expected = rolled(reader.rows(SECOND, START_NS, end_ns), LENGTHS[MINUTE])
    assert len(found) == 2 * MINUTES_AT_ONCE
    assert [summed(one) for one in found] == [summed(one) for one in expected]


def summed(row: Row) -> tuple[object, ...]:
    """What a minute says, but for what is rounded as it is written."""
    channels = tuple((one.low_hz, one.state, one.looks, one.busy, one.pairs) for one in row.channels)
    return row.start_ns, row.gate, row.open_ms, row.looks, row.max_hold, row.incumbents, channels
