"""Handles lists of members, proposals, votes and outcomes: which of them count, and what a node stores of each.

Only verdicts and evidence are signed here. The node's own votes and outcomes follow from what is stored, at the next
tick (`settlement.party.assembly`), so that a restarted node signs the same.
"""

from settlement.chain import keys
from settlement.chain.records import Record
from settlement.chain.ruling import judge_naming, seat_of
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.quorum.certificate import Certificate, to_sign
from settlement.quorum.certificate import verify as verify_certificate
from settlement.quorum.group import in_epoch, judge_members, member_of, membership_of
from settlement.quorum.outcome import approving, judge_approval, judge_need
from settlement.quorum.table import ProposalEvent
from settlement.records.auctionterms import PRICE_FUNCTIONS
from settlement.records.conduct.alarms import EVIDENCE_BYTES_MAX, verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.proposal import judge_sold, shows_request
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.quorum import Ballot, GroupOutcome, MemberList, Proposal
from settlement.records.witness import Evidence
from settlement.state.assembly import APPROVING, AUCTIONED, MEMBERS, OUTCOMES, PROPOSED, VOTES
from settlement.state.nodestate import NodeState
from settlement.state.step import Step
from settlement.state.witness import PROOFS_EACH

OPEN_MAX = 16
"""Most proposals of one author that may be undecided at a time."""
KEPT_MAX = 256
"""Most stored proposals of one author; each is stored, decided or not, until the window that it is about is over."""


def group_of(state: NodeState, membership: bytes) -> MemberList | None:
    """Return the list of members in the record of that hash, if it was admitted here."""
    record = state.record_of(membership, admitted=True)
    return record.body if record is not None and isinstance(record.body, MemberList) else None


def proposal_of(state: NodeState, name: bytes) -> Record | None:
    """Return the PROPOSAL of that hash, if it was admitted here."""
    record = state.record_of(name, admitted=True)
    return record if record is not None and isinstance(record.body, Proposal) else None


def unknown(body: Proposal | None, name: bytes, clause: str) -> Refusal | None:
    """Return OUT_OF_ORDER for a record about a proposal that is not known here (`body` None); else None."""
    return None if body else refuse(Reason.OUT_OF_ORDER, clause, name.hex()[:16], "a PROPOSAL known here")


def tell_author(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused record with a signed verdict; the same bytes get the same answer."""
    author = case.author.hash
    if not case.step.send_again(author, case.record.digest):
        case.step.send(author, case.step.sign(verdict_on(case.record.digest, refusal)).raw)


def contradicted(case: RecordCase, first: bytes | None, clause: str) -> Refusal:
    """Return EQUIVOCATION for a second, different record where one is allowed; `first` is the stored one's hash."""
    known = first.hex()[:16] if first is not None else "none"
    return refuse(Reason.EQUIVOCATION, clause, case.record.digest.hex()[:16], f"{known}, the first")


def keep_both(case: RecordCase, refusal: Refusal, kind: str, key: bytes) -> None:
    """Sign two contradictory records of one author as evidence and send it to every neighbour.

    Only after a refusal as EQUIVOCATION, and for at most PROOFS_EACH of each author. `kind` and `key` name the stored
    row of the first record.
    """
    first = case.state.lineage.get(kind, key)
    one = case.state.record_bytes(first[:32]) if first is not None else None
    if refusal.reason is not Reason.EQUIVOCATION or one is None or one == case.record.raw:
        return
    if max(len(one), len(case.record.raw)) > EVIDENCE_BYTES_MAX:
        return
    if case.step.count(f"evidence:{case.author.hash.hex()}") > PROOFS_EACH:
        return
    evidence = case.step.sign(Evidence(reason=Reason.EQUIVOCATION.value, first=one, second=case.record.raw))
    for neighbour in case.state.witness.neighbours():
        case.step.pass_on(neighbour.hash, evidence.raw)
    case.step.event("equivocation", author=case.author.name, what=case.record.typ)


# -- the list of members -----------------------------------------------------------------------------------------------


def _judge_list(case: RecordCase) -> Refusal | None:
    held = case.state.lineage.get(MEMBERS, case.body.name.encode())
    newest = group_of(case.state, held) if held is not None else None
    refusal = _judge_naming(case, held) or judge_members(case.body, newest.epoch if newest is not None else None)
    if refusal is not None:
        return refusal
    for one in case.body.members:
        subject = case.state.registry.get(one.credential)
        if subject is not None and subject.public != one.key:
            measured = f"{one.key.hex()[:16]} for {subject.name}"
            return refuse(Reason.QUORUM, "membership.key", measured, subject.public.hex()[:16])
    return None


def _judge_naming(case: RecordCase, held: bytes | None) -> Refusal | None:
    """Refuse a list unless its author made the rule in force or stands above its author, and so for the stored list."""
    state = case.state
    before = state.record_of(held) if held is not None else None
    named = state.registry.get(before.frame.author) if before is not None else None
    theirs = seat_of(named, state.registry) if named is not None else state.rule.seat
    return judge_naming(case.author, state.rule.seat, state.registry) or judge_naming(
        case.author, theirs, state.registry
    )


def _listed(case: RecordCase, _decided: None) -> None:
    case.step.put(MEMBERS, case.body.name.encode(), case.record.digest)
    case.step.event("members", group=case.body.name, epoch=case.body.epoch, members=len(case.body.members))
    case.pass_on()


def _list_told(told: Retelling, said: Said) -> None:
    told.rows[MEMBERS, said.body.name.encode()] = said.digest


# -- proposal ----------------------------------------------------------------------------------------------------------


def judge_group(state: NodeState, body: Proposal, clause: str) -> MemberList | Refusal:
    """Return the list that a proposal is put to; EPOCH unless the proposal names the newest list of that name."""
    newest = state.lineage.get(MEMBERS, body.members.encode())
    group = group_of(state, newest) if newest is not None else None
    if group is None or newest is None:
        return refuse(Reason.EPOCH, f"{clause}.members", body.members, "a list of members known here")
    if body.membership != newest:
        measured = f"{body.membership.hex()[:16]}, epoch {body.epoch}"
        return refuse(Reason.EPOCH, f"{clause}.membership", measured, f"{newest.hex()[:16]}, epoch {group.epoch}")
    return group


def _judge_proposal(case: RecordCase) -> Refusal | None:
    state, body = case.state, case.body
    group = judge_group(state, body, "proposal")
    if isinstance(group, Refusal):
        return group
    refusal = (
        in_epoch(group, body.epoch, case.now, "proposal")
        or judge_need(body.function, body.need, group)
        or deadline_open(case.now, body.vote_by_ns, "proposal.vote_by")
    )
    if refusal is not None:
        return refusal
    kept, live = state.assembly.kept_of(case.author.hash), set(state.assembly.live)
    held = len(live.intersection(kept))
    if held >= OPEN_MAX:
        return refuse(Reason.BUDGET, "proposal.open", held, f"< {OPEN_MAX} of one author")
    if len(kept) >= KEPT_MAX:
        return refuse(Reason.BUDGET, "proposal.kept", len(kept), f"< {KEPT_MAX} of one author, in their time")
    sold = body.auction is not None
    return judge_sold(state, body, case.author.hash) if sold else judge_asked(state, body, case.author.hash)


def judge_asked(state: NodeState, body: Proposal, author: bytes) -> Refusal | None:
    """Refuse a second PROPOSAL of one author for a REQUEST; a PROPOSAL of another author for it does not count."""
    other = state.lineage.get(APPROVING, (body.subject or b"") + author)
    if other is None:
        return None
    return refuse(Reason.EQUIVOCATION, "proposal.once", other.hex()[:16], "one PROPOSAL for a REQUEST")


def take_proposal(state: NodeState, step: Step, record: Record) -> None:
    """Store a proposal, another's or this node's own."""
    body: Proposal = record.body
    about = body.auction.declaration if body.auction is not None else body.subject or b""
    step.put(PROPOSED, record.digest, about)
    if body.auction is not None:
        step.put(AUCTIONED, about, record.digest)
    else:
        step.put(APPROVING, about + (record.frame.author or b""), record.digest)
    state.assembly.begin(record.digest, body, record.frame.author)
    step.event("proposed", proposal=record.digest, function=body.function, vote_by_ns=body.vote_by_ns)


def _proposed(case: RecordCase, _decided: None) -> None:
    take_proposal(case.state, case.step, case.record)
    if shows_request(case):
        case.state.assembly.shown.add(case.record.digest)


def _proposal_told(told: Retelling, said: Said) -> None:
    body: Proposal = said.body
    about = body.auction.declaration if body.auction is not None else body.subject or b""
    told.rows[PROPOSED, said.digest] = about
    row = (AUCTIONED, about) if body.auction is not None else (APPROVING, about + said.author)
    told.rows[row] = said.digest


# -- vote --------------------------------------------------------------------------------------------------------------


def _judge_vote(case: RecordCase) -> Refusal | None:
    state, body = case.state, case.body
    asked = proposal_of(state, body.proposal)
    refusal = unknown(asked.body if asked is not None else None, body.proposal, "vote.proposal")
    group = group_of(state, asked.body.membership) if asked is not None else None
    if refusal is not None or group is None:
        return refusal or refuse(Reason.EPOCH, "vote.members", body.proposal.hex()[:16], "a list known here")
    member = member_of(group, case.author.hash)
    refusal = in_epoch(group, body.epoch, case.now, "vote")
    if member is None:
        return refuse(Reason.QUORUM, "vote.member", case.author.name, f"a member of {group.name}, epoch {group.epoch}")
    if refusal is not None:
        return refusal
    asked_for = membership_of(state.registry.network, group)
    signed = to_sign(asked_for.network, asked_for.name, group.epoch, body.choice)
    if not keys.verify(member.key, body.signature, signed):
        return refuse(Reason.SIGNATURE, "vote.signature", case.author.name, "its signature over this choice")
    first = state.lineage.get(VOTES, body.proposal + case.author.hash)
    if first is None:
        return None
    before = state.record_of(first)
    if before is not None and before.body.choice == body.choice:
        return refuse(Reason.REPLAY, "vote.again", body.choice.hex()[:16], "one vote of a member")
    return contradicted(case, first, "vote.once")


def take_vote(step: Step, record: Record, member: bytes) -> None:
    """Store a member's vote."""
    step.put(VOTES, record.body.proposal + member, record.digest)


def _voted(case: RecordCase, _decided: None) -> None:
    take_vote(case.step, case.record, case.author.hash)


def _refuse_vote(case: RecordCase, refusal: Refusal) -> None:
    keep_both(case, refusal, VOTES, case.body.proposal + case.author.hash)
    tell_author(case, refusal)


def _vote_told(told: Retelling, said: Said) -> None:
    told.rows[VOTES, said.body.proposal + said.author] = said.digest


# -- outcome -----------------------------------------------------------------------------------------------------------


def judge_outcome(state: NodeState, body: GroupOutcome) -> Certificate | Refusal:
    """Return the certificate of an outcome; refuse one that too few certified or that does not answer the proposal."""
    asked = proposal_of(state, body.proposal)
    group = group_of(state, asked.body.membership) if asked is not None else None
    if asked is None or group is None:
        return refuse(Reason.OUT_OF_ORDER, "outcome.proposal", body.proposal.hex()[:16], "a PROPOSAL known here")
    if body.epoch != group.epoch:
        return refuse(Reason.EPOCH, "outcome.epoch", body.epoch, group.epoch)
    certificate = verify_certificate(body.certificate, membership_of(state.registry.network, group), body.choice)
    if isinstance(certificate, Refusal):
        return certificate
    proposal: Proposal = asked.body
    if proposal.function in PRICE_FUNCTIONS:
        return _judge_award(state, body) or certificate
    if body.choice != approving(body.proposal):
        return refuse(Reason.QUORUM, "outcome.choice", body.choice.hex()[:16], "approval")
    voters = {vote.member for vote in certificate.votes}
    yes = {one.credential for one in group.members if one.key in voters}
    return judge_approval(proposal.function, proposal.need, group, yes) or certificate


def _judge_award(state: NodeState, body: GroupOutcome) -> Refusal | None:
    """Refuse an auction's outcome that differs from its TALLY, or whose votes are not for that TALLY."""
    tally = state.record_of(body.tally)
    if tally is None or tally.digest != body.choice or tally.body.proposal != body.proposal:
        found = body.tally.hex()[:16] if body.tally is not None else "none"
        return refuse(Reason.ENTRY_MISMATCH, "outcome.tally", found, f"{body.choice.hex()[:16]}, what was voted for")
    if (body.winner, body.price) != (tally.body.winner, tally.body.price):
        return refuse(Reason.PRICE, "outcome.winner", f"{body.price}", f"{tally.body.price}, by the TALLY")
    return None


def _judge_outcome(case: RecordCase) -> Refusal | None:
    found = judge_outcome(case.state, case.body)
    if isinstance(found, Refusal):
        return found
    first = case.state.lineage.get(OUTCOMES, case.body.proposal)
    known = case.state.record_of(first)
    if known is None:
        return None
    if known.body.choice == case.body.choice:
        return refuse(Reason.REPLAY, "outcome.again", case.body.choice.hex()[:16], "one outcome of a proposal")
    return contradicted(case, first, "outcome.once")


def take_outcome(state: NodeState, step: Step, record: Record) -> None:
    """Store the outcome of a proposal."""
    body: GroupOutcome = record.body
    step.put(OUTCOMES, body.proposal, record.digest)
    asked = proposal_of(state, body.proposal)
    if asked is not None:
        state.assembly.begin(body.proposal, asked.body, asked.frame.author)
        state.assembly.move(body.proposal, ProposalEvent.CERTIFIED)
    winner = state.registry.get(body.winner)
    step.event("outcome", proposal=body.proposal, winner=winner.name if winner else "", price=body.price)


def _decided(case: RecordCase, _decided: None) -> None:
    take_outcome(case.state, case.step, case.record)


def _refuse_outcome(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused outcome; raise an alarm where a second, different outcome of the proposal is certified.

    That is possible only if more members are faulty than the list allows for.
    """
    if refusal.clause == "outcome.once":
        why = f"two outcomes of proposal {case.body.proposal.hex()[:16]}: more members are faulty than its list allows"
        case.step.event("alarm", what="a group of members said two things", why=why, owner=case.author.name)
    tell_author(case, refusal)


def _outcome_told(told: Retelling, said: Said) -> None:
    told.rows[OUTCOMES, said.body.proposal] = said.digest


CONDUCT = (
    Conduct(body=MemberList, judge=_judge_list, act=_listed, keeps=(MEMBERS,), own=_list_told, heard=_list_told),
    Conduct(
        body=Proposal,
        judge=_judge_proposal,
        act=_proposed,
        refused=tell_author,
        keeps=(PROPOSED, AUCTIONED, APPROVING),
        own=_proposal_told,
        heard=_proposal_told,
    ),
    Conduct(
        body=Ballot,
        judge=_judge_vote,
        act=_voted,
        refused=_refuse_vote,
        keeps=(VOTES,),
        own=_vote_told,
        heard=_vote_told,
    ),
    Conduct(
        body=GroupOutcome,
        judge=_judge_outcome,
        act=_decided,
        refused=_refuse_outcome,
        keeps=(OUTCOMES,),
        own=_outcome_told,
        heard=_outcome_told,
    ),
)
