"""Credentials of a city: one root, and for each member one limited to its own block and area."""

from dataclasses import dataclass, replace
from functools import cached_property

from settlement.chain import bodies, records
from settlement.chain.credentials import Registry, issue
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Area, Band, Scope, Window
from settlement.core.reasons import Refusal
from sim.world.cityplan import BLOCKS, DISTRICT_M, HOUR_NS, REACH_M, CityPlan, CitySpot
from sim.world.trust import (
    CHANNELS,
    COMMODITY,
    EIRP_MDBM,
    LOW_HZ,
    NETWORK,
    NS,
    RASTER_HZ,
    T0_NS,
    TERMS,
    WorldTrust,
    before_start,
    claims_for,
    make_rule,
    secret,
    signed_by,
    transport_of,
)

CITY_BAND = Band(low_hz=LOW_HZ, high_hz=LOW_HZ + BLOCKS * CHANNELS * RASTER_HZ)
LEASE_NS = 240 * NS
"""Longest lease that CBRS allows."""
WINDOW_NS = 1800 * NS
CITY_TERMS = replace(
    TERMS, lease_ns=LEASE_NS, max_window_ns=WINDOW_NS, accept_ns=2 * NS, confirm_ns=2 * NS, vacate_ns=2 * NS
)


def block_band(block: int) -> Band:
    """The frequencies of one of the four blocks."""
    low_hz = LOW_HZ + block * CHANNELS * RASTER_HZ
    return Band(low_hz=low_hz, high_hz=low_hz + CHANNELS * RASTER_HZ)


def area_of(spot: CitySpot) -> Area:
    """The area in which a holder at that position may grant."""
    return Area(lat_e7=spot.lat_e7, lon_e7=spot.lon_e7, radius_mm=round(REACH_M * 1000))


def city_area(side: int) -> Area:
    """The area of the whole city, with a margin."""
    middle = CitySpot(east_m=side * DISTRICT_M / 2, north_m=side * DISTRICT_M / 2)
    return Area(lat_e7=middle.lat_e7, lon_e7=middle.lon_e7, radius_mm=round((side + 2) * DISTRICT_M * 1000))


@dataclass(frozen=True, kw_only=True)
class CityTrust(WorldTrust):
    """The credentials of a city's members: each has its own chain, and others' once it hears them."""

    @cached_property
    def by_name(self) -> dict[str, tuple[bytes, ...]]:
        """The certificate chain of each member."""
        return dict(self.chains)

    def registry_of(self, names: set[str]) -> Registry:
        """A new registry with the chains of these members only."""
        registry = Registry(NETWORK, self.anchors)
        for name in sorted(names):
            if isinstance(refused := registry.admit_chain(self.by_name[name]), Refusal):
                raise TypeError(str(refused))
        return registry


def city_trust(plan: CityPlan) -> CityTrust:
    """Issue all credentials of a city; the same plan gives the same bytes."""
    key, before, everywhere = SigningKey.from_seed(secret("root")), before_start(), city_area(plan.side)
    until_s = (T0_NS + plan.ends_ns + HOUR_NS) // NS

    def scope(actions: tuple[str, ...], tier: int, *, band: Band = CITY_BAND, area: Area = everywhere) -> Scope:
        return Scope(
            bands=(band,), area=area, classes=(COMMODITY,), actions=actions, tier=tier, max_eirp_mdbm=EIRP_MDBM, depth=0
        )

    everything = replace(scope(("issue", "rule", "offer", "grant", "request", "observe"), 1), depth=2)
    claims = replace(claims_for(key.public, "root"), expires_s=until_s)
    root = issue(key, None, bodies.Credential(level="authority", scope=everything), claims, network=NETWORK, fix=before)
    authority = Registry(NETWORK, [records.digest(root)]).admit(root)
    if isinstance(authority, Refusal):
        raise TypeError(str(authority))
    chains = []
    for number, (role, spot, block) in enumerate(zip(plan.roles, plan.spots, plan.blocks, strict=True)):
        here = (
            scope(("request", "observe"), role.tier)
            if block is None
            else scope(("offer", "grant", "observe"), role.tier, band=block_band(block), area=area_of(spot))
        )
        body = bodies.Credential(
            level="operator", scope=here, transport_key=transport_of(role.name), device=f"device-{role.name}"
        )
        public = SigningKey.from_seed(secret(role.name)).public
        claims = replace(claims_for(public, role.name), expires_s=until_s)
        issued = issue(key, authority, body, claims, network=NETWORK, fix=before, seq=10 + number)
        chains.append((role.name, (root, issued)))
    rule = replace(
        make_rule(quorum=plan.quorum, budget_hz_s=plan.budget_hz_s, suspends=plan.suspends),
        effective=Window(start_ns=T0_NS - HOUR_NS, end_ns=T0_NS + plan.ends_ns + HOUR_NS // 2),
        bands=(CITY_BAND,),
        area=everywhere,
        classes=(replace(CITY_TERMS, on_incumbent=1 if plan.suspends else None),),
    )
    return CityTrust(root=root, chains=tuple(chains), rule_raw=signed_by(key, authority, rule, 2), lists=())
