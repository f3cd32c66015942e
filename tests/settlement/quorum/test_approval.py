"""Quorum approval: place authority, regulator and operator certify a REQUEST before its holder grants it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.core.reasons import Reason
from settlement.pair.table import UserState
from settlement.quorum.outcome import approving, rejecting
from settlement.quorum.table import ProposalState
from settlement.records.approvalterms import ApprovalRule
from settlement.records.conduct import quorum
from settlement.records.conduct.approval import APPROVALS_EACH
from settlement.records.conduct.decided import asked_terms
from settlement.records.conduct.quorum import OPEN_MAX
from settlement.records.quorum import GroupMember, Proposal
from settlement.state.messages import Message
from settlement.state.shares import Allowance, Share, Shares
from tests.settlement.quorum.auctions import MARKET, AuctionWorld, at
from tests.settlement.world import HOLDER_ACTIONS, LOWER, NS, TERMS, UPPER, held

pytestmark = pytest.mark.feature("S9")
OFFICES = {"holder": "holder", "reg": "regulator", "cara": "authority", "dora": "operator"}


class ApprovalWorld(AuctionWorld):
    """A world in whose class nothing is granted without approval."""

    def __init__(self, folder: Path, function: str = "k of n", need: int = 3, weights: dict[str, int] | None = None):
        asked = ApprovalRule(members="notaries", function=function, need=need, vote_ns=NS // 2)
        self.weights = weights or {}
        super().__init__(
            folder,
            members=tuple(OFFICES),
            rule=replace(MARKET, classes=(replace(TERMS, accept_ns=NS, approval=asked),)),
        )

    def members_list(self, epoch: int = 1, **changes: Any) -> Any:
        members = tuple(
            GroupMember(
                role=role,
                credential=self.members[name].hash,
                key=self.members[name].key.public,
                weight=self.weights.get(name, 1),
            )
            for name, role in OFFICES.items()
        )
        return super().members_list(epoch, **{"members": members, **changes})

    def offer_all(self) -> None:
        self.offer()
        self.carry(0.1)

    def want(self, user: str, at_s: float, band: Any = LOWER) -> bytes:
        sid: bytes = self.request(user, at_s, band, 3.0, 9.0)
        self.carry(at_s)
        return sid

    def state(self, user: str, sid: bytes) -> int:
        pair = self.members[user].party.user.by_sid(sid)
        assert pair is not None
        return pair.state

    def deaf(self, *names: str) -> None:
        """These members hear nothing from here on."""
        for member in self.members.values():
            member.outgoing = [one for one in member.outgoing if one.to not in {self.members[n].hash for n in names}]


@pytest.mark.parametrize(
    ("function", "need", "weights"),
    [("unanimous", 0, {}), ("k of n", 3, {}), ("weighted", 5, {"reg": 3})],
)
def test_a_request_is_granted_once_its_members_approved(
    tmp_path: Path, function: str, need: int, weights: dict[str, int]
) -> None:
    world = ApprovalWorld(tmp_path, function, need, weights)
    world.offer_all()
    sid = world.want("ada", 1.0)
    assert world.state("ada", sid) == UserState.REQUESTED
    assert world.members["holder"].party.holder.busy == {}
    world.tick(1.1)
    world.tick(1.2)
    assert world.state("ada", sid) == UserState.SETTLED
    states = {name: list(member.party.assembly.states.values()) for name, member in world.members.items()}
    assert all(one == [ProposalState.DECIDED] for one in states.values())


def test_without_enough_votes_it_is_refused_with_a_reason(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    sid = world.request("ada", 1.0, LOWER, 3.0, 9.0)
    world.carry(1.0)
    for name in ("holder", "reg"):
        world.do(name, 1.1, world.members[name].party.tick)
    for at_s in (1.2, 1.55, 1.6):
        for name in ("holder", "reg", "ada"):
            world.do(name, at_s, world.members[name].party.tick)
        for member in world.members.values():
            member.outgoing = [one for one in member.outgoing if member.name in ("holder", "reg", "ada")]
        world.deaf("cara", "dora", "bert")
        world.carry(at_s)
    assert world.state("ada", sid) == UserState.REFUSED
    party = world.members["ada"].party
    said = [n.fields for n in world.members["ada"].notices if n.name == "refused"]
    assert said[-1]["clause"] == "request.approval"
    assert said[-1]["reason"] == Reason.QUORUM.value
    assert said[-1]["measured"]
    assert said[-1]["required"]
    assert party.user.by_sid(sid) is not None


def test_members_do_not_approve_one_cell_twice(tmp_path: Path) -> None:
    """A holder that would grant one cell to two is stopped by those who approved the first."""
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    first, second = world.request("ada", 1.0, LOWER, 3.0, 9.0), world.request("bert", 1.0, LOWER, 3.0, 9.0)
    other = world.request("bert", 1.0, UPPER, 3.0, 9.0)
    world.carry(1.0)
    for at_s in (1.1, 1.2, 1.6, 1.7):
        world.tick(at_s)
    states = sorted((world.state("ada", first), world.state("bert", second)))
    assert states == sorted((UserState.SETTLED, UserState.REFUSED))
    assert world.state("bert", other) == UserState.SETTLED
    assert len(world.members["reg"].party.lineage.items("outcome")) == 2, "the second was not approved at all"


@pytest.mark.attack(65)
@pytest.mark.attack(67)
def test_one_user_asks_for_few_approvals_at_a_time_and_takes_nobodys_place(tmp_path: Path) -> None:
    """Asking reserves nothing and costs nothing, but what the members have open of one holder is bounded."""
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    for number in range(2 * OPEN_MAX):
        world.request("ada", 1.0 + number / 1000, LOWER, 3.0, 9.0)
    sid = world.request("bert", 1.05, UPPER, 3.0, 9.0)
    refused = world.carry(1.05)
    assert len(refused) == 2 * OPEN_MAX - APPROVALS_EACH
    assert {(one.reason, one.clause) for one in refused} == {(Reason.BUDGET, "request.approvals")}
    for at_s in (1.1, 1.2, 1.3):
        world.tick(at_s)
    assert world.state("bert", sid) == UserState.SETTLED


@pytest.mark.attack(66)
def test_a_request_that_is_put_to_members_costs_its_users_share(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.members["holder"].party.shares = Shares(allowance=Allowance(log=Share(per_s=1, burst=100)))
    world.request("ada", 1.0, LOWER, 3.0, 9.0)
    world.request("ada", 1.0, UPPER, 3.0, 9.0)
    assert [(one.reason, one.clause) for one in world.carry(1.0)] == [(Reason.BUDGET, "share.log")]


def test_a_holder_that_asks_fewer_than_the_rule_names_is_not_heard(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.want("ada", 1.0)
    party = world.members["holder"].party
    (name,) = party.assembly.states
    asked = party.record_of(name)
    assert asked is not None
    for changes, clause in (
        ({"need": 2}, "disposition.13.approval"),
        ({"function": "unanimous"}, "disposition.13.approval"),
        ({"vote_by_ns": at(30)}, "disposition.13.vote_by"),
        ({}, "proposal.once"),
    ):
        body = replace(asked.body, **changes)
        record = world.do("holder", 1.05, lambda step, body=body: step.sign(body), honest=False)
        refusal = world.give("holder", "reg", _message(record.raw), 1.05)
        assert refusal is not None
        assert refusal.clause == clause
        assert refusal.measured
        assert refusal.required


def _message(raw: bytes) -> bytes:
    return Message(record=raw).encoded()


def test_a_member_votes_against_what_it_would_refuse_itself(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.want("ada", 1.0)
    party = world.members["holder"].party
    asked = party.record_of(next(iter(party.assembly.states)))
    assert asked is not None
    loud = replace(asked.body, subject=bytes(32), approval=replace(asked.body.approval, price=1_000))
    record = world.do("holder", 1.05, lambda step: step.sign(loud), honest=False)
    assert world.give("holder", "reg", _message(record.raw), 1.05) is None
    world.do("reg", 1.1, world.members["reg"].party.tick)
    reg = world.members["reg"].party
    vote = reg.record_of(reg.lineage.get("ballot", record.digest + world.members["reg"].hash))
    assert vote is not None
    assert vote.body.choice == rejecting(record.digest)


@pytest.mark.attack(67)
def test_no_member_keeps_a_cell_free_for_a_request_that_nobody_made(tmp_path: Path) -> None:
    """It would stay approved, and so refused to everybody else, until its window is over."""
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.want("ada", 1.0, UPPER)
    holder = world.members["holder"].party
    asked = holder.record_of(next(iter(holder.assembly.states)))
    assert asked is not None
    cell = replace(asked.body.approval.cell, band=LOWER)
    made_up = replace(asked.body, subject=bytes(32), approval=replace(asked.body.approval, cell=cell))
    record = world.do("holder", 1.01, lambda step: step.sign(made_up), honest=False)
    for name in ("reg", "cara", "dora"):
        assert world.give("holder", name, _message(record.raw), 1.01) is None
    world.tick(1.1)
    reg = world.members["reg"]
    vote = reg.party.record_of(reg.party.lineage.get("ballot", record.digest + reg.hash))
    assert vote is not None
    assert vote.body.choice == rejecting(record.digest)
    sid = world.want("bert", 1.2, LOWER)
    world.tick(1.3)
    world.tick(1.4)
    assert world.state("bert", sid) == UserState.SETTLED


def second_holder(world: ApprovalWorld) -> None:
    """Mallory, who may offer and grant there as well, and whom everybody knows."""
    world.enrol(mallory=HOLDER_ACTIONS)
    for member in world.members.values():
        held(member.party.registry.admit_chain(world.chains["mallory"]))


@pytest.mark.attack(67)
@pytest.mark.parametrize("lacking", ["nothing", "the REQUEST", "its offer", "other terms", "an offer of its own"])
def test_what_is_to_be_approved_is_shown_as_its_user_signed_it(tmp_path: Path, lacking: str) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    second_holder(world)
    by = "mallory" if lacking == "an offer of its own" else "holder"
    world.request("ada", 1.0, LOWER, 3.0, 9.0)
    ada, holder = world.members["ada"].party, world.members["holder"].party
    request = ada.record_of(next(iter(ada.user.pairs)))
    offer = holder.record_of(next(iter(holder.holder.offers)))
    assert request is not None
    assert offer is not None
    terms, reg = asked_terms(request), world.members["reg"]
    membership = reg.party.lineage.get("members", b"notaries")
    assert membership is not None
    body = Proposal(
        members="notaries", epoch=1, membership=membership, function="k of n", need=3, vote_by_ns=at(1.4),
        rule=holder.rule.hash, subject=request.digest,
        approval=replace(terms, price=8) if lacking == "other terms" else terms,
    )  # fmt: skip
    made = world.do(by, 1.01, lambda step: step.sign(body), honest=False)
    beside = {"the REQUEST": (offer.raw,), "its offer": (request.raw,)}.get(lacking, (request.raw, offer.raw))
    assert world.give(by, "reg", Message(record=made.raw, beside=beside).encoded(), 1.02) is None
    world.do("reg", 1.1, reg.party.tick)
    vote = reg.party.record_of(reg.party.lineage.get("ballot", made.digest + reg.hash))
    assert vote is not None
    assert vote.body.choice == (approving if lacking == "nothing" else rejecting)(made.digest)


@pytest.mark.attack(65)
def test_proposals_of_one_author_are_few_though_their_votes_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is kept until its window is over, which may be in a year: without a bound a holder fills memories."""
    monkeypatch.setattr(quorum, "KEPT_MAX", 3)
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.want("ada", 1.0)
    holder, reg = world.members["holder"].party, world.members["reg"]
    asked = holder.record_of(next(iter(holder.assembly.states)))
    assert asked is not None
    refusals = []
    for number in range(5):
        at_s = 1.6 + number
        body = replace(asked.body, subject=bytes([number]) * 32, vote_by_ns=at(at_s + 0.3))
        made = world.do("holder", at_s, lambda step, body=body: step.sign(body), honest=False)
        refusals.append(world.give("holder", "reg", _message(made.raw), at_s))
        world.do("reg", at_s + 0.5, reg.party.tick)
    assert [one.clause if one is not None else None for one in refusals] == [None, None, *["proposal.kept"] * 3]
    assert len(reg.party.assembly.states) == 3
    reg.party.lineage.close()
    world.members["reg"] = world.member_again("reg")
    made = world.do("holder", 7.0, lambda step: step.sign(replace(asked.body, vote_by_ns=at(7.3))), honest=False)
    again = world.give("holder", "reg", _message(made.raw), 7.0)
    assert again is not None
    assert again.clause == "proposal.kept", "also after a restart"
