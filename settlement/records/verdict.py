"""Signed answers to records: refusals, receipts, reviews of settlements, withdrawals of approvals."""

from dataclasses import dataclass

from settlement.chain.codec import blob, text
from settlement.records.row import Kind, RecordType
from settlement.records.sizes import HASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A signed answer to the record `subject`: why it was refused, or by its reason RECEIVED that it arrived."""

    subject: bytes = blob(1, HASH)
    reason: str = text(2, 64)
    clause: str = text(3, 128)
    measured: str = text(4, 512)
    required: str = text(5, 512)


REVIEW_OPENED = "review.opened"
"""The clause of a verdict in a node's own log: a settlement with a revoked party is under review."""
APPROVAL_WITHDRAWN = "approval.withdrawn"
"""The clause by which a holder states that it does not, or no longer, use the approval of its own PROPOSAL."""
TYPES = (RecordType(number=30, name="verdict", body=Verdict, kind=Kind.DEALING, actions=("observe",), own_word=True),)
