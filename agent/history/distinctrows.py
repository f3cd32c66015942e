"""The rows of several files of a history, each row once; a file that cannot be read is left out, and told of."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from agent.history.parquetfile import ROWS, NotOurs, read_rows
from agent.history.table import SCHEMAS


def distinct(kind: str, paths: Iterable[Path], unread: set[Path] | None = None) -> pa.Table:
    """Return the rows of several files, each once; a file that was removed or cannot be read is left out.

    So is a file that brings them above what an hour, a day or a month can have. Files that exist, and whose rows are
    missing, are added to `unread`.
    """
    tables, missing = [SCHEMAS[kind].empty_table()], set[Path]() if unread is None else unread
    for path in paths:
        try:
            found = read_rows(path, kind)
        except FileNotFoundError:
            continue
        except (OSError, pa.ArrowException, NotOurs):
            missing.add(path)
            continue
        if sum(one.num_rows for one in tables) + found.num_rows <= ROWS[kind]:
            tables.append(found)
        else:
            missing.add(path)
    return once(kind, tables)


def once(kind: str, tables: list[pa.Table]) -> pa.Table:
    """Return the rows of several tables, each once."""
    tables = [one for one in tables if one.num_rows] or tables[:1]
    table = pa.concat_tables(tables)
    if len(tables) == 1 or kind == "events":
        return table
    keys = ["start_ns", "low_hz"] if kind == "channels" else ["start_ns"]
    numbered = table.append_column("_row", pa.array(range(table.num_rows), pa.int64()))
    first = numbered.group_by(keys).aggregate([("_row", "max")]).column("_row_max")
    return table.take(pc.take(first, pc.sort_indices(first)))
