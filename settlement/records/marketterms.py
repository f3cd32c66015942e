"""What a rule may say about the market of a class: matching of offers, prices, and which tier may displace which.

All of it is optional: without it a cell costs the offer's price, and the first REQUEST is served first.
"""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, text, uint
from settlement.chain.quantities import count, length_ns, millidecibel, millimetres
from settlement.records.sizes import PPM

FORMS = ("fixed", "negotiated", "dynamic", "parametric", "discovered", "auction")
CRITERIA = ("price", "distance", "reputation", "confidence", "earliest")
CONDITIONS = ("none", "emergency", "incumbent", "after")
COMPENSATIONS = ("none", "fixed", "remaining", "multiple")
HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingTerms:
    """Which offers a user may take, and how it ranks them: by the first criterion in `order`, ties by the next."""

    order: tuple[str, ...] = array(1, text(0, 16), 8, low=1)
    distance_mm_max: int | None = millimetres(2, optional=True)
    reputation_ppm_min: int | None = uint(3, high=PPM, optional=True)
    confidence_ppm_min: int | None = uint(4, high=PPM, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the criteria exist, each once."""
        wrong = [one for one in self.order if one not in CRITERIA]
        if wrong or len(set(self.order)) != len(self.order):
            return ".order", wrong[0] if wrong else "one criterion twice", f"each once, of {', '.join(CRITERIA)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A price as a function of bandwidth, time, EIRP and the hour of the day (UTC) in which the window begins.

    price = (base + per_mhz_s x MHz x s) x (1 + per_db_ppm x dB above free_eirp) x factor of the hour, rounded up.
    """

    base: int = count(1)
    per_mhz_s: int = count(2)
    free_eirp_mdbm: int | None = millidecibel(3, optional=True)
    per_db_ppm: int | None = uint(4, high=PPM, optional=True)
    hour_ppm: tuple[int, ...] | None = array(5, uint(0, high=100 * PPM), HOURS, low=HOURS, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePoint:
    """A point of a dynamic price: the price from `after_ns` after the beginning of the offer's window."""

    after_ns: int = length_ns(1)
    price: int = count(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTerms:
    """Which weaker tiers a tier of a class may displace, with what notice, and what it then owes.

    levels      the levels of credentials that may use the tier; where absent: every level
    displaces   the tiers that it may displace, each weaker (a higher number) than its own
    condition   none, emergency (the REQUEST states one), incumbent (only for an incumbent, never for a REQUEST), after
                (`after_ns` of the weaker settlement's window have passed)
    notice_ns   the least time until the displaced radio must be silent
    owed        to the displaced party: none, fixed (`amount`), remaining (its price's share of the window that is
                left), multiple (`amount` millionths of its price)
    """

    tier: int = uint(1, high=255)
    displaces: tuple[int, ...] = array(2, uint(0, high=255), 32)
    condition: str = text(3, 16)
    notice_ns: int = length_ns(4)
    owed: str = text(5, 16)
    amount: int = count(6)
    after_ns: int | None = length_ns(7, optional=True)
    levels: tuple[str, ...] | None = array(8, text(0, 64), 16, low=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless the displaced tiers are weaker and condition and compensation exist."""
        stronger = [one for one in self.displaces if one <= self.tier]
        if stronger:
            return ".displaces", stronger[0], f"> tier, {self.tier}"
        if self.condition not in CONDITIONS:
            return ".condition", self.condition, f"one of {', '.join(CONDITIONS)}"
        if self.condition == "after" and self.after_ns is None:
            return ".after_ns", "absent", "a length, where the condition is after"
        if self.owed not in COMPENSATIONS:
            return ".owed", self.owed, f"one of {', '.join(COMPENSATIONS)}"
        return None
