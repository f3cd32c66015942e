"""The append-only log of one node (lineage): an SQLite file, durable before anything is acknowledged.

One writer, WAL, synchronous=FULL, everything that is ready in one transaction. Protocol state (settlements, replies,
outbox, counters, author heads) is in the same database, so that a log entry and its consequences become durable
together or not at all. When a commit fails nothing has happened: the caller sends nothing and closes the gate.

Long because what is durable together is one set of tables with one writer.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from settlement.chain import merkle
from settlement.chain.checkpoint import Head, sign_head
from settlement.chain.foreign import NoDatabase, check_schema, harden, open_foreign
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.memory import Memory
from settlement.chain.packedrows import pack_rows, stubs_among
from settlement.chain.prunedleaf import PRUNED, SUM, PrunedLeaf, entry_hash, sum_bytes, with_stub
from settlement.chain.records import Record
from settlement.chain.snapshot import META, SNAPSHOT_EVERY, Snapshot, StartLook, check_from_snapshot, read_snapshot
from settlement.chain.standing import Standing, Tally
from settlement.chain.wholeness import check_file, stored_standing, tally_of_columns, tally_of_rows
from settlement.core.reasons import Reason, Refusal, refuse

CACHE_KIB = 16 * 1024
"""SQLite's page cache, KiB: holds the inner pages of a large log's tree, which every proof reads."""
SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE leaf(idx INTEGER PRIMARY KEY, body BLOB NOT NULL, subject BLOB NOT NULL, typ TEXT, sid BLOB,
                  author BLOB, seq INTEGER, admitted INTEGER NOT NULL, reason TEXT);
CREATE INDEX leaf_subject ON leaf(subject);
CREATE INDEX leaf_sid ON leaf(sid) WHERE sid IS NOT NULL;
CREATE INDEX leaf_author ON leaf(author, seq) WHERE author IS NOT NULL;
CREATE TABLE node(level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, idx)) WITHOUT ROWID;
CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE state(kind TEXT, key BLOB, value BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE standing(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
                      columns BLOB NOT NULL, rows BLOB NOT NULL, signature BLOB NOT NULL);
"""


KEY_BYTES_MAX = 256


def _after(prefix: bytes) -> bytes:
    """Return the first key after all keys that begin with `prefix`."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes([head[-1] + 1]) if head else b"\xff" * KEY_BYTES_MAX


class LineageError(Exception):
    """The log cannot be opened, read or written; the message names the file and the remedy."""


def name_of(path: Path) -> str | None:
    """Return a log's origin name, read without opening the log for writing; None where the file is no log."""
    try:
        db = open_foreign(path, SCHEMA, live=True)
        row = db.execute("SELECT value FROM meta WHERE key='origin'").fetchone()
        db.close()
    except (apsw.Error, NoDatabase, UnicodeDecodeError):
        return None
    return str(row[0]) if row else None


class Transaction:
    """A transaction of a log, or a savepoint in one that can be undone alone; each duty in a step has a savepoint.

    A savepoint begins in the database with the first change inside: most change nothing.
    """

    __slots__ = ("_begun", "_db", "_lineage", "_state", "_waiting")

    def __init__(self, lineage: "Lineage", db: apsw.Connection, waiting: list["Transaction"]) -> None:
        """Args: waiting: the savepoints that were entered and have not begun yet, the outermost first."""
        self._lineage, self._db, self._waiting, self._begun = lineage, db, waiting, False
        self._state = lineage.held()

    def __enter__(self) -> None:
        if not self._db.in_transaction:
            self.begin()
        else:
            self._waiting.append(self)

    def begin(self) -> None:
        """Begin the transaction or savepoint in the database."""
        try:
            self._db.__enter__()
        except BaseException as exc:
            self._undo(exc)
            raise
        self._begun = True

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun:
            try:
                self._db.__exit__(kind, exc, trace)
            except BaseException as failed:
                self._undo(failed)
                raise
        else:
            self._waiting.remove(self)
        if exc is not None:
            self._undo(exc)

    def _undo(self, exc: BaseException) -> None:
        self._lineage.back_to(self._state)
        if isinstance(exc, apsw.Error):
            path = self._lineage.path
            raise LineageError(f"{path}: commit failed: {exc}; free disk space, then restart") from exc


class Lineage:
    """A node's log, opened for writing."""

    def __init__(self, path: Path, *, origin: str) -> None:
        """Open or create the log at `path`; `origin` is the name in its checkpoints. Raises LineageError."""
        self.path, self.origin = path, origin
        try:
            self._db = apsw.Connection(str(path))
            harden(self._db)
            self._prepare()
        except apsw.Error as exc:
            raise LineageError(f"cannot open the lineage {path}: {exc}; check the path and its permissions") from exc
        except NoDatabase as exc:
            raise LineageError(f"{path} is not a lineage: {exc}; move it away and start a new log") from exc
        self.size = int(self._one("SELECT coalesce(max(idx) + 1, 0) FROM leaf"))
        self._frontier: merkle.Frontier | None = None
        self._tally: Tally | None = None
        self._stood: tuple[int, Tally] | None = None
        self._memory = Memory()
        self._snapped: int | None = None
        self._unread = 0
        self._parts: list[Transaction] = []

    def _prepare(self) -> None:
        self._db.set_busy_timeout(2000)
        mode = self._one("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA temp_store=MEMORY")
        self._db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        if mode != "wal" or self._one("PRAGMA synchronous") != 2:
            raise LineageError(f"{self.path}: this file system cannot keep a durable log (journal {mode})")
        if not self._one("SELECT count(*) FROM sqlite_schema"):
            with self._db:
                self._db.execute(SCHEMA)
                self._db.execute("INSERT INTO meta VALUES('schema', ?), ('origin', ?)", (SCHEMA_VERSION, self.origin))
        schema = self._one("SELECT value FROM meta WHERE key='schema'")
        if schema != SCHEMA_VERSION:
            raise LineageError(f"{self.path} is of form {schema}, this program reads {SCHEMA_VERSION}; start a new log")
        check_schema(self._db, SCHEMA)
        held = self._one("SELECT value FROM meta WHERE key='origin'")
        if held != self.origin:
            raise LineageError(f"{self.path} is the lineage of {held}, not of {self.origin}; use that node's own file")

    def _one(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        row = self._db.execute(sql, bindings).fetchone()
        return row[0] if row else None

    def transaction(self) -> Transaction:
        """Open a transaction: all its changes become durable together, or on any error none. Raises LineageError."""
        return Transaction(self, self._db, self._parts)

    def _change(self, sql: str, bindings: tuple[Any, ...]) -> None:
        """Change a row, in the innermost open transaction or savepoint."""
        self._begin()
        self._db.execute(sql, bindings)

    def _begin(self) -> None:
        """Begin the savepoints that were entered and have changed nothing so far; called before every change."""
        while self._parts:
            self._parts[0].begin()
            del self._parts[0]

    def held(self) -> tuple[Any, ...]:
        """Return the state that is cached in memory of the log, for `back_to`."""
        return self.size, self._frontier, self._tally, self._stood, self.origin, self._snapped

    def back_to(self, state: tuple[Any, ...]) -> None:
        """Restore the cached state that `held` returned, after an undone savepoint."""
        self.size, self._frontier, self._tally, self._stood, self.origin, self._snapped = state
        self._memory = Memory()

    def _edge(self) -> merkle.Frontier:
        """Return the tree's largest complete subtrees, left to right."""
        if self._frontier is None:
            read = self._reader([(0, self.size)])
            self._frontier = tuple(read(level, index) for level, index in merkle.subtrees(0, self.size))
        return self._frontier

    def _tallied(self) -> Tally:
        """Return the running hashes over columns, state and counters, continued from the last signed ones."""
        if self._tally is None:
            stored = stored_standing(self._db, self.origin)
            if stored is None:
                self._tally = tally_of_rows(self._db, tally_of_columns(self._db))
            else:
                self._tally = stored[0].tally
                self._stood = (stored[0].size, stored[0].tally)
        return self._tally

    def append(self, leaf: Leaf, record: Record | None) -> int:
        """Add an entry inside a transaction; returns its index. `record` is the parsed record where there is one."""
        tally, body, index = self._tallied(), leaf.encoded(), self.size
        columns = (record.typ, record.sid, record.frame.author, record.frame.seq) if record else (None,) * 4
        row = (index, body, leaf.subject, *columns, leaf.admitted, leaf.reason)
        self._change("INSERT INTO leaf VALUES(?,?,?,?,?,?,?,?,?)", row)
        frontier, nodes = merkle.grown(self._edge(), index, merkle.leaf_hash(body))
        self._db.executemany("INSERT INTO node VALUES(?,?,?)", nodes)
        self._frontier, self._tally = frontier, tally.appended((*columns, leaf.reason))
        self.size += 1
        if record is not None and leaf.admitted:
            self._memory.appended(record)
        return index

    def _reader(self, ranges: list[tuple[int, int]]) -> merkle.NodeReader:
        """Read all stored tree nodes that leaf ranges need, in one query. Raises LineageError where one is missing."""
        wanted = [node for low, high in ranges for node in merkle.subtrees(low, high)]
        if not wanted:
            return lambda _level, _index: merkle.EMPTY_ROOT
        values = ",".join(["(?,?)"] * len(wanted))
        sql = (
            f"WITH w(level, idx) AS (VALUES {values}) SELECT level, idx, hash FROM w CROSS JOIN node USING(level, idx)"  # noqa: S608
        )
        rows = self._db.execute(sql, [part for node in wanted for part in node])
        found = {(level, index): bytes(value) for level, index, value in rows}
        lacking = next((node for node in wanted if node not in found), None)
        if lacking is not None:
            raise LineageError(f"{self.path}: node {lacking[0]}/{lacking[1]} is missing; the file was altered")
        return lambda level, index: found[level, index]

    def head(self) -> Head:
        """Return size and root of the log now."""
        return Head(origin=self.origin, size=self.size, root=merkle.fold(self._edge()))

    def stand(self, key: SigningKey) -> None:
        """Sign log, state and counters as this step leaves them; the last act of every transaction that changes any."""
        tally = self._tallied()
        if self._stood == (self.size, tally):
            return
        standing = Standing(origin=self.origin, size=self.size, root=self.head().root, tally=tally)
        row = (1, self.size, standing.root, tally.columns, tally.row_bytes(), standing.sign(key))
        self._change("INSERT OR REPLACE INTO standing VALUES(?,?,?,?,?,?)", row)
        self._stood = (self.size, tally)
        self._snap(key, standing)

    def _snap(self, key: SigningKey, standing: Standing) -> None:
        """Sign a snapshot where the last one is SNAPSHOT_EVERY entries back; only over entries known to be intact."""
        if self._snapped is None:
            found = read_snapshot(self._db)
            self._snapped = 0 if isinstance(found, Refusal) else found[0].size
        if self.size < self._snapped + SNAPSHOT_EVERY:
            return
        columns = standing.tally.columns
        snapshot = Snapshot(origin=self.origin, size=self.size, root=standing.root, columns=columns)
        self._change("INSERT OR REPLACE INTO meta VALUES(?,?)", (META, snapshot.stored(key)))
        self._snapped = self.size

    def rename(self, origin: str) -> None:
        """Continue the log under the name of a successor's key, inside a transaction that has added an entry."""
        self._change("UPDATE meta SET value=? WHERE key='origin'", (origin,))
        self.origin, self._stood, self._snapped = origin, None, -SNAPSHOT_EVERY

    def checkpoint(self, key: SigningKey) -> str:
        """Sign the head and store the note; call inside a transaction. The same size gives the same note."""
        note = self._one("SELECT note FROM checkpoint WHERE size=?", (self.size,))
        if note is None:
            note = sign_head(self.head(), key)
            self._change("INSERT INTO checkpoint VALUES(?,?)", (self.size, note))
        return str(note)

    def root_at(self, size: int) -> bytes:
        """Return the root when the log had `size` entries. Raises LineageError for a size it never had."""
        if size > self.size:
            raise LineageError(f"{self.path}: {size} entries asked of a log of {self.size}")
        return merkle.root(size, self._reader([(0, size)]))

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that an entry is in the present tree, or in the tree of an earlier size."""
        ranges = merkle.inclusion_ranges(index, self.size if size is None else size)
        return merkle.proof_of(ranges, self._reader(ranges))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of size `new` extends that of size `old`."""
        ranges = merkle.consistency_ranges(old, new)
        return merkle.proof_of(ranges, self._reader(ranges))

    def verify(self, public: bytes, *, standing: bool = False, former: Iterable[bytes] = ()) -> Refusal | None:
        """Check that the file still holds what was written; with `standing` columns, state and counters as well.

        Every entry is compared with its columns and the stored tree, every signed checkpoint with the tree, and the
        rest with what the owner signed after its last step; older checkpoints may be by the `former` keys. Reads each
        row once, in constant memory.
        """
        try:
            return check_file(self._db, self.origin, public, standing=standing, former=tuple(former))
        except (apsw.Error, TypeError, ValueError) as exc:
            return refuse(Reason.ENTRY_MISMATCH, "lineage.file", str(exc), "a file as it was written")

    def start_look(self, public: bytes, *, former: Iterable[bytes] = ()) -> StartLook:
        """Check the log at a start, from its newest snapshot on; if no snapshot verifies, check the whole log.

        Entries before the snapshot are verified one by one when they are read, until `read_whole` is called. The result
        says which entries were checked, and why no snapshot was used.
        """
        keys = tuple(former)
        try:
            found = check_from_snapshot(self._db, self.origin, public, keys)
        except (apsw.Error, TypeError, ValueError, IndexError) as exc:
            found = refuse(Reason.ENTRY_MISMATCH, "snapshot.file", str(exc)[:200], "a file as it was written")
        if isinstance(found, int):
            self._unread = found
            return StartLook(refusal=None, read_from=found)
        return StartLook(refusal=self.verify(public, standing=True, former=keys), why=str(found))

    def read_whole(self) -> None:
        """Note that all entries have been checked: from here on no entry is proven when it is read."""
        self._unread = 0

    @property
    def unread(self) -> int:
        """Return how many of the oldest entries have not been checked since the start."""
        return self._unread

    def leaf_body(self, index: int) -> bytes:
        """Return the bytes of an entry. Raises LineageError where it is missing or does not hash into the root."""
        body = self._one("SELECT body FROM leaf WHERE idx=?", (index,))
        if body is None:
            raise LineageError(f"{self.path}: entry {index} is missing; the file was altered")
        if index < self._unread:
            head, leaf = self.head(), entry_hash(bytes(body))
            if merkle.verify_inclusion(leaf, index, head.size, self.inclusion(index), head.root) is not None:
                raise LineageError(f"{self.path}: entry {index} is not in the signed tree; the file was altered")
        return bytes(body)

    def bodies(self, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes of all entries in order."""
        for (body,) in self._db.execute("SELECT body FROM leaf WHERE idx>=? ORDER BY idx", (start,)):
            yield bytes(body)

    def of_type(self, typ: str, first: int, last: int) -> list[tuple[int, bytes | None, bytes, int, bytes]]:
        """Return admitted entries of a type, from `first` to before `last`, as (index, sid, author, seq, body)."""
        sql = "SELECT idx, sid, author, seq FROM leaf WHERE idx>=? AND idx<? AND typ=? AND admitted=1 ORDER BY idx"
        rows: list[tuple[Any, ...]] = list(self._db.execute(sql, (first, last, typ)))
        return [(index, sid, bytes(author), int(seq), self.leaf_body(index)) for index, sid, author, seq in rows]

    def of_settlement(self, sid: bytes, *, but: str = "") -> list[bytes]:
        """Return the bodies of a settlement's admitted entries, in order, without those of the type `but`."""
        sql = "SELECT idx FROM leaf WHERE sid=? AND admitted=1 AND typ<>? ORDER BY idx"
        rows: list[tuple[Any, ...]] = list(self._db.execute(sql, (sid, but)))
        return [self.leaf_body(index) for (index,) in rows]

    def oldest_of(self, sid: bytes, typ: str) -> bytes | None:
        """Return the body of a settlement's first admitted entry of this type; None if there is none."""
        index = self._one("SELECT idx FROM leaf WHERE sid=? AND typ=? AND admitted=1 ORDER BY idx LIMIT 1", (sid, typ))
        return None if index is None else self.leaf_body(index)

    def prune(self, index: int, stub: PrunedLeaf) -> None:
        """Replace an entry's bytes by a stub, inside a transaction; its hash stays in the tree."""
        body = replace(stub, leaf=entry_hash(self.leaf_body(index))).encoded()
        total = int.from_bytes(self.get(PRUNED, SUM) or b"", "big")
        self._change("UPDATE leaf SET body=? WHERE idx=?", (body, index))
        self.put(PRUNED, SUM, sum_bytes(with_stub(total, index, body)))
        self._memory.records.pop(stub.subject, None)

    def pruned_among(self, typ: str, first: int, last: int) -> int:
        """Return how many entries of a type, from `first` to before `last`, have a stub in place of their bytes."""
        return stubs_among(self._db, typ, first, last)

    def pack(self, first: int, last: int) -> None:
        """Free the space that removed bodies left in these entries' pages, inside a transaction; no byte changes."""
        self._begin()
        pack_rows(self._db, first, last)

    def newest_ns(self) -> int:
        """Return an instant that the last entry surely came after, UTC in ns; 0 for an empty log or a damaged entry."""
        leaf = decode_leaf(self.leaf_body(self.size - 1)) if self.size else None
        return leaf.arrived_earliest_ns if isinstance(leaf, Leaf) else 0

    def seen(self, subject: bytes) -> bool:
        """Return whether a record was admitted or refused for good; a refusal that may change later does not count."""
        if subject in self._memory.records:
            return True
        found = self._one("SELECT 1 FROM leaf WHERE subject=? AND (admitted=1 OR typ IS NOT NULL) LIMIT 1", (subject,))
        return found is not None

    def index_of(self, subject: bytes) -> int | None:
        """Return the index of a record's entry: admitted, else first refused; None if the record never came."""
        order = "ORDER BY admitted DESC, idx LIMIT 1"
        found: int | None = self._one(f"SELECT idx FROM leaf WHERE subject=? {order}", (subject,))  # noqa: S608
        return found

    def author_record(self, author: bytes, seq: int) -> bytes | None:
        """Return the hash of an author's admitted record with that sequence number; None if there is none.

        For a number beyond the author's last, nearly always the next one, the database is not queried.
        """
        last = self.author_last(author)
        if last is None or seq > last[0]:
            return None
        return self._bytes("SELECT subject FROM leaf WHERE author=? AND seq=? AND admitted=1", (author, seq))

    def author_last(self, author: bytes) -> tuple[int, bytes] | None:
        """Return the highest sequence number seen of an author and the hash of that record."""
        if author not in self._memory.lasts:
            row = self._db.execute(
                "SELECT seq, subject FROM leaf WHERE author=? AND admitted=1 ORDER BY seq DESC LIMIT 1", (author,)
            ).fetchone()
            self._memory.lasts.keep(author, (int(row[0]), bytes(row[1])) if row else None)
        return self._memory.lasts[author]

    def back(self, author: bytes) -> Iterator[bytes]:
        """Yield the entries of an author's admitted records, the newest first."""
        sql = "SELECT idx FROM leaf WHERE author=? AND admitted=1 ORDER BY seq DESC"
        return (self.leaf_body(index) for (index,) in self._db.cursor().execute(sql, (author,)))

    def entry_of(self, subject: bytes) -> Leaf | None:
        """Return a record's entry: where it was admitted, else where first refused; None if the record never came."""
        index = self.index_of(subject)
        leaf = decode_leaf(self.leaf_body(index)) if index is not None else None
        return leaf if isinstance(leaf, Leaf) else None

    def raw_of(self, subject: bytes) -> bytes | None:
        """Return the exact bytes of a logged record."""
        recent = self.recent(subject)
        if recent is not None:
            return recent.raw
        leaf = self.entry_of(subject)
        return None if leaf is None else leaf.record

    def recent(self, subject: bytes) -> Record | None:
        """Return a recently admitted record from the cache; None does not mean that the log lacks it."""
        return self._memory.records.get(subject)

    def authors_of(self, sid: bytes) -> list[bytes]:
        """Return the authors of a settlement's admitted records, in the order the records came."""
        sql = "SELECT author FROM leaf WHERE sid=? AND author IS NOT NULL AND admitted=1 ORDER BY idx"
        return [bytes(author) for (author,) in self._db.execute(sql, (sid,))]

    def records_of(self, sid: bytes) -> list[bytes]:
        """Return the hashes of a settlement's admitted records, in the order they came."""
        sql = "SELECT subject FROM leaf WHERE sid=? AND admitted=1 ORDER BY idx"
        return [bytes(subject) for (subject,) in self._db.execute(sql, (sid,))]

    def named_of(self, sid: bytes, typ: str) -> list[bytes]:
        """Return the hashes of a settlement's admitted records of one type, in the order they came."""
        sql = "SELECT subject FROM leaf WHERE sid=? AND typ=? AND admitted=1 ORDER BY idx"
        return [bytes(subject) for (subject,) in self._db.execute(sql, (sid, typ))]

    def newest_of(self, sid: bytes, typs: Sequence[str]) -> tuple[str, bytes] | None:
        """Return type and hash of a settlement's newest admitted record of these types; None if there is none."""
        marks = ",".join("?" * len(typs))
        sql = f"SELECT typ, subject FROM leaf WHERE sid=? AND admitted=1 AND typ IN ({marks}) ORDER BY idx DESC LIMIT 1"  # noqa: S608
        found = self._db.execute(sql, (sid, *typs)).fetchone()
        return None if found is None else (str(found[0]), bytes(found[1]))

    def _bytes(self, sql: str, bindings: tuple[Any, ...]) -> bytes | None:
        found = self._one(sql, bindings)
        return None if found is None else bytes(found)

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Set a piece of protocol state inside a transaction."""
        before = self.get(kind, key)
        if before == value:
            return
        self._tally = self._tallied().changed("state", (kind, key), before, value)
        self._change("INSERT OR REPLACE INTO state VALUES(?,?,?)", (kind, key, value))
        self._memory.state.keep((kind, key), value)
        self._memory.none_of.discard(kind)

    def drop(self, kind: str, key: bytes) -> None:
        """Remove a piece of protocol state inside a transaction."""
        self._tally = self._tallied().changed("state", (kind, key), self.get(kind, key), None)
        self._change("DELETE FROM state WHERE kind=? AND key=?", (kind, key))
        self._memory.state.pop((kind, key), None)

    def get(self, kind: str, key: bytes) -> bytes | None:
        """Return a piece of protocol state; None if there is none."""
        if (kind, key) not in self._memory.state:
            found = self._bytes("SELECT value FROM state WHERE kind=? AND key=?", (kind, key))
            self._memory.state.keep((kind, key), found)
        return self._memory.state[kind, key]

    def items(self, kind: str) -> list[tuple[bytes, bytes]]:
        """Return all state of a kind, in the order of keys."""
        if kind in self._memory.none_of:
            return []
        rows = self._db.execute("SELECT key, value FROM state WHERE kind=? ORDER BY key", (kind,))
        found = [(bytes(key), bytes(value)) for key, value in rows]
        if not found:
            self._memory.none_of.add(kind)
        return found

    def items_from(self, kind: str, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Return the state of a kind whose keys begin with `prefix`, in the order of keys; reads no other row."""
        sql = "SELECT key, value FROM state WHERE kind=? AND key>=? AND key<? ORDER BY key"
        rows = self._db.execute(sql, (kind, prefix, _after(prefix)))
        return [(bytes(key), bytes(value)) for key, value in rows]

    def items_below(self, kind: str, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return the first `limit` pieces of state of a kind with keys below `key`, in the order of keys."""
        sql = "SELECT key, value FROM state WHERE kind=? AND key<? ORDER BY key LIMIT ?"
        return [(bytes(found), bytes(value)) for found, value in self._db.execute(sql, (kind, key, limit))]

    def items_above(self, kind: str, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return the first `limit` pieces of state of a kind from `key` on, in order, wrapping round at the end."""
        sql = "SELECT key, value FROM state WHERE kind=? AND key>=? ORDER BY key LIMIT ?"
        found = [(bytes(name), bytes(value)) for name, value in self._db.execute(sql, (kind, key, limit))]
        return found if len(found) == limit else [*found, *self.items_below(kind, key, limit - len(found))]

    def first_of(self, kind: str, prefix: bytes) -> tuple[int, bytes] | None:
        """Return how many keys of a kind begin with `prefix`, and the first of them."""
        sql = "SELECT count(*), min(key) FROM state WHERE kind=? AND key>=? AND key<?"
        row = self._db.execute(sql, (kind, prefix, _after(prefix))).fetchone()
        return (int(row[0]), bytes(row[1])) if row is not None and row[1] is not None else None

    def counted(self, name: str) -> int:
        """Return the value of a durable counter."""
        return int(self._one("SELECT value FROM counter WHERE name=?", (name,)) or 0)

    def count(self, name: str, step: int = 1) -> int:
        """Raise a durable counter by `step` inside a transaction and return its new value."""
        tally, before = self._tallied(), self._one("SELECT value FROM counter WHERE name=?", (name,))
        after = int(before or 0) + step
        self._change("INSERT OR REPLACE INTO counter VALUES(?,?)", (name, after))
        self._tally = tally.changed("counter", (name,), before, after)
        return after

    def seal(self, key: SigningKey, target: Path) -> str:
        """Write a compact copy to `target`, without a write-ahead log, and return its signed checkpoint."""
        with self.transaction():
            note = self.checkpoint(key)
        try:
            self._db.execute("VACUUM INTO ?", (str(target),))
        except apsw.Error as exc:
            raise LineageError(f"cannot copy the lineage to {target}: {exc}") from exc
        return note

    def close(self) -> None:
        """Merge the write-ahead log into the file and close both; on a full disk the next start merges them."""
        with suppress(apsw.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
