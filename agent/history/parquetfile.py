"""Reads one Parquet file of a history without trusting it: typed and of bounded size, or refused.

(1) a plain file of at most FILE_BYTES, with no more rows and unpacked bytes than an hour, a day or a month can have,
by its footer and by the header of each page
(2) every column of ours is there with its type, and nothing else is read
(3) texts are UTF-8, texts and bytes short: a value stored once in the file but used in every row takes its length
once a row
(4) required values are present and within bounds: a row without a required one is dropped, a level or a time bound
outside its bounds becomes unknown
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agent.history.pageheaders import HeaderUnread, unpacked_bytes
from agent.history.table import SCHEMAS

FILE_BYTES: Final = 256 << 20
ROWS: Final = {"node": 100_000, "channels": 500_000, "events": 500_000}
UNPACKED_BYTES: Final = 512 << 20
VALUE_BYTES: Final = {"max_hold": 1 << 16, "fields": 1 << 20}
TEXT_BYTES: Final = 512
INCUMBENTS: Final = 1000
INSTANT: Final = (0, 1 << 62)
LENGTH: Final = (1, 31 * 86_400 * 10**9)
HERTZ: Final = (0, 1 << 50)
COUNT: Final = (0, (1 << 31) - 1)
BOUNDS: Final = {
    "at_ns": INSTANT,
    "start_ns": INSTANT,
    "length_ns": LENGTH,
    "low_hz": HERTZ,
    "high_hz": HERTZ,
    "open_ms": COUNT,
    "bursts": COUNT,
    "looks": COUNT,
    "unsure": COUNT,
    "pairs": COUNT,
    "busy": (0.0, 1e12),
    "squares": (0.0, 1e12),
    "products": (0.0, 1e12),
}
OPTIONAL: Final = {
    "clock_bound_ns": INSTANT,
    "clock_budget_ns": INSTANT,
    "floor_db": (-1e4, 1e4),
    "floor_sd_db": (0.0, 1e4),
    "power_max_db": (-1e4, 1e4),
    "occupancy_low": (0.0, 1.0),
    "occupancy": (0.0, 1.0),
    "occupancy_high": (0.0, 1.0),
}


class NotOurs(ValueError):
    """A file that this program did not write, or that was changed since."""


def read_rows(path: Path, kind: str) -> pa.Table:
    """Return the valid rows of one file. Raises NotOurs, OSError, pyarrow.ArrowException."""
    if not path.is_file() or path.stat().st_size > FILE_BYTES:  # (1)
        raise NotOurs(f"{path}: no file of a history")
    wanted = SCHEMAS[kind]
    texts = [one.name for one in wanted if pa.types.is_string(one.type) or pa.types.is_binary(one.type)]
    found = pq.read_metadata(path)
    unpacked = sum(found.row_group(n).total_byte_size for n in range(found.num_row_groups))
    try:
        unpacked = max(unpacked, unpacked_bytes(path, found))
    except HeaderUnread as exc:
        raise NotOurs(f"{path}: a page's header cannot be read: {exc}") from exc
    if found.num_rows > ROWS[kind] or unpacked > UNPACKED_BYTES:
        raise NotOurs(f"{path}: more rows than a history has")
    columns = found.schema.to_arrow_schema()
    for one in wanted:  # (2)
        number = columns.get_field_index(one.name)
        if number < 0 or columns.field(number).type != one.type:
            raise NotOurs(f"{path}: no column {one.name}")
    with pq.ParquetFile(path, memory_map=False, read_dictionary=texts) as file:
        table = file.read(columns=wanted.names, use_threads=False).select(wanted.names)
    table.validate(full=True)  # otherwise invalid text would only be found on reading it
    for name in texts:
        _short(path, name, table.column(name))
    if kind == "node":
        _few_incumbents(path, table.column("incumbents"))
    return _meant(table.cast(wanted))


def _short(path: Path, name: str, column: pa.ChunkedArray) -> None:
    """Check (3): the column's size once every row has its own value."""
    most = VALUE_BYTES.get(name, TEXT_BYTES)
    total = 0
    for chunk in column.chunks:
        words = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        lengths = pc.binary_length(words)
        if (pc.max(lengths).as_py() or 0) > most:
            raise NotOurs(f"{path}: {name} is longer than any of ours")
        rows = lengths.take(chunk.indices) if pa.types.is_dictionary(chunk.type) else lengths
        total += pc.sum(pc.cast(rows, pa.int64())).as_py() or 0
    if total > UNPACKED_BYTES:
        raise NotOurs(f"{path}: {name} takes more than a history has")


def _few_incumbents(path: Path, column: pa.ChunkedArray) -> None:
    for chunk in column.chunks:
        parts = chunk.flatten()
        lengths = pc.max(pc.list_value_length(chunk)).as_py() or 0
        if lengths > INCUMBENTS or parts.null_count or any(parts.field(n).null_count for n in range(3)):
            raise NotOurs(f"{path}: incumbents are none of ours")
        if (pc.max(pc.binary_length(parts.field(2))).as_py() or 0) > TEXT_BYTES:
            raise NotOurs(f"{path}: incumbents are none of ours")


def _meant(table: pa.Table) -> pa.Table:
    """Apply (4): drop invalid rows."""
    holds = pa.repeat(pa.scalar(True), table.num_rows)
    for number, one in enumerate(table.schema):
        column = table.column(number).combine_chunks()
        if one.name in OPTIONAL:
            measured = pc.if_else(_inside(column, OPTIONAL[one.name]), column, pa.scalar(None, one.type))
            table = table.set_column(number, one, measured)
        elif one.name in BOUNDS:
            holds = pc.and_(holds, _inside(column, BOUNDS[one.name]))
        else:
            holds = pc.and_(holds, pc.is_valid(column))
    return table.filter(holds)


def _inside(column: pa.Array, bounds: tuple[float, float]) -> pa.Array:
    low, high = bounds
    return pc.fill_null(pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high)), False)
