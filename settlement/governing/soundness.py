"""Whether a rule is sound, and inside the scope of the authority that signs it. Pure.

A rule that contradicts itself is refused with TERMS, wherever it is read; one that reaches beyond its authority's scope
with SCOPE. The clause of the refusal names the key. Code that uses a rule does not have to check this again.
"""

from collections.abc import Iterator

from settlement.chain.bodies import BODIES, TYPE_OF, ClassTerms, DeskTerms, Rule, Ruling, Shard
from settlement.chain.scope import HZ, Band, Scope
from settlement.chain.taxonomy import Response
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.coordination import AUTHORITY
from settlement.pair.transmit import LEASE_MAX_NS

NS = 1_000_000_000
DAY_NS = 86_400 * NS
LONGEST_NS = 3_660 * DAY_NS
"""The longest length of time in a rule, ten years: sums with it stay far below 2^63."""
DECIDING_MAX_NS = DAY_NS
"""The longest time to accept, to confirm or to vacate, one day: neither side waits longer for the other."""
EIRP_MAX_MDBM = 200_000
"""The limit of an EIRP in a rule, 200 dBm: above any transmitter on Earth, so a larger value is a typing error."""
PRICE_MAX = 10**15
Complaint = tuple[str, object, object]


def flaw(rule: Rule) -> Refusal | None:
    """Return the first flaw that makes a rule meaningless: TERMS; None where the rule is sound."""
    found = next(_complaints(rule), None)
    return None if found is None else refuse(Reason.TERMS, f"rule.{found[0]}", found[1], found[2])


def may_rule(scope: Scope) -> Refusal | None:
    """Refuse a scope that does not allow making rules; None where it does."""
    if "rule" in scope.actions:
        return None
    return refuse(Reason.SCOPE, "rule.scope", ", ".join(scope.actions), "an authority that may make rules")


def beyond(rule: Rule, scope: Scope) -> Refusal | None:
    """Return the first axis on which a rule reaches beyond its authority's scope (SCOPE); None where it lies inside."""
    for number, band in enumerate(rule.bands):
        if not scope.holds_band(band):
            return refuse(Reason.SCOPE, f"rule.bands[{number}]", band, ", ".join(map(str, scope.bands)))
    if not scope.area.holds(rule.area):
        return refuse(Reason.SCOPE, "rule.area", rule.area, scope.area)
    for number, terms in enumerate(rule.classes):
        here = f"rule.classes[{number}]"
        if terms.name not in scope.classes:
            return refuse(Reason.SCOPE, f"{here}.name", terms.name, ", ".join(scope.classes))
        if terms.max_eirp_mdbm > scope.max_eirp_mdbm:
            required = f"<= {scope.max_eirp_mdbm} mdBm"
            return refuse(Reason.SCOPE, f"{here}.max_eirp_mdbm", f"{terms.max_eirp_mdbm} mdBm", required)
    return None


def short_of(scope: Scope | None, rule: Rule) -> Refusal | None:
    """Return the first part of a rule outside an authority's scope (SCOPE); None where the scope holds the whole rule.

    An authority may narrow a rule only if its scope holds all of the rule.

    Args: scope: of the authority; None where its credential is not known.
    """
    if scope is None:
        return refuse(Reason.SCOPE, "rule.reach", "an authority that is not shown", "one that reaches all of the rule")
    for band in rule.bands:
        if not scope.holds_band(band):
            return refuse(Reason.SCOPE, "rule.reach.bands", ", ".join(map(str, scope.bands)), f"{band}, as the rule")
    if not scope.area.holds(rule.area):
        return refuse(Reason.SCOPE, "rule.reach.area", scope.area, f"{rule.area}, as the rule")
    lacking = next((terms.name for terms in rule.classes if terms.name not in scope.classes), None)
    if lacking is not None:
        return refuse(Reason.SCOPE, "rule.reach.classes", ", ".join(scope.classes), f"{lacking}, as the rule")
    return None


def _complaints(rule: Rule) -> Iterator[Complaint]:
    window = rule.effective
    if not window.start_ns < window.end_ns:
        yield "effective", f"{window.start_ns} to {window.end_ns} ns", "an end after its start"
    for number, band in enumerate(rule.bands):
        yield from _band(band, f"bands[{number}]")
    yield from _area(rule)
    yield from _once("classes", [terms.name for terms in rule.classes])
    yield from _once("levels", [level.name for level in rule.levels])
    for number, terms in enumerate(rule.classes):
        yield from _class(terms, f"classes[{number}]", LEASE_MAX_NS if rule.long_leases is None else DAY_NS)
    for number, area in enumerate(rule.long_leases.protected if rule.long_leases is not None else ()):
        wrong = area.flaw()
        if wrong is not None:
            yield f"long_leases.protected[{number}]", wrong, "a circle or an outline"
    yield from _levels(rule)
    yield from _disputes(rule)
    yield from _clocks(rule)
    yield from _budgets(rule)
    yield from _once("modalities", [modality.name for modality in rule.modalities or ()])
    yield from _once("coordination", [shard.name for shard in rule.coordination or ()])
    for number, shard in enumerate(rule.coordination or ()):
        yield from _shard(shard, f"coordination[{number}]")


def _band(band: Band, key: str) -> Iterator[Complaint]:
    least = 0 if band.unit is not None else 1
    if not least <= band.low_hz < band.high_hz:
        yield key, band, "a lower edge above 0 Hz and below the upper edge"


def _area(rule: Rule) -> Iterator[Complaint]:
    wrong = rule.area.flaw()
    if wrong is not None:
        yield "area", wrong, "a circle or an outline"


def _once(key: str, names: list[str]) -> Iterator[Complaint]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        yield key, f"{twice} twice", "each name once"
    if "" in names:
        yield key, "no name", "a name for each"


def _within(key: str, value: int, low: int, high: int, unit: str = "ns") -> Iterator[Complaint]:
    if not low <= value <= high:
        yield key, f"{value} {unit}".strip(), f"{low} to {high} {unit}".strip()


def _class(terms: ClassTerms, key: str, lease_max_ns: int) -> Iterator[Complaint]:
    yield from _within(f"{key}.raster_hz", terms.raster_hz, 1, 10**12, "Hz")
    yield from _within(f"{key}.time_unit_ns", terms.time_unit_ns, 1, terms.max_window_ns)
    yield from _within(f"{key}.max_window_ns", terms.max_window_ns, 1, LONGEST_NS)
    yield from _within(f"{key}.max_eirp_mdbm", terms.max_eirp_mdbm, -EIRP_MAX_MDBM, EIRP_MAX_MDBM, "mdBm")
    yield from _within(f"{key}.accept_ns", terms.accept_ns, 1, DECIDING_MAX_NS)
    yield from _within(f"{key}.confirm_ns", terms.confirm_ns, 1, DECIDING_MAX_NS)
    yield from _within(f"{key}.lease_ns", terms.lease_ns, 1, lease_max_ns)
    yield from _within(f"{key}.vacate_ns", terms.vacate_ns, 0, DECIDING_MAX_NS)
    yield from _within(f"{key}.price_high", terms.price_high, terms.price_low, PRICE_MAX, "")
    mask_mdbm = terms.out_of_band_mdbm_per_mhz
    yield from _within(f"{key}.out_of_band_mdbm_per_mhz", mask_mdbm, -EIRP_MAX_MDBM, EIRP_MAX_MDBM, "mdBm")
    if terms.unit == HZ:
        yield f"{key}.unit", HZ, "another unit, or none: a class that names none is in Hz"
    if terms.unit is None and (terms.users or 1) > 1:
        yield f"{key}.users", terms.users, "1: frequencies have one user at a time"
    if terms.unit is not None and terms.envelope_required:
        yield f"{key}.envelope_required", 1, f"0: nothing senses {terms.unit}"
    if terms.max_ahead_ns is not None:
        yield from _within(f"{key}.max_ahead_ns", terms.max_ahead_ns, 0, LONGEST_NS)


def _levels(rule: Rule) -> Iterator[Complaint]:
    for number, level in enumerate(rule.levels):
        if level.response not in list(Response):
            yield f"levels[{number}].response", level.response, ", ".join(Response)
        strange = next((typ for typ in level.admits if typ not in BODIES), None)
        if strange is not None:
            yield f"levels[{number}].admits", strange, "a record type"


def _disputes(rule: Rule) -> Iterator[Complaint]:
    """Yield levels that are named to rule on disputes but are not in the rule, or do not admit rulings."""
    for number, terms in enumerate(rule.classes):
        for name in terms.disputes.levels if terms.disputes is not None else ():
            level = rule.level(name)
            if level is None or TYPE_OF[Ruling] not in level.admits:
                yield f"classes[{number}].disputes.levels", name, f"a level that admits {TYPE_OF[Ruling]}"


def _clocks(rule: Rule) -> Iterator[Complaint]:
    times, places = list(TimeSource)[1:], list(PositionSource)[1:]
    asked: list[tuple[str, Rule | DeskTerms]] = [("", rule)]
    if rule.desk is not None:
        asked.append(("desk.", rule.desk))
    for key, terms in asked:
        if not set(terms.time_sources) <= set(map(int, times)):
            yield f"{key}time_sources", terms.time_sources, "sources of time that are one"
        if not set(terms.position_sources) <= set(map(int, places)):
            yield f"{key}position_sources", terms.position_sources, "sources of position that are one"
        yield from _within(f"{key}time_bound_ns_max", terms.time_bound_ns_max, 1, DAY_NS)
        yield from _within(f"{key}position_radius_mm_max", terms.position_radius_mm_max, 1, 10**11, "mm")
    yield from _within("record_age_ns_max", rule.record_age_ns_max, 1, LONGEST_NS)
    yield from _within("sensing_age_ns_max", rule.sensing_age_ns_max, 1, LONGEST_NS)


def _budgets(rule: Rule) -> Iterator[Complaint]:
    for number, budget in enumerate(rule.budgets or ()):
        key = f"budgets[{number}]"
        yield from _within(f"{key}.window_ns", budget.window_ns, 1, LONGEST_NS)
        wrong = budget.area.flaw() if budget.area is not None else None
        if wrong is not None:
            yield f"{key}.area", wrong, "a circle or an outline"


def _shard(shard: Shard, key: str) -> Iterator[Complaint]:
    if shard.band is not None:
        yield from _band(shard.band, f"{key}.band")
    wrong = shard.area.flaw() if shard.area is not None else None
    if wrong is not None:
        yield f"{key}.area", wrong, "a circle or an outline"
    named = shard.authorities
    if len(set(named)) != len(named):
        yield f"{key}.authorities", "one is named twice", "each once"
    if shard.mode == AUTHORITY:
        yield from _within(f"{key}.need", shard.need, 1, len(named), "")
    elif named:
        yield f"{key}.authorities", len(named), "none where neighbours sign"
