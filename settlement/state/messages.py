"""The message between nodes: one record, the log proof of a CONFIRM, and beside it the records that it rests on.

Records beside are judged first, each by itself; one that was seen before is skipped.

Beside a GRANT that is to be co-signed goes its ACCEPT, beside a CONFIRM go the co-signatures.

A starting node may not sign before it knows that its log is complete, so its question to the neighbours, which head of
its log they saw last, is no record: a message with HEADS_ASKED and nothing else. The answer carries the neighbour's
last cosignature, or nothing where it has none.
"""

from dataclasses import dataclass

from settlement.chain.codec import array, blob, decode, encode, nested, uint
from settlement.chain.scan import MAX_RECORD_BYTES
from settlement.core.reasons import Refusal
from settlement.pair.artifact import LogProof

MESSAGE_LIMIT = 3 * MAX_RECORD_BYTES
HEADS_ASKED, HEADS_ANSWERED = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A record in transit; the proof and the other records are evidence beside it, not part of it."""

    record: bytes = blob(1, MAX_RECORD_BYTES, least=0)
    proof: LogProof | None = nested(2, LogProof, optional=True)
    heads: int | None = uint(3, high=2, optional=True)
    beside: tuple[bytes, ...] | None = array(4, blob(0, MAX_RECORD_BYTES, least=1), 64, optional=True)

    def encoded(self) -> bytes:
        """Return the encoded bytes of the message."""
        return encode(self, limit=MESSAGE_LIMIT)


def decode_message(data: bytes) -> Message | Refusal:
    """Decode received bytes; the record inside is still unproven."""
    return decode(Message, data, "message", limit=MESSAGE_LIMIT)
