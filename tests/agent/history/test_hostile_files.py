"""Parquet files that somebody else put into a history: left out, whatever is in them; what is ours still shows."""

import csv
import io
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
from agent.history.distinctrows import distinct
from agent.history.parquetfile import ROWS, read_rows
from agent.history.store import LENGTHS, MINUTE, NS, QUARTER, SECOND, NoHistory, Store
from agent.history.table import CHANNELS, EVENTS, NODE
from agent.history.windows import csv_bytes, sigmf_files
from agent.page.codedrows import spectra
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


def no_text(schema: pa.Schema, name: str, **given: Any) -> pa.Table:
    """Rows with a text that is not UTF-8, as Parquet holds it without a complaint."""
    made = table(schema, 1, length_ns=NS, **given)
    wrong = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    return made.set_column(schema.get_field_index(name), schema.field(name), wrong)


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
    "a word that is no text": ("node", lambda: no_text(NODE, "measured", start_ns=START_NS)),
    "a unit that is no text": ("channels", lambda: no_text(CHANNELS, "unit", start_ns=START_NS + NS)),
    "more channels than an hour has": ("channels", lambda: table(CHANNELS, 500_001, start_ns=START_NS, length_ns=NS)),
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


def of_seconds(folder: Path, made: pa.Table, kind: str = "node") -> Store:
    (folder / SECOND).mkdir(exist_ok=True)
    pq.write_table(made, folder / SECOND / f"{kind}-{HOUR}.parquet", compression="zstd")
    return Store(folder=folder)


def test_counts_that_no_column_can_hold_together_end_no_history(tmp_path: Path) -> None:
    most = {"bursts": 2**31 - 1, "open_ms": 2**31 - 1, "looks": 2**31 - 1}
    store = of_seconds(tmp_path, pa.concat_tables([node(start_ns=START_NS + n * NS, **most) for n in range(120)]))
    (tmp_path / SECOND / f"node-{HOUR}.parquet").rename(tmp_path / SECOND / f"node-{HOUR}-00.parquet")
    assert csv_bytes(store.rows(MINUTE, START_NS, START_NS + 120 * NS))
    store.open()  # brings the hour together
    assert len(Store(folder=tmp_path).rows(MINUTE, START_NS, START_NS + 120 * NS)) == 2


def test_a_time_of_more_channels_than_anyone_reads_is_refused_with_a_mend(tmp_path: Path) -> None:
    each = pa.concat_tables([table(CHANNELS, 1, start_ns=START_NS, length_ns=NS, low_hz=n) for n in range(30)])
    of_seconds(tmp_path, node())
    store = of_seconds(tmp_path, each, "channels")
    assert len(store.rows(SECOND, START_NS, START_NS + NS, 30)[0].channels) == 30
    with pytest.raises(NoHistory, match="ask for less"):
        store.rows(SECOND, START_NS, START_NS + 60 * NS, 29)
    for path in (tmp_path / SECOND).glob(f"*-{HOUR}.parquet"):
        path.rename(path.with_stem(f"{path.stem}-00"))  # minutes of an hour that is not over
    with pytest.raises(NoHistory, match="ask for less"):
        store.rows(MINUTE, START_NS, START_NS + 60 * NS, 29)


def test_one_wide_spectrum_does_not_make_all_of_them_wide(tmp_path: Path) -> None:
    rows = pa.concat_tables([node(max_hold=bytes(1 << 16)), node(2000, start_ns=START_NS + NS, max_hold=b"\x01")])
    starts = pa.array([START_NS + n * NS for n in range(2001)], pa.int64())
    found = of_seconds(tmp_path, rows.set_column(0, NODE.field(0), starts)).rows(SECOND, 0, 1 << 62)
    for told in (lambda: sigmf_files(found, tmp_path / "x.sigmf-meta"), lambda: spectra(found)):
        with pytest.raises(NoHistory, match="ask for a shorter time"):
            told()
    assert sigmf_files(found[:50], tmp_path / "x.sigmf-meta")


def test_very_long_events_are_read_as_far_as_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.history.store.EVENT_BYTES_MAX", 10_000)
    at = [START_NS + one * NS for one in range(50)]
    told = {"at_ns": at, "event": ["refusal"] * 50, "fields": ["x" * 900] * 50}
    store = of_seconds(tmp_path, pa.table(told, schema=EVENTS), "events")
    assert store.events(0, 1 << 62).column("at_ns").to_pylist() == at[-11:]


def test_events_that_do_not_fit_are_not_read_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.history.store.EVENT_BYTES_MAX", 10_000)
    told = {"at_ns": [START_NS + one * NS for one in range(50)], "event": ["x"] * 50, "fields": ["x" * 900] * 50}
    store = of_seconds(tmp_path, pa.table(told, schema=EVENTS), "events")
    before = time.strftime("%Y%m%d%H", time.gmtime(START_NS // NS - 3600))
    older = store.folder / SECOND / f"events-{before}.parquet"
    older.write_bytes((store.folder / SECOND / f"events-{HOUR}.parquet").read_bytes())
    read: list[str] = []

    def reading(path: Path, kind: str) -> pa.Table:
        read.append(path.name)
        return read_rows(path, kind)

    monkeypatch.setattr("agent.history.distinctrows.read_rows", reading)
    store.events(0, 1 << 62)
    assert read == [f"events-{HOUR}.parquet"]


def test_files_of_one_hour_have_no_more_rows_together_than_an_hour_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROWS, "node", 10)
    for name, first in (("a", 0), ("b", 100)):
        rows = [node(start_ns=START_NS + (first + n) * NS) for n in range(8)]
        pq.write_table(pa.concat_tables(rows), tmp_path / f"{name}.parquet", compression="zstd")
    assert distinct("node", [tmp_path / "a.parquet", tmp_path / "b.parquet"]).num_rows == 8


FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", " =1", "\r=1", "\n@x")


@pytest.mark.attack(71)
def test_no_text_of_an_export_is_a_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    rows = [node(start_ns=START_NS + n * NS, measured=one, gate=one, reason=one) for n, one in enumerate(FORMULAS)]
    of_seconds(tmp_path, pa.concat_tables(rows))
    heard = [
        table(CHANNELS, 1, start_ns=START_NS + n * NS, length_ns=NS, unit=one, floor_db=-150.5)
        for n, one in enumerate(FORMULAS)
    ]
    found = of_seconds(tmp_path, pa.concat_tables(heard), "channels").rows(SECOND, 0, 1 << 62)
    told = list(csv.DictReader(io.StringIO(csv_bytes(found).decode())))
    assert len(told) == len(FORMULAS)
    for line in told:
        for name in ("measured", "gate", "reason", "unit"):
            assert line[name].lstrip()[0] not in "=+-@"
            assert line[name].isprintable()
        assert float(line["floor_db"]) == -150.5, "a number stays one"


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
