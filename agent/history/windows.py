"""Windows of the history at a fitting resolution, as plain values, a table, SigMF or a picture."""

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from agent.history.parquetfile import NotOurs, read_rows
from agent.history.rows import BASE_DB, NOT_SENSED, STEP_DB, ChannelRow, Row
from agent.history.spectra import bins_of
from agent.history.store import LENGTHS, MINUTE, QUARTER, SECOND, NoHistory, Store
from agent.history.table import channel_table, node_table
from hw_profiles.printable import printable
from hw_profiles.wholefile import WholeFile

FOLDER = "history"
ROWS_MAX = 1500
FORMULA = re.compile(r"^\s*[=+\-@]")
"""Beginnings of a cell that a spreadsheet would take for a formula."""


def fitting(from_ns: int, to_ns: int) -> str:
    """Return the finest resolution with at most ROWS_MAX rows in a window."""
    span_ns = to_ns - from_ns
    return next((name for name in (SECOND, MINUTE) if span_ns <= LENGTHS[name] * ROWS_MAX), QUARTER)


LEVEL_DIGITS = 2
"""Decimals of a level in dB, as sensing gives them; a file's 32-bit numbers show more digits, which mean nothing."""


def _level(db: float | None) -> float | None:
    return None if db is None else round(db, LEVEL_DIGITS)


def plain_channel(one: ChannelRow) -> dict[str, Any]:
    """Return one channel of one stretch as JSON values; occupancy None where no look could tell."""
    full = one.occupancy
    return {
        "low_hz": one.low_hz,
        "high_hz": one.high_hz,
        "state": one.state,
        "occupancy": None if full is None else [round(full.low, 4), round(full.value, 4), round(full.high, 4)],
        "looks": one.looks,
        "unsure": one.unsure,
        "floor_db": _level(one.floor_db),
        "floor_sd_db": _level(one.floor_sd_db),
        "power_max_db": _level(one.power_max_db),
        "unit": one.unit,
    }


def plain(row: Row) -> dict[str, Any]:
    """Return one stretch as JSON values, without its spectrum."""
    return {
        "start_ns": row.start_ns,
        "length_ns": row.length_ns,
        "clock": {
            "trusted": row.time_trusted,
            "reason": row.clock_reason,
            "bound_ns": row.clock_bound_ns,
            "budget_ns": row.clock_budget_ns,
        },
        "gate": {
            "state": row.gate,
            "reason": row.reason,
            "clause": row.clause,
            "measured": row.measured,
            "required": row.required,
            "open_ms": row.open_ms,
            "bursts": row.bursts,
        },
        "looks": row.looks,
        "channels": [plain_channel(one) for one in row.channels],
        "incumbents": [{"low_hz": i.low_hz, "high_hz": i.high_hz, "kind": i.kind} for i in row.incumbents],
    }


def store_of(folder: Path) -> Store:
    """Open the history in a node's folder for reading. Raises NoHistory."""
    found = folder if folder.name == FOLDER else folder / FOLDER
    if not found.is_dir():
        raise NoHistory(f"{found}: no history there; `bandpact run` keeps one, unless it was told --no-history")
    return Store(folder=found)


def newest_ns(store: Store) -> int:
    """Return when the newest second of a history begins. Raises NoHistory."""
    for resolution in (SECOND, MINUTE, QUARTER):
        for path in sorted((store.folder / resolution).glob("node-*.parquet"), reverse=True):
            try:
                column = read_rows(path, "node").column("start_ns")
            except (OSError, pa.ArrowException, NotOurs):
                continue  # an unreadable file is ignored everywhere
            if len(column):
                return int(max(column.to_pylist()))
    raise NoHistory(f"{store.folder}: an empty history; it fills while `bandpact run` runs")


# -- exports -------------------------------------------------------------------------------------------------------


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Return CSV: one line for each channel of each stretch, with the node's state."""
    out = io.BytesIO()
    node = node_table(rows).select(
        ["start_ns", "time_trusted", "clock_bound_ns", "gate", "reason", "clause", "measured", "required", "open_ms"]
    )
    joined = channel_table(rows).join(node, "start_ns").sort_by([("start_ns", "ascending"), ("low_hz", "ascending")])
    pacsv.write_csv(_no_formulas(joined), out)
    return out.getvalue()


def _no_formulas(table: pa.Table) -> pa.Table:
    """Mark text that a spreadsheet would take for a formula with a leading apostrophe.

    Spreadsheets themselves mark text so. Negative numbers in columns of numbers are unchanged. Source: OWASP,
    CSV injection.
    """
    for number, one in enumerate(table.schema):
        if pa.types.is_string(one.type):
            plain = [None if text is None else _no_formula(text) for text in table.column(number).to_pylist()]
            table = table.set_column(number, one, pa.array(plain, pa.string()))
    return table


def _no_formula(text: str) -> str:
    said = printable(text)
    return f"'{said}" if FORMULA.match(text) or FORMULA.match(said) else said


def parquet_files(rows: Sequence[Row], path: Path) -> list[WholeFile]:
    """Return two files: PATH with the channels, and beside it PATH's stem + `-node.parquet`, with the spectra."""
    tables = ((path, channel_table(rows)), (path.with_name(f"{path.stem}-node.parquet"), node_table(rows)))
    return [WholeFile(path=place, data=_parquet(table)) for place, table in tables]


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _spectra(rows: Sequence[Row]) -> Iterator[tuple[Row, np.ndarray[Any, np.dtype[np.float32]]]]:
    bins = bins_of(rows)
    for row in rows:
        codes = np.frombuffer(row.max_hold.ljust(bins, bytes([NOT_SENSED])), np.uint8)
        levels = BASE_DB + STEP_DB * codes.astype(np.float32)
        yield row, np.where(codes == NOT_SENSED, np.float32("nan"), levels).astype(np.float32)


def sigmf_files(rows: Sequence[Row], path: Path) -> list[WholeFile]:
    """Return a SigMF recording of spectra, data and metadata: each row's max hold, one rf32_le per bin; NaN: unsensed.

    Every row is a capture with its time; annotations hold the occupancy of each channel and each incumbent.
    """
    import json
    from datetime import UTC, datetime

    base = path.with_suffix("") if path.suffix.startswith(".sigmf") else path
    bins = bins_of(rows)
    if not bins:
        raise NoHistory("no spectrum was kept in this window; nothing to write as SigMF")
    data, captures, annotations = [], [], []
    for number, (row, levels) in enumerate(_spectra(rows)):
        data.append(levels)
        at = datetime.fromtimestamp(row.start_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        captures.append(
            {
                "core:sample_start": number * bins,
                "core:frequency": (row.low_hz + row.high_hz) / 2,
                "core:datetime": at,
                "bandpact:clock_bound_ns": row.clock_bound_ns,
                "bandpact:length_ns": row.length_ns,
            }
        )
        span = {"core:sample_start": number * bins, "core:sample_count": bins}
        for one in row.channels:
            full = one.occupancy
            said = "not sensed" if full is None else f"occupancy {full.value:.4f} [{full.low:.4f}, {full.high:.4f}]"
            edges = {"core:freq_lower_edge": float(one.low_hz), "core:freq_upper_edge": float(one.high_hz)}
            annotations.append({**span, **edges, "core:label": "occupancy", "core:comment": said})
        for heard in row.incumbents:
            edges = {"core:freq_lower_edge": float(heard.low_hz), "core:freq_upper_edge": float(heard.high_hz)}
            annotations.append({**span, **edges, "core:label": f"incumbent {heard.kind}"})
    meta = {
        "global": {
            "core:datatype": "rf32_le",
            "core:version": "1.2.0",
            "core:sample_rate": 1e9 / rows[0].length_ns * bins,
            "core:description": f"Max hold of each {rows[0].length_ns // 10**9} s, dBFS/Hz, {bins} bins a row",
            "core:recorder": "bandpact",
            "core:extensions": [{"name": "bandpact", "version": "1.0.0", "optional": True}],
        },
        "captures": captures,
        "annotations": annotations,
    }
    text = json.dumps(meta, indent=1) + "\n"
    return [
        WholeFile(path=base.with_suffix(".sigmf-data"), data=np.concatenate(data).tobytes()),
        WholeFile(path=base.with_suffix(".sigmf-meta"), data=text.encode()),
    ]


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Return the channels of each stretch as an Arrow table."""
    return channel_table(rows)
