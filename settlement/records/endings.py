"""Records that end a settlement before its window does, and the user's USAGE report."""

from dataclasses import dataclass

from settlement.chain.codec import blob, nested, text, uint
from settlement.chain.quantities import WINDOW_MAX_NS, count, instant_ns, length_ns
from settlement.chain.scope import Window
from settlement.records.row import Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH

UNDELIVERED = "UNDELIVERED"
"""The reason of a PREEMPT by which a holder fails to deliver, without a stronger tier or an incumbent as cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relinquish:
    """A user ends a settlement before its window does."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    reason: str = text(3, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """A holder displaces a user for a stronger tier; the user's emission stops before `vacate_by_ns`.

    `by` is the hash of the REQUEST that displaces it, `owed` what the holder owes the displaced user, and
    `compensation` the hash of the COMPENSATION record for that; `evidence` is the hash of the envelope that reports an
    incumbent.
    """

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    tier: int = uint(3, high=255)
    reason: str = text(4, 64)
    vacate_by_ns: int = instant_ns(5)
    evidence: bytes | None = blob(6, HASH, optional=True)
    by: bytes | None = blob(7, HASH, optional=True)
    owed: int | None = count(8, least=1, optional=True)
    compensation: bytes | None = blob(9, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """One party of a settlement owes the other (`to`) a sum; the receipt of this record settles it.

    A holder owes it because a REQUEST of a stronger tier (`request`) displaced the settlement, or because its FALLBACK
    (`moved`) moved it; either party because of a `ruling`. With `moved` or `ruling`, `request` is the settlement's own.
    """

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    request: bytes = blob(3, HASH)
    amount: int = count(4, least=1)
    currency: str | None = text(5, 8, optional=True)
    to: bytes = blob(6, HASH)
    ruling: bytes | None = blob(60, HASH, optional=True)
    moved: bytes | None = blob(61, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A user reports how it used a settlement: time on the air, number of bursts, why it ended, window of use."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    airtime_ns: int = length_ns(3, most=WINDOW_MAX_NS)
    bursts: int = count(4)
    ended: str = text(5, 64)
    used: Window | None = nested(6, Window, optional=True)


TYPES = (
    RecordType(
        number=20,
        name="relinquish",
        body=Relinquish,
        kind=Kind.DEALING,
        actions=("request",),
        late=WhenLate.COUNTS,
        charge=Charge.MOVES,
        owed=True,
        signs=True,
        receipted=True,
    ),
    RecordType(
        number=21,
        name="preempt",
        body=Preempt,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        owed=True,
    ),
    RecordType(
        number=34,
        name="compensation",
        body=Compensation,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        owed=True,
        receipted=True,
    ),
    RecordType(
        number=23,
        name="usage",
        body=Usage,
        kind=Kind.DEALING,
        actions=("request",),
        owed=True,
    ),
)
