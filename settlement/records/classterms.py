"""The definition of a commodity class: a record that an authority signs, with unit, licence and retention times.

The defaults of a class: frequencies in Hz, one user at a time, no licence of its own.
"""

from dataclasses import dataclass

from settlement.chain.codec import U64_MAX, Flaw, array, blob, nested, sint, text, uint
from settlement.chain.quantities import LIFE_MAX_NS, hertz, length_ns, millimetres
from settlement.chain.scope import Window, ordered
from settlement.records.marketterms import FORMS
from settlement.records.row import CarriedBy, Kind, RecordType
from settlement.records.sizes import HASH, PPM

QUANTITIES = ("continuous", "blocks")
PLACES = ("area", "link")
DIMENSIONS = ("occupancy", "floor", "confidence", "eirp", "width")
FALLBACKS = ("holder", "pool", "any", "none")
USES = ("any", "operation", "research", "enforcement")
SPREADS = ("none", "parties", "authority", "public")
"""The groups to whom recordings, or figures made from them, may be given; each includes the one before."""
KEPT = ("recordings", "envelopes", "usage", "intents", "renewals")
"""The kinds of data for which a class may state a retention time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceTerms:
    """What a recipient may do with recordings and envelopes that were made under a class.

    use             permitted uses: any, operation, research, enforcement
    keep_ns         how long they may be kept after they were made
    aggregate       to whom figures made from many of them may be given: none, parties, authority, public
    redistribute    to whom they themselves may be given; never wider than `aggregate`
    """

    use: tuple[str, ...] = array(1, text(0, 32), 8, low=1)
    keep_ns: int = length_ns(2, least=1, most=LIFE_MAX_NS)
    aggregate: str = text(3, 16)
    redistribute: str = text(4, 16)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless uses (each once) and groups exist, and `redistribute` is no wider than `aggregate`."""
        wrong = [one for one in self.use if one not in USES]
        if wrong or len(set(self.use)) != len(self.use):
            return ".use", wrong[0] if wrong else "one use twice", f"each once, of {', '.join(USES)}"
        for name, value in (("aggregate", self.aggregate), ("redistribute", self.redistribute)):
            if value not in SPREADS:
                return f".{name}", value, f"one of {', '.join(SPREADS)}"
        if SPREADS.index(self.redistribute) > SPREADS.index(self.aggregate):
            return ".redistribute", self.redistribute, f"no wider than aggregate, {self.aggregate}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionTerms:
    """How long data of one kind (one of KEPT) is kept at most; of a settlement's renewals the last is never deleted."""

    what: str = text(1, 32)
    keep_ns: int = length_ns(2, least=1, most=LIFE_MAX_NS)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the kind is one of KEPT."""
        return None if self.what in KEPT else (".what", self.what, f"one of {', '.join(KEPT)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackScope:
    """A permitted fallback: who may offer the substitute (holder, pool, any, none), notice, and what the move costs.

    `owed_ppm` is in millionths of the price, up to a hundred times the price.
    """

    scope: str = text(1, 16)
    notice_ns: int = length_ns(2)
    owed_ppm: int = uint(3, high=100 * PPM)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the scope is one of FALLBACKS."""
        return None if self.scope in FALLBACKS else (".scope", self.scope, f"one of {', '.join(FALLBACKS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One quantity that distinguishes items of a commodity class, with its unit and bounds."""

    name: str = text(1, 64)
    unit: str = text(2, 32)
    low: int | None = sint(3, optional=True)
    high: int | None = sint(4, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where the lower bound is above the upper one."""
        rising = self.low is None or self.high is None or self.low <= self.high
        return None if rising else (".low", self.low, f"<= {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a commodity class is: its axes, and the rules by which two parties recognise that they mean the same thing.

    unit        what is shared, such as Hz or bit/s; `low` and `high` bound it, `raster` is the step of its edges
    quantity    continuous, or blocks of the raster, none of which is ever split
    place       area, or link: a strip `corridor_mm` to each side of the line between two places
    envelope    the DIMENSIONS that an envelope of it must state; none where nothing is sensed
    users       how many may hold one cell at once; one where absent
    """

    commodity: str = text(1, 64)
    version: int = uint(2, high=U64_MAX)
    previous: bytes | None = blob(3, HASH, optional=True)
    effective: Window = nested(4, Window)
    axes: tuple[Axis, ...] = array(5, Axis, 32, low=1)
    recognition: tuple[str, ...] = array(6, text(0, 32), 8, low=1)
    unit: str | None = text(10, 16, optional=True)
    quantity: str | None = text(11, 16, optional=True)
    raster: int | None = hertz(12, least=1, optional=True)
    low: int | None = hertz(13, optional=True)
    high: int | None = hertz(14, optional=True)
    time_unit_ns: int | None = length_ns(15, least=1, optional=True)
    max_window_ns: int | None = length_ns(16, least=1, optional=True)
    max_ahead_ns: int | None = length_ns(17, optional=True)
    place: str | None = text(18, 16, optional=True)
    corridor_mm: int | None = millimetres(19, optional=True)
    envelope: tuple[str, ...] | None = array(20, text(0, 32), 8, optional=True)
    price_forms: tuple[str, ...] | None = array(21, text(0, 32), 8, low=1, optional=True)
    currency: str | None = text(22, 8, optional=True)
    users: int | None = uint(23, optional=True, high=255, meant=(1, 255))
    licence: LicenceTerms | None = nested(24, LicenceTerms, optional=True)
    fallbacks: tuple[FallbackScope, ...] | None = array(25, FallbackScope, 8, low=1, optional=True)
    retention: tuple[RetentionTerms, ...] | None = array(26, RetentionTerms, 8, low=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw where quantity, place, envelope or price forms are unknown words, or the window is too long."""
        for name, said, known in (
            ("quantity", () if self.quantity is None else (self.quantity,), QUANTITIES),
            ("place", () if self.place is None else (self.place,), PLACES),
            ("envelope", self.envelope or (), DIMENSIONS),
            ("price_forms", self.price_forms or (), FORMS),
        ):
            unknown = [one for one in said if one not in known]
            if unknown:
                return f".{name}", unknown[0], f"one of {', '.join(known)}"
        return ordered(self.effective, most_ns=LIFE_MAX_NS, path=".effective")


TYPES = (
    RecordType(
        number=5,
        name="schema",
        body=Schema,
        kind=Kind.DIRECTIVE,
        actions=("rule",),
        carrier=CarriedBy.ANYONE,
        passed_on=True,
    ),
)
