"""Brings the half filled pages of a log's old rows together, so that pages come free for new entries.

A body that was let go leaves a row a third as long in the same place of the same page. SQLite brings pages together
only where rows are deleted, and no new entry ever goes among old ones: their numbers only grow. So rows of a stretch
are deleted and put back, in their order and in the same transaction. A page that loses most of its rows is joined with
the pages beside it, the rows that come back fill them up, and pages left over go to SQLite's list of free ones, which
it uses before the file grows. Every second run of RUN rows is enough: the runs between them are drawn along, and half
as many entries of the indices move.

The rows come back bit for bit as they were, whatever somebody may have made of them on the disk: SQLite itself copies
them, by a table in memory.
"""

import apsw

from settlement.chain.prunedleaf import START

RUN = 8
"""Rows that move, and as many beside them that do not: a page holds six or seven that are not packed."""
_TABLE = "CREATE TEMP TABLE IF NOT EXISTS moving AS SELECT * FROM leaf LIMIT 0"
_WHICH = f"idx>=? AND idx<? AND idx % {2 * RUN} < {RUN}"
_MOVE = (
    f"INSERT INTO temp.moving SELECT * FROM leaf WHERE {_WHICH} ORDER BY idx",  # noqa: S608 - our own numbers
    f"DELETE FROM leaf WHERE {_WHICH}",  # noqa: S608 - our own numbers
)
_PUT_BACK = "INSERT INTO leaf SELECT * FROM temp.moving ORDER BY rowid; DELETE FROM temp.moving"
_STUBS = "SELECT count(*) FROM leaf WHERE idx>=? AND idx<? AND typ=? AND substr(body, 1, ?)=?"


def pack_rows(db: apsw.Connection, first: int, last: int) -> None:
    """Bring the pages of the rows from `first` to before `last` together, inside a transaction of the caller's."""
    db.execute(_TABLE)
    for sql in _MOVE:
        db.execute(sql, (first, last))
    db.execute(_PUT_BACK)


def stubs_among(db: apsw.Connection, typ: str, first: int, last: int) -> int:
    """How many entries of a type, from `first` to before `last`, have let their bodies go."""
    row = db.execute(_STUBS, (first, last, typ, len(START), START)).fetchone()
    return int(row[0]) if row is not None else 0
