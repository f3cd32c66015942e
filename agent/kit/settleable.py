"""Checks that what a trial's nodes offer and want can be settled under the trial's own rule. Pure."""

from agent.kit.spec import NodePart, TrialFile, WantPart
from agent.words.units import band_text, hz_text, time_text
from settlement.records.authority import ClassTerms, Rule


def unsettleable(spec: TrialFile, rule: Rule) -> str | None:
    """Return the first offer or want that every node would refuse, with its remedy; None where there is none."""
    for node in spec.nodes:
        wrong = _bad_price(node, rule, spec.rule.classes[0]) or _bad_want(node, rule)
        if wrong is not None:
            return f"node {node.name!r}, {wrong}"
    return None


def _bad_price(node: NodePart, rule: Rule, usual: str) -> str | None:
    for offer in node.offers:
        terms = rule.terms(offer.commodity or usual)
        if terms is not None and not terms.price_low <= offer.price <= terms.price_high:
            return f"offers: price {offer.price} is not one of class {terms.name}, {terms.price_low}-{terms.price_high}"
    return None


def _bad_want(node: NodePart, rule: Rule) -> str | None:
    for want in node.wants:
        wrongs = [_off(want, terms) for terms in rule.classes if terms.unit is None]
        if wrongs and None not in wrongs:
            return f"wants: {wrongs[0]}"
    return None


def _off(want: WantPart, terms: ClassTerms) -> str | None:
    if want.band[0] % terms.raster_hz or want.band[1] % terms.raster_hz:
        raster = hz_text(terms.raster_hz)
        return f"band {band_text(*want.band)}: class {terms.name} has edges at multiples of {raster}; give such edges"
    if want.length > terms.max_window_ns:
        said, most = time_text(want.length / 1e9), time_text(terms.max_window_ns / 1e9)
        return f"for {said}: class {terms.name} has {most} at the most; ask for less at a time"
    if want.length % terms.time_unit_ns:
        unit = time_text(terms.time_unit_ns / 1e9)
        return f"for {time_text(want.length / 1e9)}: class {terms.name} counts in {unit}; give whole ones"
    return None
