"""Records about a settlement that was moved or not kept: the holder's FALLBACK, a dispute, its answer, the ruling."""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import DAY_NS, WINDOW_MAX_NS, count, instant_ns, length_ns
from settlement.chain.scope import Cell, ordered
from settlement.records.row import CarriedBy, Cites, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH

COMPENSATES, CORRECTS, DISMISSED = "compensation", "correction", "dismissed"
OUTCOMES = (COMPENSATES, CORRECTS, DISMISSED)
"""What a ruling orders: a payment, a correction of a party's record of fulfilment, or nothing."""
DENIED, ADMITTED = "denied", "admitted"
EVIDENCE_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A holder moves a settlement to a substitute to which the GRANT binds it.

    `choice` is the number of the fallback in the class's catalogue, `cell` the substitute, `from_ns` when the old cell
    is taken back. `declaration` is the offer under which the user requests the substitute; `owed` is what the holder
    owes the user for the move.
    """

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    choice: int = uint(3, high=255)
    cell: Cell = nested(4, Cell)
    from_ns: int = instant_ns(5)
    notice_ns: int = length_ns(6, most=DAY_NS)
    reason: str = text(7, 64)
    fence: int = count(8)
    declaration: bytes | None = blob(60, HASH, optional=True)
    owed: int | None = count(61, least=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the substitute's window has a length from 1 ns to WINDOW_MAX_NS."""
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A party states that a settlement was not kept: the grounds, the rule's version, the sum claimed, the evidence.

    `evidence` has the hashes of records; `escalates` names the dispute that this one takes to the next level.
    """

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    against: bytes = blob(4, HASH)
    grounds: str = text(5, 64)
    claim: int = count(6)
    evidence: tuple[bytes, ...] = array(7, blob(0, HASH), EVIDENCE_MAX)
    escalates: bytes | None = blob(8, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAnswer:
    """The accused party answers a dispute: it admits or denies (`stance`), and cites records as evidence."""

    dispute: bytes = blob(1, HASH)
    sid: bytes = blob(2, HASH)
    confirm: bytes = blob(3, HASH)
    stance: str = text(4, 16)
    evidence: tuple[bytes, ...] = array(5, blob(0, HASH), EVIDENCE_MAX)
    reason: str | None = text(6, 256, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the stance is one of the two."""
        known = self.stance in (DENIED, ADMITTED)
        return None if known else (".stance", self.stance, f"{DENIED} or {ADMITTED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """An authority decides a dispute by the version of the rule under which the settlement was made.

    `compensation` is the sum to be paid, by `pays` to `to`. `answer` is the answer that was taken into account;
    `corrects` the party whose record of fulfilment it changes; `strikes` the ruling of a lower level that no longer
    counts.
    """

    dispute: bytes = blob(1, HASH)
    sid: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    outcome: str = text(4, 32)
    compensation: int = count(5)
    pays: bytes | None = blob(6, HASH, optional=True)
    reason: str = text(7, 256)
    answer: bytes | None = blob(60, HASH, optional=True)
    to: bytes | None = blob(61, HASH, optional=True)
    corrects: bytes | None = blob(62, HASH, optional=True)
    strikes: bytes | None = blob(63, HASH, optional=True)


TYPES = (
    RecordType(
        number=22,
        name="fallback",
        body=Fallback,
        kind=Kind.DEALING,
        actions=("grant",),
        late=WhenLate.COUNTS,
        owed=True,
        receipted=True,
        ahead=(("cell.window.start_ns", WINDOW_MAX_NS),),
    ),
    RecordType(
        number=24,
        name="dispute",
        body=Dispute,
        kind=Kind.DEALING,
        actions=("grant", "request", "coordinate", "audit"),
        late=WhenLate.COUNTS,
        cites=Cites.ONCE_IN_FORCE,
        owed=True,
        receipted=True,
    ),
    RecordType(
        number=47,
        name="answer",
        body=DisputeAnswer,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        owed=True,
        receipted=True,
    ),
    RecordType(
        number=25,
        name="ruling",
        body=Ruling,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
        late=WhenLate.COUNTS,
        cites=Cites.ONCE_IN_FORCE,
    ),
)
