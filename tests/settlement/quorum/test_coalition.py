"""A coalition: the holders of one right grant as one, and what one of them approved none of them grants again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain.codec import encode
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import VerifiedPermit
from settlement.pair.table import UserState
from settlement.pair.work import settlement_id
from settlement.quorum.certificate import Certificate, vote
from settlement.quorum.group import membership_of
from settlement.quorum.outcome import approving, rejecting
from settlement.records.approvalterms import ApprovalRule
from settlement.records.quorum import GroupMember
from tests.settlement.quorum.auctions import MARKET, AuctionWorld
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, signed, verdict
from tests.settlement.quorum.test_decided import refused, without
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NETWORK, NS, TERMS, UPPER

pytestmark = pytest.mark.feature("S9")
SHORE = ("holder", "isle", "jetty", "kelp")
TOGETHER = ApprovalRule(members="shore", function="k of n", need=3, vote_ns=NS // 2)


class CoalitionWorld(AuctionWorld):
    """Four holders of one right, of whom three at the least stand behind every GRANT; `narrow` hold the upper half."""

    def __init__(self, folder: Path, *, narrow: tuple[str, ...] = (), roles: dict[str, str] | None = None) -> None:
        self.narrow, self.roles = narrow, roles or {}
        folder.mkdir(exist_ok=True)
        rule = replace(MARKET, classes=(replace(TERMS, accept_ns=NS, coalition=TOGETHER),))
        super().__init__(folder, members=SHORE, rule=rule)

    def enrol(self, **actions: tuple[str, ...]) -> None:
        """The world's usual nodes, and the other holders."""
        super().enrol(**actions | dict.fromkeys(SHORE[1:], HOLDER_ACTIONS))

    def credential(self, name: str, actions: tuple[str, ...], **changes: Any) -> bytes:
        """Those who are narrow hold the upper half alone."""
        half = {"bands": (UPPER,)} if name in self.narrow else {}
        return super().credential(name, actions, **half, **changes)

    def members_list(self, epoch: int = 1, **changes: Any) -> Any:
        """The coalition's list."""
        members = tuple(
            GroupMember(
                role=self.roles.get(name, "holder"),
                credential=self.members[name].hash,
                key=self.members[name].key.public,
                weight=1,
            )
            for name in SHORE
        )
        return super().members_list(epoch, **{"name": "shore", "members": members, **changes})

    def offers(self, *holders: str) -> None:
        """These holders offer the whole band."""
        for holder in holders:
            self.offer(holder=holder)
        self.carry(0.1)

    def want(self, user: str, holder: str, at_s: float, band: Any = LOWER) -> bytes:
        """A REQUEST to one of the holders."""
        party = self.members[user].party
        offer = next(one for one in party.user.offers.values() if one.holder == self.members[holder].hash)
        before = dict(party.user.offers)
        party.user.offers.clear()
        party.user.offers[offer.declaration] = offer
        sid: bytes = self.request(user, at_s, band, 3.0, 9.0)
        party.user.offers.update(before)
        return sid

    def state(self, user: str, sid: bytes) -> int:
        """How a user's settlement stands."""
        pair = self.members[user].party.user.by_sid(sid)
        assert pair is not None
        return pair.state


def test_holders_grant_as_one_and_none_of_them_grants_it_again(tmp_path: Path) -> None:
    world = CoalitionWorld(tmp_path)
    world.offers("holder", "isle")
    sid = world.want("ada", "holder", 1.0)
    world.carry(1.0)
    assert world.members["holder"].party.holder.busy == {}, "nothing is reserved before the others agreed"
    for at_s in (1.1, 1.2):
        world.tick(at_s)
    assert world.state("ada", sid) == UserState.SETTLED
    artifact = artifact_of(world, "ada", sid)
    assert isinstance(verdict(world, artifact), VerifiedPermit)
    assert artifact.decided is not None
    assert len(artifact.decided.chains or ()) >= 3, "whoever stands behind it is shown"
    world.want("bert", "isle", 1.3)
    (taken,) = world.carry(1.3)
    refused(taken, Reason.CONFLICT, "request.approved")
    other = world.want("bert", "isle", 1.4, UPPER)
    world.carry(1.4)
    for at_s in (1.5, 1.6):
        world.tick(at_s)
    assert world.state("bert", other) == UserState.SETTLED


def test_of_two_holders_that_would_grant_one_cell_at_once_one_gets_the_others(tmp_path: Path) -> None:
    world = CoalitionWorld(tmp_path)
    world.offers("holder", "isle")
    first, second = world.want("ada", "holder", 1.0), world.want("bert", "isle", 1.0)
    world.carry(1.0)
    for at_s in (1.1, 1.2, 1.6, 1.7):
        world.tick(at_s)
    states = [world.state("ada", first), world.state("bert", second)]
    assert states.count(UserState.SETTLED) <= 1
    assert UserState.REFUSED in states


def test_a_member_whose_right_does_not_reach_the_cell_does_not_count(tmp_path: Path) -> None:
    """Two of four hold the upper half alone: they vote against the lower."""
    world = CoalitionWorld(tmp_path, narrow=("jetty", "kelp"))
    world.offers("holder")
    sid = world.want("ada", "holder", 1.0)
    world.carry(1.0)
    for at_s in (1.1, 1.2):
        world.tick(at_s)
    party = world.members["holder"].party
    (name,) = party.assembly.states
    choices = {
        one: party.record_of(party.lineage.get("ballot", name + world.members[one].hash)).body.choice  # type: ignore[union-attr]
        for one in SHORE
    }
    assert choices == {
        "holder": approving(name),
        "isle": approving(name),
        "jetty": rejecting(name),
        "kelp": rejecting(name),
    }
    for at_s in (1.6, 1.7):
        world.tick(at_s)
    assert world.state("ada", sid) == UserState.REFUSED


def test_a_certificate_with_votes_of_members_who_do_not_hold_the_cell_is_refused(tmp_path: Path) -> None:
    """All four sign, as colluding members would; who reads the artifact counts two."""
    wide = CoalitionWorld(tmp_path / "wide")
    _, clean = _forged_by_all(wide)
    assert isinstance(clean, VerifiedPermit)
    narrow = CoalitionWorld(tmp_path / "narrow", narrow=("jetty", "kelp"))
    _, found = _forged_by_all(narrow)
    refused(found, Reason.SCOPE, "coalition.band")
    office = CoalitionWorld(tmp_path / "office", roles={"jetty": "operator", "kelp": "operator"})
    _, found = _forged_by_all(office)
    refused(found, Reason.SCOPE, "coalition.role")


def _forged_by_all(world: CoalitionWorld) -> tuple[bytes, VerifiedPermit | Refusal]:
    """A settlement in the upper half, signed anew for the lower with a certificate that all members sign."""
    world.roles, roles = {}, world.roles
    world.tell(world.members_list(epoch=2), 0.0)
    world.offers("holder")
    sid = world.want("ada", "holder", 1.0, UPPER)
    world.carry(1.0)
    for at_s in (1.1, 1.2):
        world.tick(at_s)
    artifact = artifact_of(world, "ada", sid)
    assert artifact.decided is not None
    party = world.members["holder"].party
    (name,) = party.assembly.states
    asked = party.record_of(name)
    assert asked is not None
    world.roles = roles
    group = world.members_list(epoch=3)
    listed = world.by_authority(group, 1.2)
    cell = replace(body_of(artifact.grant).cell, band=LOWER)
    body = replace(asked.body, membership=digest(listed), epoch=3, approval=replace(asked.body.approval, cell=cell))
    proposal = signed(world, "holder", body, 1.21)
    membership = membership_of(NETWORK, group)
    choice = approving(digest(proposal))
    votes = tuple(vote(world.members[one].key, membership, choice) for one in SHORE)
    certificate = encode(Certificate(epoch=3, membership=membership.name, subject=choice, votes=votes))
    outcome = party.record_of(party.lineage.get("outcome", name))
    assert outcome is not None
    said = replace(outcome.body, proposal=digest(proposal), epoch=3, choice=choice, certificate=certificate)
    outcome_raw = signed(world, "holder", said, 1.22)
    shown = replace(artifact.decided, records=(listed, proposal, outcome_raw))
    given = body_of(artifact.grant)
    new_sid = settlement_id(world.members["holder"].hash, world.members["ada"].hash, given.nonce, cell)
    made = forged(world, artifact, 1.3, ("holder", "ada"), cell=cell, sid=new_sid, approval=digest(outcome_raw))
    return sid, verdict(world, replace(made, decided=shown))


def test_a_holder_alone_or_outside_the_coalition_grants_nothing(tmp_path: Path) -> None:
    world = CoalitionWorld(tmp_path)
    world.offers("holder", "isle")
    sid = world.want("ada", "holder", 1.0)
    world.carry(1.0)
    for at_s in (1.1, 1.2):
        world.tick(at_s)
    artifact = artifact_of(world, "ada", sid)
    alone = replace(forged(world, artifact, 1.3, ("holder", "ada"), approval=None), decided=None)
    refused(verdict(world, alone), Reason.QUORUM, "decided.approval")
    refused(
        verdict(world, replace(artifact, decided=without(artifact.decided, "outcome"))), Reason.PROOF, "decided.outcome"
    )
    members = tuple(one for one in world.members_list().members if one.credential != world.members["isle"].hash)
    world.tell(world.members_list(epoch=2, faulty=0, members=members), 1.3)
    world.want("bert", "isle", 1.4, UPPER)
    (outside,) = world.carry(1.4)
    refused(outside, Reason.QUORUM, "request.coalition")
