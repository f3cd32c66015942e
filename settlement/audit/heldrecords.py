"""The records that an audit has accepted, in a temporary SQLite file, so that memory stays constant.

The file is SQLite's own temporary file: nobody else can open it, and it ends with the audit. The bytes of a record are
stored, already verified, if a later check reads its body; else only author, number, hash, settlement and type.
"""

import copyreg
import io
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Self

import apsw

from settlement.chain.bodies import (
    Credential,
    Declaration,
    Envelope,
    Evidence,
    Gate,
    Grant,
    Revocation,
    Rotation,
    Rule,
    Usage,
    Verdict,
)
from settlement.chain.records import Record, reopened
from settlement.records.handover import Handover, Vacated
from settlement.records.quorum import GroupOutcome
from settlement.records.registry import TYPE_OF
from settlement.records.verdict import APPROVAL_WITHDRAWN

PLAIN = (Credential, Revocation, Envelope, Declaration, Gate, Verdict, Usage, Evidence, Rotation)
"""Types of which only author, number and hash are stored: later comparisons do not need their bodies."""
WRITTEN_AT_ONCE = 512
GRANTS_AT_HAND = 512
CACHE_KIB = 2048
_TABLES = """
    CREATE TABLE held(n INTEGER PRIMARY KEY, author BLOB, num BLOB, name BLOB, sid BLOB, typ TEXT, idx INTEGER,
                      once INTEGER, handed INTEGER, record BLOB);
    CREATE TABLE far(sid BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID;
"""


def temporary() -> apsw.Connection:
    """Open a database of this process alone, in memory while small and in a nameless file when large."""
    db = apsw.Connection("")
    db.execute("PRAGMA journal_mode=OFF")
    db.execute("PRAGMA synchronous=OFF")
    db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return db


@cache
def _values(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return a function that gets all fields of a frozen dataclass with slots, in order; None for any other class."""
    known = is_dataclass(kind) and hasattr(kind, "__slots__") and hasattr(kind, "__setstate__")
    names = [field.name for field in fields(kind)] if known else []
    return attrgetter(*names) if len(names) > 1 else None


class _Packer(pickle.Pickler):
    """Pickles dataclasses with slots as they pickle themselves, but without looking their fields up each time."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        values = None if kind is type else _values(kind)  # type: ignore[arg-type]
        if values is None:
            return NotImplemented
        return copyreg.__newobj__, (kind,), list(values(obj))  # type: ignore[attr-defined]


def packed(value: Any) -> bytes:
    """Serialize a value for a database of this process alone."""
    into = io.BytesIO()
    _Packer(into, pickle.HIGHEST_PROTOCOL).dump(value)
    return into.getvalue()


def unpacked(data: bytes) -> Any:
    """Restore a value from `packed`; only ever read from a database that this process made and nobody else can open."""
    return pickle.loads(data)  # noqa: S301 - see above


@dataclass(frozen=True, slots=True)
class HeldRow:
    """The compared fields of a record: author, number, hash, type."""

    author: bytes
    num: bytes
    name: bytes
    typ: str


class HeldRecords:
    """Records of an audit, in the order in which they were added."""

    def __init__(self) -> None:
        self._db = temporary()
        self._db.execute(_TABLES)
        self._waiting: list[tuple[Any, ...]] = []
        self._count = 0
        self._grants: OrderedDict[bytes, Record] = OrderedDict()
        self.typs: Counter[str] = Counter()
        """The number of records of each type."""
        self.rules: dict[bytes, Rule] = {}
        """The rules among the records, by hash."""

    @classmethod
    def of(cls, records: "Iterable[Record] | HeldRecords") -> "HeldRecords":
        """Return the records as `HeldRecords`; what already is one is returned unchanged."""
        if isinstance(records, HeldRecords):
            return records
        held = cls()
        for record in records:
            held.add(record)
        return held

    def __len__(self) -> int:
        return self._count

    def add(self, record: Record, *, index: int = 0, once: bool = False) -> None:
        """Store a record; with `once`, `twice` yields it (with `index`) if its author used the number before."""
        body = record.body
        back = isinstance(body, Verdict) and body.clause == APPROVAL_WITHDRAWN
        kept = None if body is None or (isinstance(body, PLAIN) and not back) else record.raw
        handed = isinstance(body, Handover | Vacated) or (isinstance(body, Grant) and body.handover is not None)
        if isinstance(body, Rule):
            self.rules[record.digest] = body
        num = record.frame.seq.to_bytes(8, "big")
        row = (record.frame.author, num, record.digest, record.sid, record.typ, index, once, handed, kept)
        self._waiting.append(row)
        self._count += 1
        self.typs[record.typ] += 1
        if len(self._waiting) >= WRITTEN_AT_ONCE:
            self._write()

    def _write(self) -> None:
        with self._db:
            sql = "INSERT INTO held(author, num, name, sid, typ, idx, once, handed, record) VALUES(?,?,?,?,?,?,?,?,?)"
            self._db.executemany(sql, self._waiting)
        self._waiting.clear()

    def _rows(self, sql: str, *values: str) -> Iterator[tuple[Any, ...]]:
        if self._waiting:
            self._write()
        return iter(self._db.cursor().execute(sql, values))

    def twice(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield index, author and number of every record whose number its author had used before."""
        sql = (
            "SELECT idx, author, num, lag(author) OVER w, lag(num) OVER w FROM held WHERE once WINDOW w AS"
            " (ORDER BY author, num, n)"
        )
        for index, author, num, *before in self._rows(sql):
            if [author, num] == before:
                yield index, author, int.from_bytes(num, "big")

    def by_number(self) -> Iterator[HeldRow]:
        """Yield the records that have an author, by author and number."""
        sql = "SELECT author, num, name, typ FROM held WHERE author IS NOT NULL ORDER BY author, num, n"
        return (HeldRow(*row) for row in self._rows(sql))

    def by_settlement(self) -> Iterator[tuple[bytes, str, bytes, bytes | None]]:
        """Yield settlement, type, hash and bytes of all records of settlements, settlement by settlement."""
        sql = "SELECT sid, typ, name, record FROM held WHERE sid IS NOT NULL ORDER BY sid, n"
        return ((sid, typ, name, record) for sid, typ, name, record in self._rows(sql))

    def confirmed(self) -> Iterator[bytes]:
        """Yield the settlements with a CONFIRM, each once, in order."""
        return (sid for (sid,) in self._rows("SELECT DISTINCT sid FROM held WHERE typ='confirm' ORDER BY sid"))

    def handed(self) -> Iterator[Record]:
        """Yield the HANDOVERs, the VACATED records, and the GRANTs under a HANDOVER."""
        return (reopened(record) for (record,) in self._rows("SELECT record FROM held WHERE handed ORDER BY n"))

    def granted_to(self, settlements: set[bytes]) -> Iterator[Record]:
        """Yield the GRANTs of these settlements."""
        if settlements:
            sql = "SELECT sid, record FROM held WHERE typ=? AND record IS NOT NULL ORDER BY n"
            rows = self._rows(sql, TYPE_OF[Grant])
            yield from (reopened(record) for sid, record in rows if sid in settlements)

    def withdrawals(self) -> Iterator[Record]:
        """Yield the verdicts by which a holder withdraws an approval."""
        return self._of_type(Verdict)

    def outcomes(self) -> Iterator[Record]:
        """Yield the OUTCOMEs of proposals."""
        return self._of_type(GroupOutcome)

    def _of_type(self, body: type[Any]) -> Iterator[Record]:
        """Yield the records of a type whose bytes are stored."""
        sql = "SELECT record FROM held WHERE typ=? AND record IS NOT NULL ORDER BY n"
        return (reopened(record) for (record,) in self._rows(sql, TYPE_OF[body]))

    def by_sid(self) -> dict[bytes, dict[str, list[bytes]]]:
        """Return the hashes of all records of each settlement, by type; all in memory, so for small logs only."""
        found: dict[bytes, dict[str, list[bytes]]] = {}
        for sid, typ, name in self._rows("SELECT sid, typ, name FROM held WHERE sid IS NOT NULL ORDER BY n"):
            found.setdefault(sid, {}).setdefault(typ, []).append(name)
        return found

    def without(self, typ: str) -> Self:
        """Return a copy without the records of a type."""
        fewer = type(self)()
        rows = self._rows("SELECT author, num, name, sid, typ, idx, once, handed, record FROM held ORDER BY n")
        for row in rows:
            if row[4] != typ:
                fewer._waiting.append(row)  # noqa: SLF001 - of its own class
                fewer._count += 1  # noqa: SLF001
                fewer.typs[row[4]] += 1
        fewer.rules = dict(self.rules)
        return fewer

    # -- GRANTs, with which later leases are compared -----------------------------------------------------------

    def granted(self, record: Record) -> None:
        """Store a GRANT as the newest of its settlement."""
        self._grants[record.body.sid] = record
        self._grants.move_to_end(record.body.sid)
        if len(self._grants) > GRANTS_AT_HAND:
            sid, old = self._grants.popitem(last=False)
            self._db.execute("INSERT OR REPLACE INTO far VALUES(?,?)", (sid, old.raw))

    def grant(self, sid: bytes) -> Record | None:
        """Return the newest GRANT of a settlement; None if there is none."""
        near = self._grants.get(sid)
        if near is not None:
            return near
        row = self._db.execute("SELECT record FROM far WHERE sid=?", (sid,)).fetchone()
        found: Record | None = None if row is None else reopened(row[0])
        return found
