"""What nodes say about logs, records and gates."""

from dataclasses import dataclass

from settlement.chain.bodies.sizes import HASH
from settlement.chain.codec import array, blob, text
from settlement.chain.quantities import count, instant_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The node's own record of a gate change: states, reason, settlement."""

    state: str = text(1, 32)
    previous: str = text(2, 32)
    reason: str = text(3, 64)
    measured: str = text(4, 256)
    required: str = text(5, 256)
    sid: bytes | None = blob(6, HASH, optional=True)
    at_earliest_ns: int = instant_ns(7)
    at_latest_ns: int = instant_ns(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Tells a peer why its record was refused."""

    subject: bytes = blob(1, HASH)
    reason: str = text(2, 64)
    clause: str = text(3, 128)
    measured: str = text(4, 512)
    required: str = text(5, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two records of one author that cannot both be honest; they prove it by themselves."""

    reason: str = text(1, 64)
    first: bytes = blob(2, 30_000, least=1)
    second: bytes = blob(3, 30_000, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Asks a neighbour to cosign the author's log head, which extends the head of `old_size` it cosigned before."""

    note: str = text(1, 4096)
    old_size: int = count(2)
    proof: tuple[bytes, ...] = array(3, blob(0, HASH), 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A neighbour's line under another's log head: it saw it, and it extends what it saw before."""

    note: str = text(1, 4096)
    line: str = text(2, 512)
