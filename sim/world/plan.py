"""Generates a run's plan from a seed: members, network quality, requests and faults in time order."""

from dataclasses import dataclass
from random import Random

NS = 1_000_000_000
MS = 1_000_000
HORIZON_NS = 9 * NS
"""End of requests and faults, ns; afterwards the network heals and all members run again."""
END_NS = 13 * NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One member: may it offer, may it request, and its strongest tier."""

    name: str
    offers: bool
    asks: bool
    tier: int
    coordinates: bool = False
    """Whether it only co-signs others' settlements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The quality of the network: probabilities in per mille, delays in ns."""

    drop_ppt: int
    duplicate_ppt: int
    late_ppt: int
    delay_ns_max: int
    late_ns_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A scheduled event of a member at an instant of true time (ns since the start)."""

    at_ns: int
    what: str
    who: str
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of a whole run."""

    seed: int
    roles: tuple[Role, ...]
    quorum: int
    budget_hz_s: int | None
    status: bool
    bound_ns: int
    weather: Weather
    acts: tuple[Act, ...]
    suspends: bool = False
    """Whether the rule lets incumbents suspend settlements instead of ending them."""
    handing: int = 0
    """Whether leases are handed on: 0 no, 1 yes, 2 with the consent of the holder."""
    coordination: str = ""
    """Who co-signs: nobody (empty), "one" authority, "sharded" by sub-band, or the "neighbours" among holders."""

    decides: str = ""
    """What a group decides: nothing (""), the winner of an "auction", an "approval", or a "coalition" of holders."""

    @property
    def holders(self) -> tuple[Role, ...]:
        """The members that offer."""
        return tuple(r for r in self.roles if r.offers)

    @property
    def users(self) -> tuple[Role, ...]:
        """The members that request."""
        return tuple(r for r in self.roles if r.asks)


LAYOUTS = (
    (Role(name="hall", offers=True, asks=False, tier=1), Role(name="ada", offers=False, asks=True, tier=2)),
    (
        Role(name="hall", offers=True, asks=False, tier=1),
        Role(name="ada", offers=False, asks=True, tier=2),
        Role(name="bert", offers=False, asks=True, tier=2),
    ),
    (
        Role(name="hall", offers=True, asks=False, tier=1),
        Role(name="ada", offers=False, asks=True, tier=2),
        Role(name="bert", offers=False, asks=True, tier=3),
        Role(name="cleo", offers=False, asks=True, tier=2),
    ),
    (
        Role(name="hall", offers=True, asks=True, tier=1),
        Role(name="mill", offers=True, asks=True, tier=1),
        Role(name="ada", offers=False, asks=True, tier=2),
    ),
)
ROTAS = tuple(Role(name=name, offers=False, asks=False, tier=1, coordinates=True) for name in ("rota", "beacon"))
FAULTS = (
    ("crash", 30),
    ("crash mid", 25),
    ("crash unsent", 25),
    ("disk full", 10),
    ("partition", 20),
    ("clock step", 15),
    ("clock wide", 10),
    ("clock lost", 12),
    ("clock back", 30),
    ("equivocate", 12),
    ("restore", 6),
)


def plan(seed: int) -> Plan:
    """Generate the run of a seed; the same seed always gives the same plan."""
    rng = Random(seed)
    roles = rng.choices(LAYOUTS, weights=(2, 4, 2, 2))[0]
    coordination = _coordination(Random(f"coordination/{seed}"), roles)
    everyone = roles + ROTAS[: {"one": 1, "sharded": 2}.get(coordination, 0)]
    others = len(everyone) - 1
    quorum = others // 2 + 1 if rng.random() < 0.25 else 0
    status = rng.random() < 0.3
    harsh = rng.random()
    handing = _handing(Random(f"handing/{seed}"), roles)
    return Plan(
        seed=seed,
        roles=everyone,
        quorum=quorum,
        budget_hz_s=rng.choice((15_000_000, 40_000_000, 90_000_000)) if rng.random() < 0.25 else None,
        status=status,
        bound_ns=rng.choice((1_000, 100_000, 900_000)),
        weather=Weather(
            drop_ppt=int(250 * harsh * rng.random()),
            duplicate_ppt=int(200 * harsh),
            late_ppt=int(80 * harsh),
            delay_ns_max=rng.choice((2, 20, 120)) * MS,
            late_ns_max=4 * NS,
        ),
        acts=_with_handing(
            Random(f"hands/{seed}"),
            _with_more(
                Random(f"more/{seed}"),
                _acts(rng, roles, status=status, witnessed=quorum > 0),
                everyone,
                witnessed=quorum > 0,
            ),
            roles,
            handing=handing,
        ),
        handing=handing,
        coordination=coordination,
        suspends=Random(f"suspends/{seed}").random() < 0.4,
    )


def handing_plan(seed: int) -> Plan:
    """A run of one holder and three users that hand on leases, with every fault of the seed's own run."""
    rng, like, roles = Random(f"handing plan/{seed}"), plan(seed), LAYOUTS[2]
    handing = rng.choice((1, 2))
    acts = _acts(rng, roles, status=False, witnessed=False)
    return Plan(
        seed=seed,
        roles=roles,
        quorum=0,
        budget_hz_s=None,
        status=False,
        bound_ns=like.bound_ns,
        weather=like.weather,
        acts=_with_handing(rng, acts, roles, handing=handing),
        suspends=like.suspends,
        handing=handing,
    )


def _coordination(rng: Random, roles: tuple[Role, ...]) -> str:
    """How a run is coordinated: every third run is; the neighbours' kind needs another holder."""
    two_holders = sum(role.offers for role in roles) > 1
    return rng.choice(("", "", "", "", "one", "sharded" if not two_holders else "neighbours"))


def _handing(rng: Random, roles: tuple[Role, ...]) -> int:
    """Whether leases are handed on: in every third run in which another user could take one over."""
    return rng.choice((0, 0, 0, 0, 1, 2)) if sum(role.asks for role in roles) > 1 else 0


def _with_handing(rng: Random, acts: tuple[Act, ...], roles: tuple[Role, ...], *, handing: int) -> tuple[Act, ...]:
    """Add long leases, and later handovers: of all of a lease, a part, or at times more than it has."""
    if not handing:
        return acts
    users = [role.name for role in roles if role.asks]
    more: list[Act] = []
    for _ in range(rng.choice((2, 3))):
        user, at_ns = rng.choice(users), rng.randrange(300 * MS, 5 * NS)
        more.append(Act(at_ns=at_ns, what="lease", who=user, number=rng.getrandbits(32)))
        for _ in range(rng.choice((1, 2))):
            later_ns = at_ns + rng.randrange(600 * MS, 2 * NS)
            more.append(Act(at_ns=later_ns, what="hand on", who=user, number=rng.getrandbits(32)))
    more += [_at(rng, "hand on", rng.choice(users)) for _ in range(rng.choice((0, 1, 2)))]
    return tuple(sorted((*acts, *more), key=lambda a: (a.at_ns, a.what, a.who, a.number)))


def _with_more(rng: Random, acts: tuple[Act, ...], everyone: tuple[Role, ...], *, witnessed: bool) -> tuple[Act, ...]:
    """Add faults of members that co-sign, and more restored log copies where heads are witnessed."""
    kinds = ("crash", "crash mid", "crash unsent", "disk full", "partition", "clock wide")
    rotas = [role for role in everyone if role.coordinates]
    more = [_at(rng, rng.choice(kinds), role.name) for role in rotas for _ in range(rng.choice((0, 1, 2)))]
    if witnessed and rng.random() < 0.2:
        more.append(_at(rng, "restore", rng.choice([role.name for role in everyone if role.offers])))
    return tuple(sorted((*acts, *more), key=lambda a: (a.at_ns, a.what, a.who, a.number)))


def _acts(rng: Random, roles: tuple[Role, ...], *, status: bool, witnessed: bool) -> tuple[Act, ...]:
    names = [r.name for r in roles]
    holders, users = [r.name for r in roles if r.offers], [r.name for r in roles if r.asks]
    acts = [Act(at_ns=rng.randrange(50 * MS), what="offer", who=name) for name in holders]
    if status:
        acts.append(Act(at_ns=0, what="status", who=names[0], number=0))
    acts += [_at(rng, "request", rng.choice(users)) for _ in range(rng.randint(2, 6))]
    acts += [_at(rng, "preempt", rng.choice(holders)) for _ in range(rng.choice((0, 0, 1, 2)))]
    acts += [_at(rng, "relinquish", rng.choice(users)) for _ in range(rng.choice((0, 1, 2)))]
    if status and rng.random() < 0.7:
        acts.append(_at(rng, "status", rng.choice(names), number=1))
    kinds, weights = zip(*FAULTS, strict=True)
    for kind in rng.choices(kinds, weights=weights, k=rng.choice((0, 1, 2, 4, 6))):
        if kind != "restore" or witnessed:
            acts.append(_at(rng, kind, rng.choice(names)))
    acts += [_at(rng, "observe", rng.choice(holders)) for _ in range(rng.choice((0, 0, 1, 3)))]
    return tuple(sorted(acts, key=lambda a: (a.at_ns, a.what, a.who, a.number)))


def _at(rng: Random, what: str, who: str, number: int | None = None) -> Act:
    drawn = rng.getrandbits(32)
    return Act(
        at_ns=rng.randrange(200 * MS, HORIZON_NS), what=what, who=who, number=drawn if number is None else number
    )
