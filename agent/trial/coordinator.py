"""The trial's authority for one run: makes root, rule, credentials, and a folder for each node.

Long because one authority makes everything that the rule and the credentials of a run hold.
"""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from agent.config.keyfiles import CHAIN, make_keys, write_chain
from agent.desk.overlaps import needed
from agent.trial.auctionplans import ConsentPlan
from agent.trial.jurisdictions import TrialJurisdiction
from agent.trial.spec import DisputePlan, FallbackPlan, HandingPlan, JurisdictionPlan, TierPlan, TrialSpec
from settlement.chain import bodies, records
from settlement.chain.credentials import ISSUE, Claims, Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Area, Band, Scope, Window
from settlement.core.fixes import Fix, PositionFix, PositionSource, TimeFix, TimeSource
from settlement.core.reasons import Refusal
from settlement.disputes.casefile import read_case
from settlement.disputes.rulings import ruling_by
from settlement.pair.coordination import NEIGHBOURS
from settlement.records.approvalterms import ApprovalRule
from settlement.records.auctionterms import PRICE_FUNCTIONS, AuctionRule
from settlement.records.authority import JurisdictionLink
from settlement.records.complaintterms import DisputeTerms, FallbackTerms, GroundTerms
from settlement.records.handingterms import HandingTerms
from settlement.records.marketterms import TierTerms
from settlement.records.quorum import GroupMember, MemberList

NS = 1_000_000_000
LIFE_S = 24 * 3600
ACTIONS = {
    "holder": ("offer", "grant", "coordinate", "observe"),
    "user": ("request", "observe"),
    "attacker": ("request", "observe"),
}
AUTHORITY_ACTIONS = (ISSUE, "rule", "offer", "grant", "request", "coordinate", "observe")
CONFIDENCE_PPM_MIN = 300_000
"""Lowest confidence, in millionths, that sensing must have for a settlement to rest on it."""
OPERATOR, AUTHORITY = "operator", "authority"


class IssuingError(Exception):
    """The authority made an invalid credential: a fault in the program or the scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A node's credential chain and its folder."""

    name: str
    folder: Path
    chain: tuple[bytes, ...]


class TrialAuthority:
    """Issues all credentials and rules of a trial; its own records form one chain."""

    def __init__(self, spec: TrialSpec, *, network: str, lat_e7: int, lon_e7: int) -> None:
        self.network, self._spec = network, spec
        self._key = SigningKey.from_seed(secrets.token_bytes(32))
        self._seq, self._previous = 0, b""
        self._holders = 0
        # One instant for all: a credential issued a second later must not outlive its issuer's.
        self._opened_s = int(time.time())
        self.area = Area(lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=int(spec.area_radius_m * 1000))
        self.band = Band(low_hz=spec.band_hz[0], high_hz=spec.band_hz[1])
        self._position = PositionFix(
            lat_e7=lat_e7, lon_e7=lon_e7, radius_mm=1000, source=PositionSource.SIMULATED, trusted=True
        )
        self.root, self.authority, self.registry = self._make_root()
        self.jurisdictions = [self._jurisdiction(plan) for plan in spec.jurisdictions]

    def _fix(self) -> Fix:
        now_ns = time.time_ns()
        clock = TimeFix(earliest_ns=now_ns, latest_ns=now_ns, source=TimeSource.SIMULATED, trusted=True)
        return Fix(time=clock, position=self._position)

    def _scope(self, actions: Iterable[str], *, depth: int, tier: int) -> Scope:
        terms = self._spec.terms
        return Scope(
            bands=(self.band,),
            area=self.area,
            classes=(terms.commodity,),
            actions=tuple(actions),
            tier=tier,
            max_eirp_mdbm=round(terms.max_eirp_dbm * 1000),
            depth=depth,
        )

    def _claims(self, public: bytes, subject: str, issuer: str) -> Claims:
        return Claims(
            issuer=issuer,
            subject=subject,
            expires_s=self._opened_s + LIFE_S,
            not_before_s=self._opened_s - 60,
            issued_s=self._opened_s,
            token=secrets.token_bytes(8),
            public=public,
        )

    def _jurisdiction(self, plan: JurisdictionPlan) -> TrialJurisdiction:
        """Create an authority below the root, for its own area."""
        key = SigningKey.from_seed(secrets.token_bytes(32))
        body = bodies.Credential(level=AUTHORITY, scope=self._scope(AUTHORITY_ACTIONS, depth=1, tier=1))
        raw = self._sign_credential(self.authority, body, self._claims(key.public, plan.name, self.authority.name))
        return TrialJurisdiction(plan=plan, key=key, subject=_held(self.registry.admit(raw)))

    def _credential_of(self, name: str, body: bodies.Credential, public: bytes) -> bytes:
        """Issue a node's credential, by the authority that it belongs to."""
        by = next((one for one in self.jurisdictions if name in one.plan.nodes), None)
        if by is None:
            return self._sign_credential(self.authority, body, self._claims(public, name, self.authority.name))
        by.seq += 1
        claims = self._claims(public, name, by.subject.name)
        raw = issue(
            by.key,
            by.subject,
            body,
            claims,
            network=self.network,
            fix=self._fix(),
            seq=by.seq,
            previous=by.previous,
        )
        by.previous = records.digest(raw)
        return raw

    def _sign_credential(self, issuer: Subject | None, body: bodies.Credential, claims: Claims) -> bytes:
        self._seq += 1
        raw = issue(
            self._key,
            issuer,
            body,
            claims,
            network=self.network,
            fix=self._fix(),
            seq=self._seq,
            previous=self._previous or None,
        )
        self._previous = records.digest(raw)
        return raw

    def _make_root(self) -> tuple[bytes, Subject, Registry]:
        body = bodies.Credential(level=AUTHORITY, scope=self._scope(AUTHORITY_ACTIONS, depth=2, tier=1))
        raw = self._sign_credential(None, body, self._claims(self._key.public, "trial-root", "trial-root"))
        registry = Registry(self.network, [records.digest(raw)])
        return raw, _held(registry.admit(raw)), registry

    @property
    def anchor(self) -> str:
        """The trust anchor that every node configures."""
        return records.digest(self.root).hex()

    def enrol(self, name: str, role: str, device: str, folder: Path, *, status_index: int | None = None) -> Issued:
        """Make a node's keys in its folder and issue its credential."""
        key, transport = make_keys(folder)
        self._holders += role == "holder"
        body = bodies.Credential(
            level=OPERATOR,
            scope=self._scope(ACTIONS.get(role, ("observe",)), depth=0, tier=self._tier(name, role)),
            transport_key=transport.public,
            device=device,
            status_index=status_index,
        )
        raw = self._credential_of(name, body, key.public)
        subject = _held(self.registry.admit(raw))
        write_chain(folder / CHAIN, subject.chain)
        return Issued(name=name, folder=folder, chain=subject.chain)

    def _tier(self, name: str, role: str) -> int:
        """Return a node's strongest tier: the scenario's, else 1 for holders and 2 for all others.

        Tier 1 is the incumbent's; a holder uses it when it takes a band back.
        """
        return self._spec.node_tiers.get(name, 1 if role == "holder" else 2)

    def _shards(self) -> tuple[bodies.Shard, ...] | None:
        """Return the rule's shards: where several holders may grant the same cells, they co-sign for each other.

        In a coalition they vote instead, and there are no shards.
        """
        if self._spec.terms.coalition is not None:
            return None
        need = needed(self._holders)
        return (bodies.Shard(name="all", mode=NEIGHBOURS, authorities=(), need=need),) if need else None

    def _links(self, now_ns: int, duration_s: float) -> tuple[JurisdictionLink, ...]:
        effective = Window(start_ns=now_ns - 60 * NS, end_ns=now_ns + int((duration_s + 3600) * NS))
        return tuple(one.link(self.network, self._spec.terms, effective, self._fix) for one in self.jurisdictions)

    def says(self, body: Any) -> bytes:
        """Sign a record as the authority."""
        self._seq += 1
        frame = records.Frame(
            network=self.network,
            author=self.authority.hash,
            seq=self._seq,
            previous=self._previous,
            attestation=records.Attestation.of(self._fix()),
        )
        raw = records.sign_record(self._key, frame, body)
        self._previous = records.digest(raw)
        return raw

    def _auctions(self, duration_s: float) -> AuctionRule | None:
        """Return the rule's auction terms, with times scaled to the run's length."""
        plan, group, scale = self._spec.terms.auction, self._spec.group, duration_s / self._spec.duration_s
        if plan is None or group is None:
            return None
        return AuctionRule(
            members=group.name,
            functions=PRICE_FUNCTIONS,
            bids_ns_min=int(plan.bids_s_min * scale * NS),
            reveals_ns_min=int(plan.reveals_s_min * scale * NS),
            settle_ns=int(plan.settle_s * scale * NS),
            deposit_min=plan.deposit_min,
            bidders_max=plan.bidders_max,
            forfeit=plan.forfeit,
        )

    def _consent(self, plan: ConsentPlan | None) -> ApprovalRule | None:
        """Return the rule's approval terms for a GRANT."""
        group = self._spec.group
        if plan is None or group is None:
            return None
        return ApprovalRule(members=group.name, function=plan.function, need=plan.need, vote_ns=int(plan.vote_s * NS))

    def members_word(self, issued: Iterable[Issued], duration_s: float) -> bytes | None:
        """Sign the list of members that decide together; None where the scenario has none."""
        group = self._spec.group
        if group is None:
            return None
        subjects = {one.name: _held(self.registry.admit_chain(one.chain)) for one in issued}
        now_ns = time.time_ns()
        return self.says(
            MemberList(
                name=group.name,
                epoch=1,
                effective=Window(start_ns=now_ns - 60 * NS, end_ns=now_ns + int((duration_s + 3600) * NS)),
                faulty=group.faulty,
                members=tuple(
                    GroupMember(
                        role=one.role,
                        credential=subjects[one.node].hash,
                        key=subjects[one.node].public,
                        weight=one.weight,
                    )
                    for one in group.members
                ),
            )
        )

    def rule_on(self, case: bytes) -> bytes | Refusal:
        """Return the ruling on a dispute's case file, as an authority's desk would sign it; or the refusal."""
        found = read_case(case, network=self.network, anchors=self.registry.anchors)
        if isinstance(found, Refusal):
            return found
        due = ruling_by(found, self.authority, time.time_ns())
        return due if isinstance(due, Refusal) else self.says(due)

    def entitle(self, public: bytes, subject: str, body: bodies.Credential) -> bytes:
        """Issue a credential for a key that is not enrolled."""
        return self._sign_credential(self.authority, body, self._claims(public, subject, self.authority.name))

    def make_rule(self, duration_s: float, *, witness_quorum: int = 1) -> tuple[bytes, ...]:
        """Sign the rule of this trial; returns the authority's chain and the rule, as nodes read it."""
        now_ns, terms = time.time_ns(), self._spec.terms
        everything = tuple(bodies.BODIES)
        rule = bodies.Rule(
            name="trial",
            version=1,
            effective=Window(start_ns=now_ns - 60 * NS, end_ns=now_ns + int((duration_s + 3600) * NS)),
            bands=(self.band,),
            area=self.area,
            classes=(
                replace(
                    _class_terms(terms, duration_s),
                    auction=self._auctions(duration_s),
                    approval=self._consent(terms.approval),
                    coalition=self._consent(terms.coalition),
                ),
            ),
            levels=(
                bodies.Level(name=AUTHORITY, response="obey", weight_ppm=bodies.PPM, admits=everything),
                bodies.Level(name=OPERATOR, response="consider", weight_ppm=bodies.PPM // 2, admits=everything),
            ),
            time_sources=(TimeSource.SIMULATED,),
            position_sources=(PositionSource.SIMULATED,),
            time_bound_ns_max=1_000_000,
            position_radius_mm_max=50_000,
            record_age_ns_max=5 * NS,
            sensing_age_ns_max=NS,
            witness_quorum=witness_quorum,
            outside_authorisation=int(terms.outside_authorisation),
            coordination=self._shards(),
            jurisdictions=self._links(now_ns, duration_s) or None,
            confidence_ppm_min=CONFIDENCE_PPM_MIN if terms.envelope_required else None,
        )
        return self.root, self.says(rule)


def _class_terms(terms: Any, duration_s: float) -> bodies.ClassTerms:
    return bodies.ClassTerms(
        name=terms.commodity,
        raster_hz=terms.raster_hz,
        time_unit_ns=1_000_000,
        max_window_ns=int((duration_s + 60) * NS),
        max_eirp_mdbm=round(terms.max_eirp_dbm * 1000),
        accept_ns=int(terms.accept_s * NS),
        confirm_ns=int(terms.confirm_s * NS),
        lease_ns=int(terms.lease_s * NS),
        vacate_ns=int(terms.vacate_s * NS),
        price_low=0,
        price_high=1_000_000,
        out_of_band_mdbm_per_mhz=round(terms.out_of_band_dbm_per_mhz * 1000),
        rounds_max=terms.rounds_max,
        currency=terms.currency,
        on_incumbent=1 if terms.suspends else None,
        tiers=tuple(_tier_terms(one) for one in terms.tiers) or None,
        envelope_required=1 if terms.envelope_required else None,
        handing=_handing_terms(terms.handing) if terms.handing is not None else None,
        fallbacks=tuple(_fallback_terms(one) for one in terms.fallbacks) or None,
        disputes=_dispute_terms(terms.disputes) if terms.disputes is not None else None,
    )


def _fallback_terms(plan: FallbackPlan) -> FallbackTerms:
    return FallbackTerms(
        number=plan.number,
        scope=plan.scope,
        notice_ns=int(plan.notice_s * NS),
        owed=plan.owed,
        amount=plan.amount,
        pool=plan.pool,
    )


def _dispute_terms(plan: DisputePlan) -> DisputeTerms:
    return DisputeTerms(
        grounds=tuple(GroundTerms(name=one.name, owed=one.owed, amount=one.amount) for one in plan.grounds),
        levels=plan.levels,
        raise_ns=int(plan.raise_s * NS),
        answer_ns=int(plan.answer_s * NS),
        rule_ns=int(plan.rule_s * NS),
        escalate_ns=int(plan.escalate_s * NS),
        pay_ns=int(plan.pay_s * NS),
    )


def _handing_terms(plan: HandingPlan) -> HandingTerms:
    return HandingTerms(kinds=plan.kinds, depth=plan.depth, consent=1 if plan.consent else 0)


def _tier_terms(plan: TierPlan) -> TierTerms:
    return TierTerms(
        tier=plan.tier,
        displaces=plan.displaces,
        condition=plan.condition,
        notice_ns=int(plan.notice_s * NS),
        owed=plan.owed,
        amount=plan.amount,
        after_ns=int(plan.after_s * NS) if plan.after_s is not None else None,
    )


def _held(subject: Subject | Refusal) -> Subject:
    if isinstance(subject, Refusal):
        raise IssuingError(str(subject))
    return subject


def write_config(path: Path, values: dict[str, Any]) -> None:
    """Write a node's configuration as TOML."""
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
