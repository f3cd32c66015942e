"""What a rule may say of a class as a market: who is matched with whom, what it costs, who may displace whom.

All of it is optional: a class without it is traded as before, at the price of the offer and first come, first served.
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
    """Which offers a user may take, and in which order it prefers them: `order` names criteria, the first decides."""

    order: tuple[str, ...] = array(1, text(0, 16), 8, low=1)
    distance_mm_max: int | None = millimetres(2, optional=True)
    reputation_ppm_min: int | None = uint(3, high=PPM, optional=True)
    confidence_ppm_min: int | None = uint(4, high=PPM, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Criteria that exist, each once."""
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
    """A dynamic price from an instant on, counted from the beginning of the offer's window."""

    after_ns: int = length_ns(1)
    price: int = count(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTerms:
    """What one tier of a class may do to weaker ones, how long before, and what it costs.

    levels      the credentials' levels that may use it; none named: every level
    displaces   the tiers that it may displace, each weaker (a higher number) than its own
    condition   none, emergency (the REQUEST says so), incumbent (alone for a protected service), after (`after_ns` of
                the weaker settlement's window have passed)
    owed        to the displaced party: none, fixed (`amount`), remaining (the share of its price that is left of its
                window), multiple (`amount` millionths of its price)
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
        """Tiers, conditions and compensations that exist; a stronger tier is never displaced."""
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
