"""The holder's final decision on a settlement: CONFIRM or ABORT, never both."""

from dataclasses import dataclass

from settlement.chain.codec import blob, text
from settlement.chain.quantities import count, instant_ns
from settlement.records.row import Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Commits the settlement of a GRANT and its ACCEPT; the first transmit lease ends at `transmit_until_ns`."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    accept: bytes = blob(3, HASH)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """Cancels the reservation of a GRANT; `accept` is there if an ACCEPT had come."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    reason: str = text(3, 64)
    accept: bytes | None = blob(4, HASH, optional=True)


DECISIONS = (Confirm, Abort)
"""The two final decisions: a holder that signs both for one settlement is thereby proven dishonest."""
TYPES = (
    RecordType(
        number=15,
        name="confirm",
        body=Confirm,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        charge=Charge.MOVES,
        of_old_keys=True,
    ),
    RecordType(
        number=16,
        name="abort",
        body=Abort,
        kind=Kind.DEALING,
        actions=("grant", "request"),
        late=WhenLate.COUNTS,
        charge=Charge.MOVES,
        of_old_keys=True,
    ),
)
