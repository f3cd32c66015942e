"""The durable content of every log, read only from the bytes of its entries as they become durable.

Instants of true time (`*_true_ns`) are ns since the start; those the members signed (`*_ns`) are UTC.
"""

from dataclasses import dataclass, field
from typing import Any

from settlement.chain import codec, merkle
from settlement.chain.bodies import (
    Abort,
    Confirm,
    Coordination,
    Credential,
    Grant,
    Preempt,
    Relinquish,
    Renew,
    Resume,
    Suspend,
    Usage,
)
from settlement.chain.leaf import OWN, Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.records import Attestation, digest, parse
from settlement.chain.scope import Cell
from settlement.core.reasons import Refusal
from settlement.records.handover import Handover

NEVER = 1 << 63
KEPT_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRecord:
    """A decoded record; its signatures are not verified."""

    digest: bytes
    raw: bytes
    typ: str
    author: bytes
    seq: int
    attestation: Attestation
    body: Any

    @property
    def sid(self) -> bytes | None:
        """The id of the settlement that the record belongs to."""
        return getattr(self.body, "sid", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a log, when it became durable, and the record in it where there is one."""

    index: int
    true_ns: int
    leaf: Leaf
    seen: SeenRecord | None

    @property
    def own(self) -> bool:
        """Whether the log's owner made the record."""
        return self.leaf.origin == OWN


@dataclass(slots=True)
class Life:
    """A settlement as in its holder's log; `gaps` are the times (UTC ns) without a running lease."""

    sid: bytes
    user: bytes
    cell: Cell
    tier: int
    max_eirp_mdbm: int
    accept_by_ns: int
    confirm_by_ns: int
    confirm: SeenRecord | None = None
    confirmed_true_ns: int = 0
    leased_until_ns: int = 0
    ended_true_ns: int | None = None
    vacate_by_ns: int = 0
    grant: SeenRecord | None = None
    above: "Life | None" = None
    """The settlement whose lease, or a part of it, this one hands on."""
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def live_until_ns(self, zero_ns: int) -> int:
        """When the settlement ends at the latest, UTC: its window's end, or that of the last lease before its end."""
        end_ns = self.cell.window.end_ns if self.above is None else self._with_what_it_hands_on_ns(zero_ns)
        if self.ended_true_ns is None:
            return end_ns
        over_ns = max(self.leased_until_ns, self.vacate_by_ns, zero_ns + self.ended_true_ns)
        return min(end_ns, over_ns)

    def _with_what_it_hands_on_ns(self, zero_ns: int) -> int:
        above_ns = self.above.live_until_ns(zero_ns) if self.above is not None else self.cell.window.end_ns
        return min(self.cell.window.end_ns, above_ns)

    def hands_on(self, other: "Life") -> bool:
        """Whether this settlement hands on the other's lease, directly or over several."""
        above = self.above
        while above is not None:
            if above.sid == other.sid:
                return True
            above = above.above
        return False


@dataclass(slots=True)
class Book:
    """One member's durable log."""

    owner: bytes
    entries: list[Entry] = field(default_factory=list)
    durable: set[bytes] = field(default_factory=set)
    lives: dict[bytes, Life] = field(default_factory=dict)
    fences: list[int] = field(default_factory=list)
    silences: dict[bytes, list[list[int]]] = field(default_factory=dict)
    """For each settlement, from and until when (true ns) its user knew of a suspension."""
    _nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _running: dict[bytes, Life] | None = None

    def running(self, since_ns: int) -> list[Life]:
        """Settlements whose window ends after `since_ns` (UTC), at most KEPT_NS below that of any earlier call."""
        if self._running is None:
            self._running = dict(self.lives)
        for sid in [sid for sid, one in self._running.items() if one.cell.window.end_ns < since_ns - KEPT_NS]:
            del self._running[sid]
        return [one for one in self._running.values() if one.cell.window.end_ns > since_ns]

    def take_over(self, lives: dict[bytes, Life]) -> None:
        """Continue with the settlements of another book of the same member."""
        self.lives, self._running = lives, None

    def root(self) -> bytes:
        """The Merkle root computed from the entries."""
        return merkle.root(len(self.entries), lambda level, index: self._nodes[level, index])

    def add(self, body: bytes, true_ns: int, seen: SeenRecord | None, leaf: Leaf) -> Entry:
        """Add an entry."""
        entry = Entry(index=len(self.entries), true_ns=true_ns, leaf=leaf, seen=seen)
        for level, at, value in merkle.new_nodes(entry.index, merkle.leaf_hash(body), lambda lv, i: self._nodes[lv, i]):
            self._nodes[level, at] = value
        self.entries.append(entry)
        self.durable.add(leaf.subject)
        if seen is not None and leaf.admitted:
            self._follow(entry, seen)
        return entry

    def _follow(self, entry: Entry, seen: SeenRecord) -> None:
        body = seen.body
        if not entry.own and isinstance(body, Suspend):
            self.silences.setdefault(body.sid, []).append([entry.true_ns, NEVER])
        if not entry.own and isinstance(body, Resume):
            for silence in self.silences.get(body.sid, []):
                silence[1] = min(silence[1], entry.true_ns)
        if entry.own and isinstance(body, Grant | Renew | Suspend | Resume):
            self.fences.append(body.fence)
        if entry.own and isinstance(body, Grant):
            granted = Life(
                sid=body.sid,
                user=body.user,
                cell=body.cell,
                tier=body.tier,
                max_eirp_mdbm=body.max_eirp_mdbm,
                accept_by_ns=body.accept_by_ns,
                confirm_by_ns=body.confirm_by_ns,
                grant=seen,
            )
            self.lives[body.sid] = granted
            if self._running is not None:
                self._running[body.sid] = granted
        life = self.lives.get(seen.sid) if seen.sid is not None else None
        if life is None:
            return
        if isinstance(body, Confirm):
            life.confirm, life.confirmed_true_ns = seen, entry.true_ns
        if isinstance(body, Resume):
            life.gaps.append((life.leased_until_ns, entry.leaf.arrived_earliest_ns))
        if isinstance(body, Confirm | Renew | Resume):
            life.leased_until_ns = max(life.leased_until_ns, body.transmit_until_ns)
        if isinstance(body, Relinquish | Preempt | Abort) and life.ended_true_ns is None:
            life.ended_true_ns = entry.true_ns
            life.vacate_by_ns = body.vacate_by_ns if isinstance(body, Preempt) else 0


class Ledger:
    """The books of all members, and the records in them."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = {}
        self.decisions: dict[bytes, set[bytes]] = {}
        self.numbered: dict[tuple[bytes, int], set[bytes]] = {}
        self.said: dict[tuple[bytes, str, bytes, int | bytes], set[bytes]] = {}
        self.cosigned: dict[bytes, dict[bytes, SeenRecord]] = {}
        """For each settlement, the durable co-signatures by author."""
        self.named: dict[bytes, SeenRecord] = {}
        """Every durable HANDOVER, by name."""
        self._read: dict[bytes, SeenRecord | None] = {}

    def running(self, since_ns: int) -> list[Life]:
        """All members' settlements whose windows end after `since_ns`, UTC."""
        return [life for book in self.books.values() for life in book.running(since_ns)]

    def seen(self, raw: bytes) -> SeenRecord | None:
        """Decode a record; None where the bytes are not a record, or have no author."""
        name = digest(raw)
        if name not in self._read:
            self._read[name] = _read(raw, name)
        return self._read[name]

    def take(self, name: str, log: Lineage, true_ns: int) -> list[Entry]:
        """Read what became durable in a member's log since the last call."""
        book = self.books[name]
        fresh = []
        for body in log.bodies(len(book.entries)):
            leaf = decode_leaf(body)
            if isinstance(leaf, Refusal):
                raise TypeError(f"{name}: {leaf}")
            seen = self.seen(leaf.record) if leaf.record else None
            fresh.append(book.add(body, true_ns, seen, leaf))
            if seen is not None and isinstance(seen.body, Grant) and leaf.origin == OWN:
                self._link(book.lives[seen.body.sid], seen.body.handover)
            if seen is not None and (leaf.admitted or leaf.origin == OWN):
                self._index(seen)
        return fresh

    def _link(self, life: Life, handover: bytes | None) -> None:
        """Link a settlement under a HANDOVER to the one whose lease it hands on."""
        told = self.named.get(handover) if handover is not None else None
        if told is not None:
            life.above = next((b.lives[told.body.sid] for b in self.books.values() if told.body.sid in b.lives), None)

    def _index(self, seen: SeenRecord) -> None:
        self.numbered.setdefault((seen.author, seen.seq), set()).add(seen.digest)
        if isinstance(seen.body, Handover):
            self.named[seen.digest] = seen
        if seen.sid is None:
            return
        if isinstance(seen.body, Coordination):
            self.cosigned.setdefault(seen.sid, {})[seen.author] = seen
        if isinstance(seen.body, Confirm | Abort):
            self.decisions.setdefault(seen.sid, set()).add(seen.digest)
        if not isinstance(seen.body, Usage | Handover):
            self.said.setdefault(step_of(seen), set()).add(seen.digest)


def step_of(seen: SeenRecord) -> tuple[bytes, str, bytes, int | bytes]:
    """The step of a settlement, and its author, that a record is for: each has one record only."""
    number = getattr(seen.body, "number", 0)
    handover = getattr(seen.body, "handover", None)
    return seen.author, seen.typ, seen.sid or b"", number if handover is None else handover


def _read(raw: bytes, name: bytes) -> SeenRecord | None:
    unproven = parse(raw)
    if isinstance(unproven, Refusal) or unproven.author is None or unproven.schema is Credential:
        return None
    payload = unproven.payload
    return SeenRecord(
        digest=name,
        raw=raw,
        typ=unproven.typ,
        author=unproven.author,
        seq=payload[3],
        attestation=codec.from_map(Attestation, payload[5], "attestation"),
        body=codec.from_map(unproven.schema, payload[6], unproven.typ),
    )
