"""Areas belong to authorities: what touches two needs both, and one policy that both name."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, rings, ruling
from settlement.chain.credentials import Registry, Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, digest, sign_record
from settlement.chain.scope import Area, Cell, Corner, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import VerifiedPermit, verify, verify_rule
from settlement.pair.jurisdictions import JurisdictionCase, judge_jurisdictions
from settlement.records.authority import JurisdictionLink
from settlement.records.jurisdiction import STRICTER, Jurisdiction, JurisdictionTerms
from settlement.state.messages import Message
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, verdict
from tests.settlement.world import (
    AREA,
    HOLDER_ACTIONS,
    LAT,
    LON,
    LOWER,
    NETWORK,
    NS,
    RULE,
    T0,
    USER_ACTIONS,
    World,
    claims,
    fix,
    held,
    scope,
    seed,
)

pytestmark = pytest.mark.feature("A6")
NORTH = Area(lat_e7=LAT + 500_000, lon_e7=LON, radius_mm=6_000_000)
SOUTH = Area(lat_e7=LAT - 500_000, lon_e7=LON, radius_mm=6_000_000)


class Border:
    """A world with two authorities below the root, and nodes that belong to one of them."""

    def __init__(
        self,
        folder: Path,
        *,
        policies: tuple[str | None, str | None] = (STRICTER, STRICTER),
        user_of: str = "south",
        forged: bool = False,
    ) -> None:
        self.world = World(folder)
        self.keys = {name: SigningKey.from_seed(seed(name)) for name in ("north", "south")}
        self.authorities = {name: self._authority(name) for name in self.keys}
        links = tuple(
            self._link(name, area, policy, most)
            for name, area, policy, most in zip(self.keys, (NORTH, SOUTH), policies, (24_000, 17_000), strict=True)
        )
        if forged:
            links = (links[0], replace(links[1], record=links[0].record))
        frame = Frame(
            network=NETWORK,
            author=self.world.authority.hash,
            seq=next(self.world.numbers),
            attestation=Attestation.of(fix(-9)),
        )
        self.rule = replace(RULE, jurisdictions=links)
        self.world.rule_raw = sign_record(self.world.root_key, frame, self.rule)
        self.checked = verify_rule(self.world.rule_raw, (self.world.root,), Registry(NETWORK, self.world.anchors))
        if isinstance(self.checked, Refusal):
            return
        for name, of, actions in (("holder", "north", HOLDER_ACTIONS), ("alice", user_of, USER_ACTIONS)):
            raw = self._node(name, of, actions)
            self.world.chains[name] = (*self.authorities[of].chain, raw)  # type: ignore[assignment]
        for name in self.world.chains:
            self.world.members[name] = self._member(name)

    def _authority(self, name: str) -> Subject:
        body = bodies.Credential(level="authority", scope=scope(("issue", "rule", *HOLDER_ACTIONS, "request"), depth=1))
        raw = issue(
            self.world.root_key, self.world.authority, body, claims(self.keys[name].public, name, "root"),
            network=NETWORK, fix=fix(-9), seq=next(self.world.numbers),
        )  # fmt: skip
        registry = Registry(NETWORK, self.world.anchors)
        return held(registry.admit_chain((self.world.root, raw)))

    def _link(self, name: str, area: Area, policy: str | None, most: int) -> JurisdictionLink:
        body = Jurisdiction(
            name=name,
            clause=f"{name} 12.3",
            area=area,
            effective=RULE.effective,
            classes=(
                JurisdictionTerms(
                    commodity="cbrs", max_eirp_mdbm=most, max_window_ns=100 * NS, price_low=0, price_high=50
                ),
            ),
            reconciliation=policy,
        )
        subject = self.authorities[name]
        frame = Frame(network=NETWORK, author=subject.hash, seq=1, attestation=Attestation.of(fix(-9)))
        return JurisdictionLink(record=sign_record(self.keys[name], frame, body), chain=subject.chain)

    def _node(self, name: str, of: str, actions: tuple[str, ...]) -> bytes:
        body = bodies.Credential(
            level="operator",
            scope=scope(actions, tier=1 if name == "holder" else 2),
            transport_key=self.world.transport(name),
            device=f"device-{name}",
        )
        return issue(
            self.keys[of], self.authorities[of], body, claims(SigningKey.from_seed(seed(name)).public, name, of),
            network=NETWORK, fix=fix(-8), seq=next(self.world.numbers),
        )  # fmt: skip

    def _member(self, name: str) -> Any:
        chain = self.world.chains[name]
        self.world.chains[name] = (chain[0], chain[-1])
        try:
            registry = Registry(NETWORK, self.world.anchors)
            for one in self.authorities.values():
                held(registry.admit_chain(one.chain))
            for other in self.world.chains.values():
                held(registry.admit(other[-1]))
            self.world.registry = lambda: registry  # type: ignore[method-assign]
            return self.world.member(name)
        finally:
            self.world.chains[name] = chain

    def ask(self, eirp_mdbm: int = 17_000) -> tuple[list[Refusal], bytes]:
        self.world.offer()
        self.world.carry(0.1)
        sid = self.world.request("alice", 1.0, LOWER, 2.0, 12.0, eirp_mdbm=eirp_mdbm)
        return self.world.carry(1.0), sid


def refused(border: Border, eirp_mdbm: int, reason: Reason, clause: str) -> None:
    refusals, _ = border.ask(eirp_mdbm)
    found = refusals[0]
    assert (found.reason, found.clause) == (reason, clause), str(found)
    assert found.measured, str(found)
    assert found.required, str(found)


def test_both_are_represented_and_the_stricter_terms_hold(tmp_path: Path) -> None:
    border = Border(tmp_path)
    refusals, sid = border.ask()
    assert refusals == []
    artifact = border.world.members["alice"].party.lineage.get("artifact", sid)
    assert artifact is not None
    permit = verify(artifact, network=NETWORK, anchors=border.world.anchors)
    assert not isinstance(permit, Refusal), permit
    party = border.world.members["alice"].party
    grant = party.record_of(party.user.by_sid(sid).grant)
    assert border.rule.jurisdictions is not None
    assert grant.body.jurisdictions == tuple(digest(link.record) for link in border.rule.jurisdictions)


@pytest.mark.parametrize("named", ["none", "one", "the other way round", "another"])
def test_a_pair_whose_grant_does_not_name_all_that_its_cell_touches_is_refused(tmp_path: Path, named: str) -> None:
    border = Border(tmp_path)
    _, sid = border.ask()
    found = artifact_of(border.world, "alice", sid)
    north, south = body_of(found.grant).jurisdictions
    assert isinstance(verdict(border.world, forged(border.world, found, 1.3, ("holder", "alice"))), VerifiedPermit)
    instead = {"none": None, "one": (north,), "the other way round": (south, north), "another": (north, bytes(32))}
    made = forged(border.world, found, 1.3, ("holder", "alice"), jurisdictions=instead[named])
    refusal = verdict(border.world, made)
    assert isinstance(refusal, Refusal), named
    assert (refusal.reason, refusal.clause) == (Reason.JURISDICTION, "jurisdiction.named")
    assert refusal.required == f"{north.hex()[:16]}, {south.hex()[:16]}"


def test_what_the_laxer_allows_the_stricter_refuses(tmp_path: Path) -> None:
    refused(Border(tmp_path), 20_000, Reason.POWER, "jurisdiction.south.eirp")


def test_where_one_leads_its_terms_alone_hold(tmp_path: Path) -> None:
    assert Border(tmp_path, policies=("lead:north", "lead:north")).ask(20_000)[0] == []


def test_an_authority_that_nobody_stands_for(tmp_path: Path) -> None:
    refused(Border(tmp_path, user_of="north"), 17_000, Reason.JURISDICTION, "jurisdiction.represented")


@pytest.mark.parametrize(
    "policies", [(None, None), (STRICTER, None), (STRICTER, "lead:north"), ("lead:east", "lead:east")]
)
def test_no_policy_or_two_that_differ(tmp_path: Path, policies: tuple[str | None, str | None]) -> None:
    refused(Border(tmp_path, policies=policies), 17_000, Reason.JURISDICTION, "jurisdiction.policy")


def test_a_cell_in_one_jurisdiction_needs_no_policy_and_only_that_one(tmp_path: Path) -> None:
    border = Border(tmp_path, policies=(None, None), user_of="north")
    inside = replace(NORTH, radius_mm=1_000)
    window = Window(start_ns=T0, end_ns=T0 + 10 * NS)
    case = JurisdictionCase(
        cell=Cell(band=LOWER, area=inside, window=window),
        commodity="cbrs",
        eirp_mdbm=20_000,
        price=7,
        named=None,
        chains=(border.world.chains["holder"], border.world.chains["alice"]),
    )
    assert judge_jurisdictions(case, border.rule) is None
    both = replace(case, cell=replace(case.cell, area=AREA))
    refusal = judge_jurisdictions(both, border.rule)
    assert refusal is not None
    assert refusal.clause == "jurisdiction.represented"


def test_a_rule_with_what_its_authority_did_not_sign_is_no_rule(tmp_path: Path) -> None:
    checked = Border(tmp_path, forged=True).checked
    assert isinstance(checked, Refusal)
    assert (checked.reason, checked.clause) == (Reason.JURISDICTION, "rule.jurisdictions[1]")


def _ringed(number: int) -> Area:
    """An outline of 32 corners, a little smaller each time."""
    turns = [2 * math.pi * n / 32 for n in range(32)]
    reach = 800_000 - 100 * number
    corners = tuple(
        Corner(lat_e7=LAT + round(reach * math.cos(t)), lon_e7=LON + round(reach * math.sin(t))) for t in turns
    )
    return Area(outline=corners)


def _strange_link(border: Border, area: Area, number: int = 0, **credential: Any) -> JurisdictionLink:
    """A jurisdiction by somebody whom `north` credentialed for it."""
    key, north = SigningKey.from_seed(seed(f"strange-{number}")), border.authorities["north"]
    body = bodies.Credential(level="operator", scope=scope(("observe", "rule"), tier=2, area=area), **credential)
    made = claims(key.public, f"strange-{number}", "north")
    raw = issue(border.keys["north"], north, body, made, network=NETWORK, fix=fix(-8), seq=50 + number)
    terms = JurisdictionTerms(commodity="cbrs", max_eirp_mdbm=1, max_window_ns=NS, price_low=0, price_high=1)
    said = Jurisdiction(name=f"strange-{number}", clause="1", area=area, effective=RULE.effective, classes=(terms,))
    frame = Frame(network=NETWORK, author=digest(raw), seq=1, attestation=Attestation.of(fix(-7)))
    return JurisdictionLink(record=sign_record(key, frame, said), chain=(*north.chain, raw))


def _ruled(border: Border, *links: JurisdictionLink, **changes: Any) -> bytes:
    """A rule by `north` with those jurisdictions."""
    frame = Frame(network=NETWORK, author=border.authorities["north"].hash, seq=90, attestation=Attestation.of(fix(-5)))
    return sign_record(border.keys["north"], frame, replace(border.rule, jurisdictions=links, version=2, **changes))


@pytest.mark.attack(58)
@pytest.mark.attack(70)
def test_nobody_becomes_known_by_standing_in_a_rule(tmp_path: Path) -> None:
    """A rule's jurisdictions prove themselves; the credentials in them open no door, and take nobody's key."""
    border = Border(tmp_path)
    holder = border.world.members["holder"].party
    before = holder.registry.subjects()
    link = _strange_link(border, AREA, transport_key=border.world.transport("alice"), device="device-x")
    raw = _ruled(border, link, previous=holder.rule.hash)
    checked = verify_rule(raw, border.authorities["north"].chain, holder.registry)
    assert not isinstance(checked, Refusal), checked
    assert holder.registry.subjects() == before
    known = holder.registry.by_transport(border.world.transport("alice"))
    assert known is not None
    assert known.name == "alice"


@pytest.mark.attack(58)
def test_outlines_in_the_jurisdictions_of_a_rule_are_few_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    border = Border(tmp_path)
    holder = border.world.members["holder"].party
    links = tuple(_strange_link(border, _ringed(n), n) for n in range(5))
    solved = itertools.count()
    monkeypatch.setattr(rings, "flaw", lambda ring: next(solved) and None)
    small = {"area": replace(AREA, radius_mm=1), "previous": holder.rule.hash}
    refusal = verify_rule(_ruled(border, *links, **small), border.authorities["north"].chain, holder.registry)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "rule.jurisdictions.corners")
    assert next(solved) == 0, "no outline was looked at"
    fewer = verify_rule(_ruled(border, *links[:4], **small), border.authorities["north"].chain, holder.registry)
    assert not isinstance(fewer, Refusal), fewer


@pytest.mark.attack(58)
def test_a_rule_that_follows_none_known_is_refused_before_its_jurisdictions_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    border = Border(tmp_path)
    read = itertools.count()
    monkeypatch.setattr(ruling, "prove_links", lambda links, registry: next(read) and None)
    raw = _ruled(border, _strange_link(border, AREA))
    refusal = border.world.give("alice", "holder", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.ROLLBACK, "rule.previous")
    assert next(read) == 0
