"""A settlement that was moved or not kept, and what was decided about it."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import DAY_NS, WINDOW_MAX_NS, count, instant_ns, length_ns
from settlement.chain.scope import Cell, ordered
from settlement.records.row import CarriedBy, Cites, Kind, RecordType
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A holder moves a settlement to a substitute that was bound at signing: which one, where to, from when."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    choice: int = uint(3, high=255)
    cell: Cell = nested(4, Cell)
    from_ns: int = instant_ns(5)
    notice_ns: int = length_ns(6, most=DAY_NS)
    reason: str = text(7, 64)
    fence: int = count(8)

    def meaning_flaw(self) -> Flaw | None:
        """The substitute has a window."""
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A party says a settlement was not kept: on which grounds, by which version of the rule, with what evidence."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    against: bytes = blob(4, HASH)
    grounds: str = text(5, 64)
    claim: int = count(6)
    evidence: tuple[bytes, ...] = array(7, blob(0, HASH), 64)
    escalates: bytes | None = blob(8, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """An authority decides a dispute by the version of the rule the settlement was made under."""

    dispute: bytes = blob(1, HASH)
    sid: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    outcome: str = text(4, 32)
    compensation: int = count(5)
    pays: bytes | None = blob(6, HASH, optional=True)
    reason: str = text(7, 256)


TYPES = (
    RecordType(
        number=22,
        name="fallback",
        body=Fallback,
        kind=Kind.DEALING,
        actions=("grant",),
        owed=True,
        ahead=(("cell.window.start_ns", WINDOW_MAX_NS),),
    ),
    RecordType(
        number=24,
        name="dispute",
        body=Dispute,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        cites=Cites.ONCE_IN_FORCE,
        owed=True,
    ),
    RecordType(
        number=25,
        name="ruling",
        body=Ruling,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        carrier=CarriedBy.ANYONE,
        cites=Cites.ONCE_IN_FORCE,
    ),
)
