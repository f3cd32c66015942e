"""Quorum approval of a REQUEST: when its holder has to ask, what a member votes, and what stands in the way of it."""

from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.terms import Deal, judge_terms
from settlement.quorum.outcome import approving, judge_need, rejecting
from settlement.records.approvalterms import ApprovalRule, ApprovalTerms
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.quorum import group_of, proposal_of, take_proposal
from settlement.records.quorum import MemberList, Proposal
from settlement.state.assembly import APPROVING, MEMBERS, OUTCOMES, PROPOSED, VOTES
from settlement.state.nodestate import NodeState


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekingApproval:
    """A REQUEST that would be granted, and has to be approved by the members of a list first."""

    asked: ApprovalRule
    membership: bytes
    group: MemberList


def judge_approved(case: RecordCase) -> SeekingApproval | Refusal | None:
    """None where a REQUEST needs no approval, or has it."""
    terms = case.state.rule.rule.terms(case.body.commodity)
    if terms is None or terms.approval is None:
        return None
    asked = [case.state.lineage.get(APPROVING, case.record.digest + me) for me in case.state.own_line]
    put = next((name for name in asked if name is not None), None)
    if put is None:
        newest = case.state.lineage.get(MEMBERS, terms.approval.members.encode())
        group = group_of(case.state, newest) if newest is not None else None
        if newest is None or group is None:
            return refuse(Reason.EPOCH, "request.members", terms.approval.members, "a list of members known here")
        return judge_need(terms.approval.function, terms.approval.need, group) or SeekingApproval(
            asked=terms.approval, membership=newest, group=group
        )
    if case.state.lineage.get(OUTCOMES, put) is not None:
        return None
    return refuse(Reason.QUORUM, "request.approval", "not approved", f"by {terms.approval.members}")


def approval_of(case: RecordCase) -> ApprovalTerms:
    """What the members are asked to approve."""
    body = case.body
    return ApprovalTerms(
        user=case.author.hash,
        cell=body.cell,
        commodity=body.commodity,
        tier=body.tier,
        eirp_mdbm=body.eirp_mdbm,
        price=body.price,
    )


def seek_approval(case: RecordCase, decided: SeekingApproval) -> None:
    """Put a REQUEST to the members that the rule names; it is granted, or refused, once they have voted."""
    state, step, asked = case.state, case.step, decided.asked
    body = Proposal(
        members=asked.members,
        epoch=decided.group.epoch,
        membership=decided.membership,
        function=asked.function,
        need=asked.need,
        vote_by_ns=step.now.time.earliest_ns + asked.vote_ns,
        rule=state.rule.hash,
        subject=case.record.digest,
        approval=approval_of(case),
    )
    record = step.sign(body)
    take_proposal(state, step, record)
    for neighbour in state.witness.neighbours():
        step.pass_on(neighbour.hash, record.raw)


def choice_on(state: NodeState, asked: Record, earliest_ns: int, latest_ns: int) -> bytes:
    """What this member votes: for, unless it would refuse to see it granted. Times are when it judges (UTC, ns)."""
    against = objection(state, asked, earliest_ns, latest_ns)
    return approving(asked.digest) if against is None else rejecting(asked.digest)


def objection(state: NodeState, asked: Record, earliest_ns: int, latest_ns: int) -> Refusal | None:
    """Why this node would not see a REQUEST granted: its terms, or a cell that it knows to be promised elsewhere."""
    body: Proposal = asked.body
    terms, holder = body.approval, state.registry.get(asked.frame.author)
    user = state.registry.get(terms.user) if terms is not None else None
    if terms is None or holder is None or user is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "approval.user", "unknown", "a credential known here")
    deal = Deal(
        cell=terms.cell,
        commodity=terms.commodity,
        tier=terms.tier,
        eirp_mdbm=terms.eirp_mdbm,
        price=terms.price,
        earliest_ns=earliest_ns,
        latest_ns=latest_ns,
    )
    return judge_terms(deal, state.rule.rule, holder=holder, user=user) or _promised(state, asked, terms)


def _promised(state: NodeState, asked: Record, terms: ApprovalTerms) -> Refusal | None:
    """A cell that this node holds, or has approved for another REQUEST."""
    for pair in state.holder.busy.values():
        if pair.live and pair.cell.overlaps(terms.cell):
            return refuse(Reason.CONFLICT, "approval.cell", f"{pair.cell.band} granted here", "free")
    me = state.identity.credential
    for name, _ in state.lineage.items(PROPOSED):
        other = proposal_of(state, name)
        if name == asked.digest or other is None or other.body.approval is None:
            continue
        vote = state.record_of(state.lineage.get(VOTES, name + me))
        approved = vote is not None and vote.body.choice == approving(name)
        if approved and other.body.approval.cell.overlaps(terms.cell):
            return refuse(Reason.CONFLICT, "approval.cell", f"{other.body.approval.cell.band} approved before", "free")
    return None
