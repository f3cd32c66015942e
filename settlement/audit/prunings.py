"""Checks the stubs of deleted entries against the owner's deletion records, and those against the rule of their time.

(1) a stub is of a kind that may be deleted, of the record type of that kind, and agrees with the columns of its row
(2) a record of the owner names the kind, the class and a lot of entries with this one, under a rule in the log
(3) that rule has a retention time for the kind in the class, and the entry was older than that when the record was
    signed
(4) there are as many stubs of a kind and class as the owner's records state
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from settlement.chain.admission import RuleInForce
from settlement.chain.leaf import OWN
from settlement.chain.prunedleaf import PrunedLeaf
from settlement.chain.records import Attestation, Frame, Record
from settlement.records.registry import TYPE_OF
from settlement.state.retention import KINDS, PrunedLot, kept_ns


@dataclass(slots=True)
class _Stubs:
    """Numbers and arrivals of the stubs of one kind and class."""

    indices: "array[int]" = field(default_factory=lambda: array("Q"))
    arrived: "array[int]" = field(default_factory=lambda: array("Q"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedShown:
    """The deleted entries of one kind and class, under which rule."""

    kind: str
    commodity: str
    rule: bytes
    count: int

    def __str__(self) -> str:
        """Return one line for people."""
        of = f" of {self.commodity}" if self.commodity else ""
        return f"{self.count} {self.kind}{of} let go by the rule {self.rule.hex()[:16]}; their hashes stay"


class Prunings:
    """The stubs and deletion records of one log: collected entry by entry, judged when all entries are read."""

    def __init__(self) -> None:
        self._stubs: dict[tuple[str, str], _Stubs] = {}
        self._lots: list[PrunedLot] = []

    def lot(self, lot: PrunedLot) -> None:
        """Add an owner's record of a deleted lot."""
        self._lots.append(lot)

    def stub(self, index: int, stub: PrunedLeaf, said: list[Any] | None) -> str | None:
        """Add a stub; return what is wrong by check (1), or None. `said`: its row's columns; None outside a file."""
        body = KINDS.get(stub.kind)
        if body is None:
            return f"its bytes are gone as {stub.kind!r:.40}, which may not go"
        if said is not None and [*said[:3], *said[4:]] != [stub.subject, 1, TYPE_OF[body], stub.author, stub.seq, None]:
            return "its stub does not agree with its columns"
        held = self._stubs.setdefault((stub.kind, stub.commodity), _Stubs())
        held.indices.append(index)
        held.arrived.append(min(stub.arrived_ns, (1 << 64) - 1))
        return None

    def judge(self, rules: Iterable[RuleInForce]) -> list[str]:
        """Return what is wrong by checks (2) to (4)."""
        by_hash, problems = {rule.hash: rule for rule in rules}, list[str]()
        said: Counter[tuple[str, str]] = Counter()
        for lot in self._lots:
            said[lot.kind, lot.commodity] += lot.count
        for (kind, commodity), held in self._stubs.items():
            lots = [lot for lot in self._lots if (lot.kind, lot.commodity) == (kind, commodity)]
            before = {id(lot): _latest_ns(lot, by_hash.get(lot.rule)) for lot in lots}
            for index, arrived_ns in zip(held.indices, held.arrived, strict=True):
                covering = [lot for lot in lots if lot.first <= index <= lot.last]
                if not any(arrived_ns < before[id(lot)] for lot in covering):
                    why = "too young for the rule" if covering else "in no lot that its owner let go"
                    problems.append(f"entry {index}: its bytes are gone, {why}")
            if len(held.indices) != said[kind, commodity]:
                told = f"its owner says {said[kind, commodity]}"
                problems.append(f"{len(held.indices)} {kind} of {commodity or 'every class'} are gone, {told}")
        problems += [
            f"{lot.count} {lot.kind} are said to be gone and are there"
            for lot in self._lots
            if (lot.kind, lot.commodity) not in self._stubs
        ]
        return problems

    def shown(self) -> list[PrunedShown]:
        """Return what was deleted, by kind, class and rule."""
        counts: Counter[tuple[str, str, bytes]] = Counter()
        for lot in self._lots:
            counts[lot.kind, lot.commodity, lot.rule] += lot.count
        return [
            PrunedShown(kind=kind, commodity=commodity, rule=rule, count=count)
            for (kind, commodity, rule), count in sorted(counts.items())
        ]


def _latest_ns(lot: PrunedLot, rule: RuleInForce | None) -> int:
    """Return the instant (UTC, ns) before which an entry of a lot must have arrived; 0 if the rule has no retention."""
    keep_ns = kept_ns(rule.rule, lot.kind, lot.commodity or None) if rule is not None else None
    return max(0, lot.at_ns - keep_ns) if keep_ns is not None else 0


def stub_record(stub: PrunedLeaf, network: str) -> Record:
    """Return a record with author, number and hash alone, for comparisons, for one whose bytes are gone."""
    unknown = Attestation(earliest_ns=0, latest_ns=0, time_source=0, lat_e7=0, lon_e7=0, radius_mm=0, position_source=0)
    frame = Frame(network=network, author=stub.author, seq=stub.seq, previous=None, attestation=unknown)
    return Record(
        raw=b"", digest=stub.subject, typ=TYPE_OF[KINDS[stub.kind]], kid=b"", claims=None, frame=frame, body=None
    )


def is_own_stub(stub: PrunedLeaf) -> bool:
    """Whether the stub is marked as of the owner's own record."""
    return stub.origin == OWN
