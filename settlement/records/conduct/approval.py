"""Quorum approval of a REQUEST: when its holder must ask the members, how a member votes, and what prevents it."""

from collections.abc import Iterator
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.terms import Deal, judge_terms
from settlement.quorum.decided import judge_coholder
from settlement.quorum.group import member_of
from settlement.quorum.outcome import approving, judge_need, rejecting
from settlement.records.approvalterms import ApprovalRule, ApprovalTerms
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.decided import asked_terms, grounds_of, put_to_members
from settlement.records.conduct.quorum import OPEN_MAX, group_of, proposal_of, take_proposal
from settlement.records.quorum import MemberList, Proposal
from settlement.state.assembly import MEMBERS, OUTCOMES, VOTES
from settlement.state.nodestate import NodeState

APPROVALS_EACH = 4
"""Most REQUESTs of one user that a holder puts to the members at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekingApproval:
    """A REQUEST that the members of a list must approve before it is granted."""

    asked: ApprovalRule
    membership: bytes
    group: MemberList


def judge_approved(case: RecordCase) -> SeekingApproval | Refusal | None:
    """Return None where a REQUEST needs no approval or has it; what to ask the members; or why it is refused."""
    terms = case.state.rule.rule.terms(case.body.commodity)
    asked = terms.consent if terms is not None else None
    if terms is None or asked is None:
        return None
    put = put_to_members(case.state, case.record.digest)
    if put is None:
        crowded = _crowded(case)
        if crowded is not None:
            return crowded
        newest = case.state.lineage.get(MEMBERS, asked.members.encode())
        group = group_of(case.state, newest) if newest is not None else None
        if newest is None or group is None:
            return refuse(Reason.EPOCH, "request.members", asked.members, "a list of members known here")
        alone = _alone(case, group) if terms.coalition is not None else None
        return (
            alone
            or judge_need(asked.function, asked.need, group)
            or SeekingApproval(asked=asked, membership=newest, group=group)
        )
    if case.state.lineage.get(OUTCOMES, put) is not None:
        return None
    return refuse(Reason.QUORUM, "request.approval", "not approved", f"by {asked.members}")


def _crowded(case: RecordCase) -> Refusal | None:
    """Refuse a REQUEST beyond the number of open proposals for one user, or beyond that of this holder."""
    state, line = case.state, {*case.state.registry.line(case.author.hash), case.author.hash}
    put = [proposal_of(state, name) for name in state.assembly.live]
    mine = [one.body for one in put if one is not None and one.frame.author in state.own_line and one.body.subject]
    asked = [state.record_of(body.subject) for body in mine]
    theirs = sum(1 for one in asked if one is not None and one.frame.author in line)
    if theirs >= APPROVALS_EACH:
        return refuse(Reason.BUDGET, "request.approvals", theirs, f"< {APPROVALS_EACH} of one user under way")
    if len(mine) >= OPEN_MAX:
        return refuse(Reason.BUDGET, "request.approvals", len(mine), f"< {OPEN_MAX} of one holder under way")
    return None


def _alone(case: RecordCase, group: MemberList) -> Refusal | None:
    """Refuse a REQUEST where this holder is no member of the coalition, or does not hold the right to the cell."""
    me = case.state.identity.credential
    if member_of(group, me) is None:
        return refuse(Reason.QUORUM, "request.coalition", me.hex()[:16], f"a member of {group.name}")
    return judge_coholder(group, me, case.body.cell, case.body.commodity, grounds_of(case.state))


def seek_approval(case: RecordCase, decided: SeekingApproval) -> None:
    """Sign a PROPOSAL for a REQUEST and send it to all neighbours, with the REQUEST and its offer beside it.

    The REQUEST is granted or refused after the vote.
    """
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
        approval=asked_terms(case.record),
    )
    record = step.sign(body)
    take_proposal(state, step, record)
    beside = (case.record.digest, case.body.declaration)
    for neighbour in state.witness.neighbours():
        step.send_beside(neighbour.hash, record.digest, beside)


def choice_on(state: NodeState, asked: Record, earliest_ns: int, latest_ns: int) -> bytes:
    """Return this member's vote: for the REQUEST, unless it has an objection.

    Args: earliest_ns, latest_ns: the interval of the time now (UTC).
    """
    against = objection(state, asked, earliest_ns, latest_ns)
    return approving(asked.digest) if against is None else rejecting(asked.digest)


def objection(state: NodeState, asked: Record, earliest_ns: int, latest_ns: int) -> Refusal | None:
    """Return why this node votes against a REQUEST, or None: its terms, or a cell that is granted or promised already.

    A REQUEST that did not come beside the PROPOSAL, and in a coalition a cell of others, are objections too.
    """
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
    return (
        _never_asked(state, asked)
        or judge_terms(deal, state.rule.rule, holder=holder, user=user)
        or _not_ours(state, asked, terms)
        or _granted_here(state, terms)
        or _promised(state, asked, terms)
    )


def _never_asked(state: NodeState, asked: Record) -> Refusal | None:
    """Refuse a PROPOSAL that did not come with its REQUEST and offer.

    Otherwise a holder could invent a REQUEST, and the members would keep its cell free for nobody.
    """
    if asked.frame.author in state.own_line or asked.digest in state.assembly.shown:
        return None
    return refuse(Reason.PROOF, "approval.request", "absent", "the REQUEST and its offer beside the PROPOSAL")


def _not_ours(state: NodeState, asked: Record, terms: ApprovalTerms) -> Refusal | None:
    """Refuse a cell of a coalition's class to which this node itself holds no right: its vote would not count."""
    classed, group = state.rule.rule.terms(terms.commodity), group_of(state, asked.body.membership)
    if classed is None or classed.coalition is None or group is None:
        return None
    return judge_coholder(group, state.identity.credential, terms.cell, terms.commodity, grounds_of(state))


def _granted_here(state: NodeState, terms: ApprovalTerms) -> Refusal | None:
    for pair in state.holder.busy_in(terms.cell.window):
        if pair.live and pair.cell.overlaps(terms.cell):
            return refuse(Reason.CONFLICT, "approval.cell", f"{pair.cell.band} granted here", "free")
    return None


def _approved_here(state: NodeState, cell: Cell) -> Iterator[Record]:
    """Yield the PROPOSALs that this node voted for and whose cells overlap `cell`.

    They count until their windows end or their holder withdraws them, because this node may not hear of the GRANT that
    followed.
    """
    me, gone = state.identity.credential, state.assembly.withdrawn
    cells = state.assembly.approvals.items()
    found = [name for name, approved in cells if name not in gone and approved.overlaps(cell)]
    for name in found:
        asked = proposal_of(state, name)
        if asked is None or asked.body.approval is None:
            continue
        vote = state.record_of(state.lineage.get(VOTES, name + me))
        if vote is not None and vote.body.choice == approving(name):
            yield asked


def _promised(state: NodeState, asked: Record, terms: ApprovalTerms) -> Refusal | None:
    """Refuse a cell that overlaps one that this node has approved for another REQUEST."""
    other = next((one for one in _approved_here(state, terms.cell) if one.digest != asked.digest), None)
    if other is None:
        return None
    return refuse(Reason.CONFLICT, "approval.cell", f"{other.body.approval.cell.band} approved before", "free")


def judge_promised(state: NodeState, request: Record) -> Refusal | None:
    """Refuse a REQUEST to this holder for a cell that this node, as a member, approved for another holder to grant."""
    cell: Cell = request.body.cell
    other = next((one for one in _approved_here(state, cell) if one.frame.author not in state.own_line), None)
    if other is None:
        return None
    band = other.body.approval.cell.band
    return refuse(Reason.CONFLICT, "request.approved", f"{band} approved for another holder", "free")
