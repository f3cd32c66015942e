"""Generates a city's plan from a seed: members on a map over hours, their moves, requests and faults.

Holders stand in the middle of square districts and reuse four blocks of spectrum as a map of four colours does, so that
two who have the same block never reach the same place. Users stand in districts; some move. Every member knows whoever
is within hearing, and nobody else.
"""

import math
from dataclasses import dataclass
from random import Random

from sim.world.plan import MS, NS, Act, Plan, Role, Weather
from sim.world.trust import LAT_E7, LON_E7

HOUR_NS = 3600 * NS
DISTRICT_M = 2000.0
REACH_M = 0.72 * DISTRICT_M
"""Radius of a holder's area: to its district's corners, less than half way to the next holder of its block."""
HEARING_M = 1.5 * DISTRICT_M
"""Hearing distance, within which members know each other: about thirty of them."""
USERS_EACH = 3
BLOCKS = 4
M_PER_DEGREE = 111_320.0
OFFER_NS, OFFERED_NS = HOUR_NS, 5 * HOUR_NS // 4
QUIET_NS = HOUR_NS // 3
"""Time before the end without new requests, so that everything finishes."""
FAULTS = ("none", "some", "unlimited")
KINDS = (
    ("crash", 30),
    ("crash mid", 20),
    ("crash unsent", 20),
    ("disk full", 10),
    ("partition", 30),
    ("clock step", 15),
    ("clock wide", 10),
    ("clock lost", 15),
)
CALM = Weather(drop_ppt=0, duplicate_ppt=0, late_ppt=0, delay_ns_max=5 * MS, late_ns_max=0)
ROUGH = Weather(drop_ppt=60, duplicate_ppt=60, late_ppt=30, delay_ns_max=120 * MS, late_ns_max=20 * NS)
STORM = Weather(drop_ppt=200, duplicate_ppt=150, late_ppt=80, delay_ns_max=500 * MS, late_ns_max=60 * NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CitySpot:
    """A member's position, metres east and north of the city's corner."""

    east_m: float
    north_m: float

    def away_m(self, other: "CitySpot") -> float:
        """Distance in m to another position, in a plane."""
        return math.hypot(self.east_m - other.east_m, self.north_m - other.north_m)

    @property
    def lat_e7(self) -> int:
        """WGS-84 latitude, degrees * 1e7."""
        return LAT_E7 + round(self.north_m / M_PER_DEGREE * 1e7)

    @property
    def lon_e7(self) -> int:
        """WGS-84 longitude, degrees * 1e7."""
        return LON_E7 + round(self.east_m / (M_PER_DEGREE * math.cos(math.radians(LAT_E7 / 1e7))) * 1e7)


@dataclass(frozen=True, slots=True, kw_only=True)
class CityPlan(Plan):
    """The plan of a city run: each member's first position, and each holder's block of spectrum."""

    hours: int
    side: int
    spots: tuple[CitySpot, ...]
    blocks: tuple[int | None, ...]
    absent: frozenset[str]
    """Members that arrive later."""
    faults: str

    @property
    def ends_ns(self) -> int:
        """When the run ends, ns."""
        return self.hours * HOUR_NS

    @property
    def heals_ns(self) -> int:
        """When faults end and all members run again; never in a city of unlimited faults."""
        return self.ends_ns if self.faults == "unlimited" else self.ends_ns - QUIET_NS


def city_plan(
    seed: int, *, nodes: int, hours: int, faults: str = "none", wants_per_hour: float = 1.0, moves_per_hour: float = 0.1
) -> CityPlan:
    """Generate the city of a seed; the same arguments always give the same plan.

    Args: nodes: members, a quarter of them holders. faults: one of FAULTS. wants_per_hour: REQUESTs of each user.
    moves_per_hour: how often each user that moves does so; every fourth does. Raises ValueError for fewer than two
    members, no hour, or faults by another name.
    """
    if nodes < 2 or hours < 1 or faults not in FAULTS:
        raise ValueError(f"a city has two members, an hour and faults of {', '.join(FAULTS)} at least")
    rng = Random(f"city/{seed}/{nodes}")
    holders = max(1, nodes // (USERS_EACH + 1))
    side = math.isqrt(holders - 1) + 1
    roles: list[Role] = []
    spots: list[CitySpot] = []
    blocks: list[int | None] = []
    for number in range(holders):
        roles.append(Role(name=f"h{number:03}", offers=True, asks=False, tier=1))
        column, row = number % side, number // side
        spots.append(CitySpot(east_m=(column + 0.5) * DISTRICT_M, north_m=(row + 0.5) * DISTRICT_M))
        blocks.append(column % 2 * 2 + row % 2)
    for number in range(nodes - holders):
        roles.append(Role(name=f"u{number:03}", offers=False, asks=True, tier=rng.choice((2, 2, 3))))
        spots.append(_spot(rng, number % holders, side))
        blocks.append(None)
    acts, absent = _life(rng, roles, holders, hours, moves_per_hour)
    acts += _wants(rng, roles, hours, wants_per_hour)
    acts += _faults(rng, roles, hours, faults)
    return CityPlan(
        seed=seed,
        roles=tuple(roles),
        quorum=0,
        budget_hz_s=None,
        status=False,
        bound_ns=100_000,
        weather={"none": CALM, "some": ROUGH, "unlimited": STORM}[faults],
        acts=tuple(sorted(acts, key=lambda a: (a.at_ns, a.what, a.who, a.number))),
        hours=hours,
        side=side,
        spots=tuple(spots),
        blocks=tuple(blocks),
        absent=frozenset(absent),
        faults=faults,
    )


def spot_of(number: int, side: int, holders: int) -> CitySpot:
    """The position that the move of that number goes to: in any district with a holder."""
    return _spot(Random(f"spot/{number}"), number % holders, side)


def _spot(rng: Random, district: int, side: int) -> CitySpot:
    column, row = district % side, district // side
    return CitySpot(
        east_m=(column + rng.uniform(0.02, 0.98)) * DISTRICT_M, north_m=(row + rng.uniform(0.02, 0.98)) * DISTRICT_M
    )


def _life(
    rng: Random, roles: list[Role], holders: int, hours: int, moves_per_hour: float
) -> tuple[list[Act], set[str]]:
    """Offers, moves, arrivals and departures: one user in ten comes later, one in ten leaves, one in four moves."""
    acts: list[Act] = []
    absent: set[str] = set()
    last_ns = hours * HOUR_NS - QUIET_NS
    for role in roles[:holders]:
        first_ns = rng.randrange(60 * NS)
        acts += [Act(at_ns=at_ns, what="offer", who=role.name) for at_ns in range(first_ns, last_ns, OFFER_NS)]
    for role in roles[holders:]:
        if rng.random() < 0.1:
            absent.add(role.name)
            acts.append(Act(at_ns=rng.randrange(last_ns // 2), what="join", who=role.name))
        if rng.random() < 0.1:
            acts.append(Act(at_ns=rng.randrange(last_ns // 2, last_ns), what="leave", who=role.name))
        if rng.random() < 0.25:
            acts += [
                Act(at_ns=at_ns, what="move", who=role.name, number=rng.getrandbits(32))
                for at_ns in _times(rng, moves_per_hour, last_ns)
            ]
    return acts, absent


def _times(rng: Random, per_hour: float, last_ns: int) -> list[int]:
    """Instants of a Poisson process before `last_ns`."""
    times, at_ns = [], 120 * NS
    while per_hour > 0 and (at_ns := at_ns + int(rng.expovariate(per_hour) * HOUR_NS)) < last_ns:
        times.append(at_ns)
    return times


def _wants(rng: Random, roles: list[Role], hours: int, per_hour: float) -> list[Act]:
    acts: list[Act] = []
    for role in roles:
        for at_ns in _times(rng, per_hour, hours * HOUR_NS - QUIET_NS) if role.asks else ():
            acts.append(Act(at_ns=at_ns, what="request", who=role.name, number=rng.getrandbits(32)))
            if rng.random() < 0.2:
                after_ns = rng.randrange(10 * NS, 600 * NS)
                acts.append(Act(at_ns=at_ns + after_ns, what="relinquish", who=role.name, number=rng.getrandbits(32)))
        acts += [
            Act(at_ns=at_ns, what="preempt", who=role.name, number=rng.getrandbits(32))
            for at_ns in (_times(rng, per_hour / 10, hours * HOUR_NS - QUIET_NS) if role.offers else ())
        ]
    return acts


def _faults(rng: Random, roles: list[Role], hours: int, faults: str) -> list[Act]:
    """One fault a member every eight hours; where they are unlimited two an hour, and some sign two things at once."""
    if faults == "none":
        return []
    per_hour, last_ns = {"some": 0.125, "unlimited": 2.0}[faults], hours * HOUR_NS - QUIET_NS
    names, weights = zip(*KINDS, strict=True)
    acts = [
        Act(at_ns=at_ns, what=rng.choices(names, weights)[0], who=role.name, number=rng.getrandbits(32))
        for role in roles
        for at_ns in _times(rng, per_hour, last_ns)
    ]
    if faults == "unlimited":
        users = [role.name for role in roles if role.asks]
        acts += [
            Act(at_ns=rng.randrange(last_ns), what="equivocate", who=rng.choice(users))
            for _ in range(1 + len(users) // 50)
        ]
    return acts
