"""Tiers of a class: who may use each, whom it may displace and when, and what a displaced party is owed. Pure."""

from dataclasses import dataclass

from settlement.chain.scope import Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.debts import amount_owed
from settlement.records.marketterms import TierTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Displaceable:
    """A settlement in force that overlaps a REQUEST: its tier, window, price, and the end of its leases (UTC, ns)."""

    tier: int
    window: Window
    price: int
    leased_until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """By when a displaced radio must be silent (UTC, ns), and what its user is owed."""

    vacate_by_ns: int
    owed: int


def tier_of(tiers: tuple[TierTerms, ...] | None, tier: int) -> TierTerms | None:
    """Return the terms of a tier; None if there are none."""
    return next((one for one in tiers or () if one.tier == tier), None)


def judge_eligible(tiers: tuple[TierTerms, ...] | None, tier: int, level: str) -> Refusal | None:
    """Refuse a tier whose terms do not name the credential's level; a tier that names no level is open to all."""
    terms = tier_of(tiers, tier)
    if terms is None or terms.levels is None or level in terms.levels:
        return None
    return refuse(Reason.TIER, "tier.level", level, f"{', '.join(terms.levels)}, for tier {tier}")


def judge_displacing(
    terms: TierTerms | None, tier: int, in_the_way: Displaceable, *, opens_ns: int, now_ns: int, emergency: bool
) -> Displacement | Refusal:
    """Return the displacement of a settlement by a REQUEST, or TIER: by tier, condition, or too short a notice.

    The displaced radio must be silent before the new window opens.

    Args: terms: of the stronger tier. tier: its number. opens_ns: when the new window opens (UTC). now_ns: the latest
    that it may be now (UTC). emergency: whether the REQUEST states an emergency.
    """
    if terms is None or in_the_way.tier not in terms.displaces:
        may = ", ".join(map(str, terms.displaces)) if terms is not None and terms.displaces else "none"
        return refuse(Reason.TIER, "tier.displaces", f"tier {tier} over tier {in_the_way.tier}", f"it displaces {may}")
    refusal = _condition(terms, in_the_way, now_ns=now_ns, emergency=emergency)
    if refusal is not None:
        return refusal
    vacate_ns = max(now_ns + terms.notice_ns, in_the_way.leased_until_ns)
    if min(vacate_ns, in_the_way.window.end_ns) > opens_ns:
        return refuse(Reason.TIER, "tier.notice", f"opens at {opens_ns} ns", f">= {vacate_ns} ns, silent by then")
    return Displacement(vacate_by_ns=vacate_ns, owed=compensation(terms, in_the_way, vacate_ns))


def _condition(terms: TierTerms, in_the_way: Displaceable, *, now_ns: int, emergency: bool) -> Refusal | None:
    match terms.condition:
        case "emergency" if not emergency:
            return refuse(Reason.TIER, "tier.condition", "no emergency", "a REQUEST that says it is one")
        case "incumbent":
            return refuse(Reason.TIER, "tier.condition", "a REQUEST", "an incumbent")
        case "after" if now_ns < in_the_way.window.start_ns + (terms.after_ns or 0):
            passed_ns = now_ns - in_the_way.window.start_ns
            return refuse(Reason.TIER, "tier.condition", f"{passed_ns} ns of its window", f">= {terms.after_ns} ns")
        case _:
            return None


def compensation(terms: TierTerms, displaced: Displaceable, silent_ns: int) -> int:
    """Return what a displaced party is owed by the stronger tier's terms, rounded up.

    Args: silent_ns: when its radio falls silent, UTC.
    """
    window, price = displaced.window, displaced.price
    return amount_owed(terms.owed, terms.amount, price=price, window=window, from_ns=silent_ns)
