"""A settlement that was not kept, and what was decided about it."""

from dataclasses import dataclass

from settlement.chain.bodies.sizes import HASH
from settlement.chain.codec import array, blob, text
from settlement.chain.quantities import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A party says a settlement was not kept: on which grounds, by which version of the rule, with what evidence."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    against: bytes = blob(4, HASH)
    grounds: str = text(5, 64)
    claim: int = count(6)
    evidence: tuple[bytes, ...] = array(7, blob(0, HASH), 64)
    escalates: bytes | None = blob(8, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """An authority decides a dispute by the version of the rule the settlement was made under."""

    dispute: bytes = blob(1, HASH)
    sid: bytes = blob(2, HASH)
    rule: bytes = blob(3, HASH)
    outcome: str = text(4, 32)
    compensation: int = count(5)
    pays: bytes | None = blob(6, HASH, optional=True)
    reason: str = text(7, 256)
