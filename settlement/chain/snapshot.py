"""Signed snapshot of a log up to an entry: a start checks only the entries after it, instead of every entry.

A node signs size, root, columns, state and counters after every step (`standing`). A snapshot is the same signature
over an earlier size, without state and counters, made every SNAPSHOT_EVERY entries. A start from it

    (1) proves the snapshot: the owner's signature, and its root from the stored tree at its size
    (2) reads every entry since: numbers, columns, tree, and with it the chain of columns from the snapshot's on
    (3) proves what the last step left: size, root, columns, every piece of state, every counter, by the standing
    (4) proves the newest signed head

and so takes time for the entries since the snapshot and for the state, however large the log is. It does not read the
older entries: each is verified against the signed root when it is used (`Lineage.leaf_body`), and all of them are read
while the node works (`logcheck`). A snapshot that does not verify does not mean that the log was altered: the start
then reads the whole log.
"""

from dataclasses import dataclass

import apsw
import cbor2

from settlement.chain import keys, merkle
from settlement.chain.keys import SigningKey
from settlement.chain.standing import Standing, Tally
from settlement.chain.wholeness import (
    Tree,
    check_entry_row,
    entry_rows,
    signed_head,
    stored_nodes,
    stored_standing,
    tally_of_rows,
)
from settlement.core.reasons import Reason, Refusal, refuse

SNAPSHOT_EVERY = 4096
"""Number of entries between two snapshots: checking them takes a start some tens of ms."""
META = "snapshot"
_DOMAIN = b"bandpact/1/snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Size, root and column hash chain of a log, as its owner signed them."""

    origin: str
    size: int
    root: bytes
    columns: bytes

    def _to_sign(self) -> bytes:
        return _DOMAIN + cbor2.dumps([self.origin, self.size, self.root, self.columns])

    def stored(self, key: SigningKey) -> bytes:
        """Return the signed bytes that are stored in the file."""
        return cbor2.dumps([self.origin, self.size, self.root, self.columns, key.sign(self._to_sign())])

    def signed_by(self, signature: bytes, public: bytes) -> bool:
        """Whether this key signed exactly this snapshot."""
        return keys.verify(public, signature, self._to_sign())


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLook:
    """Result of the check at a start: `refusal` says why the log is not intact, None where it is.

    `read_from` is the first entry that was read; 0 means all. `why` is the reason why no snapshot was used, if so.
    """

    refusal: Refusal | None
    read_from: int = 0
    why: str = ""


def no_snapshot(clause: str, measured: object, required: object) -> Refusal:
    """Build the refusal that says why a snapshot is not used."""
    return refuse(Reason.ENTRY_MISMATCH, f"snapshot.{clause}", measured, required)


def read_snapshot(db: apsw.Connection) -> tuple[Snapshot, bytes] | Refusal:
    """Return a file's stored snapshot and its signature, neither of them verified."""
    row = db.execute("SELECT value FROM meta WHERE key=?", (META,)).fetchone()
    if row is None:
        return no_snapshot("stored", "none", "one, by the owner")
    try:
        origin, size, root, columns, signature = cbor2.loads(row[0])
        snapshot = Snapshot(origin=str(origin), size=int(size), root=bytes(root), columns=bytes(columns))
    except (cbor2.CBORDecodeError, TypeError, ValueError) as exc:
        return no_snapshot("stored", f"cannot be read: {exc!r:.80}", "one, by the owner")
    if not 0 < snapshot.size < 1 << 62:
        return no_snapshot("size", snapshot.size, "that of a log")
    return snapshot, bytes(signature)


def check_from_snapshot(
    db: apsw.Connection, origin: str, public: bytes, former: tuple[bytes, ...] = ()
) -> int | Refusal:
    """Run checks (1) to (4); return the snapshot's size. Raises apsw.Error, TypeError, ValueError."""
    found = read_snapshot(db)
    if isinstance(found, Refusal):
        return found
    snapshot, signature = found
    if snapshot.origin != origin or not snapshot.signed_by(signature, public):
        return no_snapshot(
            "signature", f"{snapshot.origin} at {snapshot.size}, not by the owner", f"{origin}, its owner"
        )
    if merkle.root(snapshot.size, stored_nodes(db)) != snapshot.root:
        return no_snapshot("root", "another tree is stored", "the root that was signed")
    return _tail(db, origin, public, former, snapshot)


def _tail(
    db: apsw.Connection, origin: str, public: bytes, former: tuple[bytes, ...], snapshot: Snapshot
) -> int | Refusal:
    tree, tally, size = Tree(db, size=snapshot.size), Tally(columns=snapshot.columns), snapshot.size
    for row in entry_rows(db, snapshot.size):
        refusal = check_entry_row(row, size, tree)
        if refusal is not None:
            return refusal
        tally, size = tally.appended(row[4:]), size + 1
    if not tree.over():
        return no_snapshot("tree", "more nodes than the entries make", "the tree of the entries")
    stored = stored_standing(db, origin)
    if stored is None:
        return no_snapshot("standing", "nothing signed", "what the last step left")
    standing, signature = stored
    if standing != Standing(origin=origin, size=size, root=tree.root(), tally=tally_of_rows(db, tally)):
        return no_snapshot("standing", f"{size} entries with other columns, state or counters", "what was signed")
    refusal = standing.check(signature, public)
    if refusal is not None:
        return refusal
    newest = db.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if newest is not None:
        head = signed_head(newest[1], (public, *former))
        if isinstance(head, Refusal):
            return head
        if head.size != newest[0] or head.size > size or merkle.root(head.size, stored_nodes(db)) != head.root:
            return no_snapshot("checkpoint", f"{size} entries under a signed head of {head.size}", "its root")
    return snapshot.size
