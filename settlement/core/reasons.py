"""Reasons of refusal: one stable code for each cause, and the `Refusal` value that carries the code.

The codes are part of the record format: they are logged, counted, shown and compared by auditors. A code is never
renamed or reused.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Stable refusal codes."""

    # the bytes of a record or message
    MALFORMED = "MALFORMED"
    NONCANONICAL = "NONCANONICAL"
    FORBIDDEN_TYPE = "FORBIDDEN_TYPE"
    TOO_LARGE = "TOO_LARGE"
    CRIT = "CRIT"
    ALG = "ALG"
    HEADER = "HEADER"
    KEY = "KEY"
    SIGNATURE = "SIGNATURE"
    TYPE = "TYPE"
    DOMAIN = "DOMAIN"
    # the author of a record and the authority that issued its credential
    UNKNOWN_PEER = "UNKNOWN_PEER"
    UNKNOWN_AUTHOR = "UNKNOWN_AUTHOR"
    SCOPE = "SCOPE"
    BINDING = "BINDING"
    TRANSPORT_BINDING = "TRANSPORT_BINDING"
    REVOKED = "REVOKED"
    STATUS_UNKNOWN = "STATUS_UNKNOWN"
    ROLLBACK = "ROLLBACK"
    FAST_FORWARD = "FAST_FORWARD"
    ROTATION = "ROTATION"
    STALE = "STALE"
    TIER = "TIER"
    BUDGET = "BUDGET"
    REPUTATION = "REPUTATION"
    RULE_UNKNOWN = "RULE_UNKNOWN"
    # time and place
    EXPIRED = "EXPIRED"
    NOT_YET = "NOT_YET"
    TIME_UNDECIDED = "TIME_UNDECIDED"
    TIME_UNTRUSTED = "TIME_UNTRUSTED"
    POSITION_UNTRUSTED = "POSITION_UNTRUSTED"
    SPATIAL_OUTSIDE = "SPATIAL_OUTSIDE"
    SPATIAL_UNDECIDED = "SPATIAL_UNDECIDED"
    # the settlement between holder and user
    REPLAY = "REPLAY"
    EQUIVOCATION = "EQUIVOCATION"
    CONFLICT = "CONFLICT"
    UNKNOWN_SID = "UNKNOWN_SID"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    CHALLENGE = "CHALLENGE"
    TERMS = "TERMS"
    TIMEOUT = "TIMEOUT"
    FENCE = "FENCE"
    PRICE = "PRICE"
    ROUNDS = "ROUNDS"
    OVERLAP = "OVERLAP"
    RESIDUAL = "RESIDUAL"
    INCOMPLETE = "INCOMPLETE"
    DEPTH = "DEPTH"
    CONSENT = "CONSENT"
    JURISDICTION = "JURISDICTION"
    ENVELOPE = "ENVELOPE"
    CONFIDENCE = "CONFIDENCE"
    PREEMPTED = "PREEMPTED"
    SUSPENDED = "SUSPENDED"
    RECEIVED = "RECEIVED"
    # the log and its proofs
    PROOF = "PROOF"
    ENTRY_MISMATCH = "ENTRY_MISMATCH"
    UNWITNESSED = "UNWITNESSED"
    FORK = "FORK"
    HALT_BEHIND_WITNESS = "HALT_BEHIND_WITNESS"
    DISK = "DISK"
    FAULT = "FAULT"
    QUORUM = "QUORUM"
    EPOCH = "EPOCH"
    # the gate in front of the radio
    NO_PERMIT = "NO_PERMIT"
    NOT_ARMED = "NOT_ARMED"
    LATCHED = "LATCHED"
    LEASE = "LEASE"
    BAND = "BAND"
    POWER = "POWER"
    MASK = "MASK"
    HEARTBEAT = "HEARTBEAT"
    SENSING_STALE = "SENSING_STALE"
    INCUMBENT = "INCUMBENT"
    DRIVER = "DRIVER"
    OUTSIDE_AUTHORISATION = "OUTSIDE_AUTHORISATION"
    RELINQUISHED = "RELINQUISHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal as a value: the code, the clause that failed, what was measured and what was required."""

    reason: Reason
    clause: str
    measured: str = ""
    required: str = ""

    def __str__(self) -> str:
        """Return the refusal as one line of text for people."""
        detail = f": {self.measured}" if self.measured else ""
        need = f" (required: {self.required})" if self.required else ""
        return f"{self.reason.value} [{self.clause}]{detail}{need}"


class RefusedError(Exception):
    """Exception that carries a refusal out of nested parsing; its catcher returns the refusal as a value again."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def refuse(reason: Reason, clause: str, measured: object, required: object) -> Refusal:
    """Build a refusal from printable values: what was measured and what was required; None is printed as unknown."""
    found = "unknown" if measured is None else str(measured)
    return Refusal(reason=reason, clause=clause, measured=found, required=str(required))
