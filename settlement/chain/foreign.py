"""Opens somebody else's SQLite database read-only: only with exactly our schema, and with a bound on the work.

A database can act as a program: views that never end, triggers, virtual tables, generated columns, trees of pages
that lead back to themselves. The checks here exclude all of that:

    (1) a regular file that begins as SQLite does, in UTF-8
    (2) no view, trigger, extension or function of the schema is ever run; each page's cells are checked when it is read
    (3) no value larger than any entry of a log, no statement larger than our own
    (4) a bound on the steps of the virtual machine, in proportion to the file. No query here counts a whole table: that
        is one step however long it takes
    (5) the schema is the one this program creates: the same tables and indices with the same text, and nothing else

Source: SQLite, "Defense Against The Dark Arts" (security.html), sections 1.1 and 1.2.
"""

import stat
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import apsw

from settlement.chain.leaf import LEAF_LIMIT

T = TypeVar("T")
MAGIC = b"SQLite format 3\x00"
_HEADER = 100
VALUE_LIMIT = 4 * LEAF_LIMIT
"""Most bytes of one row: an entry and its columns, with room to spare."""
STEPS, STEPS_A_BYTE = 20_000_000, 20
"""Steps of SQLite's virtual machine that one audit may take: for any file, and for each byte of it."""
STEPS_OF_SCHEMA, STEPS_AT_ONCE = 50_000, 1_000
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: VALUE_LIMIT,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 16_384,
    apsw.SQLITE_LIMIT_COLUMN: 32,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 32,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 4,
    apsw.SQLITE_LIMIT_VDBE_OP: 25_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 8,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_OFF = (
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER,
    apsw.SQLITE_DBCONFIG_ENABLE_VIEW,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
    apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
    apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA,
    apsw.SQLITE_DBCONFIG_DQS_DDL,
    apsw.SQLITE_DBCONFIG_DQS_DML,
)
_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name LIMIT 101"


class NoDatabase(Exception):
    """The file at a path is no database of a log: not by its bytes, or not by its schema."""


def harden(db: apsw.Connection) -> None:
    """Turn off everything that a database's schema could run: triggers, views, extensions, functions with effects."""
    for setting in _OFF:
        db.config(setting, 0)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)


@lru_cache(maxsize=4)
def objects_of(schema: str) -> frozenset[tuple[str, str, str, str | None]]:
    """Return type, name, table and text of everything that the statements of a schema create."""
    db = apsw.Connection(":memory:")
    try:
        db.execute(schema)
        return frozenset(db.execute(_OBJECTS))
    finally:
        db.close()


def check_schema(db: apsw.Connection, schema: str) -> None:
    """Compare a database with `schema`. Raises NoDatabase where it holds any other table or object."""
    expected = objects_of(schema)
    if db.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        raise NoDatabase("its text is not UTF-8")
    for row in db.execute(_OBJECTS):
        if row not in expected:
            raise NoDatabase(f"it holds {_named(row[0])} {_named(row[1])}, which no lineage has")
        expected -= {row}
    if expected:
        raise NoDatabase(f"it lacks the table {min(name for _, name, _, _ in expected)}")


def typed(value: object, wanted: type[T]) -> T:
    """Return the value of a column, which may hold any type. Raises TypeError where it is not of type `wanted`."""
    if type(value) is not wanted:
        raise TypeError(f"a {type(value).__name__} where a {wanted.__name__} belongs")
    return value


def _named(value: object) -> str:
    return f"{value!r:.40}"


def _check_bytes(path: Path) -> int:
    """Check (1) and return the size of the file in bytes. Does not block on a pipe."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise NoDatabase("not a regular file")
        with path.open("rb") as file:
            head = file.read(_HEADER)
    except OSError as exc:
        raise NoDatabase(exc.strerror or "it cannot be read") from exc
    if not head.startswith(MAGIC) or len(head) < _HEADER:
        raise NoDatabase("not an SQLite database")
    return found.st_size


class _Steps:
    """Counts down the steps of a connection's virtual machine; when none are left every statement is interrupted."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> bool:
        self.left -= STEPS_AT_ONCE
        return self.left < 0


def open_foreign(path: Path, schema: str, *, live: bool = False) -> apsw.Connection:
    """Open somebody else's database read-only, after checks (1) to (5).

    `live` also reads a write-ahead log beside the file; else the file alone is read. Raises NoDatabase, apsw.Error;
    later reads raise apsw.InterruptError once the allowance of steps is used up.
    """
    size = _check_bytes(path)
    if live:
        beside = path.with_name(path.name + "-wal")
        size += beside.stat().st_size if beside.is_file() else 0
    uri = f"{path.resolve().as_uri()}?{'mode=ro' if live else 'immutable=1'}"
    db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        for limit, value in _LIMITS.items():
            db.limit(limit, value)
        harden(db)
        steps = _Steps(STEPS_OF_SCHEMA)
        db.set_progress_handler(steps, STEPS_AT_ONCE)
        db.execute("PRAGMA cell_size_check=1; PRAGMA mmap_size=0; PRAGMA query_only=1")
        check_schema(db, schema)
        steps.left = STEPS + STEPS_A_BYTE * size
    except BaseException as exc:
        db.close()
        if isinstance(exc, apsw.InterruptError):
            raise NoDatabase("its schema is larger than any lineage's") from exc
        if isinstance(exc, apsw.TooBigError):
            raise NoDatabase("it holds a value larger than any entry of a lineage") from exc
        raise
    return db
