"""Writes old rows of a log's file again, so that the pages they half fill come free for new entries.

A body that was let go leaves a row a third as long in the same place of the same page. SQLite brings pages together
only where rows are deleted, and no new entry ever goes among old ones: their numbers only grow. So the rows of a
stretch are deleted and put back, in their order and in the same transaction. SQLite fills one page after the other with
them, and the pages left over go to its list of free ones, which it uses before the file grows.

The rows come back bit for bit as they were, whatever somebody may have made of them on the disk: SQLite itself copies
them, by a table in memory.
"""

import apsw

from settlement.chain.prunedleaf import START

_TABLE = "CREATE TEMP TABLE IF NOT EXISTS moving AS SELECT * FROM leaf LIMIT 0"
_MOVE = (
    "INSERT INTO temp.moving SELECT * FROM leaf WHERE idx>=? AND idx<? ORDER BY idx",
    "DELETE FROM leaf WHERE idx>=? AND idx<?",
)
_PUT_BACK = "INSERT INTO leaf SELECT * FROM temp.moving ORDER BY rowid; DELETE FROM temp.moving"
_STUBS = "SELECT count(*) FROM leaf WHERE idx>=? AND idx<? AND typ=? AND substr(body, 1, ?)=?"


def pack_rows(db: apsw.Connection, first: int, last: int) -> None:
    """Write the rows from `first` to before `last` again, inside a transaction of the caller's."""
    db.execute(_TABLE)
    for sql in _MOVE:
        db.execute(sql, (first, last))
    db.execute(_PUT_BACK)


def stubs_among(db: apsw.Connection, typ: str, first: int, last: int) -> int:
    """How many entries of a type, from `first` to before `last`, have let their bodies go."""
    row = db.execute(_STUBS, (first, last, typ, len(START), START)).fetchone()
    return int(row[0]) if row is not None else 0
