"""What comes before a settlement: offers, wishes, requests, counter-offers."""

from dataclasses import dataclass

from settlement.chain.bodies.sizes import HASH
from settlement.chain.codec import blob, nested, text, uint
from settlement.chain.quantities import count, instant_ns, millidecibel
from settlement.chain.scope import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A holder's offer: cell, class, tiers, price and the envelope it rests on."""

    cell: Cell = nested(1, Cell)
    commodity: str = text(2, 64)
    tier_low: int = uint(3, high=255)
    tier_high: int = uint(4, high=255)
    max_eirp_mdbm: int = millidecibel(5)
    price_form: str = text(6, 32)
    price: int = count(7)
    rule: bytes = blob(8, HASH)
    envelope: bytes | None = blob(9, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A user says what it looks for, so that holders may offer it; it reserves nothing."""

    cell: Cell = nested(1, Cell)
    commodity: str = text(2, 64)
    tier: int = uint(3, high=255)
    eirp_mdbm: int = millidecibel(4)
    price: int = count(5)
    answer_by_ns: int = instant_ns(6)
    rule: bytes = blob(7, HASH)
    nonce: bytes = blob(8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A user asks for part of a declaration; `envelope` names what its radio can do."""

    declaration: bytes = blob(1, HASH)
    cell: Cell = nested(2, Cell)
    commodity: str = text(3, 64)
    tier: int = uint(4, high=255)
    eirp_mdbm: int = millidecibel(5)
    price: int = count(6)
    partial: int = uint(7, high=1)
    nonce: bytes = blob(8, 16)
    envelope: bytes | None = blob(9, HASH, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Either side answers a REQUEST or a COUNTER (`answers`) with another price; `round` is 1 for the first."""

    declaration: bytes = blob(1, HASH)
    answers: bytes = blob(2, HASH)
    round: int = uint(3, high=255)
    cell: Cell = nested(4, Cell)
    commodity: str = text(5, 64)
    price: int = count(6)
    answer_by_ns: int = instant_ns(7)
    rule: bytes = blob(8, HASH)
