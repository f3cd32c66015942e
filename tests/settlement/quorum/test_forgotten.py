"""What a node keeps of proposals is bounded: what is over goes, and until then it counts as it did."""

from pathlib import Path

import pytest

from agent.node.approvals import approvals_shown
from agent.service.snapshot import approval_line
from settlement.audit.crosscheck import cross_check
from settlement.audit.kept import compare
from settlement.audit.verify import audit_lineage
from settlement.core.reasons import Reason
from settlement.pair.table import UserState
from settlement.quorum.table import ProposalState
from settlement.records.verdict import APPROVAL_WITHDRAWN, Verdict
from settlement.state.assembly import OUTCOMES, PROPOSED
from tests.settlement.quorum.test_approval import ApprovalWorld
from tests.settlement.world import LOWER, NETWORK, UPPER

pytestmark = pytest.mark.feature("S9")


@pytest.fixture
def world(tmp_path: Path) -> ApprovalWorld:
    """Ada's REQUEST for 3 to 9 s was approved and settled."""
    made = ApprovalWorld(tmp_path)
    made.offer_all()
    sid = made.want("ada", 1.0)
    made.tick(1.1)
    made.tick(1.2)
    assert made.state("ada", sid) == UserState.SETTLED
    return made


def kept(world: ApprovalWorld, name: str) -> tuple[int, int, int]:
    party = world.members[name].party
    return len(party.assembly.states), len(party.assembly.approvals), len(party.lineage.items(PROPOSED))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_decided_proposal_is_kept_until_its_window_is_over_and_no_longer(
    world: ApprovalWorld, restarts: bool
) -> None:
    world.tick(8.9)
    assert kept(world, "reg") == (1, 1, 1)
    if restarts:
        world.members["reg"].party.lineage.close()
        world.members["reg"] = world.member_again("reg")
        world.do("reg", 9.0, world.members["reg"].party.tick)
        assert kept(world, "reg") == (1, 1, 1)
    world.tick(9.1)
    assert {kept(world, name) for name in world.members} == {(0, 0, 0)}
    assert len(world.members["reg"].party.lineage.items(OUTCOMES)) == 1, "what it came to stays on record"


def test_an_auditor_finds_nothing_missing_that_may_have_been_forgotten(world: ApprovalWorld, tmp_path: Path) -> None:
    world.tick(9.1)
    for member in world.members.values():
        member.party.lineage.close()
    anchors = world.anchors
    for name in ("holder", "reg", "ada"):
        assert compare(tmp_path / f"{name}.db", network=NETWORK, anchors=anchors).differences == (), name


def test_a_row_that_is_missing_before_its_window_is_over_is_found(world: ApprovalWorld, tmp_path: Path) -> None:
    party = world.members["reg"].party
    (name,) = party.assembly.states
    world.do("reg", 2.0, lambda step: step.drop(PROPOSED, name), honest=False)
    party.lineage.close()
    (found,) = compare(tmp_path / "reg.db", network=NETWORK, anchors=world.anchors).differences
    assert PROPOSED in found.row


def standing(world: ApprovalWorld, name: str) -> int:
    """How many approvals stand in the way of others at a node."""
    assembly = world.members[name].party.assembly
    return len(assembly.approvals.keys() - assembly.withdrawn)


def apart(world: ApprovalWorld, user: str, at_s: float) -> None:
    """A REQUEST of this user's for the cell that ada asked for settles, members voting once more."""
    sid = world.want(user, at_s)
    world.tick(at_s + 0.1)
    world.tick(at_s + 0.2)
    assert world.state(user, sid) == UserState.SETTLED


@pytest.mark.attack(65)
@pytest.mark.attack(67)
@pytest.mark.parametrize("restarts", [False, True])
def test_a_grant_that_nobody_accepts_keeps_no_approved_cell(tmp_path: Path, restarts: bool) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.request("ada", 1.0, LOWER, 3.0, 9.0)
    world.carry(1.0)
    for at_s, wanted in ((1.1, 1), (1.2, 1), (2.1, 1), (2.3, 0)):  # the GRANT may be accepted until 2.2
        for name in world.members.keys() - {"ada"}:
            world.do(name, at_s, world.members[name].party.tick)
        world.deaf("ada")
        world.carry(at_s)
        assert standing(world, "reg") == wanted, at_s
    assert [standing(world, name) for name in ("holder", "reg", "cara", "dora")] == [0] * 4
    assert "taken back" in approval_line(approvals_shown(world.members["reg"].party)[0])
    if restarts:
        for name in ("holder", "reg"):
            world.members[name].party.lineage.close()
            world.members[name] = world.member_again(name)
    apart(world, "bert", 2.5)
    world.tick(9.1)
    assert {kept(world, name) for name in world.members} == {(0, 0, 0)}
    for member in world.members.values():
        member.party.lineage.close()
    for name in ("holder", "reg"):
        assert compare(tmp_path / f"{name}.db", network=NETWORK, anchors=world.anchors).differences == (), name


def test_those_who_voted_for_what_was_not_approved_keep_no_cell(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.request("ada", 1.0, LOWER, 3.0, 9.0)
    world.carry(1.0)
    for name in ("holder", "reg"):
        world.do(name, 1.1, world.members[name].party.tick)
    for at_s in (1.1, 1.6):  # cara and dora hear of nothing until the vote is over
        for name in ("holder", "reg"):
            world.do(name, at_s, world.members[name].party.tick)
        world.deaf("cara", "dora")
        world.carry(at_s)
    assert standing(world, "reg") == 0
    apart(world, "bert", 1.7)


def test_a_settlement_that_ends_early_keeps_its_approved_cell_no_longer(world: ApprovalWorld) -> None:
    (pair,) = world.members["ada"].party.user.pairs.values()
    world.do("ada", 3.5, lambda step: world.members["ada"].party.user.relinquish(step, pair.sid, "done"))
    world.carry(3.5)
    world.tick(4.0)
    assert standing(world, "reg") == 1, "the lease that was signed last still runs"
    world.tick(7.0)
    assert standing(world, "reg") == 0


def cross_checked(world: ApprovalWorld, *names: str) -> list[str]:
    for member in world.members.values():
        member.party.lineage.close()
    paths = [world.folder / f"{name}.db" for name in names]
    return cross_check([audit_lineage(path, network=NETWORK, anchors=world.anchors) for path in paths]).problems


def take_back(world: ApprovalWorld, name: str, at_s: float) -> None:
    """A member says that nothing comes of the approval that ada's settlement rests on."""
    (proposal,) = world.members["reg"].party.assembly.approvals
    said = Verdict(subject=proposal, reason="RELINQUISHED", clause=APPROVAL_WITHDRAWN, measured="aborted", required="")
    world.do(name, at_s, lambda step: step.sign(said))


def renewed(world: ApprovalWorld, at_s: float) -> None:
    world.tick(at_s)
    world.tick(at_s + 0.1)


@pytest.mark.attack(64)
def test_an_auditor_sees_a_lease_that_was_signed_on_an_approval_taken_back(world: ApprovalWorld) -> None:
    (pair,) = world.members["ada"].party.user.pairs.values()
    take_back(world, "holder", 2.0)
    for at_s in (3.5, 4.5, 5.5):
        renewed(world, at_s)
    told = "renew signed after its holder had taken the approval back"
    assert cross_checked(world, "holder", "ada") == [f"settlement {pair.sid.hex()[:16]}: {told}"]


@pytest.mark.parametrize("liar", ["ada", "reg", "cara"])
def test_nobody_else_can_make_a_holder_look_like_one_that_took_an_approval_back(
    world: ApprovalWorld, liar: str
) -> None:
    take_back(world, liar, 2.0)
    for at_s in (3.5, 4.5, 5.5):
        renewed(world, at_s)
    assert cross_checked(world, "holder", "ada", liar) == []


def test_an_approval_that_is_taken_back_when_its_settlement_is_over_is_no_fault(world: ApprovalWorld) -> None:
    (pair,) = world.members["ada"].party.user.pairs.values()
    renewed(world, 3.3)
    world.do("ada", 3.5, lambda step: world.members["ada"].party.user.relinquish(step, pair.sid, "done"))
    world.carry(3.5)
    world.tick(7.0)
    assert standing(world, "reg") == 0
    assert cross_checked(world, "holder", "ada", "reg") == []


@pytest.mark.attack(64)
def test_nobody_else_takes_an_approval_back(world: ApprovalWorld) -> None:
    """Only the holder that asked for an approval knows that nothing comes of it."""
    reg = world.members["reg"].party
    (name,) = reg.assembly.approvals
    for liar in ("ada", "bert", "cara"):
        said = Verdict(subject=name, reason="RELINQUISHED", clause=APPROVAL_WITHDRAWN, measured="aborted", required="")
        world.do(liar, 2.0, lambda step, said=said: step.send(world.members["reg"].hash, step.sign(said).raw))
        (refused,) = world.carry(2.0)
        assert (refused.reason, refused.clause) == (Reason.UNKNOWN_SID, "withdrawn.subject")
    assert standing(world, "reg") == 1


def test_what_was_approved_stands_in_the_way_until_its_window_is_over(world: ApprovalWorld) -> None:
    """The index of what was approved says what the walk through all proposals said."""
    party = world.members["reg"].party
    (name,) = party.assembly.approvals
    cell = party.assembly.approvals[name]
    assert cell.band == LOWER
    assert not cell.overlaps(type(cell)(band=UPPER, area=cell.area, window=cell.window))


def test_an_approval_is_shown_while_it_is_under_way_and_after(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.want("ada", 1.0)
    reg, holder = world.members["reg"].party, world.members["holder"].party
    (one,) = approvals_shown(reg)
    assert (one["state"], one["holder"], one["user"], one["own_vote"]) == ("voting", "holder", "ada", None)
    assert (one["votes_for"], one["votes_against"], one["required"], one["need"]) == (0, 0, 3, 3)
    assert "ada asks holder" in approval_line(one)
    world.tick(1.1)
    world.tick(1.2)
    (one,) = approvals_shown(reg)
    assert (one["state"], one["own_vote"], one["votes_against"], one["granted"]) == ("decided", "for", 0, False)
    assert one["votes_for"] >= 3
    assert "voted for here, approved" in approval_line(one)
    (at_holder,) = approvals_shown(holder)
    assert approval_line(at_holder).endswith("approved, granted")
    world.tick(9.1)
    assert approvals_shown(reg) == []


def test_one_that_nobody_approves_in_time_says_so(tmp_path: Path) -> None:
    world = ApprovalWorld(tmp_path)
    world.offer_all()
    world.request("ada", 1.0, LOWER, 3.0, 9.0)
    world.carry(1.0)
    for at_s in (1.1, 1.7):
        world.do("holder", at_s, world.members["holder"].party.tick)
        for member in world.members.values():
            member.outgoing = []
    (one,) = approvals_shown(world.members["holder"].party)
    assert one["state"] == ProposalState.VOID.value
    assert "1 for, 0 against of 3 required" in approval_line(one)
    assert approval_line(one).endswith("not approved in time")
