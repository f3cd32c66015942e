"""What a rule may say of a class about unkept settlements: fallbacks, disputes, and how fulfilment counts.

All of it is optional: in a class without fallbacks a holder cannot be bound to one, and a dispute in a class without
terms for disputes is logged and has no other effect.
"""

from dataclasses import dataclass

from settlement.chain.codec import Flaw, array, text, uint
from settlement.chain.quantities import DAY_NS, VALIDITY_MAX_NS, count, length_ns
from settlement.records.marketterms import COMPENSATIONS
from settlement.records.sizes import PPM

SAME_HOLDER, POOL, ANY = "same holder", "pool", "any"
SCOPES = (SAME_HOLDER, POOL, ANY)
"""Who may offer the substitute: the holder itself, a holder that the terms name, or any holder."""
MISAPPLIED, NOT_KEPT, INVALID = "rule misapplied", "fallback not kept", "credential invalid at signing"
INTERFERENCE, MISREPORTED, UNPAID = "interference measured", "usage misreported", "compensation not paid"
GROUNDS = (MISAPPLIED, NOT_KEPT, INVALID, INTERFERENCE, MISREPORTED, UNPAID)
WEIGHT_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackTerms:
    """One entry of a class's catalogue: the terms on which a holder may move a user to a substitute.

    number      names the entry in REQUEST, GRANT and FALLBACK
    scope       who may offer the substitute: same holder, pool (the names in `pool`), any
    notice_ns   the least time between the FALLBACK and the substitute's window
    owed        to the user: none, fixed (`amount`), remaining (the price's share of the window that is left), multiple
                (`amount` millionths of the price)
    """

    number: int = uint(1, high=255)
    scope: str = text(2, 16)
    notice_ns: int = length_ns(3, most=DAY_NS)
    owed: str = text(4, 16)
    amount: int = count(5)
    pool: tuple[str, ...] | None = array(6, text(0, 64), 32, low=1, optional=True)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless scope and compensation exist, and `pool` is there exactly if the scope is pool."""
        if self.scope not in SCOPES:
            return ".scope", self.scope, f"one of {', '.join(SCOPES)}"
        if (self.scope == POOL) != (self.pool is not None):
            return ".pool", "absent" if self.pool is None else self.scope, "names, where the scope is pool; else none"
        if self.owed not in COMPENSATIONS:
            return ".owed", self.owed, f"one of {', '.join(COMPENSATIONS)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTerms:
    """A ground on which a settlement may be disputed, and what is owed if the dispute is upheld.

    `owed` is none, fixed (`amount`), remaining (the share of the price for the time not delivered) or multiple
    (`amount` millionths of the price); never more than was claimed.
    """

    name: str = text(1, 64)
    owed: str = text(2, 16)
    amount: int = count(3)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless ground and compensation exist."""
        if self.name not in GROUNDS:
            return ".name", self.name, f"one of {', '.join(GROUNDS)}"
        if self.owed not in COMPENSATIONS:
            return ".owed", self.owed, f"one of {', '.join(COMPENSATIONS)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeTerms:
    """The procedure of disputes in a class.

    grounds      the grounds of a dispute, each once
    levels       the levels of authority that rule: the first one first; an escalated dispute goes to the next
    raise_ns     time after the end of the settlement's window in which it may be disputed
    answer_ns    time in which the accused may answer; without an answer, no ruling is made earlier
    rule_ns      time for a ruling after that; then the dispute may be escalated without one
    escalate_ns  time after a ruling in which it may be escalated
    pay_ns       time after a ruling in which its payment is due
    """

    grounds: tuple[GroundTerms, ...] = array(1, GroundTerms, 16, low=1)
    levels: tuple[str, ...] = array(2, text(0, 64), 8, low=1)
    raise_ns: int = length_ns(3, least=1)
    answer_ns: int = length_ns(4, least=1, most=VALIDITY_MAX_NS)
    rule_ns: int = length_ns(5, least=1, most=VALIDITY_MAX_NS)
    escalate_ns: int = length_ns(6, most=VALIDITY_MAX_NS)
    pay_ns: int = length_ns(7, least=1, most=VALIDITY_MAX_NS)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless each ground and each level is there once."""
        for key, names in (("grounds", [one.name for one in self.grounds]), ("levels", list(self.levels))):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                return f".{key}", f"{twice} twice", "each once"
        return None

    def ground(self, name: str) -> GroundTerms | None:
        """Return the terms of a ground by its name; None if there are none."""
        return next((one for one in self.grounds if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationTerms:
    """How a party's record of fulfilment becomes its reputation; the formula is in docs/reputation.md.

    Weights are in thousandths of a settlement that is kept or broken.

    prior_good, prior_bad  the weights that every party begins with
    half_life_ns           time after which a kept or broken settlement counts half
    complaint              the weight of an upheld dispute
    partner_max            the most that all settlements with one counterparty weigh together
    """

    prior_good: int = uint(1, high=WEIGHT_MAX * 1000)
    prior_bad: int = uint(2, high=WEIGHT_MAX * 1000)
    half_life_ns: int = length_ns(3, least=1)
    complaint: int = uint(4, high=WEIGHT_MAX * 1000)
    partner_max: int = uint(5, high=WEIGHT_MAX * 1000)

    def meaning_flaw(self) -> Flaw | None:
        """Return a flaw unless both priors are at least 1, so that a reputation never divides by zero."""
        if self.prior_good < 1 or self.prior_bad < 1:
            return ".prior_good", f"{self.prior_good} to {self.prior_bad}", "a prior of at least 1 on either side"
        return None

    @property
    def prior_ppm(self) -> int:
        """The reputation that every party begins with, ppm."""
        return PPM * self.prior_good // (self.prior_good + self.prior_bad)
