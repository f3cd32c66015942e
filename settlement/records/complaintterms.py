"""What a rule may say of a class about keeping one's word: fallbacks, disputes, and how a record of fulfilment counts.

All of it is optional: a class without fallbacks has none to choose, and disputes under a rule without terms for them
are on record only.
"""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, text, uint
from settlement.chain.quantities import DAY_NS, VALIDITY_MAX_NS, count, length_ns
from settlement.records.marketterms import COMPENSATIONS
from settlement.records.sizes import PPM

SAME_HOLDER, POOL, ANY = "same holder", "pool", "any"
SCOPES = (SAME_HOLDER, POOL, ANY)
"""Who may offer the substitute: the holder itself, one of those named, anyone."""
MISAPPLIED, NOT_KEPT, INVALID = "rule misapplied", "fallback not kept", "credential invalid at signing"
INTERFERENCE, MISREPORTED, UNPAID = "interference measured", "usage misreported", "compensation not paid"
GROUNDS = (MISAPPLIED, NOT_KEPT, INVALID, INTERFERENCE, MISREPORTED, UNPAID)
WEIGHT_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackTerms:
    """One entry of a class's catalogue: what a holder owes a user that it moves to a substitute.

    number   what REQUEST, GRANT and FALLBACK name it by
    scope    who may offer the substitute: same holder, pool (its names stand in `pool`), any
    notice   the least time between the FALLBACK and the substitute's window, ns
    owed     for being moved: none, fixed (`amount`), remaining (the share of the price that is left of the window),
             multiple (`amount` millionths of the price)
    """

    number: int = uint(1, high=255)
    scope: str = text(2, 16)
    notice_ns: int = length_ns(3, most=DAY_NS)
    owed: str = text(4, 16)
    amount: int = count(5)
    pool: tuple[str, ...] | None = array(6, text(0, 64), 32, low=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """A scope and a compensation that exist; names where, and only where, the scope is a pool."""
        if self.scope not in SCOPES:
            return ".scope", self.scope, f"one of {', '.join(SCOPES)}"
        if (self.scope == POOL) != (self.pool is not None):
            return ".pool", "absent" if self.pool is None else self.scope, "names, where the scope is pool; else none"
        if self.owed not in COMPENSATIONS:
            return ".owed", self.owed, f"one of {', '.join(COMPENSATIONS)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTerms:
    """A ground on which a settlement may be disputed, and what is owed where the dispute is upheld.

    owed is none, fixed (`amount`), remaining (the share of the price for the time not delivered) or multiple (`amount`
    millionths of the price); never more than is claimed.
    """

    name: str = text(1, 64)
    owed: str = text(2, 16)
    amount: int = count(3)

    def meaning_flaw(self) -> Flaw | None:
        """A ground that can be judged, and a compensation that exists."""
        if self.name not in GROUNDS:
            return ".name", self.name, f"one of {', '.join(GROUNDS)}"
        if self.owed not in COMPENSATIONS:
            return ".owed", self.owed, f"one of {', '.join(COMPENSATIONS)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeTerms:
    """How disputes of a class go.

    grounds      what a settlement may be disputed on, each once
    levels       levels of authority, the first rules first; a dispute that escalates goes to the next
    raise_ns     how long after the settlement's window it may still be disputed
    answer_ns    how long the accused has to answer; without an answer no ruling is made before
    rule_ns      how long a ruling may take after that; then the dispute may be escalated without one
    escalate_ns  how long after a ruling it may be escalated
    pay_ns       how long after a ruling what it orders may stay unpaid
    """

    grounds: tuple[GroundTerms, ...] = array(1, GroundTerms, 16, low=1)
    levels: tuple[str, ...] = array(2, text(0, 64), 8, low=1)
    raise_ns: int = length_ns(3, least=1)
    answer_ns: int = length_ns(4, least=1, most=VALIDITY_MAX_NS)
    rule_ns: int = length_ns(5, least=1, most=VALIDITY_MAX_NS)
    escalate_ns: int = length_ns(6, most=VALIDITY_MAX_NS)
    pay_ns: int = length_ns(7, least=1, most=VALIDITY_MAX_NS)

    def meaning_flaw(self) -> Flaw | None:
        """Each ground once, each level once."""
        for key, names in (("grounds", [one.name for one in self.grounds]), ("levels", list(self.levels))):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                return f".{key}", f"{twice} twice", "each once"
        return None

    def ground(self, name: str) -> GroundTerms | None:
        """The terms of a ground, by its name."""
        return next((one for one in self.grounds if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationTerms:
    """How a record of fulfilment becomes a reputation; the formula is in docs/reputation.md. Weights in thousandths.

    prior_good, prior_bad  what everyone begins with: a settlement kept, or broken, weighs 1000
    half_life_ns           after so long what was kept or broken counts half
    complaint              what an upheld complaint weighs beside the settlement
    partner_max            the most that all settlements with one counterparty weigh together
    """

    prior_good: int = uint(1, high=WEIGHT_MAX * 1000)
    prior_bad: int = uint(2, high=WEIGHT_MAX * 1000)
    half_life_ns: int = length_ns(3, least=1)
    complaint: int = uint(4, high=WEIGHT_MAX * 1000)
    partner_max: int = uint(5, high=WEIGHT_MAX * 1000)

    def meaning_flaw(self) -> Flaw | None:
        """A prior there is: nobody's reputation is a division by nothing."""
        if self.prior_good < 1 or self.prior_bad < 1:
            return ".prior_good", f"{self.prior_good} to {self.prior_bad}", "a prior of at least 1 on either side"
        return None

    @property
    def prior_ppm(self) -> int:
        """The reputation that everyone begins with."""
        return PPM * self.prior_good // (self.prior_good + self.prior_bad)
