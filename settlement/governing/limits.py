"""Whether a lower authority's rule only narrows the rule above it. Pure.

Each axis is named by its key in the rule file; the first axis on which the lower rule allows more is refused with
SCOPE. Where the rule above leaves a key out, the lower rule may set a limit; what the rule above demands, the lower
rule must demand too.
"""

from collections.abc import Iterator
from dataclasses import replace

from settlement.chain.bodies import Budget, ClassTerms, DeskTerms, Level, Rule, Shard
from settlement.chain.quantities import VALIDITY_MAX_NS
from settlement.chain.scope import HZ
from settlement.chain.taxonomy import Response
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.transmit import LEASE_MAX_NS
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import FORMS

WEAKER = {
    Response.OBEY: frozenset(Response),
    Response.OBEY_AFTER_CHECK: frozenset(Response) - {Response.OBEY},
    Response.CONSIDER: frozenset({Response.CONSIDER, Response.RECORD_ONLY}),
    Response.RECORD_ONLY: frozenset({Response.RECORD_ONLY}),
}
"""The responses that are weaker than, or equal to, each response."""
Wider = tuple[str, object, object]
AT_MOST = ("max_window_ns", "max_eirp_mdbm", "accept_ns", "confirm_ns", "lease_ns", "vacate_ns", "price_high",
           "out_of_band_mdbm_per_mhz")  # fmt: skip
WHOLE_MULTIPLE = ("raster_hz", "time_unit_ns")


def wider_rule(lower: Rule, upper: Rule) -> Refusal | None:
    """Return the first axis on which the lower rule allows more than the upper one (SCOPE); None if none does."""
    found = next(_axes(lower, upper), None)
    return None if found is None else refuse(Reason.SCOPE, f"rule.wider.{found[0]}", found[1], found[2])


def _axes(lower: Rule, upper: Rule) -> Iterator[Wider]:
    if not upper.effective.holds(lower.effective):
        yield "effective", lower.effective.end_ns, f"until {upper.effective.end_ns} ns"
    outside = next((band for band in lower.bands if not any(b.holds(band) for b in upper.bands)), None)
    if outside is not None:
        yield "bands", outside, ", ".join(map(str, upper.bands))
    if not upper.area.holds(lower.area):
        yield "area", lower.area, upper.area
    for terms in lower.classes:
        above = upper.terms(terms.name)
        if above is None:
            yield "classes", terms.name, ", ".join(c.name for c in upper.classes)
        else:
            yield from ((f"{terms.name}.{axis}", was, need) for axis, was, need in _class(terms, above))
    for level in lower.levels:
        yield from _level(level, upper.level(level.name))
    yield from _trust(lower, upper)
    yield from _demands(lower, upper)


def _class(lower: ClassTerms, upper: ClassTerms) -> Iterator[Wider]:
    yield from _at_most(AT_MOST, lower, upper)
    yield from _kind(lower, upper)
    if lower.price_low < upper.price_low:
        yield "price_low", lower.price_low, f">= {upper.price_low}"
    for name in WHOLE_MULTIPLE:
        unit, above = getattr(lower, name), getattr(upper, name)
        if not above or unit % above:
            yield name, unit, f"a multiple of {above}"
    if (lower.rounds_max or 0) > (upper.rounds_max or 0):
        yield "rounds_max", lower.rounds_max, f"<= {upper.rounds_max or 0}"
    if upper.max_ahead_ns is not None and (lower.max_ahead_ns is None or lower.max_ahead_ns > upper.max_ahead_ns):
        yield "max_ahead_ns", lower.max_ahead_ns, f"<= {upper.max_ahead_ns}"
    if upper.recognition is not None and lower.recognition != upper.recognition:
        yield "recognition", "another", "the same"
    if (lower.on_incumbent or 0) > (upper.on_incumbent or 0):
        yield "on_incumbent", lower.on_incumbent, f"<= {upper.on_incumbent or 0}"
    if (lower.envelope_required or 0) < (upper.envelope_required or 0):
        yield "envelope_required", lower.envelope_required or 0, upper.envelope_required
    yield from _market(lower, upper)


def _kind(lower: ClassTerms, upper: ClassTerms) -> Iterator[Wider]:
    """Yield where schema, licence, retention or unit differ, or the lower rule allows more users of a cell at once."""
    for name in ("schema", "licence"):
        if getattr(upper, name) is not None and getattr(lower, name) != getattr(upper, name):
            yield name, "another", "the same"
    if lower.retention != upper.retention:  # what must be kept under the rule above is not deleted under the lower one
        yield "retention", "another", "the same" if upper.retention is not None else "none"
    if lower.unit != upper.unit:
        yield "unit", lower.unit or HZ, upper.unit or HZ
    if (lower.users or 1) > (upper.users or 1):
        yield "users", lower.users, f"<= {upper.users or 1}"


def _market(lower: ClassTerms, upper: ClassTerms) -> Iterator[Wider]:
    """Yield market terms that the lower rule changes or widens: tiers, price forms, auctions, fallbacks and others.

    `matching` is not compared: it limits and orders only which offers a user takes.
    """
    if set(lower.tiers or ()) != set(upper.tiers or ()):
        yield "tiers", "others", "those of the rule above"
    if upper.price_forms is not None and not set(lower.price_forms or FORMS) <= set(upper.price_forms):
        yield "price_forms", ", ".join(lower.price_forms or FORMS), ", ".join(upper.price_forms)
    if lower.auction is not None and lower.auction != upper.auction:
        yield "auction", "another", "that of the rule above, or none"
    yield from _changing_hands(lower.handing, upper.handing)
    for name in ("tariff", "currency", "approval", "coalition"):
        if getattr(upper, name) is not None and getattr(lower, name) != getattr(upper, name):
            yield name, "another", "that of the rule above"
    for name in ("fallbacks", "disputes"):  # these give power: a holder may move its user, a ruling may order payment
        if getattr(lower, name) != getattr(upper, name):
            yield name, "another", "that of the rule above" if getattr(upper, name) is not None else "none"


def _changing_hands(lower: HandingTerms | None, upper: HandingTerms | None) -> Iterator[Wider]:
    """Yield where the lower rule allows more kinds or depth of handing on, or drops the consent that is asked for."""
    if lower is None:
        return
    if upper is None:
        yield "handing", ", ".join(lower.kinds), "none"
        return
    if not set(lower.kinds) <= set(upper.kinds):
        yield "handing.kinds", ", ".join(lower.kinds), ", ".join(upper.kinds)
    if lower.depth > upper.depth:
        yield "handing.depth", lower.depth, f"<= {upper.depth}"
    if lower.consent < upper.consent:
        yield "handing.consent", lower.consent, upper.consent


def _at_most(names: tuple[str, ...], lower: object, upper: object) -> Iterator[Wider]:
    for name in names:
        if getattr(lower, name) > getattr(upper, name):
            yield name, getattr(lower, name), f"<= {getattr(upper, name)}"


def _level(lower: Level, upper: Level | None) -> Iterator[Wider]:
    if upper is None:
        yield f"levels.{lower.name}", "a level", "none of that name"
        return
    weaker = WEAKER[Response(upper.response)] if upper.response in list(Response) else frozenset()
    if lower.response not in weaker:
        yield f"levels.{lower.name}.response", lower.response, ", ".join(sorted(weaker))
    if lower.weight_ppm > upper.weight_ppm:
        yield f"levels.{lower.name}.weight_ppm", lower.weight_ppm, f"<= {upper.weight_ppm}"
    if not set(lower.admits) <= set(upper.admits):
        yield f"levels.{lower.name}.admits", sorted(set(lower.admits) - set(upper.admits)), "none beyond those above"


def _trust(lower: Rule, upper: Rule) -> Iterator[Wider]:
    """Yield where the lower rule accepts more: sources and bounds of time and position, ages, desks, modalities."""
    yield from _sources("", lower, upper)
    yield from _at_most(("record_age_ns_max", "sensing_age_ns_max"), lower, upper)
    open_ended = lower.validity_ns_max is None or lower.validity_ns_max > (upper.validity_ns_max or VALIDITY_MAX_NS)
    if upper.validity_ns_max is not None and open_ended:
        yield "validity_ns_max", lower.validity_ns_max, f"<= {upper.validity_ns_max}"
    if upper.desk is None and lower.desk is not None:
        yield "desk", "terms for desks", "none"
    if upper.desk is not None and lower.desk is not None:
        yield from _sources("desk.", lower.desk, upper.desk)
    rated = {one.name: one.reliability_ppm for one in upper.modalities or ()}
    own = {one.name: one.reliability_ppm for one in lower.modalities or ()}
    surer = next((name for name, ppm in own.items() if ppm > rated.get(name, 0)), None) if rated else None
    if surer is not None:
        yield f"modalities.{surer}", own[surer], f"<= {rated.get(surer, 0)}"
    if rated and not own:
        yield "modalities", "none", ", ".join(rated)


def _sources(key: str, lower: Rule | DeskTerms, upper: Rule | DeskTerms) -> Iterator[Wider]:
    for name in ("time_sources", "position_sources"):
        more = sorted(set(getattr(lower, name)) - set(getattr(upper, name)))
        if more:
            yield f"{key}{name}", more, f"none beyond {sorted(getattr(upper, name))}"
    for name in ("time_bound_ns_max", "position_radius_mm_max"):
        if getattr(lower, name) > getattr(upper, name):
            yield f"{key}{name}", getattr(lower, name), f"<= {getattr(upper, name)}"


def _demands(lower: Rule, upper: Rule) -> Iterator[Wider]:
    """Yield where the lower rule demands less: witnesses, co-signatures, budgets, confidence, admission, calendars."""
    for name in ("witness_quorum", "outside_authorisation", "confidence_ppm_min"):
        asked, above = getattr(lower, name) or 0, getattr(upper, name) or 0
        if asked < above:
            yield name, asked, f">= {above}"
    if (lower.admission or 0) < (upper.admission or 0):
        yield "admission", lower.admission or 0, upper.admission
    if (lower.incumbent_calendar or 0) < (upper.incumbent_calendar or 0):
        yield "incumbent_calendar", lower.incumbent_calendar or 0, upper.incumbent_calendar
    yield from _leases(lower, upper)
    if upper.jurisdictions is not None and lower.jurisdictions != upper.jurisdictions:
        yield "jurisdictions", "others", "those of the rule above"
    if lower.reputation != upper.reputation:  # reputation decides how much of a budget a user has
        yield "reputation", "another", "that of the rule above" if upper.reputation is not None else "none"
    named = {(one.name, one.key) for one in upper.stock_witnesses or ()}
    stranger = next((one for one in lower.stock_witnesses or () if (one.name, one.key) not in named), None)
    if stranger is not None:
        yield "stock_witnesses", stranger.name, "none but those of the rule above"
    lost = next((s for s in upper.coordination or () if not any(_signs(o, s) for o in lower.coordination or ())), None)
    if lost is not None:
        yield f"coordination.{lost.name}", "less", f"the same shard, of {lost.need} signatures or more"
    spent = next((b for b in upper.budgets or () if not any(_saves(o, b) for o in lower.budgets or ())), None)
    if spent is not None:
        yield f"budgets.{spent.commodity}", "more", f"the same budget, of {spent.amount_hz_s} Hz s or less"


def _leases(lower: Rule, upper: Rule) -> Iterator[Wider]:
    """Yield where leases beyond 240 s are new or longer in the lower rule, or an area protected above is not below."""
    mine, above = lower.long_leases, upper.long_leases
    if mine is None:
        return
    if above is None or mine.most_ns > above.most_ns:
        yield "long_leases.most_ns", mine.most_ns, f"<= {above.most_ns if above is not None else LEASE_MAX_NS}"
    elif any(not any(own.holds(area) for own in mine.protected) for area in above.protected):
        yield "long_leases.protected", len(mine.protected), "every area that the rule above protects"


def _signs(lower: Shard, upper: Shard) -> bool:
    """Whether the lower shard is the upper one, with the same or fewer authorities and no smaller `need`."""
    same = replace(lower, need=upper.need, authorities=upper.authorities) == upper
    fewer = set(lower.authorities) <= set(upper.authorities) and lower.need >= upper.need
    return same and fewer


def _saves(lower: Budget, upper: Budget) -> bool:
    """Whether the lower budget is the upper one with no greater amount, first share or step."""
    names = ("amount_hz_s", "first_share_ppm", "step_ppm")
    same = replace(lower, **{name: getattr(upper, name) for name in names}) == upper
    return same and all(getattr(lower, name) <= getattr(upper, name) for name in names)
