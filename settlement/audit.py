"""Verifies logs offline: every record, the chain of each author, the tree, and both sides of every settlement.

One lineage:

    (1) the sealed file is the file that was sealed     (2) entries are whole and hash to the stored tree
    (3) every signed checkpoint is the root of its size (4) every admitted record proves, by credentials in the log
    (5) the author is entitled: the timeless clauses of admission hold again
    (6) this node's own records form one chain: numbers without a gap, each naming the one before
    (7) no two admitted records of an author share a number

What several lineages say of each other is in `crosscheck`.
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
from settlement.chain.records import Record, digest
from settlement.chain.rotation import judge_rotation
from settlement.fixes import TimeSource
from settlement.messages import decode_message
from settlement.pair.artifact import verify_rule
from settlement.reasons import Reason, Refusal
from settlement.rulefile import judge_successor, rule_at
from settlement.seal import check_seal, seal_path

SHOWN_MAX = 20
TIMELESS_CLAUSES = ("cbor.", "cose.", "integrity.1", "integrity.3", "capability.6", "capability.7", "capability.8")
OWN_WORD = ("gate", "verdict")
UNTRUSTED = (Reason.TIME_UNTRUSTED, Reason.POSITION_UNTRUSTED)


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
    held: list[Record] = field(default_factory=list)
    owner: bytes | None = None

    @property
    def ok(self) -> bool:
        """Nothing wrong."""
        return not self.findings.problems

    @property
    def received(self) -> int:
        """Entries that came from others."""
        return self.records - self.own


class _Reader:
    """A lineage file opened read-only."""

    def __init__(self, path: Path) -> None:
        # immutable: never create, recover or believe a write-ahead log beside a file that is evidence.
        live = path.with_name(path.name + "-wal").exists() and not seal_path(path).exists()
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        mode = "mode=ro" if live else "immutable=1"
        self._db = apsw.Connection(f"{path.resolve().as_uri()}?{mode}", flags=flags)

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
    last_signed_ns: int = 0
    seen: set[tuple[bytes, int]] = field(default_factory=set)

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
            audited.owner = state.owner.hash
            _check_seal(path, state.owner, audited)
    except Exception as exc:  # noqa: BLE001 - whatever is in the file, the auditor says so and goes on
        audited.findings.add(f"not a readable lineage: {exc!r:.200}")
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
        _check_entry(state, index, body, None)
        audited.records += 1
    audited.root = merkle.root(audited.records, lambda lv, i: nodes[lv, i])
    audited.owner = state.owner.hash if state.owner is not None else None
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
    columns = "idx, CAST(body AS BLOB), subject, admitted, typ, author, seq"
    for expected, (index, body, *said) in enumerate(reader.rows(f"SELECT {columns} FROM leaf ORDER BY idx")):  # noqa: S608
        if index != expected:
            findings.add(f"entry {expected} is missing")
            break
        for level, _, value in merkle.new_nodes(index, merkle.leaf_hash(body), read):
            levels.setdefault(level, []).append(value)
        _check_entry(state, index, bytes(body), said)
        state.audited.records += 1
    for level, index, value in reader.rows("SELECT level, idx, CAST(hash AS BLOB) FROM node"):
        held = levels.get(level, [])
        if not isinstance(index, int) or not 0 <= index < len(held) or held[index] != value:
            findings.add(f"tree node {level}/{index} is not the hash of its entries")
    stored = reader.one("SELECT count(*) FROM node")
    if stored != sum(len(values) for values in levels.values()):
        findings.add("the stored tree is not as large as the entries make it")
    state.audited.root = merkle.root(state.audited.records, read)
    return levels


def _check_entry(state: _State, index: int, body: bytes, said: list[Any] | None) -> None:
    leaf, add = decode_leaf(body), state.audited.findings.add
    if isinstance(leaf, Refusal):
        add(f"entry {index}: {leaf}")
        return
    if said is not None and said[:2] != [leaf.subject, leaf.admitted]:
        add(f"entry {index}: its columns do not agree with its bytes")
    if leaf.arrived_earliest_ns > leaf.arrived_latest_ns:
        add(f"entry {index}: arrived before it arrived")
    if leaf.record is not None and digest(leaf.record) != leaf.subject:
        add(f"entry {index}: names other bytes than it holds")
    if not leaf.admitted:
        state.audited.refused[leaf.reason or ""] += 1
        if leaf.reason not in Reason.__members__:
            add(f"entry {index}: refused without a known reason")
        _replay_refused(state, index, leaf)
        return
    record = proven(leaf.record, state.registry) if leaf.record is not None else None
    if record is None:
        add(f"entry {index}: admitted, but it does not prove")
        return
    if said is not None and said[2:] != [record.typ, record.frame.author, record.frame.seq]:
        add(f"entry {index}: its columns do not agree with its record")
    if record.typ == "rule":
        _take_rule(state, index, record)
    elif record.typ != "credential":
        _check_entitled(state, index, leaf, record)
    if record.sid is not None:
        state.audited.by_sid.setdefault(record.sid, {}).setdefault(record.typ, []).append(record.digest)
    state.audited.held.append(record)


def _take_rule(state: _State, index: int, record: Record) -> None:
    """The first rule of a log, then each that properly follows, by an authority that may rule band and area."""
    author = state.registry.get(record.frame.author)
    rule = verify_rule(record.raw, author.chain, state.registry) if author is not None else None
    if not isinstance(rule, RuleInForce):
        state.audited.findings.add(f"entry {index}: a rule by nobody who may rule: {rule}")
        return
    refusal = judge_successor(state.rules[-1], rule.rule) if state.rules else None
    if refusal is None:
        state.rules.append(rule)
    else:
        state.audited.findings.add(f"entry {index}: a rule that does not follow the last: {refusal}")


def _check_entitled(state: _State, index: int, leaf: Leaf, record: Record) -> None:
    add = state.audited.findings.add
    admitted = prove(record.raw, state.registry)
    if isinstance(admitted, Admitted) and record.typ == "rotation":
        successor = judge_rotation(admitted.author, record.body, state.registry)
        if isinstance(successor, Subject):
            state.registry.rotate(admitted.author, successor)
    rule = rule_at(state.rules, record.frame.attestation) or (state.rules[-1] if state.rules else None)
    if rule is None or not isinstance(admitted, Admitted):
        add(f"entry {index}: no rule in the log before the first record under it")
        return
    refusal = timeless(admitted, rule)
    state.audited.replayed += 1
    own = state.owner is not None and admitted.author.hash == state.owner.hash
    # A node's own word that it lost its clock or its place is exactly what must be on record.
    excused = own and record.typ in OWN_WORD and refusal is not None and refusal.reason in UNTRUSTED
    if refusal is not None and not excused:
        add(f"entry {index}: admitted, but {refusal}")
    author = record.frame.author or b""
    if (author, record.frame.seq) in state.seen:
        add(f"entry {index}: {admitted.author.name} used number {record.frame.seq} twice")
    state.seen.add((author, record.frame.seq))
    if record.frame.attestation.earliest_ns > leaf.arrived_latest_ns:
        add(f"entry {index}: signed after it arrived")
    if own != (leaf.origin == OWN):
        add(f"entry {index}: marked as {'own' if leaf.origin == OWN else 'received'}, which it is not")
    if own:
        _check_own(state, index, record, admitted.author)


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
    signed = record.frame.attestation
    state.last = (record.frame.seq, record.digest)
    if signed.time_source == TimeSource.NONE:
        return  # a clock its owner did not trust says nothing of order
    if signed.latest_ns < state.last_signed_ns:
        state.audited.findings.add(f"entry {index}: own record {record.frame.seq} is attested before the one before it")
    state.last_signed_ns = max(state.last_signed_ns, signed.earliest_ns)


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
