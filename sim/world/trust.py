"""The authority of a simulated neighbourhood: its rule, credentials and status lists."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from settlement.chain import bodies, records
from settlement.chain.admission import RuleInForce
from settlement.chain.credentials import Claims, Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Area, Band, Scope, Window
from settlement.chain.status import bits_of
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Refusal
from settlement.pair.artifact import verify_rule
from settlement.pair.coordination import AUTHORITY, NEIGHBOURS
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import PRICE_FUNCTIONS, AuctionRule
from settlement.records.handingterms import KINDS, HandingTerms
from settlement.records.quorum import GroupMember, MemberList
from sim.world.plan import Role

NS = 1_000_000_000
T0_NS = 1_790_000_000 * NS
"""True UTC at virtual time zero."""
NETWORK = "virtual"
LAT_E7, LON_E7 = 369_500_000, -763_000_000
AREA = Area(lat_e7=LAT_E7, lon_e7=LON_E7, radius_mm=20_000_000)
RASTER_HZ = 5_000_000
CHANNELS = 4
LOW_HZ = 3_550_000_000
BAND = Band(low_hz=LOW_HZ, high_hz=LOW_HZ + 2 * CHANNELS * RASTER_HZ)
COMMODITY = "cbrs"
LEASE_NS = 3 * NS // 2
EIRP_MDBM = 30_000
TERMS = bodies.ClassTerms(
    name=COMMODITY,
    raster_hz=RASTER_HZ,
    time_unit_ns=1_000_000,
    max_window_ns=600 * NS,
    max_eirp_mdbm=EIRP_MDBM,
    accept_ns=NS,
    confirm_ns=NS,
    lease_ns=LEASE_NS,
    vacate_ns=NS // 4,
    price_low=0,
    price_high=100,
    out_of_band_mdbm_per_mhz=-13_000,
    recognition=(
        bodies.Recognition(kind="all", parts=(1, 2, 3)),
        bodies.Recognition(kind="content", fields=("cell", "commodity", "tier", "price", "eirp")),
        bodies.Recognition(kind="handshake"),
        bodies.Recognition(kind="derivation", fields=("request", "declaration", "envelope")),
    ),
    max_ahead_ns=60 * NS,
    envelope_required=1,
)


def secret(name: str) -> bytes:
    """A key's seed, the same for the same name."""
    return hashlib.sha256(b"bandpact/sim/" + name.encode()).digest()


def transport_of(name: str) -> bytes:
    """The public transport key of a member."""
    return secret(name + "/transport")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldTrust:
    """All that a member is given before the start."""

    root: bytes
    chains: tuple[tuple[str, tuple[bytes, ...]], ...]
    rule_raw: bytes
    lists: tuple[bytes, ...]
    group: bytes | None = None
    """The signed list of the members of a group, where the rule has a group decide."""

    @property
    def anchors(self) -> tuple[bytes, ...]:
        """The hash of the root credential."""
        return (records.digest(self.root),)

    def registry(self) -> Registry:
        """A new registry with every member's chain."""
        registry = Registry(NETWORK, self.anchors)
        for _, chain in self.chains:
            if isinstance(refused := registry.admit_chain(chain), Refusal):
                raise TypeError(str(refused))
        return registry

    def rule(self, registry: Registry) -> RuleInForce:
        """The verified rule."""
        rule = verify_rule(self.rule_raw, (self.root,), registry)
        if isinstance(rule, Refusal):
            raise TypeError(str(rule))
        return rule


def holder_band(number: int) -> Band:
    """The half of the band that a holder offers."""
    low_hz = LOW_HZ + number * CHANNELS * RASTER_HZ
    return Band(low_hz=low_hz, high_hz=low_hz + CHANNELS * RASTER_HZ)


def before_start() -> Fix:
    """Time and place of the authority's signatures: shortly before the start."""
    return Fix(
        time=TimeFix(earliest_ns=T0_NS - 9 * NS, latest_ns=T0_NS - 9 * NS, source=TimeSource.SIMULATED, trusted=True),
        position=PositionFix(
            lat_e7=LAT_E7, lon_e7=LON_E7, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True
        ),
    )


def _scope(actions: tuple[str, ...], *, tier: int, depth: int = 0) -> Scope:
    return Scope(
        bands=(BAND,), area=AREA, classes=(COMMODITY,), actions=actions, tier=tier, max_eirp_mdbm=EIRP_MDBM, depth=depth
    )


def claims_for(public: bytes, name: str) -> Claims:
    """Claims of a credential issued by the root, valid from an hour before the start to an hour after."""
    start_s = T0_NS // NS
    return Claims(
        issuer="root",
        subject=name,
        expires_s=start_s + 3600,
        not_before_s=start_s - 3600,
        issued_s=start_s - 9,
        token=b"\x01",
        public=public,
    )


GROUP, FAULTY = "circle", 1
AUCTIONS = AuctionRule(
    members=GROUP,
    functions=PRICE_FUNCTIONS,
    bids_ns_min=NS // 2,
    reveals_ns_min=NS // 2,
    settle_ns=NS // 4,
    deposit_min=5,
    bidders_max=8,
)
CONSENT = ApprovalRule(members=GROUP, function="k of n", need=3, vote_ns=3 * NS // 2)
DECIDES: dict[str, dict[str, Any]] = {
    "": {},
    "auction": {"auction": AUCTIONS},
    "approval": {"approval": CONSENT, "accept_ns": 2 * NS},
    "coalition": {"coalition": CONSENT, "accept_ns": 2 * NS},
}
"""What the class has a group decide, by the plan's word for it."""


def make_rule(
    *,
    quorum: int,
    budget_hz_s: int | None,
    suspends: bool,
    shards: tuple[bodies.Shard, ...] = (),
    handing: int = 0,
    decides: str = "",
) -> bodies.Rule:
    """The rule of a run."""
    hands = HandingTerms(kinds=KINDS, depth=2, consent=handing - 1) if handing else None
    budget = bodies.Budget(
        level="operator",
        commodity=COMMODITY,
        window_ns=5 * NS,
        amount_hz_s=budget_hz_s or 0,
        first_share_ppm=700_000,
        step_ppm=100_000,
    )
    admits = tuple(bodies.BODIES)
    return bodies.Rule(
        name="virtual",
        version=1,
        effective=Window(start_ns=T0_NS - 3600 * NS, end_ns=T0_NS + 3600 * NS),
        bands=(BAND,),
        area=AREA,
        classes=(replace(TERMS, on_incumbent=1 if suspends else None, handing=hands, **DECIDES[decides]),),
        levels=(
            bodies.Level(name="authority", response="obey", weight_ppm=1_000_000, admits=admits),
            bodies.Level(name="operator", response="consider", weight_ppm=500_000, admits=admits),
        ),
        time_sources=(TimeSource.SIMULATED,),
        position_sources=(PositionSource.SIMULATED,),
        time_bound_ns_max=1_000_000,
        position_radius_mm_max=50_000,
        record_age_ns_max=5 * NS,
        sensing_age_ns_max=NS,
        witness_quorum=quorum,
        outside_authorisation=0,
        budgets=(budget,) if budget_hz_s is not None else None,
        coordination=shards or None,
        confidence_ppm_min=300_000,
    )


def _actions(role: Role) -> tuple[str, ...]:
    offering = ("offer", "grant") if role.offers else ()
    coordinating = ("coordinate",) if role.offers or role.coordinates else ()
    return (*offering, *(("request",) if role.asks else ()), *coordinating, "observe")


def _shards(coordination: str, by_name: dict[str, bytes]) -> tuple[bodies.Shard, ...]:
    """Shards: one for everything, two cut in the middle of the first holder's half of the band, or the neighbours."""
    match coordination:
        case "one":
            return (bodies.Shard(name="all", mode=AUTHORITY, authorities=(by_name["rota"],), need=1),)
        case "sharded":
            middle_hz = LOW_HZ + CHANNELS // 2 * RASTER_HZ
            low, high = Band(low_hz=LOW_HZ, high_hz=middle_hz), Band(low_hz=middle_hz, high_hz=BAND.high_hz)
            return tuple(
                bodies.Shard(name=name, band=band, mode=AUTHORITY, authorities=(by_name[name],), need=1)
                for name, band in (("rota", low), ("beacon", high))
            )
        case "neighbours":
            return (bodies.Shard(name="street", mode=NEIGHBOURS, authorities=(), need=1),)
        case _:
            return ()


@lru_cache(maxsize=128)
def trust_for(
    roles: tuple[Role, ...],
    *,
    quorum: int,
    budget_hz_s: int | None,
    status: bool,
    suspends: bool = False,
    coordination: str = "",
    handing: int = 0,
    decides: str = "",
) -> WorldTrust:
    """Issue all credentials, rule and lists of a run; the same arguments give the same bytes."""
    key, before = SigningKey.from_seed(secret("root")), before_start()
    scope = _scope(("issue", "rule", "offer", "grant", "request", "coordinate", "observe"), tier=1, depth=2)
    body = bodies.Credential(level="authority", scope=scope)
    root = issue(key, None, body, claims_for(key.public, "root"), network=NETWORK, fix=before)
    authority = Registry(NETWORK, [records.digest(root)]).admit(root)
    if isinstance(authority, Refusal):
        raise TypeError(str(authority))
    chains = []
    for number, role in enumerate(roles):
        body = bodies.Credential(
            level="operator",
            scope=_scope(_actions(role), tier=role.tier),
            transport_key=transport_of(role.name),
            device=f"device-{role.name}",
            status_index=number if status else None,
        )
        public = SigningKey.from_seed(secret(role.name)).public
        claims = claims_for(public, role.name)
        chains.append(
            (role.name, (root, issue(key, authority, body, claims, network=NETWORK, fix=before, seq=10 + number)))
        )
    by_name = {name: records.digest(chain[-1]) for name, chain in chains}
    shards = _shards(coordination, by_name)
    rule = make_rule(
        quorum=quorum, budget_hz_s=budget_hz_s, suspends=suspends, shards=shards, handing=handing, decides=decides
    )
    group = _members_list(roles, by_name) if decides else None
    return WorldTrust(
        root=root,
        chains=tuple(chains),
        rule_raw=signed_by(key, authority, rule, 2),
        lists=_status_lists(key, authority, len(roles)) if status else (),
        group=signed_by(key, authority, group, 30) if group is not None else None,
    )


def _members_list(roles: tuple[Role, ...], by_name: dict[str, bytes]) -> MemberList:
    """The first four members: holders as holders, all others as operators."""
    return MemberList(
        name=GROUP,
        epoch=1,
        effective=Window(start_ns=T0_NS - 60 * NS, end_ns=T0_NS + 600 * NS),
        faulty=FAULTY,
        members=tuple(
            GroupMember(
                role="holder" if role.offers else "operator",
                credential=by_name[role.name],
                key=SigningKey.from_seed(secret(role.name)).public,
                weight=1,
            )
            for role in roles[: 3 * FAULTY + 1]
        ),
    )


def signed_by(key: SigningKey, authority: Subject, body: object, seq: int) -> bytes:
    """A record signed by the authority."""
    frame = records.Frame(
        network=NETWORK, author=authority.hash, seq=seq, attestation=records.Attestation.of(before_start())
    )
    return records.sign_record(key, frame, body)


def _status_lists(key: SigningKey, authority: Subject, members: int) -> tuple[bytes, ...]:
    """Two status lists: with nobody revoked, then with the last member revoked."""
    revoked: tuple[tuple[int, ...], ...] = ((), (members - 1,))
    return tuple(
        signed_by(
            key,
            authority,
            bodies.Revocation(version=n + 1, fresh_until_ns=T0_NS + 3600 * NS, bits=bits_of(indices, 8)),
            20 + n,
        )
        for n, indices in enumerate(revoked)
    )
