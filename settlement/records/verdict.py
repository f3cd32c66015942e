"""A signed answer: why a record was refused, that one was heard, that a settlement is under review."""

from dataclasses import dataclass

from settlement.chain.codec import blob, text
from settlement.records.row import Kind, RecordType
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Tells a peer why its record was refused."""

    subject: bytes = blob(1, HASH)
    reason: str = text(2, 64)
    clause: str = text(3, 128)
    measured: str = text(4, 512)
    required: str = text(5, 512)


REVIEW_OPENED = "review.opened"
"""The clause of a node's own word that a settlement with a revoked party is under review."""
APPROVAL_WITHDRAWN = "approval.withdrawn"
"""The clause by which a holder says of its own PROPOSAL that nothing comes of what was approved, or no more."""
TYPES = (RecordType(number=30, name="verdict", body=Verdict, kind=Kind.DEALING, actions=("observe",), own_word=True),)
