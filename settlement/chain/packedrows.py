"""Packs the half-filled pages of a log's old rows, so that pages become free for new entries.

A removed body leaves a row a third as long in the same place of the same page. SQLite joins pages only where rows are
deleted, and no new entry goes among old ones: their numbers only grow. So rows of a stretch are deleted and put back,
in their order and in the same transaction. A page that loses most of its rows is joined with the pages beside it, the
rows that come back fill them up, and pages left over go to SQLite's list of free pages, which it uses before the file
grows. Moving every second run of RUN rows is enough: the runs between are joined with them, and half as many index
entries move.

The rows come back bit for bit as they were, even if the file was altered on disk: SQLite itself copies them, by a
table in memory.
"""

import apsw

from settlement.chain.prunedleaf import START

RUN = 8
"""Rows that move, and as many beside them that stay: a page holds six or seven rows that are not packed."""
_TABLE = "CREATE TEMP TABLE IF NOT EXISTS moving AS SELECT * FROM leaf LIMIT 0"
_WHICH = f"idx>=? AND idx<? AND idx % {2 * RUN} < {RUN}"
_MOVE = (
    f"INSERT INTO temp.moving SELECT * FROM leaf WHERE {_WHICH} ORDER BY idx",  # noqa: S608 - our own numbers
    f"DELETE FROM leaf WHERE {_WHICH}",  # noqa: S608 - our own numbers
)
_PUT_BACK = "INSERT INTO leaf SELECT * FROM temp.moving ORDER BY rowid; DELETE FROM temp.moving"
_STUBS = "SELECT count(*) FROM leaf WHERE idx>=? AND idx<? AND typ=? AND substr(body, 1, ?)=?"


def pack_rows(db: apsw.Connection, first: int, last: int) -> None:
    """Pack the pages of the rows from `first` to before `last`, inside the caller's transaction."""
    db.execute(_TABLE)
    for sql in _MOVE:
        db.execute(sql, (first, last))
    db.execute(_PUT_BACK)


def stubs_among(db: apsw.Connection, typ: str, first: int, last: int) -> int:
    """Return how many entries of a type, from `first` to before `last`, have a stub in place of their body."""
    row = db.execute(_STUBS, (first, last, typ, len(START), START)).fetchone()
    return int(row[0]) if row is not None else 0
