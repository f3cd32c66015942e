"""Verifies logs offline: every record, the chain of each author, the tree, and both sides of every settlement.

One lineage:

    (1) the sealed file is the file that was sealed     (2) entries are whole and hash to the stored tree
    (3) every signed checkpoint is the root of its size (4) every admitted record proves, by credentials in the log
    (5) the author is entitled: the timeless clauses of admission hold again
    (6) this node's own records form one chain: numbers without a gap, each naming the one before
    (7) no two admitted records of an author share a number

All lineages together:

    (8) GRANT, ACCEPT and CONFIRM of a settlement are the same bytes on both sides
    (9) one terminal decision for each settlement       (10) no two confirmed settlements overlap while both were live
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from settlement.chain import merkle
from settlement.chain.admission import Admitted, RuleInForce, prove, proven, timeless
from settlement.chain.checkpoint import open_note, origin_of, signature_count
from settlement.chain.credentials import Registry, Subject
from settlement.chain.leaf import OWN, Leaf, decode_leaf
from settlement.chain.records import Record, parse
from settlement.chain.rotation import judge_rotation
from settlement.chain.scope import Cell
from settlement.messages import decode_message
from settlement.reasons import Refusal
from settlement.rulefile import judge_successor, rule_at
from settlement.seal import check_seal

SHOWN_MAX = 20
TIMELESS_CLAUSES = ("cbor.", "cose.", "integrity.1", "integrity.3", "capability.6", "capability.7", "capability.8")
DECISIONS = ("confirm", "abort")


@dataclass(slots=True)
class Findings:
    """What is wrong with one lineage, or with several against each other."""

    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        """Note a problem; only the first few are kept word for word."""
        if len(self.problems) < SHOWN_MAX:
            self.problems.append(problem)


@dataclass(slots=True)
class Audited:
    """One lineage after the audit; `by_sid` maps a settlement to the digests of its admitted records by type."""

    path: Path
    origin: str
    records: int = 0
    own: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    root: bytes = merkle.EMPTY_ROOT
    sealed: bool = False
    findings: Findings = field(default_factory=Findings)
    by_sid: dict[bytes, dict[str, list[bytes]]] = field(default_factory=dict)
    live: list["LiveCell"] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing wrong."""
        return not self.findings.problems

    @property
    def received(self) -> int:
        """Entries that came from others."""
        return self.records - self.own


@dataclass(slots=True)
class LiveCell:
    """A confirmed cell and from when to when (UTC ns) it was live."""

    sid: bytes
    cell: Cell
    from_ns: int
    until_ns: int

    def clashes(self, other: "LiveCell") -> bool:
        """True when both were live on a shared cell at the same time."""
        together = self.from_ns < other.until_ns and other.from_ns < self.until_ns
        return together and self.cell.overlaps(other.cell)


class _Reader:
    """A lineage file opened read-only."""

    def __init__(self, path: Path) -> None:
        # immutable: never create or recover a write-ahead log beside a file that is evidence.
        live = path.with_name(path.name + "-wal").exists()
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        self._db = apsw.Connection(f"file:{path}?{'mode=ro' if live else 'immutable=1'}", flags=flags)

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        return iter(self._db.execute(sql))

    def one(self, sql: str) -> Any:
        row = self._db.execute(sql).fetchone()
        return row[0] if row else None


@dataclass(slots=True)
class _State:
    """What the audit of one lineage carries from entry to entry."""

    registry: Registry
    audited: Audited
    rules: list[RuleInForce] = field(default_factory=list)
    last: tuple[int, bytes] | None = None
    seen: set[tuple[bytes, int]] = field(default_factory=set)
    cells: dict[bytes, Cell] = field(default_factory=dict)

    @property
    def owner(self) -> Subject | None:
        """Whose log it is: the credential in it whose key the log's origin names."""
        named = (
            s for s in self.registry.subjects() if origin_of(self.registry.network, s.public) == self.audited.origin
        )
        return next(named, None)


def audit_lineage(path: Path, *, network: str, anchors: Iterable[bytes]) -> Audited:
    """Checks (1) to (7) on one file; whatever is wrong is in the findings, nothing is raised."""
    audited = Audited(path=path, origin="")
    try:
        reader = _Reader(path)
        audited.origin = str(reader.one("SELECT value FROM meta WHERE key='origin'"))
        state = _State(Registry(network, anchors), audited)
        levels = _walk(reader, state)
        _check_checkpoints(reader, state, levels)
        if state.owner is None:
            audited.findings.add("no credential in the log is its owner's")
        else:
            _check_seal(path, state.owner, audited)
    except (apsw.Error, UnicodeDecodeError) as exc:
        audited.findings.add(f"not a readable lineage: {exc}")
    if not audited.records:
        audited.findings.add("no entries")
    return audited


def entries(path: Path) -> Iterator[Leaf]:
    """The entries of a lineage file in order, as they stand; what does not decode is left out."""
    for (body,) in _Reader(path).rows("SELECT CAST(body AS BLOB) FROM leaf ORDER BY idx"):
        leaf = decode_leaf(bytes(body))
        if isinstance(leaf, Leaf):
            yield leaf


def raw_entries(path: Path) -> tuple[bytes, ...]:
    """The bytes of every entry of a lineage file, in order."""
    return tuple(bytes(body) for (body,) in _Reader(path).rows("SELECT CAST(body AS BLOB) FROM leaf ORDER BY idx"))


def last_head(path: Path) -> tuple[int, str] | None:
    """Size and text of the newest checkpoint in a lineage file."""
    row = next(_Reader(path).rows("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1"), None)
    return None if row is None else (int(row[0]), str(row[1]))


def audit_entries(
    bodies: Iterable[bytes], *, origin: str, note: str, network: str, anchors: Iterable[bytes]
) -> Audited:
    """Checks (3) to (7) on bare entries under one signed head that covers them all."""
    audited = Audited(path=Path(origin.rpartition("/")[2]), origin=origin)
    state = _State(Registry(network, anchors), audited)
    nodes: dict[tuple[int, int], bytes] = {}
    for index, body in enumerate(bodies):
        for level, at, value in merkle.new_nodes(index, merkle.leaf_hash(body), lambda lv, i: nodes[lv, i]):
            nodes[level, at] = value
        _check_entry(state, index, body)
        audited.records += 1
    audited.root = merkle.root(audited.records, lambda lv, i: nodes[lv, i])
    head = open_note(note, state.owner.public) if state.owner is not None else None
    if head is None or isinstance(head, Refusal):
        audited.findings.add(f"head: {head or 'nobody to have signed it'}")
    elif (head.origin, head.size, head.root) != (origin, audited.records, audited.root):
        audited.findings.add(f"head: speaks of {head.origin} at {head.size}, not of these entries")
    if signature_count(note) != 1:
        audited.findings.add("head: more lines than its owner's")
    return audited


def _walk(reader: _Reader, state: _State) -> dict[int, list[bytes]]:
    """Checks (2) and (4) to (7); returns the hashes of all complete subtrees by level."""
    levels: dict[int, list[bytes]] = {}

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    findings = state.audited.findings
    for expected, (index, body) in enumerate(reader.rows("SELECT idx, CAST(body AS BLOB) FROM leaf ORDER BY idx")):
        if index != expected:
            findings.add(f"entry {expected} is missing")
            break
        for level, _, value in merkle.new_nodes(index, merkle.leaf_hash(body), read):
            levels.setdefault(level, []).append(value)
        _check_entry(state, index, bytes(body))
        state.audited.records += 1
    for level, index, value in reader.rows("SELECT level, idx, CAST(hash AS BLOB) FROM node"):
        held = levels.get(level, [])
        if index >= len(held) or held[index] != value:
            findings.add(f"tree node {level}/{index} is not the hash of its entries")
    stored = reader.one("SELECT count(*) FROM node")
    if stored != sum(len(values) for values in levels.values()):
        findings.add("the stored tree is not as large as the entries make it")
    state.audited.root = merkle.root(state.audited.records, read)
    return levels


def _check_entry(state: _State, index: int, body: bytes) -> None:
    leaf = decode_leaf(body)
    if isinstance(leaf, Refusal):
        state.audited.findings.add(f"entry {index}: {leaf}")
        return
    if not leaf.admitted:
        state.audited.refused[leaf.reason or ""] += 1
        _replay_refused(state, index, leaf)
        return
    if leaf.record is None:
        state.audited.findings.add(f"entry {index}: admitted without its bytes")
        return
    unproven = parse(leaf.record)
    typ = "" if isinstance(unproven, Refusal) else unproven.typ
    record = proven(leaf.record, state.registry)
    if record is None or record.digest != leaf.subject:
        state.audited.findings.add(f"entry {index}: a {typ or 'malformed'} record that does not prove")
        return
    if typ == "rule":
        _take_rule(state, index, RuleInForce(hash=record.digest, rule=record.body))
    elif typ != "credential":
        _check_entitled(state, index, leaf, record)
    _follow(state, leaf, record)


def _check_entitled(state: _State, index: int, leaf: Leaf, record: Record) -> None:
    admitted = prove(record.raw, state.registry)
    if isinstance(admitted, Admitted) and record.typ == "rotation":
        successor = judge_rotation(admitted.author, record.body, state.registry)
        if isinstance(successor, Subject):
            state.registry.rotate(admitted.author, successor)
    rule = rule_at(state.rules, record.frame.attestation) or (state.rules[-1] if state.rules else None)
    if rule is None or not isinstance(admitted, Admitted):
        state.audited.findings.add(f"entry {index}: no rule in the log before the first record under it")
        return
    refusal = timeless(admitted, rule)
    state.audited.replayed += 1
    if refusal is not None:
        state.audited.findings.add(f"entry {index}: admitted, but {refusal}")
    author = record.frame.author or b""
    if (author, record.frame.seq) in state.seen:
        state.audited.findings.add(f"entry {index}: {admitted.author.name} used number {record.frame.seq} twice")
    state.seen.add((author, record.frame.seq))
    if leaf.origin == OWN:
        _check_own(state, index, record, admitted.author)


def _take_rule(state: _State, index: int, rule: RuleInForce) -> None:
    """The first rule of a log, then each that properly follows the last."""
    refusal = judge_successor(state.rules[-1], rule.rule) if state.rules else None
    if refusal is None:
        state.rules.append(rule)
    else:
        state.audited.findings.add(f"entry {index}: a rule that does not follow the last: {refusal}")


def _replay_refused(state: _State, index: int, leaf: Leaf) -> None:
    """A refusal by what never changes, the bytes and what the author may do, must come out the same again."""
    if leaf.record is None or not (leaf.clause or "").startswith(TIMELESS_CLAUSES):
        return
    state.audited.replayed += 1
    outcome = prove(leaf.record, state.registry)
    if isinstance(outcome, Admitted):
        rule = rule_at(state.rules, outcome.record.frame.attestation)
        outcome = (timeless(outcome, rule) if rule else None) or outcome
    # What was refused before a record could be taken out of it is logged as it came.
    wrapped = decode_message(leaf.record)
    if isinstance(wrapped, Refusal) and wrapped.reason.value == leaf.reason:
        return
    if not isinstance(outcome, Refusal) or outcome.reason.value != leaf.reason:
        now = outcome.reason.value if isinstance(outcome, Refusal) else "admissible"
        state.audited.findings.add(f"entry {index}: refused as {leaf.reason}, now {now}")


def _check_own(state: _State, index: int, record: Record, author: Subject) -> None:
    """Check (6)."""
    state.audited.own += 1
    owner = state.owner
    before = (record.frame.seq - 1, record.frame.previous)
    expected = state.last if state.last is not None else (0, None)
    if owner is None or author.hash != owner.hash or before != expected:
        state.audited.findings.add(f"entry {index}: own record {record.frame.seq} does not follow {expected[0]}")
    state.last = (record.frame.seq, record.digest)


def _follow(state: _State, leaf: Leaf, record: Record) -> None:
    """Remember what the settlements of this log consist of, and when their cells were live."""
    sid = record.sid
    if sid is None:
        return
    state.audited.by_sid.setdefault(sid, {}).setdefault(record.typ, []).append(record.digest)
    if leaf.origin != OWN and record.typ not in ("relinquish",):
        return
    body, here = record.body, record.frame.attestation
    if record.typ == "grant":
        state.cells[sid] = body.cell
    elif record.typ == "confirm":
        cell = state.cells.get(sid)
        if cell is not None:
            state.audited.live.append(
                LiveCell(sid=sid, cell=cell, from_ns=here.earliest_ns, until_ns=cell.window.end_ns)
            )
    elif record.typ in ("preempt", "relinquish"):
        ended_ns = body.vacate_by_ns if record.typ == "preempt" else here.latest_ns
        for live in state.audited.live:
            if live.sid == sid:
                live.until_ns = min(live.until_ns, ended_ns)


def _check_checkpoints(reader: _Reader, state: _State, levels: dict[int, list[bytes]]) -> None:
    """Check (3)."""
    owner, findings = state.owner, state.audited.findings
    for size, note in reader.rows("SELECT size, note FROM checkpoint ORDER BY size"):
        head = open_note(note, owner.public) if owner is not None else None
        if head is None or isinstance(head, Refusal):
            findings.add(f"checkpoint {size}: {head or 'nobody to have signed it'}")
        elif head.origin != state.audited.origin or head.size != size or size > state.audited.records:
            findings.add(f"checkpoint {size}: speaks of {head.origin} at {head.size}")
        elif merkle.root(size, lambda level, index: levels[level][index]) != head.root:
            findings.add(f"checkpoint {size}: the entries were changed after it was signed")


def _check_seal(path: Path, owner: Subject, audited: Audited) -> None:
    """Check (1)."""
    outcome = check_seal(path, owner.public)
    audited.sealed = outcome is None
    if isinstance(outcome, Refusal) and outcome.measured != "no seal":
        audited.findings.add(str(outcome))


def cross_check(lineages: list[Audited]) -> Findings:
    """Checks (8) to (10)."""
    findings = Findings()
    sides: dict[bytes, list[dict[str, list[bytes]]]] = {}
    for audited in lineages:
        for sid, records in audited.by_sid.items():
            sides.setdefault(sid, []).append(records)
    for sid, held in sides.items():
        _check_sides(findings, sid.hex()[:16], held)
    for audited in lineages:
        for number, live in enumerate(audited.live):
            for other in audited.live[:number]:
                if live.clashes(other):
                    both = f"{live.sid.hex()[:16]} and {other.sid.hex()[:16]}"
                    findings.add(f"settlements {both} were live on the same cell")
    return findings


def _check_sides(findings: Findings, sid: str, held: list[dict[str, list[bytes]]]) -> None:
    for typ in ("grant", "accept", *DECISIONS):
        versions = {digest for records in held for digest in records.get(typ, [])}
        if len(versions) > 1:
            findings.add(f"settlement {sid}: {len(versions)} different {typ} records")
    decided = {typ for records in held for typ in DECISIONS if typ in records}
    if len(decided) > 1:
        findings.add(f"settlement {sid}: both confirmed and aborted")
    confirmed_by_user = any("confirm" in records for records in held)
    if confirmed_by_user and not all("confirm" in r for r in held) and len(held) > 1:
        findings.add(f"settlement {sid}: confirmed on one side only")
