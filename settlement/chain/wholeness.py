"""Checks that a log's file still holds what was written: reads every row once, in constant memory.

(1) entries are numbered without a gap and agree with their columns
(2) the stored tree is exactly the tree of the entries
(3) every signed checkpoint is the root of its size
(4) columns, state and counters are those the owner signed with the root after its last step
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apsw
import cbor2

from settlement.chain import merkle
from settlement.chain.checkpoint import Head, open_note
from settlement.chain.prunedleaf import (
    PRUNED,
    SUM,
    PrunedLeaf,
    decode_pruned,
    entry_hash,
    is_pruned,
    with_stub,
)
from settlement.chain.standing import Standing, Tally
from settlement.core.reasons import Reason, Refusal, refuse

COLUMNS = "typ, sid, author, seq, reason"
_SUBJECT, _ADMITTED = 2, 4
_ENTRIES = f"SELECT idx, CAST(body AS BLOB), subject, admitted, {COLUMNS} FROM leaf WHERE idx>=? ORDER BY idx"  # noqa: S608
_NODES = "SELECT idx, CAST(hash AS BLOB) FROM node WHERE level=? AND idx>=? ORDER BY idx"


def _changed(clause: str, measured: str, required: str = "as appended") -> Refusal:
    return refuse(Reason.ENTRY_MISMATCH, f"lineage.{clause}", measured, required)


def _fields(body: bytes) -> dict[int, Any] | None:
    """Return the map of an entry; None where its bytes are no longer one."""
    try:
        fields = cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError):
        return None
    return fields if isinstance(fields, dict) else None


def tally_of_rows(db: apsw.Connection, tally: Tally) -> Tally:
    """Add every piece of state and every counter to a tally."""
    for kind, key, value in db.execute("SELECT kind, CAST(key AS BLOB), CAST(value AS BLOB) FROM state"):
        tally = tally.changed("state", (kind, bytes(key)), None, bytes(value))
    for name, value in db.execute("SELECT name, value FROM counter"):
        tally = tally.changed("counter", (name,), None, value)
    return tally


def tally_of_columns(db: apsw.Connection) -> Tally:
    """Return the tally of the entries' columns alone."""
    tally = Tally()
    for columns in db.execute(f"SELECT {COLUMNS} FROM leaf ORDER BY idx"):  # noqa: S608 - our own column names
        tally = tally.appended(columns)
    return tally


def stored_standing(db: apsw.Connection, origin: str) -> tuple[Standing, bytes] | None:
    """Return the last signed standing and its signature; None where there is none."""
    row = db.execute("SELECT size, root, columns, rows, signature FROM standing").fetchone()
    if row is None:
        return None
    size, root, columns, rows, signature = row
    tally = Tally(columns=bytes(columns), rows=int.from_bytes(rows, "big"))
    return Standing(origin=origin, size=size, root=bytes(root), tally=tally), bytes(signature)


def stored_stubs(db: apsw.Connection) -> int:
    """Return the sum over all stubs in the owner's state; 0 where nothing was pruned."""
    sql = "SELECT CAST(value AS BLOB) FROM state WHERE kind=? AND key=?"
    row = db.execute(sql, (PRUNED, SUM)).fetchone()
    return int.from_bytes(row[0], "big") if row is not None else 0


class Tree:
    """Rebuilds the tree from the leaves and compares each node with the stored one, level by level in step.

    From a `size` on it relies on the stored nodes before it; the caller proves their root.
    """

    def __init__(self, db: apsw.Connection, *, size: int = 0) -> None:
        self._db, self._stored = db, list[Iterator[tuple[int, bytes]]]()
        read = stored_nodes(db)
        self._frontier: merkle.Frontier = tuple(read(level, at) for level, at in merkle.subtrees(0, size))
        while size >> len(self._stored):
            self._follow(size >> len(self._stored))

    def _follow(self, first: int) -> None:
        """Open the next level's stored nodes from `first` on; 0 opens all, those numbered below 0 too."""
        level, least = len(self._stored), first or -(1 << 63)
        self._stored.append(iter(self._db.cursor().execute(_NODES, (level, least))))

    def add(self, index: int, leaf: bytes) -> bool:
        """Add a leaf; False when the stored tree does not have the nodes that this leaf completes."""
        self._frontier, nodes = merkle.grown(self._frontier, index, leaf)
        for level, at, value in nodes:
            if level == len(self._stored):
                self._follow(0)
            if next(self._stored[level], None) != (at, value):
                return False
        return True

    def over(self) -> bool:
        """True when the stored tree has no further nodes."""
        beyond = self._db.execute("SELECT 1 FROM node WHERE level >= ? OR level < 0", (len(self._stored),)).fetchone()
        return beyond is None and all(next(level, None) is None for level in self._stored)

    def root(self) -> bytes:
        """Return the root of the leaves so far."""
        return merkle.fold(self._frontier)


def entry_rows(db: apsw.Connection, first: int) -> Iterator[tuple[Any, ...]]:
    """Yield number, body, subject, admitted and COLUMNS of every entry from `first` on, in order."""
    return iter(db.execute(_ENTRIES, (first,)))


def check_entry_row(row: tuple[Any, ...], expected: int, tree: Tree) -> Refusal | None:
    """Run checks (1) and (2) on one row."""
    index, body, subject, admitted = row[:4]
    if index != expected:
        return _changed("order", f"entry {index}", f"entry {expected}")
    if is_pruned(body):
        stub = decode_pruned(body)
        said = (stub.subject, 1, stub.author, stub.seq) if isinstance(stub, PrunedLeaf) else None
        if said != (subject, admitted, row[6], row[7]):
            return _changed("entry", f"the stub of entry {index} was edited")
    else:
        fields = _fields(body)
        if fields is None or fields.get(_SUBJECT) != subject or fields.get(_ADMITTED) != admitted:
            return _changed("entry", f"entry {index} was edited")
    if not tree.add(index, entry_hash(body)):
        return _changed("tree", f"entry {index} does not hash to the stored tree")
    return None


def check_file(
    db: apsw.Connection, origin: str, public: bytes, *, standing: bool, former: tuple[bytes, ...] = ()
) -> Refusal | None:
    """Run checks (1) to (3), and (4) where `standing` is set."""
    tree, tally, size, stubs = Tree(db), Tally(), 0, 0
    for row in entry_rows(db, -(1 << 63)):
        broken = check_entry_row(row, size, tree)
        if broken is not None:
            return broken
        if is_pruned(row[1]):
            stubs = with_stub(stubs, size, row[1])
        tally, size = tally.appended(row[4:]), size + 1
    if stubs != stored_stubs(db):
        return _changed("pruned", "other stubs than were put there", "the sum that was signed")
    if not tree.over():
        return _changed("tree", "more nodes than the entries make", "the tree of the entries")
    refusal = _check_checkpoints(db, (public, *former), size)
    if refusal is not None or not standing:
        return refusal
    return _check_standing(db, public, Standing(origin=origin, size=size, root=tree.root(), tally=tally))


def signed_head(note: str, publics: tuple[bytes, ...]) -> Head | Refusal:
    """Return the head of a note signed by the owner's key, or by one that it replaced."""
    heads = [open_note(note, public) for public in publics]
    return next((head for head in heads if isinstance(head, Head)), heads[0])


def stored_nodes(db: apsw.Connection) -> merkle.NodeReader:
    """Return a reader of the stored tree's nodes; it raises ValueError where one is missing."""

    def read(level: int, index: int) -> bytes:
        row = db.execute("SELECT CAST(hash AS BLOB) FROM node WHERE level=? AND idx=?", (level, index)).fetchone()
        if row is None:
            raise ValueError(f"node {level}/{index} is missing")
        return bytes(row[0])

    return read


def _check_checkpoints(db: apsw.Connection, publics: tuple[bytes, ...], entries: int) -> Refusal | None:
    read = stored_nodes(db)
    for size, note in db.execute("SELECT size, note FROM checkpoint ORDER BY size"):
        head = signed_head(note, publics)
        if isinstance(head, Refusal):
            return head
        if head.size != size or size > entries or merkle.root(size, read) != head.root:
            return _changed(
                "checkpoint", f"{entries} entries under a signed head of {head.size}", "the root that was signed"
            )
    return None


def _check_standing(db: apsw.Connection, public: bytes, found: Standing) -> Refusal | None:
    """Run check (4)."""
    try:
        tally = tally_of_rows(db, found.tally)
        stored = stored_standing(db, found.origin)
    except (apsw.Error, TypeError, ValueError) as exc:
        return _changed("standing", f"state that cannot be read: {exc}", "what the last step left")
    if stored is None:
        blank = found.size == 0 and tally.rows == 0
        return None if blank else _changed("standing", "nothing signed", "the owner's signature over log and state")
    standing, signature = stored
    found = replace(found, tally=tally)
    if standing != found:
        return _changed("standing", f"{found.size} entries with other columns, state or counters", "what was signed")
    return standing.check(signature, public)
