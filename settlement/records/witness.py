"""Records about logs: heads to be cosigned, cosignatures, and proofs that an author is not honest."""

from dataclasses import dataclass

from settlement.chain.codec import array, blob, text
from settlement.chain.quantities import count
from settlement.records.row import Charge, Kind, RecordType, WhenLate
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Asks a neighbour to cosign the author's log head; `proof` shows that it extends the head of size `old_size`."""

    note: str = text(1, 4096)
    old_size: int = count(2)
    proof: tuple[bytes, ...] = array(3, blob(0, HASH), 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A neighbour's cosignature line for a log head: it saw the head, which extends every head that it saw before."""

    note: str = text(1, 4096)
    line: str = text(2, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two signed statements of one author that cannot both be honest; they are the proof, and need no other."""

    reason: str = text(1, 64)
    first: bytes = blob(2, 30_000, least=1)
    second: bytes = blob(3, 30_000, least=1)


TYPES = (
    RecordType(
        number=26,
        name="checkpoint",
        body=Checkpoint,
        kind=Kind.DEALING,
        actions=("observe",),
        late=WhenLate.COUNTS,
        charge=Charge.WITNESSING,
        signs=True,
    ),
    RecordType(
        number=27,
        name="cosignature",
        body=Cosignature,
        kind=Kind.DEALING,
        actions=("observe",),
        late=WhenLate.COUNTS,
        charge=Charge.WITNESSING,
        signs=True,
    ),
    RecordType(number=28, name="evidence", body=Evidence, kind=Kind.OBSERVATION, actions=("observe",)),
)
