"""The settlement itself, from GRANT to the report of its use."""

from dataclasses import dataclass

from settlement.chain.bodies.sizes import HASH
from settlement.chain.codec import array, blob, nested, text, uint
from settlement.chain.quantities import DAY_NS, WINDOW_MAX_NS, count, instant_ns, length_ns, millidecibel
from settlement.chain.scope import Cell, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A holder reserves a cell for a user; nothing may radiate on it yet."""

    sid: bytes = blob(1, HASH)
    request: bytes = blob(2, HASH)
    user: bytes = blob(3, HASH)
    nonce: bytes = blob(4, 16)
    cell: Cell = nested(5, Cell)
    commodity: str = text(6, 64)
    tier: int = uint(7, high=255)
    max_eirp_mdbm: int = millidecibel(8)
    price: int = count(9)
    accept_by_ns: int = instant_ns(10)
    confirm_by_ns: int = instant_ns(11)
    challenge: bytes = blob(12, HASH)
    rule: bytes = blob(13, HASH)
    fence: int = count(14)
    lease_ns: int = uint(15, high=240_000_000_000)
    composite: bytes | None = blob(16, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """A user accepts exactly this GRANT, answers its challenge, and lists what the GRANT derives from."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    answer: bytes = blob(3, HASH)
    derived_from: tuple[bytes, ...] | None = array(4, blob(0, HASH), 16, optional=True)
    envelope: bytes | None = blob(5, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordination:
    """One with a say in the shards named co-signs a GRANT and its ACCEPT: nothing it signed for before overlaps."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    accept: bytes = blob(3, HASH)
    shards: tuple[str, ...] = array(4, text(0, 64), 64, low=1)
    until_ns: int = instant_ns(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """The commit point: over the GRANT and the ACCEPT; transmission may run until `transmit_until_ns`."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    accept: bytes = blob(3, HASH)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """The other terminal decision: the reservation is gone."""

    sid: bytes = blob(1, HASH)
    grant: bytes = blob(2, HASH)
    reason: str = text(3, 64)
    accept: bytes | None = blob(4, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Extends the transmit lease, never past the window."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """A holder takes the transmit lease back for a while; the settlement stands and its cell stays reserved."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    fence: int = count(4)
    reason: str = text(5, 64)
    until_ns: int | None = instant_ns(6, optional=True)
    evidence: bytes | None = blob(7, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Ends a suspension: a lease of its own, under a fence above the SUSPEND's."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    number: int = count(3)
    transmit_until_ns: int = instant_ns(4)
    fence: int = count(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relinquish:
    """A user ends early."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    reason: str = text(3, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """A holder displaces a user for a higher tier; RF stops before `vacate_by_ns`."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    tier: int = uint(3, high=255)
    reason: str = text(4, 64)
    vacate_by_ns: int = instant_ns(5)
    evidence: bytes | None = blob(6, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A holder moves a settlement to a substitute that was bound at signing: which one, where to, from when."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    choice: int = uint(3, high=255)
    cell: Cell = nested(4, Cell)
    from_ns: int = instant_ns(5)
    notice_ns: int = length_ns(6, most=DAY_NS)
    reason: str = text(7, 64)
    fence: int = count(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A user reports what it did with a settlement."""

    sid: bytes = blob(1, HASH)
    confirm: bytes = blob(2, HASH)
    airtime_ns: int = length_ns(3, most=WINDOW_MAX_NS)
    bursts: int = count(4)
    ended: str = text(5, 64)
    used: Window | None = nested(6, Window, optional=True)
