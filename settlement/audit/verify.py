"""Verifies logs offline: every record, the chain of each author, the tree, and both sides of every settlement.

Checks of one log:
    (1) a sealed file is as it was sealed               (2) entries are complete and hash to the stored tree
    (3) every signed checkpoint has the root of its size
    (4) every admitted record is signed by a credential in the log
    (5) the author was entitled: the timeless clauses of admission hold again
    (6) the owner's own records form one chain: numbers without a gap, each naming the one before
    (7) no two admitted records of an author share a number
    (8) columns, state and counters are those that the owner signed with the root after its last step
    (9) every ruling equals the one that its case leads to when it is judged again

Checks (4) to (7) are in `replay`, check (9) in `rulings`. A log without a seal may pass and still be an older copy, put
back as a whole: that is a warning. `crosscheck` compares several logs with each other.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from settlement.audit.findings import SHOWN_MAX, Audited
from settlement.audit.heads import Heads, LogTree
from settlement.audit.replay import Replay, check_entry, check_numbers, former_of
from settlement.audit.rulings import replay_rulings
from settlement.audit.seal import check_seal, seal_path
from settlement.audit.signatures import Ahead
from settlement.chain import merkle
from settlement.chain.checkpoint import open_note, origin_of, signature_count
from settlement.chain.credentials import Registry, Subject
from settlement.chain.foreign import NoDatabase, open_foreign, typed
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import SCHEMA, LineageError
from settlement.chain.prunedleaf import entry_hash, is_pruned, with_stub
from settlement.chain.standing import Standing, Tally
from settlement.chain.wholeness import COLUMNS, Tree, stored_nodes, stored_standing, stored_stubs, tally_of_rows
from settlement.core.reasons import Refusal
from settlement.records.complaint import Ruling
from settlement.records.registry import TYPE_OF
from settlement.state.witness import HEADS

UNREADABLE = (apsw.Error, TypeError, ValueError)
"""Exceptions from reading somebody else's file: SQLite's errors, a value of another type, text that is not UTF-8."""
COLLECTED_AFTER = 50_000
"""Number of new objects, not freed, after which Python's garbage collector runs while entries are read."""
CREDENTIALS = "SELECT CAST(body AS BLOB) FROM leaf WHERE typ='credential' ORDER BY idx"


class _Reader:
    """A log file opened read-only, with the checks for a file of somebody else (`chain.foreign`)."""

    def __init__(self, path: Path) -> None:
        # Never create, recover or believe a write-ahead log beside a file that is evidence.
        live = path.with_name(path.name + "-wal").exists() and not seal_path(path).exists()
        self.db = open_foreign(path, SCHEMA, live=live)

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        return iter(self.db.execute(sql))

    def one(self, sql: str) -> Any:
        row = self.db.execute(sql).fetchone()
        return row[0] if row else None


@contextmanager
def _few_collections() -> Iterator[None]:
    """Run the garbage collector less often: an audit's objects have no cycles, and each run visits all of them.

    The interpreter's own threshold is restored afterwards.
    """
    first, *others = gc.get_threshold()
    gc.set_threshold(max(first, COLLECTED_AFTER) if first else 0, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)


def audit_lineage(path: Path, *, network: str, anchors: Iterable[bytes]) -> Audited:
    """Run checks (1) to (9) on one file; every problem is a finding, no exception is raised."""
    audited = Audited(path=path, origin="")
    try:
        reader = _Reader(path)
        audited.origin = str(reader.one("SELECT value FROM meta WHERE key='origin'"))
        rotations = (bytes(b) for (b,) in reader.rows("SELECT CAST(body AS BLOB) FROM leaf WHERE typ='rotation'"))
        state = Replay(Registry(network, anchors), audited, former=former_of(audited.origin, network, rotations))
        with _few_collections():
            _walk(reader, state)
        if _strange(state):
            return audited
        _check_checkpoints(reader, state)
        if state.owner is None:
            audited.findings.add("no credential in the log is its owner's")
        else:
            _name_owner(state)
            _replay_rulings(state, lambda: raw_entries(path))
            _find_heads(reader, path, state)
            _check_standing(reader, state, state.owner)
            _check_seal(path, state.owner, audited)
    except Exception as exc:  # noqa: BLE001 - whatever is in the file, the auditor says so and goes on
        audited.findings.add(f"not a readable lineage: {exc!r:.200}")
    if not audited.records:
        audited.findings.add("no entries")
    return audited


KEPT_HEADS = "SELECT kind, CAST(value AS BLOB) FROM state WHERE kind IN ('artifact', 'head') ORDER BY kind, key"
STRANGE = "no credential in it leads to a trust anchor that was given: another network's log, or not the right anchor"


def _strange(state: Replay) -> bool:
    """Whether no credential in the log leads to a given anchor; that is then made the only finding."""
    if state.registry.subjects() or not state.audited.records:
        return False
    state.audited.findings.problems[:] = [STRANGE]
    state.audited.stranger = True
    return True


def why_no_lineage(path: Path) -> str | None:
    """Return why a file is no log; None where it claims to be one, by its form or by any seal beside it."""
    if seal_path(path).exists():
        return None
    try:
        reader = _Reader(path)
        named = reader.one("SELECT value FROM meta WHERE key='origin'")
        reader.db.close()
    except (*UNREADABLE, NoDatabase) as exc:
        return str(exc)
    return None if isinstance(named, str) else "it says of no node that it is its log"


def _opened(path: Path) -> _Reader:
    """Open a log file for reading. Raises LineageError where it is none."""
    try:
        reader = _Reader(path)
        reader.one("SELECT value FROM meta WHERE key='origin'")
    except (*UNREADABLE, NoDatabase) as exc:
        raise LineageError(f"{path}: not a readable lineage: {exc}") from exc
    return reader


def leaves(bodies: Iterable[bytes]) -> Iterator[Leaf]:
    """Yield entries from their bytes, in order; what does not decode is left out."""
    for body in bodies:
        leaf = decode_leaf(body)
        if isinstance(leaf, Leaf):
            yield leaf


def entries(path: Path) -> Iterator[Leaf]:
    """Yield the entries of a log file in order, unverified. Raises LineageError."""
    return leaves(raw_entries(path))


def raw_entries(path: Path) -> Iterator[bytes]:
    """Yield the bytes of every entry of a log file, in order. Raises LineageError, also where an entry is missing."""
    reader = _opened(path)
    try:
        rows = reader.rows("SELECT idx, CAST(body AS BLOB) FROM leaf ORDER BY idx")
        for expected, (index, body) in enumerate(rows):
            if index != expected:
                raise LineageError(f"{path}: entry {expected} is missing")
            yield bytes(body)
    except UNREADABLE as exc:
        raise LineageError(f"{path}: {exc}") from exc
    finally:
        reader.db.close()


def kept_rows(path: Path) -> tuple[dict[tuple[str, bytes], bytes], dict[str, int]]:
    """Return the stored state and counters of a log file, unverified. Raises LineageError."""
    reader = _opened(path)
    try:
        state = reader.rows("SELECT kind, CAST(key AS BLOB), CAST(value AS BLOB) FROM state")
        counters = reader.rows("SELECT name, value FROM counter")
        rows = {(typed(kind, str), typed(key, bytes)): typed(value, bytes) for kind, key, value in state}
        return rows, {typed(name, str): typed(value, int) for name, value in counters}
    except UNREADABLE as exc:
        raise LineageError(f"{path}: {exc}") from exc
    finally:
        reader.db.close()


def last_head(path: Path) -> tuple[int, str] | None:
    """Return size and text of the newest checkpoint in a log file; None if there is none. Raises LineageError."""
    reader = _opened(path)
    try:
        row = next(reader.rows("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1"), None)
        return None if row is None else (typed(row[0], int), typed(row[1], str))
    except UNREADABLE as exc:
        raise LineageError(f"{path}: {exc}") from exc
    finally:
        reader.db.close()


def audit_entries(
    bodies: Sequence[bytes], *, origin: str, note: str, network: str, anchors: Iterable[bytes]
) -> Audited:
    """Run checks (3) to (7) and (9) on bare entries under one signed head, `note`, that covers them all.

    After SHOWN_MAX problems the rest is not read: no later entry could remove them.
    """
    audited = Audited(path=Path(origin.rpartition("/")[2]), origin=origin)
    rotations = (body for body in bodies if b"bandpact/rotation" in body)
    state = Replay(Registry(network, anchors), audited, former=former_of(origin, network, rotations))
    frontier = merkle.NO_LEAVES
    for index, body in enumerate(bodies):
        frontier, _ = merkle.grown(frontier, index, entry_hash(body))
        check_entry(state, index, body, None)
        audited.records += 1
        if len(audited.findings.problems) >= SHOWN_MAX:
            break
    check_numbers(state)
    _check_prunings(state)
    audited.root = merkle.fold(frontier)
    if _strange(state):
        return audited
    _name_owner(state)
    _replay_rulings(state, lambda: bodies)
    head = open_note(note, state.owner.public) if state.owner is not None else None
    if head is None or isinstance(head, Refusal):
        audited.findings.add(f"head: {head or 'nobody to have signed it'}")
    elif (head.origin, head.size, head.root) != (origin, audited.records, audited.root):
        audited.findings.add(f"head: speaks of {head.origin} at {head.size}, not of these entries")
    if signature_count(note) != 1:
        audited.findings.add("head: more lines than its owner's")
    audited.tree = LogTree(origins=_origins(state), size=audited.records, note=note, entries=lambda: bodies)
    return audited


def _replay_rulings(state: Replay, entries: Callable[[], Iterable[bytes]]) -> None:
    """Run check (9), where there is a ruling."""
    audited = state.audited
    if audited.held.typs[TYPE_OF[Ruling]]:
        audited.replayed += replay_rulings(entries, state.registry, state.rules, audited.findings)


def _origins(state: Replay) -> tuple[str, ...]:
    """Return every origin that the log had under its owner's keys, the newest first."""
    return tuple(origin_of(state.registry.network, one.public) for one in state.line()) or (state.audited.origin,)


def _name_owner(state: Replay) -> None:
    """Set the owner and its earlier credentials, as the log proves them; one that is only claimed is a finding."""
    line, audited = state.line(), state.audited
    audited.owner, audited.line = line[0].hash if line else None, tuple(one.hash for one in line)
    for claimed in sorted(state.former - set(audited.line)):
        audited.findings.add(f"{claimed.hex()[:8]} is said to be the owner of before, and was never succeeded")


def _everyone(reader: _Reader, known: Registry) -> Registry:
    """Return a registry of all credentials in the log, for checking signatures ahead; not for judging rights."""
    found = Registry(known.network, known.anchors)
    for leaf in leaves(bytes(body) for (body,) in reader.rows(CREDENTIALS)):
        if leaf.record is not None:
            found.admit(leaf.record)
    return found


def _walk(reader: _Reader, state: Replay) -> None:
    """Run checks (2) and (4) to (7), in memory that does not grow with the tree, with signatures on every core."""
    findings, tree, whole, stubs = state.audited.findings, Tree(reader.db), True, 0
    ahead = Ahead(_everyone(reader, state.registry))
    state.verify = ahead.verify
    columns = f"idx, CAST(body AS BLOB), subject, admitted, {COLUMNS}"
    rows = reader.rows(f"SELECT {columns} FROM leaf ORDER BY idx")  # noqa: S608 - our own column names
    read = ahead.read(((row, row[1]) for row in rows), count=reader.one("SELECT coalesce(max(idx), 0) FROM leaf"))
    for expected, (index, body, *said) in enumerate(read):
        if index != expected:
            findings.add(f"entry {expected} is missing")
            break
        if whole and not tree.add(index, entry_hash(body)):
            whole = False
            findings.add(f"entry {index} does not hash to the stored tree")
        check_entry(state, index, bytes(body), said)
        if is_pruned(body):
            stubs = with_stub(stubs, index, bytes(body))
        state.tally = state.tally.appended(said[2:])
        state.audited.records += 1
    if whole and not tree.over():
        findings.add("the stored tree is larger than the entries make it")
    if stubs != stored_stubs(reader.db):
        findings.add("the stubs of what was let go are not those that were put there")
    check_numbers(state)
    _check_prunings(state)
    state.audited.root = tree.root()


def _check_prunings(state: Replay) -> None:
    """Add a finding for entries whose bytes were deleted without a record of the owner or against the rule."""
    for problem in state.audited.prunings.judge(state.rules):
        state.audited.findings.add(problem)


def _check_checkpoints(reader: _Reader, state: Replay) -> None:
    """Run check (3) by the stored tree, which check (2) compared with the entries."""
    stored = stored_nodes(reader.db)
    findings, network = state.audited.findings, state.registry.network
    owners = {origin_of(network, one.public): one for one in state.line()}
    for size, note in reader.rows("SELECT size, note FROM checkpoint ORDER BY size"):
        owner = owners.get(str(note).partition("\n")[0]) or state.owner
        head = open_note(note, owner.public) if owner is not None else None
        if head is None or isinstance(head, Refusal):
            findings.add(f"checkpoint {size}: {head or 'nobody to have signed it'}")
        elif head.origin not in owners or head.size != size or size > state.audited.records:
            findings.add(f"checkpoint {size}: speaks of {head.origin} at {head.size}")
        elif merkle.root(size, stored) != head.root:
            findings.add(f"checkpoint {size}: the entries were changed after it was signed")


def _find_heads(reader: _Reader, path: Path, state: Replay) -> None:
    """Find heads in the stored state: in the artifacts of settlements, and those seen as a witness."""
    heads, audited = Heads(state.registry), state.audited
    for kind, value in reader.rows(KEPT_HEADS):
        raw = typed(value, bytes)
        found = heads.of_note(raw.decode("utf-8", "replace"), path.name) if kind == HEADS else ()
        audited.heads.extend(found or heads.of_artifact(raw, path.name))
    note = str(reader.one("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1") or "")
    audited.tree = LogTree(origins=_origins(state), size=audited.records, note=note, entries=lambda: raw_entries(path))


def _check_standing(reader: _Reader, state: Replay, owner: Subject) -> None:
    """Run check (8)."""
    audited = state.audited
    stored = stored_standing(reader.db, audited.origin)
    if stored is None:
        audited.findings.add("the owner's signature over log, state and counters is missing")
        return
    tally: Tally = tally_of_rows(reader.db, state.tally)
    found = Standing(origin=audited.origin, size=audited.records, root=audited.root, tally=tally)
    refusal = found.check(stored[1], owner.public)
    if refusal is not None:
        after = f"{stored[0].size} entries were there" if stored[0].size != found.size else "something else was there"
        audited.findings.add(f"log, state or counters are not what the owner's last step left: {after}")


def _check_seal(path: Path, owner: Subject, audited: Audited) -> None:
    """Run check (1); a log without a seal gets a warning."""
    outcome = check_seal(path, owner.public)
    audited.sealed = outcome is None
    if isinstance(outcome, Refusal) and outcome.measured != "no seal":
        audited.findings.add(str(outcome))
    elif not audited.sealed:
        audited.warnings.append("not sealed: an older copy, put back whole, would look the same")
