"""Records before a settlement: offers, intents, requests, counter-offers."""

from dataclasses import dataclass
from itertools import pairwise

from settlement.chain.codec import Flaw, array, blob, nested, text, uint
from settlement.chain.quantities import WINDOW_MAX_NS, count, instant_ns, millidecibel
from settlement.chain.scope import HZ, Cell, ordered
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rule
from settlement.records.marketterms import PricePoint
from settlement.records.row import Charge, Kind, RecordType, Site
from settlement.records.sizes import HASH
from settlement.records.wholeparts import WholeOf

_AHEAD = (("cell.window.start_ns", WINDOW_MAX_NS),)
PARTS_MAX = 8
"""Most parts that may fill one wish beside the first."""
PART_BYTES_MAX = 2048
"""Most bytes of a GRANT, an ACCEPT or a CONFIRM inside a `ShownPart`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A holder's offer: cell, class, tiers, price, and the envelope that it rests on.

    `curve` is for a dynamic price; `shown` are the hashes of settlements of whose prices a discovered price is the
    median.
    """

    cell: Cell = nested(1, Cell)
    commodity: str = text(2, 64)
    tier_low: int = uint(3, high=255)
    tier_high: int = uint(4, high=255)
    max_eirp_mdbm: int = millidecibel(5)
    price_form: str = text(6, 32)
    price: int = count(7)
    rule: bytes = blob(8, HASH)
    envelope: bytes | None = blob(9, HASH, optional=True)
    curve: tuple[PricePoint, ...] | None = array(10, PricePoint, 64, low=1, optional=True)
    currency: str | None = text(11, 8, optional=True)
    shown: tuple[bytes, ...] | None = array(12, blob(0, HASH), 64, low=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless tiers rise, the window is valid, and a dynamic price (no other) has a rising curve."""
        if self.tier_low > self.tier_high:
            return ".tier_low", self.tier_low, f"<= tier_high, {self.tier_high}"
        times = [point.after_ns for point in self.curve or ()]
        if (self.price_form == "dynamic") != bool(times) or any(a >= b for a, b in pairwise(times)) or times[:1] > [0]:
            return ".curve", times, "points that rise from 0 on, where the price is dynamic; else none"
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A user states what it looks for; holders may answer with offers until `answer_by_ns`. Reserves nothing."""

    cell: Cell = nested(1, Cell)
    commodity: str = text(2, 64)
    tier: int = uint(3, high=255)
    eirp_mdbm: int = millidecibel(4)
    price: int = count(5)
    answer_by_ns: int = instant_ns(6)
    rule: bytes = blob(7, HASH)
    nonce: bytes = blob(8, 16)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the cell's window has a length from 1 ns to WINDOW_MAX_NS."""
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPart:
    """A settled part of a wish that its user shows to the next holder: its GRANT, ACCEPT and CONFIRM."""

    grant: bytes = blob(1, PART_BYTES_MAX, least=1)
    accept: bytes = blob(2, PART_BYTES_MAX, least=1)
    confirm: bytes = blob(3, PART_BYTES_MAX, least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOf:
    """The wish of which a REQUEST asks for a part: its id, the part's number, the whole cell, the settled parts."""

    wish: bytes = blob(1, 16)
    index: int = uint(2, high=PARTS_MAX)
    whole: Cell = nested(3, Cell)
    shown: tuple[ShownPart, ...] = array(4, ShownPart, PARTS_MAX)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless all parts before this one are shown."""
        shown = len(self.shown)
        return None if shown == self.index else (".shown", shown, f"index, {self.index}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A user asks for a cell inside a declaration; `envelope` is the hash of its radio's unit envelope.

    With `partial` 1 the user takes a part of the cell as well; `part` says of which wish this is a part. `emergency` 1
    is the user's statement that this is an emergency. `counter` is the hash of the COUNTER whose price the user takes;
    every other field is then as in the first REQUEST. `whole` says of which settlement over several classes this is a
    part. `fallback` is the number of the fallback, in the class's catalogue, that is to bind the holder; `replaces` is
    the hash of the FALLBACK whose substitute this asks for.
    """

    declaration: bytes = blob(1, HASH)
    cell: Cell = nested(2, Cell)
    commodity: str = text(3, 64)
    tier: int = uint(4, high=255)
    eirp_mdbm: int = millidecibel(5)
    price: int = count(6)
    partial: int = uint(7, high=1)
    nonce: bytes = blob(8, 16)
    envelope: bytes | None = blob(9, HASH, optional=True)
    part: PartOf | None = nested(10, PartOf, optional=True)
    emergency: int | None = uint(11, high=1, optional=True)
    counter: bytes | None = blob(12, HASH, optional=True)
    whole: WholeOf | None = nested(30, WholeOf, optional=True)
    fallback: int | None = uint(60, high=255, optional=True)
    replaces: bytes | None = blob(61, HASH, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where `part` is there without `partial`, or the cell's window is empty or too long."""
        if (self.part is not None) and not self.partial:
            return ".partial", 0, "1, where it says of what it is a part"
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


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

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the cell's window has a length from 1 ns to WINDOW_MAX_NS."""
        return ordered(self.cell.window, most_ns=WINDOW_MAX_NS, path=".cell.window")


def _priced(body: Declaration | Intent | Counter, rule: Rule, _signed_ns: int) -> Refusal | None:
    """Clause (13) of admission: the rule has the class, in that unit, and the price is inside its bounds."""
    terms = rule.terms(body.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "disposition.13.class", body.commodity, ", ".join(c.name for c in rule.classes))
    if body.cell.band.unit != terms.unit:
        return refuse(Reason.TERMS, "disposition.13.unit", body.cell.band.unit or HZ, terms.unit or HZ)
    if not terms.price_low <= body.price <= terms.price_high:
        return refuse(Reason.PRICE, "disposition.13.price", body.price, f"{terms.price_low}-{terms.price_high}")
    return None


def _offered(body: Declaration, rule: Rule, signed_ns: int) -> Refusal | None:
    """Clause (13) of admission, for an offer: also the form of price, the currency and the curve are the class's."""
    terms = rule.terms(body.commodity)
    refusal = _priced(body, rule, signed_ns)
    if refusal is not None or terms is None:
        return refusal
    if terms.price_forms is not None and body.price_form not in terms.price_forms:
        return refuse(Reason.PRICE, "disposition.13.price_form", body.price_form, ", ".join(terms.price_forms))
    if body.price_form == "auction" and terms.auction is None:
        return refuse(Reason.PRICE, "disposition.13.auction", body.price_form, "a class that the rule has auctions of")
    if body.currency is not None and body.currency != terms.currency:
        return refuse(Reason.PRICE, "disposition.13.currency", body.currency, terms.currency or "no currency")
    dear = [point.price for point in body.curve or () if not terms.price_low <= point.price <= terms.price_high]
    if dear:
        return refuse(Reason.PRICE, "disposition.13.curve", dear[0], f"{terms.price_low}-{terms.price_high}")
    return None


def _bargained(body: Counter, rule: Rule, signed_ns: int) -> Refusal | None:
    """Clause (13) of admission, for a COUNTER: also the round is within the class's `rounds_max`."""
    terms = rule.terms(body.commodity)
    rounds = (terms.rounds_max or 0) if terms is not None else 0
    refusal = _priced(body, rule, signed_ns)
    if refusal is None and not 1 <= body.round <= rounds:
        return refuse(Reason.ROUNDS, "disposition.13.rounds", body.round, f"1-{rounds}" if rounds else "no bargaining")
    return refusal


TYPES = (
    RecordType(
        number=8,
        name="declaration",
        body=Declaration,
        kind=Kind.DEALING,
        actions=("offer",),
        ahead=_AHEAD,
        within_terms=_offered,
    ),
    RecordType(
        number=9,
        name="intent",
        body=Intent,
        kind=Kind.DEALING,
        actions=("request",),
        site=Site.NAMED_CELL,
        ahead=_AHEAD,
        within_terms=_priced,
    ),
    RecordType(
        number=10,
        name="request",
        body=Request,
        kind=Kind.DEALING,
        actions=("request",),
        site=Site.NAMED_CELL,
        charge=Charge.MOVES,
        signs=True,
        ahead=_AHEAD,
    ),
    RecordType(
        number=11,
        name="counter",
        body=Counter,
        kind=Kind.DEALING,
        actions=("offer", "request"),
        signs=True,
        ahead=_AHEAD,
        within_terms=_bargained,
    ),
)
