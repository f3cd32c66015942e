"""Parquet files that somebody else put into a history: left out, whatever is in them; what is ours still shows."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.history.store import LENGTHS, MINUTE, NS, QUARTER, SECOND, Store
from agent.history.table import CHANNELS, EVENTS, NODE
from tests.agent.history.days import START_NS, written

pytestmark = [pytest.mark.feature("U5"), pytest.mark.attack(69)]
HOUR = time.strftime("%Y%m%d%H", time.gmtime(START_NS // NS))


def table(schema: pa.Schema, rows: int, **given: Any) -> pa.Table:
    """Equal rows of some schema: what is not given is 1, nothing, or no list."""
    plain = {"int": 1, "bool": True, "string": "", "binary": b"", "float": 0.5, "double": 0.5}

    def value(one: pa.Field) -> Any:
        return [] if pa.types.is_list(one.type) else next(v for k, v in plain.items() if str(one.type).startswith(k))

    return pa.table(
        [pa.repeat(pa.scalar(given.get(one.name, value(one)), one.type), rows) for one in schema], schema=schema
    )


def node(rows: int = 1, **given: Any) -> pa.Table:
    return table(NODE, rows, **{"start_ns": START_NS, "length_ns": NS, **given})


def channels(**given: Any) -> pa.Table:
    return table(CHANNELS, 1, **{"start_ns": START_NS + NS, "length_ns": NS, **given})


HOSTILE: dict[str, tuple[str, Callable[[], pa.Table]]] = {
    "no instant": ("node", lambda: node(start_ns=None)),
    "an instant before all": ("node", lambda: node(start_ns=-(2**63))),
    "an instant after all": ("node", lambda: node(start_ns=2**63 - 1)),
    "no length": ("node", lambda: node(length_ns=0)),
    "a count that is none": ("node", lambda: node(open_ms=None)),
    "an incumbent that is none": ("node", lambda: node(incumbents=[None])),
    "an incumbent without a band": (
        "node",
        lambda: node(incumbents=[{"low_hz": None, "high_hz": 1, "kind": "x"}]),
    ),
    "as many rows as fit": ("node", lambda: node(150_000)),
    "one spectrum in every row": ("node", lambda: node(100, max_hold=bytes(200_000))),
    "a long word in every row": ("node", lambda: node(100, measured="x" * 100_000)),
    "counts below nothing": ("channels", lambda: channels(looks=-5)),
    "a channel of no band": ("channels", lambda: channels(low_hz=None)),
    "a channel without a state": ("channels", lambda: channels(state=None)),
    "sums that are none": ("channels", lambda: channels(busy=float("nan"), squares=float("inf"))),
    "an event without a time": ("events", lambda: table(EVENTS, 1, at_ns=None)),
    "other columns": ("node", lambda: pa.table({"start_ns": ["x"]})),
}


def test_what_is_not_ours_is_left_out_and_what_is_ours_shows(tmp_path: Path) -> None:
    written(tmp_path, 120)
    store = Store(folder=tmp_path)
    honest = {step: store.rows(step, 0, 1 << 62) for step in LENGTHS}
    assert honest[SECOND]
    for number, (kind, made) in enumerate(HOSTILE.values()):
        for name in (f"{kind}-{HOUR}-{30 + number % 29:02d}", f"{kind}-20200101{number % 24:02d}"):
            pq.write_table(made(), tmp_path / SECOND / f"{name}.parquet", compression="zstd")
            assert {step: store.rows(step, 0, 1 << 62) for step in LENGTHS} == honest, name
            store.events(0, 1 << 62)
            (tmp_path / SECOND / f"{name}.parquet").unlink()


@pytest.mark.parametrize("which", HOSTILE)
def test_a_history_with_such_a_file_is_taken_up_and_goes_on(tmp_path: Path, which: str) -> None:
    kind, made = HOSTILE[which]
    (tmp_path / SECOND).mkdir()
    for name in (f"{kind}-{HOUR}-59", f"{kind}-{HOUR}"):
        pq.write_table(made(), tmp_path / SECOND / f"{name}.parquet", compression="zstd")
    written(tmp_path, 61)
    assert len(Store(folder=tmp_path).rows(SECOND, START_NS, START_NS + 61 * NS)) >= 60
    assert Store(folder=tmp_path).rows(MINUTE, START_NS, START_NS + 61 * NS)
    assert Store(folder=tmp_path).rows(QUARTER, START_NS - 900 * NS, START_NS + 61 * NS)


def test_neither_a_pipe_nor_a_folder_holds_the_command_up(tmp_path: Path) -> None:
    (tmp_path / "history" / SECOND).mkdir(parents=True)
    os.mkfifo(tmp_path / "history" / SECOND / f"node-{HOUR}.parquet")
    (tmp_path / "history" / SECOND / f"channels-{HOUR}.parquet").mkdir()
    ended = CliRunner().invoke(app, ["history", "show", str(tmp_path)])
    assert (ended.exit_code, ended.stderr.count("\n")) == (1, 1)


def test_of_very_many_events_the_newest_are_read(tmp_path: Path) -> None:
    (tmp_path / SECOND).mkdir()
    for minute in range(3):
        at = [START_NS + (60 * minute + one) * NS for one in range(60)]
        events = pa.table({"at_ns": at, "event": ["refusal"] * 60, "fields": ["{}"] * 60}, schema=EVENTS)
        pq.write_table(events, tmp_path / SECOND / f"events-{HOUR}-{minute:02d}.parquet")
    store = Store(folder=tmp_path)
    assert store.events(START_NS, START_NS + 180 * NS).num_rows == 180
    few = store.events(START_NS, START_NS + 180 * NS, 70).column("at_ns").to_pylist()
    assert few == [START_NS + one * NS for one in range(110, 180)]
