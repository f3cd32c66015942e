"""Checks of one settlement's terms against its class, its rule and both parties' credentials. Pure.

Holder (before the GRANT), user (before the ACCEPT), co-signer, warden and auditor each call `judge_terms`: a
settlement beyond its rule and credentials is invalid even where both parties agree.

    class       known to the rule, and in both credentials; the band is in the unit of the class
    band, area  inside the rule and both credentials, the band's edges on the class's raster
    window      some whole time units long, no longer than the class allows, not too far ahead, over before either
                credential ends
    tier, EIRP  the tier no stronger than both credentials allow, and open to the user's level; the EIRP no higher than
                the class and both credentials allow
    price       inside the class's bounds
    fallback    none, or one of the class's catalogue
    lease       no longer than the class's; the deadlines no later than the class's times after the signing
    authorities every jurisdiction that the cell touches is represented, and the terms by their policy are met
                (`jurisdictions`)
"""

from dataclasses import dataclass

from settlement.chain.bodies import ClassTerms, Grant, Request, Rule
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import HZ, Cell
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.disputes.fallbacks import judge_chosen
from settlement.market.tiers import judge_eligible
from settlement.pair.jurisdictions import JurisdictionCase, judge_jurisdictions
from settlement.pair.transmit import LEASE_MAX_NS
from settlement.pair.windows import not_too_far


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """The terms asked for or granted, with the signing time as an interval (UTC, ns); terms not fixed yet are None."""

    cell: Cell
    commodity: str
    tier: int
    eirp_mdbm: int
    price: int
    earliest_ns: int
    latest_ns: int
    lease_ns: int | None = None
    accept_by_ns: int | None = None
    confirm_by_ns: int | None = None
    fallback: int | None = None
    jurisdictions: tuple[bytes, ...] | None = None


def deal_of_request(body: Request, now: TimeFix) -> Deal:
    """Return the terms of a REQUEST, as if it were granted now."""
    return Deal(
        cell=body.cell,
        commodity=body.commodity,
        tier=body.tier,
        eirp_mdbm=body.eirp_mdbm,
        price=body.price,
        earliest_ns=now.earliest_ns,
        latest_ns=now.latest_ns,
        fallback=body.fallback,
    )


def deal_of_grant(grant: Record) -> Deal:
    """Return the terms of a GRANT."""
    body: Grant = grant.body
    signed = grant.frame.attestation
    return Deal(
        cell=body.cell,
        commodity=body.commodity,
        tier=body.tier,
        eirp_mdbm=body.max_eirp_mdbm,
        price=body.price,
        earliest_ns=signed.earliest_ns,
        latest_ns=signed.latest_ns,
        lease_ns=body.lease_ns,
        accept_by_ns=body.accept_by_ns,
        confirm_by_ns=body.confirm_by_ns,
        fallback=body.fallback,
        jurisdictions=body.jurisdictions or (),
    )


def judge_terms(deal: Deal, rule: Rule, *, holder: Subject, user: Subject) -> Refusal | None:
    """Return the first term that the rule, the class or a credential does not allow; None where all are allowed."""
    terms = rule.terms(deal.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "terms.class", deal.commodity, [known.name for known in rule.classes])
    return (
        _inside_rule(deal, rule)
        or _on_the_grid(deal, terms)
        or _inside_class(deal, terms, lease_ceiling_ns(rule, deal.cell))
        or judge_chosen(terms, deal.fallback)
        or judge_eligible(terms.tiers, deal.tier, user.level)
        or _inside_credential(deal, user, "user")
        or _inside_credential(deal, holder, "holder")
        or judge_jurisdictions(_case_of(deal, holder, user), rule)
    )


def _case_of(deal: Deal, holder: Subject, user: Subject) -> JurisdictionCase:
    return JurisdictionCase(
        cell=deal.cell,
        commodity=deal.commodity,
        eirp_mdbm=deal.eirp_mdbm,
        price=deal.price,
        named=deal.jurisdictions,
        chains=(holder.chain, user.chain),
    )


def lease_ceiling_ns(rule: Rule, cell: Cell) -> int:
    """Return the longest transmit lease of a cell, ns: 240 s, or the rule's value outside its protected areas."""
    long = rule.long_leases
    if long is None or any(area.overlaps(cell.area) for area in long.protected):
        return LEASE_MAX_NS
    return long.most_ns


def _inside_rule(deal: Deal, rule: Rule) -> Refusal | None:
    if not any(band.holds(deal.cell.band) for band in rule.bands):
        return refuse(Reason.SCOPE, "terms.rule.band", deal.cell.band, ", ".join(map(str, rule.bands)))
    if not rule.area.holds(deal.cell.area):
        return refuse(Reason.SCOPE, "terms.rule.area", deal.cell.area, rule.area)
    return None


def _on_the_grid(deal: Deal, terms: ClassTerms) -> Refusal | None:
    band, window = deal.cell.band, deal.cell.window
    if band.unit != terms.unit:
        return refuse(Reason.TERMS, "terms.unit", band.unit or HZ, terms.unit or HZ)
    if terms.raster_hz < 1 or band.low_hz % terms.raster_hz or band.high_hz % terms.raster_hz:
        return refuse(Reason.TERMS, "terms.raster", band, f"edges on {terms.raster_hz} Hz")
    length_ns = window.end_ns - window.start_ns
    units = terms.time_unit_ns > 0 and length_ns > 0 and length_ns % terms.time_unit_ns == 0
    if not units or length_ns > terms.max_window_ns:
        required = f"at most {terms.max_window_ns} ns in units of {terms.time_unit_ns} ns"
        return refuse(Reason.TERMS, "terms.window", f"{length_ns} ns", required)
    return not_too_far(deal.cell, deal.earliest_ns, terms)


def _inside_class(deal: Deal, terms: ClassTerms, ceiling_ns: int) -> Refusal | None:
    if not terms.price_low <= deal.price <= terms.price_high:
        return refuse(Reason.PRICE, "terms.price", deal.price, f"{terms.price_low}-{terms.price_high}")
    if deal.eirp_mdbm > terms.max_eirp_mdbm:
        return refuse(Reason.POWER, "terms.eirp", f"{deal.eirp_mdbm} mdBm", f"<= {terms.max_eirp_mdbm} mdBm")
    longest_ns = min(terms.lease_ns, ceiling_ns)
    if deal.lease_ns is not None and not 0 < deal.lease_ns <= longest_ns:
        return refuse(Reason.LEASE, "terms.lease", f"{deal.lease_ns} ns", f"<= {longest_ns} ns")
    accept_by_ns, confirm_by_ns = deal.accept_by_ns, deal.confirm_by_ns
    if accept_by_ns is not None and accept_by_ns > deal.latest_ns + terms.accept_ns:
        limit_ns = deal.latest_ns + terms.accept_ns
        return refuse(Reason.TERMS, "terms.accept_by", f"{accept_by_ns} ns", f"<= {limit_ns} ns")
    if accept_by_ns is not None and confirm_by_ns is not None and confirm_by_ns > accept_by_ns + terms.confirm_ns:
        limit_ns = accept_by_ns + terms.confirm_ns
        return refuse(Reason.TERMS, "terms.confirm_by", f"{confirm_by_ns} ns", f"<= {limit_ns} ns")
    return None


def _inside_credential(deal: Deal, party: Subject, role: str) -> Refusal | None:
    scope, cell = party.scope, deal.cell
    checks = (
        ("class", deal.commodity in scope.classes, deal.commodity, ", ".join(scope.classes), Reason.SCOPE),
        ("band", scope.holds_band(cell.band), cell.band, ", ".join(map(str, scope.bands)), Reason.SCOPE),
        ("area", scope.area.holds(cell.area), cell.area, scope.area, Reason.SCOPE),
        ("tier", deal.tier >= scope.tier, deal.tier, f">= {scope.tier}", Reason.TIER),
        (
            "eirp",
            deal.eirp_mdbm <= scope.max_eirp_mdbm,
            f"{deal.eirp_mdbm} mdBm",
            f"<= {scope.max_eirp_mdbm} mdBm",
            Reason.POWER,
        ),
        (
            "life",
            cell.window.end_ns <= party.expires_ns,
            f"a window until {cell.window.end_ns} ns",
            f"<= {party.expires_ns} ns, when the credential ends",
            Reason.SCOPE,
        ),
    )
    for axis, held, measured, required, reason in checks:
        if not held:
            return refuse(reason, f"terms.{role}.{axis}", measured, required)
    return None
