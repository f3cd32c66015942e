"""One entry of a node's log: the exact bytes received or made, the verdict on them, and when they arrived."""

from dataclasses import dataclass

from settlement.chain.codec import blob, cut, decode, encode, text, uint
from settlement.chain.records import digest
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal

LEAF_LIMIT = MAX_RECORD_BYTES + 4096
OWN, RECEIVED = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """An entry of the log; `record` is absent where no signature was verified, or the bytes had been logged before."""

    origin: int = uint(1, high=1)
    subject: bytes = blob(2, 32)
    record: bytes | None = blob(3, MAX_RECORD_BYTES, least=0, optional=True)
    admitted: int = uint(4, high=1)
    reason: str | None = text(5, 64, optional=True)
    clause: str | None = text(6, 128, optional=True)
    measured: str | None = text(7, 512, optional=True)
    required: str | None = text(8, 512, optional=True)
    rule: bytes | None = blob(9, 32, optional=True)
    arrived_earliest_ns: int = uint(10)
    arrived_latest_ns: int = uint(11)
    peer: bytes | None = blob(12, 32, optional=True)

    def encoded(self) -> bytes:
        """Return the bytes that the Merkle tree hashes."""
        return encode(self, limit=LEAF_LIMIT)

    @property
    def refused(self) -> Reason | None:
        """Return the reason of the refusal; None where the record was admitted."""
        return None if self.admitted else Reason(self.reason or Reason.MALFORMED)


def decode_leaf(data: bytes) -> Leaf | Refusal:
    """Parse the bytes of a log entry."""
    return decode(Leaf, data, "leaf", limit=LEAF_LIMIT)


def admitted_leaf(
    raw: bytes, *, origin: int, now: TimeFix, rule: bytes | None = None, peer: bytes | None = None
) -> Leaf:
    """Return the log entry of a record that was admitted."""
    return Leaf(
        origin=origin,
        subject=digest(raw),
        record=raw,
        admitted=1,
        rule=rule,
        arrived_earliest_ns=now.earliest_ns,
        arrived_latest_ns=now.latest_ns,
        peer=peer,
    )


def refused_leaf(
    raw: bytes,
    refusal: Refusal,
    *,
    now: TimeFix,
    rule: bytes | None = None,
    peer: bytes | None = None,
    signed: bool = False,
) -> Leaf:
    """Return the log entry of a record that was refused.

    The entry holds the bytes only where they are `signed`: their named author's signature was verified. Bytes without
    a verified signature, and replays, are named by their hash alone.
    """
    kept = signed and len(raw) <= MAX_RECORD_BYTES and refusal.reason is not Reason.REPLAY
    return Leaf(
        origin=RECEIVED,
        subject=digest(raw),
        record=raw if kept else None,
        admitted=0,
        reason=refusal.reason.value,
        clause=cut(refusal.clause, 128),
        measured=cut(refusal.measured, 512),
        required=cut(refusal.required, 512),
        rule=rule,
        arrived_earliest_ns=now.earliest_ns,
        arrived_latest_ns=now.latest_ns,
        peer=peer,
    )
