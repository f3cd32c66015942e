"""Who names a list of members, and whose question a REQUEST is approved by: nobody takes either over."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from settlement.chain import bodies, records
from settlement.chain.codec import encode
from settlement.chain.credentials import issue
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Area, Band
from settlement.chain.status import VERSION_JUMP_MAX
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import GroupProof, Links, VerifiedPermit
from settlement.pair.table import UserState
from settlement.quorum.certificate import Certificate, vote
from settlement.quorum.group import membership_of
from settlement.quorum.outcome import approving
from settlement.records.approvalterms import ApprovalTerms
from settlement.records.conduct.quorum import take_proposal
from settlement.records.quorum import GroupMember, GroupOutcome, MemberList, Proposal
from settlement.state.assembly import MEMBERS
from settlement.state.messages import Message
from settlement.state.step import Step
from tests.settlement.quorum.auctions import AuctionWorld
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, signed, verdict
from tests.settlement.quorum.test_approval import ApprovalWorld
from tests.settlement.world import HOLDER_ACTIONS, LAT, LON, LOWER, NETWORK, T0, UPPER, claims, fix, scope, seed

pytestmark = pytest.mark.feature("S9")


def heard(world: AuctionWorld, raw: bytes, at_s: float) -> Refusal | None:
    """What ada makes of an authority's word."""
    ada = world.members["ada"]
    act = partial(ada.party.receive, data=Message(record=raw).encoded(), transport_key=ada.transport)
    refusal: Refusal | None = world.do("ada", at_s, act)
    return refusal


def subauthority(world: AuctionWorld) -> bytes:
    """The credential of an authority of one megahertz, 14 km away; the same bytes each time."""
    key = SigningKey.from_seed(seed("subauthority"))
    narrow = scope(
        ("issue", "rule"),
        bands=(Band(low_hz=3_550_000_000, high_hz=3_551_000_000),),
        area=Area(lat_e7=LAT + 90 * 14_000, lon_e7=LON, radius_mm=1_000_000),
        depth=1,
    )
    made = claims(key.public, "subauthority", "root")
    credential = bodies.Credential(level="authority", scope=narrow)
    return issue(world.root_key, world.authority, credential, made, network=NETWORK, fix=fix(-8), seq=900)


def by_subauthority(world: AuctionWorld, body: MemberList, at_s: float) -> bytes:
    """Signed by that authority, whose credential everybody knows."""
    raw = subauthority(world)
    for member in world.members.values():
        member.party.registry.admit(raw)
    frame = records.Frame(
        network=NETWORK,
        author=records.digest(raw),
        seq=2,
        previous=bytes(32),
        attestation=records.Attestation.of(fix(at_s)),
    )
    return records.sign_record(SigningKey.from_seed(seed("subauthority")), frame, body)


@pytest.mark.attack(64)
@pytest.mark.parametrize("name", ["notaries", "another"])
def test_a_subauthority_names_nobody_under_a_rule_from_above(tmp_path: Path, name: str) -> None:
    world = AuctionWorld(tmp_path)
    before = world.members["ada"].party.lineage.get(MEMBERS, b"notaries")
    taken = heard(world, by_subauthority(world, world.members_list(2, name=name), 0.5), 0.6)
    assert taken is not None
    assert (taken.reason, taken.clause) == (Reason.SCOPE, "membership.author")
    assert world.members["ada"].party.lineage.get(MEMBERS, b"notaries") == before
    assert heard(world, world.by_authority(world.members_list(2), 0.7), 0.8) is None


@pytest.mark.attack(21)
def test_an_epoch_jumps_no_further_than_a_version(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    far = heard(world, world.by_authority(world.members_list(1 << 32), 0.5), 0.6)
    assert far is not None
    assert far.reason is Reason.FAST_FORWARD
    assert heard(world, world.by_authority(world.members_list(1 + VERSION_JUMP_MAX), 0.7), 0.8) is None


class Town(ApprovalWorld):
    """Beside the holder somebody else may grant, and put questions to the same members."""

    def enrol(self, **actions: tuple[str, ...]) -> None:
        super().enrol(**actions, mallory=HOLDER_ACTIONS)


@pytest.mark.attack(61)
def test_what_members_approved_for_another_question_grants_nothing(tmp_path: Path) -> None:
    """Mallory has a harmless cell approved in the name of a REQUEST to the holder; ada then sends that REQUEST."""
    world = Town(tmp_path)
    world.offer_all()
    ada, mallory = world.members["ada"], world.members["mallory"]
    sid = world.request("ada", 1.0, LOWER, 3.0, 9.0, eirp_mdbm=30_000)
    (held_back,) = [one for one in ada.outgoing if one.to == world.members["holder"].hash]
    ada.outgoing = []
    pair = ada.party.user.by_sid(sid)
    assert pair is not None
    request = ada.party.record_of(pair.request)
    assert request is not None
    asked = mallory.party.rule.rule.terms("cbrs")
    assert asked is not None
    approval = asked.approval
    assert approval is not None

    def ask(step: Step) -> bytes:
        body = Proposal(
            members=approval.members,
            epoch=1,
            membership=mallory.party.lineage.get(MEMBERS, b"notaries") or b"",
            function=approval.function,
            need=approval.need,
            vote_by_ns=step.now.time.earliest_ns + approval.vote_ns,
            rule=mallory.party.rule.hash,
            subject=request.digest,
            approval=ApprovalTerms(
                user=ada.hash,
                cell=replace(request.body.cell, band=UPPER),
                commodity="cbrs",
                tier=2,
                eirp_mdbm=0,
                price=7,
            ),
        )
        record = step.sign(body)
        take_proposal(mallory.party, step, record)
        for neighbour in mallory.party.witness.neighbours():
            step.pass_on(neighbour.hash, record.raw)
        return record.digest

    world.do("mallory", 1.0, ask)
    world.carry(1.0)
    for at_s in (1.1, 1.2, 1.3):
        world.tick(at_s)
    assert world.give("ada", "holder", held_back.data, 1.4) is None
    assert world.members["holder"].party.holder.busy == {}, "the holder asks its members itself first"
    world.carry(1.4)
    assert world.state("ada", sid) == UserState.REQUESTED
    world.tick(1.5)
    world.tick(1.6)
    assert world.state("ada", sid) == UserState.SETTLED, "and nobody keeps it from asking"


@pytest.mark.attack(61)
def test_a_pair_that_brings_a_list_of_a_subauthority_of_its_own_has_no_approval(tmp_path: Path) -> None:
    """All of it is signed by who may sign such a record; only the list is by nobody who may name the members."""
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    sid = world.want("ada", 1.0)
    for at_s in (1.1, 1.2, 1.25):
        world.tick(at_s)
    artifact = artifact_of(world, "ada", sid)
    assert isinstance(verdict(world, artifact), VerifiedPermit)
    own = SigningKey.from_seed(seed("nobody"))
    member = GroupMember(role="operator", credential=b"n" * 32, key=own.public, weight=1)
    listed = by_subauthority(world, world.members_list(1, members=(member,), faulty=0), 0.5)
    body = replace(body_of(artifact.grant), sid=sid)
    terms = world.members["holder"].party.rule.rule.terms("cbrs")
    assert terms is not None
    asked = terms.approval
    assert asked is not None
    group = body_of(listed)
    proposal = signed(
        world,
        "holder",
        Proposal(
            members="notaries",
            epoch=1,
            membership=records.digest(listed),
            function=asked.function,
            need=asked.need,
            vote_by_ns=T0 + 1_450_000_000,
            rule=body.rule,
            subject=body.request,
            approval=ApprovalTerms(
                user=body.user,
                cell=body.cell,
                commodity=body.commodity,
                tier=body.tier,
                eirp_mdbm=body.max_eirp_mdbm,
                price=body.price,
            ),
        ),
        1.1,
    )
    choice = approving(records.digest(proposal))
    membership = membership_of(NETWORK, group)
    certificate = Certificate(
        epoch=1, membership=membership.name, subject=choice, votes=(vote(own, membership, choice),)
    )
    outcome = signed(
        world,
        "holder",
        GroupOutcome(proposal=records.digest(proposal), epoch=1, choice=choice, certificate=encode(certificate)),
        1.2,
    )
    made = forged(world, artifact, 1.3, ("holder", "ada"), approval=records.digest(outcome))
    chain = (world.root, subauthority(world))
    shown = GroupProof(records=(listed, proposal, outcome), chains=(Links(credentials=chain),))
    found = verdict(world, replace(made, decided=shown))
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.SCOPE, "membership.author")
