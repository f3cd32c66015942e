"""What a step asks of whoever runs the node, once it is durable: a closed set, each with all that is needed to do it.

Log events (`Work.event`) only tell; nothing is done because of one. What is to be done is one of these, and whoever
runs a node matches them all.
"""

from dataclasses import dataclass
from enum import Enum

from settlement.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPermit:
    """Give the warden the artifact of a settlement of ours, and make ready to transmit."""

    sid: bytes
    artifact: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandLease:
    """Give the warden a RENEW, SUSPEND or RESUME of a settlement of ours."""

    sid: bytes
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandRule:
    """Give the warden a rule, with the credentials of the authority that signed it, root first."""

    record: bytes
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawPermit:
    """Have the warden end a settlement's permit for good: nothing may radiate under it again."""

    sid: bytes
    reason: Reason
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOn:
    """Give the warden a HANDOVER or a RECLAIM of a settlement of ours: what of it may be radiated becomes less, or all.

    After a HANDOVER the warden says when the radio is silent in what was handed on.
    """

    sid: bytes
    record: bytes


class SettlementNews(Enum):
    """Where a settlement that this node asked for has got to."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    RENEWED = "renewed"
    PAUSED = "paused"
    RESUMED = "resumed"
    DISPLACED = "displaced"
    ENDED = "ended"
    ABORTED = "aborted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestProgress:
    """Tell whoever asked for a settlement how it goes, and why where there is a reason."""

    sid: bytes
    news: SettlementNews
    reason: str = ""
    clause: str = ""
    measured: str = ""
    required: str = ""


Effect = HandPermit | HandLease | HandRule | HandOn | WithdrawPermit | RequestProgress
