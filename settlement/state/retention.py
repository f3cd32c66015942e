"""Deletes the bytes of old entries by the retention terms of the rule's classes; their hashes stay.

    envelopes   of every class, once the longest time that any class keeps them is over
    intents     by their class                  usage       by the class of their settlement
    renewals    that a later one of their settlement replaced, by its class; the last of them stays for ever

Entries still needed are kept: what an open dispute, or a live settlement (except its replaced renewals), has or names,
what is in force (offers made and heard, this node's own envelopes, rules and lists), and every record type not named
above, whatever its age.
For each deleted lot the node signs a record: which rule, class and kind, how many of which entries.
Refused entries stay: they are evidence against somebody.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from settlement.chain.admission import RuleInForce
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.lineage import Lineage
from settlement.chain.prunedleaf import PrunedLeaf, is_pruned
from settlement.chain.records import Record, Unproven, parse
from settlement.core.fixes import TimeFix
from settlement.disputes.table import STORE as DISPUTES
from settlement.disputes.table import DisputeState, open_dispute
from settlement.pair.bounds import PLACES, UNITS
from settlement.pair.holder import OFFERS
from settlement.pair.user import HEARD
from settlement.records.authority import Rule
from settlement.records.endings import Usage
from settlement.records.grant import Grant
from settlement.records.lease import Renew
from settlement.records.market import Intent
from settlement.records.observation import Envelope
from settlement.records.registry import TYPE_OF
from settlement.records.verdict import Verdict
from settlement.state.due import is_due
from settlement.state.step import Step

EVERY_NS: Final = 900_000_000_000
"""Time between two looks for old bytes, ns: each lot costs a signed record, and a late deletion costs nothing."""
WINDOW: Final = 4096
"""Entries examined in one pass of one kind."""
LOT_MAX: Final = 512
"""Most bodies deleted in one step: it bounds how long other due work waits."""
NAME_BYTES: Final = 32
BODY_KEY: Final = 6
"""Key of the body in a payload: the fields around the body name the author's previous record, and so the whole log."""
IN_FORCE: Final = (OFFERS, HEARD, PLACES, UNITS)
CLOSED: Final = (DisputeState.PAID,)
RENEWALS: Final = "renewals"
KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {"envelopes": Envelope, "intents": Intent, "usage": Usage, RENEWALS: Renew}
)
"""The kinds that may be deleted, as classes name them, with the record type of each."""
CURSOR: Final = "pruned:"
"""Prefix, before a kind's name, of the counter of the first entry that is not decided on."""
CLAUSE: Final = "retention."
PRUNED_REASON: Final = "PRUNED"
_LOT: Final = re.compile(
    r"(?P<commodity>.{0,64}): (?P<count>\d{1,9}) bodies, entries (?P<first>\d{1,18}) to (?P<last>\d{1,18})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OldEntry:
    """An entry old enough to be deleted, and the class whose terms say so."""

    index: int
    leaf: Leaf
    sid: bytes | None
    commodity: str
    author: bytes
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedLot:
    """A node's record of a deletion: kind, class, rule, how many of which entries, and when."""

    kind: str
    commodity: str
    rule: bytes
    count: int
    first: int
    last: int
    at_ns: int = 0

    def record(self, keep_ns: int) -> Verdict:
        """Return the record of the deletion, as the node signs it."""
        measured = f"{self.commodity}: {self.count} bodies, entries {self.first} to {self.last}"
        clause = f"{CLAUSE}{self.kind}"
        return Verdict(
            subject=self.rule, reason=PRUNED_REASON, clause=clause, measured=measured, required=f"kept {keep_ns} ns"
        )


def lot_of(body: Verdict, at_ns: int) -> PrunedLot | None:
    """Return the deletion that a verdict, signed at that instant (UTC, ns), records; None where it records none."""
    said = _LOT.fullmatch(body.measured) if body.clause.startswith(CLAUSE) else None
    if said is None or body.reason != PRUNED_REASON:
        return None
    return PrunedLot(
        kind=body.clause.removeprefix(CLAUSE),
        commodity=said["commodity"],
        rule=body.subject,
        count=int(said["count"]),
        first=int(said["first"]),
        last=int(said["last"]),
        at_ns=at_ns,
    )


def names_in(value: Any) -> Iterator[bytes]:
    """Yield every hash that a record's body names."""
    if isinstance(value, bytes):
        if len(value) == NAME_BYTES:
            yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from names_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from names_in(one)


def kept_ns(rule: Rule, kind: str, commodity: str | None) -> int | None:
    """Return how long a class keeps a kind, ns; without a class the longest of all; None for ever."""
    terms = rule.classes if commodity is None else tuple(one for one in rule.classes if one.name == commodity)
    found = [next((r.keep_ns for r in one.retention or () if r.what == kind), None) for one in terms]
    times = [one for one in found if one is not None]
    return max(times) if times and len(times) == len(found) else None


def _commodity_in(raw: bytes) -> str | None:
    """Return the class that a GRANT or an INTENT names; None for any other record."""
    unproven = parse(raw)
    opened = unproven.opened() if isinstance(unproven, Unproven) and unproven.schema in (Intent, Grant) else None
    return opened.body.commodity if isinstance(opened, Record) else None


class LogRetention:
    """Retention in one node's log, driven by its ticks; all its lasting state is in the log."""

    def __init__(
        self, lineage: Lineage, *, rule: Callable[[], RuleInForce], live: Callable[[], Iterable[bytes]]
    ) -> None:
        """Start; `rule` returns the rule in force, `live` the settlements that are not over for this node."""
        self._lineage, self._rule, self._running = lineage, rule, live
        self._next_ns = 0
        self.more = False
        """Whether the last pass left something that may be deleted at once."""

    def is_due(self, now: TimeFix) -> bool:
        """Whether the next look is due."""
        return now.trusted and is_due(self._next_ns, now.earliest_ns, apart_ns=EVERY_NS)

    def act(self, step: Step) -> int:
        """Delete one lot, where any is due; return how many bodies were deleted."""
        now_ns = step.now.time.earliest_ns
        if not self.is_due(step.now.time):
            return 0
        self._next_ns, self.more = now_ns + EVERY_NS, False
        for kind in KINDS:
            gone, more = self._kind(step, kind, now_ns)
            if more:
                self._next_ns, self.more = 0, True
            if gone:
                return gone
        return 0

    def _kind(self, step: Step, kind: str, now_ns: int) -> tuple[int, bool]:
        """Run one pass over one kind; return how many were deleted, and whether the next may follow at once."""
        rule = self._rule().rule
        if all(kind not in [r.what for r in one.retention or ()] for one in rule.classes):
            return 0, False
        lineage, cursor = self._lineage, f"{CURSOR}{kind}"
        first = lineage.counted(cursor)
        if first + 1 >= lineage.size:
            return 0, False
        wanted, last, young = self._window(kind, first, now_ns)
        needed = self._needed() if wanted else frozenset()
        held_of = self._disputed() if kind == RENEWALS else self._live()
        going = [one for one in wanted if one.leaf.subject not in needed and one.sid not in held_of][:LOT_MAX]
        full = len(going) == LOT_MAX
        by_class: dict[str, list[OldEntry]] = defaultdict(list)
        for one in going:
            by_class[one.commodity].append(one)
        for commodity, lot in by_class.items():
            self._let_go(step, kind, commodity, lot)
        # Entries that are still needed are examined again, and so is a window with an entry that is too young.
        gone = {one.index for one in going}
        held = min((one.index for one in wanted if one.index not in gone), default=None)
        reached = min(one for one in (held, young, last) if one is not None)
        if reached > first and (not full or held is not None):
            lineage.count(cursor, reached - first)
        return len(going), bool(going) or (reached > first and young is None)

    def _window(self, kind: str, first: int, now_ns: int) -> tuple[list[OldEntry], int, int | None]:
        """Return a kind's old entries from `first` on, where the window ends, and the first entry that is too young."""
        found: list[OldEntry] = []
        lineage, of_settlements = self._lineage, dict[bytes, str | None]()
        last = min(first + WINDOW, lineage.size)
        for index, sid, author, seq, body in lineage.of_type(TYPE_OF[KINDS[kind]], first, last):
            leaf = decode_leaf(body) if not is_pruned(body) else None
            if not isinstance(leaf, Leaf) or leaf.record is None:
                continue
            commodity = "" if KINDS[kind] is Envelope else self._class_of(leaf.record, sid, of_settlements)
            if commodity is None:
                continue
            keep_ns = kept_ns(self._rule().rule, kind, commodity or None)
            if keep_ns is None:
                continue
            if leaf.arrived_latest_ns + keep_ns >= now_ns:
                return found, last, index
            found.append(OldEntry(index=index, leaf=leaf, sid=sid, commodity=commodity, author=author, seq=seq))
        if kind == RENEWALS:
            found = [one for one in found if not self._last_of_its_settlement(one)]
        return found, last, None

    def _class_of(self, raw: bytes, sid: bytes | None, of_settlements: dict[bytes, str | None]) -> str | None:
        """Return the class of an entry, by itself or by its settlement's GRANT; None where neither tells.

        A settlement has thousands of renewals and one GRANT: its class is cached in `of_settlements` for one pass.
        """
        if sid is None:
            return _commodity_in(raw)
        if sid not in of_settlements:
            body = self._lineage.oldest_of(sid, TYPE_OF[Grant])
            leaf = decode_leaf(body) if body is not None and not is_pruned(body) else None
            granted = leaf.record if isinstance(leaf, Leaf) else None
            of_settlements[sid] = _commodity_in(granted) if granted is not None else None
        return of_settlements[sid]

    def _last_of_its_settlement(self, one: OldEntry) -> bool:
        newest = self._lineage.newest_of(one.sid or b"", [TYPE_OF[Renew]])
        return newest is None or newest[1] == one.leaf.subject

    def _entries_of(self, sid: bytes) -> list[Leaf]:
        """Return a settlement's entries, of its renewals only the newest: all of them name the same hashes."""
        bodies = self._lineage.of_settlement(sid, but=TYPE_OF[Renew])
        newest = self._lineage.newest_of(sid, [TYPE_OF[Renew]])
        last = self._lineage.entry_of(newest[1]) if newest is not None else None
        leaves = [decode_leaf(body) for body in bodies if not is_pruned(body)] + ([last] if last is not None else [])
        return [leaf for leaf in leaves if isinstance(leaf, Leaf)]

    def _live(self) -> frozenset[bytes]:
        """Return the settlements that are not over for either side, or that are disputed."""
        return self._disputed().union(self._running())

    def _disputed(self) -> frozenset[bytes]:
        """Return the settlements with a dispute in any state but PAID."""
        disputes = (open_dispute(raw) for _, raw in self._lineage.items(DISPUTES))
        return frozenset(one.sid for one in disputes if one.state not in CLOSED)

    def _needed(self) -> frozenset[bytes]:
        """Return the hashes of all records to which something in force, live or disputed refers, directly or not."""
        lineage = self._lineage
        waiting: list[bytes] = [raw for kind in IN_FORCE for _, raw in lineage.items(kind)]
        for sid in self._live():
            waiting += [leaf.record for leaf in self._entries_of(sid) if leaf.record is not None]
        needed: set[bytes] = set()
        while waiting:
            unproven = parse(waiting.pop())
            if not isinstance(unproven, Unproven):
                continue
            for name in names_in(unproven.payload.get(BODY_KEY)):
                if name in needed:
                    continue
                raw = lineage.raw_of(name)
                if raw is not None:
                    needed.add(name)
                    waiting.append(raw)
        return frozenset(needed)

    def _let_go(self, step: Step, kind: str, commodity: str, lot: Sequence[OldEntry]) -> None:
        rule = self._rule()
        said = PrunedLot(
            kind=kind, commodity=commodity, rule=rule.hash, count=len(lot), first=lot[0].index, last=lot[-1].index
        )
        step.sign(said.record(kept_ns(rule.rule, kind, commodity or None) or 0))
        for one in lot:
            stub = PrunedLeaf(
                leaf=bytes(32),
                subject=one.leaf.subject,
                origin=one.leaf.origin,
                arrived_ns=one.leaf.arrived_latest_ns,
                kind=kind,
                commodity=commodity,
                author=one.author,
                seq=one.seq,
            )
            self._lineage.prune(one.index, stub)
        step.event("pruned", kind=kind, commodity=commodity, entries=len(lot))
