"""Reputation from fulfilled and broken settlements: a prior, decay with time, a bound per counterparty. Pure.

    reputation = (a + G) / (a + b + G + B),   in millionths

a and b are the rule's prior. G and B are sums over the counterparties of the weights of kept and of broken settlements;
each weight is halved for every half-life that has passed, and both are scaled down where together they exceed
`partner_max`. The reputation is the mean of a beta distribution: Josang and Ismail, The Beta Reputation System (2002).
See docs/reputation.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.codec import uint
from settlement.records.complaintterms import ReputationTerms
from settlement.records.sizes import PPM

WHOLE = 1000
"""Weight of one settlement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedConduct:
    """Weights of the settlements kept and broken with one counterparty, thousandths, as of an instant (UTC, ns)."""

    good: int = uint(1)
    bad: int = uint(2)
    as_of_ns: int = uint(3)


NOTHING = WeighedConduct(good=0, bad=0, as_of_ns=0)


def halved(value: int, elapsed_ns: int, half_life_ns: int) -> int:
    """Return a weight after a time: halved for each half-life, linear between halvings."""
    halvings, rest_ns = divmod(max(0, elapsed_ns), half_life_ns)
    left = value >> min(halvings, 63)
    return left - left * rest_ns // (2 * half_life_ns)


def faded(held: WeighedConduct, terms: ReputationTerms, now_ns: int) -> WeighedConduct:
    """Return the same conduct, decayed to a later instant."""
    elapsed_ns = now_ns - held.as_of_ns
    return WeighedConduct(
        good=halved(held.good, elapsed_ns, terms.half_life_ns),
        bad=halved(held.bad, elapsed_ns, terms.half_life_ns),
        as_of_ns=max(now_ns, held.as_of_ns),
    )


def weighed(held: WeighedConduct, terms: ReputationTerms, *, good: int, bad: int, now_ns: int) -> WeighedConduct:
    """Return the conduct, decayed to now, with new weights added, never below 0 (a struck ruling has `bad` < 0)."""
    then = faded(held, terms, now_ns)
    return WeighedConduct(good=max(0, then.good + good), bad=max(0, then.bad + bad), as_of_ns=then.as_of_ns)


def reputation_ppm(terms: ReputationTerms, held: Iterable[WeighedConduct], now_ns: int) -> int:
    """Return the reputation from the conduct with each counterparty, ppm; the prior where there is none."""
    good, bad = terms.prior_good, terms.prior_bad
    for one in held:
        then = faded(one, terms, now_ns)
        whole = then.good + then.bad
        kept = min(whole, terms.partner_max)
        good += then.good * kept // whole if whole else 0
        bad += then.bad * kept // whole if whole else 0
    return PPM * good // (good + bad)


def share_by_reputation_ppm(first_ppm: int, reputation: int, prior: int) -> int:
    """Return the share of a budget, ppm: the rule's first share at the prior, all at 1, none at 0; linear between."""
    if reputation >= prior:
        return first_ppm + (PPM - first_ppm) * (reputation - prior) // max(1, PPM - prior)
    return first_ppm * reputation // prior


def kept_share(start_ns: int, end_ns: int, silent_ns: int) -> int:
    """Return the share of a window, in thousandths, that was delivered until its user had to be silent."""
    whole_ns = max(1, end_ns - start_ns)
    return WHOLE * min(whole_ns, max(0, silent_ns - start_ns)) // whole_ns
