"""Checks that a node's configured clock, place and credential satisfy its rule, so that its records can be admitted.

A node whose clock source the rule does not count signs records that every neighbour refuses. The check finds that
before the node runs, instead of in a refusal an hour later.
"""

from collections.abc import Iterator

from agent.config.settings import ConfigError, NodeConfig
from agent.node.trust import Trust, trust_of
from agent.timekeeping.assembly import GIVEN
from settlement.chain.admission import RADIUS_FLOOR_MM, TIME_FLOOR_NS
from settlement.chain.bodies import Rule
from settlement.chain.scope import Area
from settlement.core.fixes import PositionSource, TimeSource

PLACE_OF = {**GIVEN, "gps": PositionSource.GPS}


def trust_suited(config: NodeConfig) -> Trust:
    """Return the trust from the node's files, once its configuration fits its rule. Raises ConfigError."""
    trust = trust_of(config)
    for flaw in unsuited(config, trust):
        raise ConfigError(flaw)
    return trust


def unsuited(config: NodeConfig, trust: Trust) -> Iterator[str]:
    """Yield each reason why no record of this node could be admitted, with the configuration key to mend."""
    rule = trust.rule.rule
    yield from _clock(config, rule)
    yield from _place(config, rule)
    if config.place.source == "gps":
        return
    here = Area(lat_e7=config.place.lat_e7, lon_e7=config.place.lon_e7, radius_mm=config.place.radius_mm)
    for area, whose in ((trust.me.scope.area, "its credential"), (rule.area, f"the rule {rule.name}")):
        if not area.holds(here):
            yield f"place.lat_e7, place.lon_e7: not surely inside the area of {whose}; correct the place"


def _clock(config: NodeConfig, rule: Rule) -> Iterator[str]:
    counted = [source for source in config.clock.sources if source.counts_as in rule.time_sources]
    if not counted:
        kinds = ", ".join(dict.fromkeys(source.kind for source in config.clock.sources))
        wanted = ", ".join(TimeSource(source).name.lower() for source in rule.time_sources)
        yield f"clock.sources: {kinds}: the rule {rule.name} counts time by {wanted} only; add such a source"
        return
    best_ns = min(max(TIME_FLOOR_NS[source.counts_as], round(source.best_us * 1000)) for source in counted)
    if best_ns > rule.time_bound_ns_max:
        limit = f"{rule.time_bound_ns_max / 1e3:g} us that the rule {rule.name} asks for"
        yield f"clock.sources: {best_ns / 1e3:g} us at best, more than the {limit}; add a better source"


def _place(config: NodeConfig, rule: Rule) -> Iterator[str]:
    source = PLACE_OF[config.place.source]
    wanted = ", ".join(PositionSource(one).name.lower() for one in rule.position_sources)
    if source not in rule.position_sources:
        yield f"place.source: {config.place.source}: the rule {rule.name} counts places by {wanted} only"
        return
    radius_mm = max(config.place.radius_mm if config.place.source != "gps" else 0, RADIUS_FLOOR_MM[source])
    if radius_mm > rule.position_radius_mm_max:
        limit = rule.position_radius_mm_max / 1e3
        yield f"place.radius_mm: {radius_mm / 1e3:g} m: the rule {rule.name} takes {limit:g} m at most"
