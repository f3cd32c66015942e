"""The history as Arrow tables: the only module that defines its columns.

Two tables a resolution. `node`: a row for each stretch, with clock, gate, incumbents and the spectrum's max hold.
`channels`: a row for each channel of each stretch, with occupancy, its bounds and the sums behind them. A third,
`events`, holds what happened, as the node's event log has it.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from agent.history.rows import ChannelRow, HeardIncumbent, Row, rolled

MINUTES_AT_ONCE: Final = 5

INCUMBENT = pa.struct([("low_hz", pa.int64()), ("high_hz", pa.int64()), ("kind", pa.string())])
NODE = pa.schema(
    [
        ("start_ns", pa.int64()),
        ("length_ns", pa.int64()),
        ("time_trusted", pa.bool_()),
        ("clock_bound_ns", pa.int64()),
        ("clock_budget_ns", pa.int64()),
        ("clock_reason", pa.string()),
        ("gate", pa.string()),
        ("reason", pa.string()),
        ("clause", pa.string()),
        ("measured", pa.string()),
        ("required", pa.string()),
        ("open_ms", pa.int32()),
        ("bursts", pa.int32()),
        ("looks", pa.int32()),
        ("low_hz", pa.int64()),
        ("high_hz", pa.int64()),
        ("max_hold", pa.binary()),
        ("incumbents", pa.list_(INCUMBENT)),
    ]
)
CHANNELS = pa.schema(
    [
        ("start_ns", pa.int64()),
        ("length_ns", pa.int64()),
        ("low_hz", pa.int64()),
        ("high_hz", pa.int64()),
        ("state", pa.string()),
        ("occupancy_low", pa.float32()),
        ("occupancy", pa.float32()),
        ("occupancy_high", pa.float32()),
        ("looks", pa.int32()),
        ("unsure", pa.int32()),
        ("busy", pa.float32()),
        ("squares", pa.float32()),
        ("pairs", pa.int32()),
        ("products", pa.float32()),
        ("floor_db", pa.float32()),
        ("floor_sd_db", pa.float32()),
        ("power_max_db", pa.float32()),
        ("unit", pa.string()),
    ]
)
EVENTS = pa.schema([("at_ns", pa.int64()), ("event", pa.string()), ("fields", pa.string())])
SCHEMAS = {"node": NODE, "channels": CHANNELS, "events": EVENTS}
_NODE_PLAIN = [name for name in NODE.names if name != "incumbents"]
_CHANNEL_PLAIN = [name for name in CHANNELS.names if not name.startswith("occupancy")]


def node_table(rows: Sequence[Row]) -> pa.Table:
    """Return the table of the node's state in each stretch."""
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in _NODE_PLAIN}
    columns["incumbents"] = [
        [{"low_hz": i.low_hz, "high_hz": i.high_hz, "kind": i.kind} for i in row.incumbents] for row in rows
    ]
    return pa.table(columns, schema=NODE)


def channel_table(rows: Sequence[Row]) -> pa.Table:
    """Return the table of each channel's occupancy in each stretch."""
    each = [(row, one, one.occupancy) for row in rows for one in row.channels]
    columns: dict[str, Any] = {
        name: [getattr(row if name in ("start_ns", "length_ns") else one, name) for row, one, _ in each]
        for name in _CHANNEL_PLAIN
    }
    for name, part in (("occupancy_low", "low"), ("occupancy", "value"), ("occupancy_high", "high")):
        columns[name] = [None if found is None else round(getattr(found, part), 4) for _, _, found in each]
    return pa.table(columns, schema=CHANNELS)


def event_table(events: Iterable[tuple[int, str, dict[str, Any]]]) -> pa.Table:
    """Return the table of events: UTC ns, name, and the fields as JSON."""
    rows = [(at_ns, name, json.dumps(fields)) for at_ns, name, fields in events]
    return pa.table({key: [row[n] for row in rows] for n, key in enumerate(EVENTS.names)}, schema=EVENTS)


def lightest(events: pa.Table, most: int) -> pa.Table:
    """Return the newest events that fit into `most` bytes."""
    if events.nbytes <= most:
        return events
    events = events.sort_by("at_ns").combine_chunks()
    kept, size = 0, 0
    for length in reversed(pc.binary_length(events.column("fields")).to_pylist()):
        size += length or 0
        if size > most:
            break
        kept += 1
    return events.slice(events.num_rows - kept)


def rows_of(node: pa.Table, channels: pa.Table) -> list[Row]:
    """Return the rows that two tables were made from, ascending."""
    heard: dict[int, list[ChannelRow]] = {}
    for one in channels.select(_CHANNEL_PLAIN).to_pylist():
        start = one.pop("start_ns")
        one.pop("length_ns")
        heard.setdefault(start, []).append(ChannelRow(**one))
    rows = []
    for one in node.to_pylist():
        incumbents = tuple(HeardIncumbent(**i) for i in one.pop("incumbents") or ())
        rows.append(Row(**one, channels=tuple(heard.get(one["start_ns"], ())), incumbents=incumbents))
    return sorted(rows, key=lambda row: row.start_ns)


def minutes_of(node: pa.Table, channels: pa.Table, length_ns: int) -> list[Row]:
    """Merge seconds into minutes, ascending, a few at a time: an hour of seconds as objects takes 20 MB."""
    found: list[Row] = []
    starts = sorted({start // length_ns * length_ns for start in node.column("start_ns").to_pylist()})
    for first in range(0, len(starts), MINUTES_AT_ONCE):
        some = starts[first : first + MINUTES_AT_ONCE]
        parts = (within(table, "start_ns", some[0], some[-1] + length_ns) for table in (node, channels))
        found += rolled(rows_of(*parts), length_ns)
    return found


def within(table: pa.Table, column: str, from_ns: int, to_ns: int) -> pa.Table:
    """Return the rows whose `column` is in [from_ns, to_ns)."""
    return table.filter((pc.field(column) >= from_ns) & (pc.field(column) < to_ns))
