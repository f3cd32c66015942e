"""Effects: what the program around a node has to do once a step is durable; a closed set of classes.

Log events (`Work.event`) only inform; no action follows from one. Every action is one of these classes, and the
program that runs a node handles them all.
"""

from dataclasses import dataclass
from enum import Enum

from settlement.chain.scope import Cell
from settlement.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPermit:
    """Give the warden the artifact of a settlement of this node, and prepare to transmit."""

    sid: bytes
    artifact: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandLease:
    """Give the warden a RENEW, SUSPEND or RESUME of a settlement of this node."""

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
    """Give the warden a HANDOVER or RECLAIM of a settlement of this node: it narrows the permit, or restores it.

    After a HANDOVER the warden reports when the radio is silent in the handed-on part.
    """

    sid: bytes
    record: bytes


class SettlementNews(Enum):
    """Progress of a settlement that this node requested."""

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
    """Report the progress of a settlement to whoever asked for it, with the reason where there is one."""

    sid: bytes
    news: SettlementNews
    reason: str = ""
    clause: str = ""
    measured: str = ""
    required: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerIntent:
    """Offer a user what this node has of the spectrum that the user's INTENT looks for, where it has any."""

    user: bytes
    cell: Cell
    commodity: str


Effect = AnswerIntent | HandPermit | HandLease | HandRule | HandOn | WithdrawPermit | RequestProgress
