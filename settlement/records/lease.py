"""Records on a settlement's transmit lease: RENEW, SUSPEND, RESUME."""

from dataclasses import dataclass

from settlement.chain.codec import blob, text
from settlement.chain.quantities import count, instant_ns
from settlement.records.row import Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """A holder extends the transmit lease to `transmit_until_ns`, never past the window."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """A holder takes the transmit lease back until a RESUME; the settlement stays in force and its cell reserved."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    fence: int = count(4)
    reason: str = text(5, 64)
    until_ns: int | None = instant_ns(6, optional=True)
    evidence: bytes | None = blob(7, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A holder ends a suspension with a new transmit lease; its fence is above that of the SUSPEND."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


CHANGES = (Renew, Suspend, Resume)
"""Record types that change a lease; over all records of a settlement of these types `number` and `fence` rise."""
TYPES = (
    RecordType(
        number=17,
        name="renew",
        body=Renew,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        charge=Charge.MOVES,
        owed=True,
    ),
    RecordType(
        number=18,
        name="suspend",
        body=Suspend,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        owed=True,
        signs=True,
        receipted=True,
    ),
    RecordType(
        number=19,
        name="resume",
        body=Resume,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        owed=True,
        signs=True,
        receipted=True,
    ),
)
