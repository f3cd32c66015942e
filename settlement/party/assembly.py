"""A node's own records in group decisions, signed at their time: bids, reveals, tally, its one vote, the outcome.

Each record depends only on durable state, so a restarted node makes the same. Each is signed once, in the step that
stores it, and is sent when that step is durable.
"""

from collections.abc import Sequence

from settlement.chain.codec import encode
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import OwnFaultError
from settlement.pair.table import HolderState, IllegalMoveError
from settlement.quorum.certificate import Certificate, Vote, vote
from settlement.quorum.count import count_bids
from settlement.quorum.group import choices, in_epoch, member_of, membership_of
from settlement.quorum.seals import commitment
from settlement.quorum.table import OVER, ProposalEvent, ProposalState
from settlement.quorum.votes import may_vote
from settlement.records.auction import NONCE, Bid, Reveal
from settlement.records.auctionterms import PRICE_FUNCTIONS, AuctionTerms
from settlement.records.conduct.approval import choice_on
from settlement.records.conduct.auction import (
    AuctionCase,
    auction_of,
    heard_bids,
    judge_bidder,
    judge_price,
    take_bid,
    take_reveal,
    take_tally,
)
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.proposal import judge_sold
from settlement.records.conduct.quorum import (
    group_of,
    judge_group,
    judge_outcome,
    proposal_of,
    take_outcome,
    take_proposal,
    take_vote,
)
from settlement.records.conduct.registry import answer_refused, decide
from settlement.records.conduct.withdrawal import forget_proposal, withdraw
from settlement.records.quorum import Ballot, GroupOutcome, MemberList, Proposal
from settlement.records.verdict import APPROVAL_WITHDRAWN, Verdict
from settlement.state.assembly import BIDS, MEMBERS, OUTCOMES, REVEALS, SEALED, TALLIES, VOTES, Arrival
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState
from settlement.state.step import REPLY, Step

PRICE_BYTES = 8
BESIDE_MAX = 64


def propose(state: NodeState, step: Step, body: Proposal) -> Record:
    """Sign a PROPOSAL to a list of members. Raises OwnFaultError where it is invalid or could not be decided."""
    group = judge_group(state, body, "proposal")
    refusal = group if isinstance(group, Refusal) else in_epoch(group, body.epoch, step.now.time, "proposal")
    refusal = refusal or judge_sold(state, body, state.identity.credential)
    if refusal is not None:
        raise OwnFaultError(str(refusal))
    record = step.sign(body)
    take_proposal(state, step, record)
    _to_all(state, step, record)
    return record


def seat_of_auctions(state: NodeState, commodity: str) -> tuple[bytes, MemberList] | Refusal:
    """Return the list of members that certifies a class's auctions now, with its record's hash; else a refusal."""
    classed = state.rule.rule.terms(commodity)
    if classed is None or classed.auction is None:
        return refuse(Reason.TERMS, "proposal.auction", commodity, "a class that the rule has auctions of")
    name = classed.auction.members
    held = state.lineage.get(MEMBERS, name.encode())
    group = group_of(state, held) if held is not None else None
    if group is None or held is None:
        return refuse(Reason.EPOCH, "proposal.members", name, "a list of members known here")
    return held, group


def open_auction(state: NodeState, step: Step, terms: AuctionTerms, function: str, vote_by_ns: int) -> Record:
    """Open an auction of one of this node's offers. Raises OwnFaultError where the rule or the members forbid it."""
    seat = seat_of_auctions(state, terms.commodity)
    if isinstance(seat, Refusal):
        raise OwnFaultError(str(seat))
    membership, group = seat
    body = Proposal(
        members=group.name,
        epoch=group.epoch,
        membership=membership,
        function=function,
        need=0,
        vote_by_ns=vote_by_ns,
        rule=state.rule.hash,
        auction=terms,
    )
    return propose(state, step, body)


def place_bid(state: NodeState, step: Step, name: bytes, price: int, *, reveal: bool = True) -> Record:
    """Bid in an auction: price and nonce stay stored here, and the commitment to them is sent to everyone.

    `reveal`: show the price in time; without it the deposit is lost. Raises OwnFaultError where this node cannot bid.
    """
    auction, me = auction_of(state, name, "bid.proposal"), state.identity.credential
    if isinstance(auction, Refusal):
        raise OwnFaultError(str(auction))
    if not step.now.time.before(auction.terms.bids_by_ns):
        late = refuse(Reason.EXPIRED, "bid.bids_by", f"at {step.now.time.latest_ns} ns", auction.terms.bids_by_ns)
        raise OwnFaultError(str(late))
    if state.lineage.get(BIDS, name + me) is not None:
        raise OwnFaultError(str(refuse(Reason.EQUIVOCATION, "bid.once", "a second bid", "one bid of a bidder")))
    own = state.registry.get(me)
    barred = (judge_bidder(state, auction, own) if own is not None else None) or judge_price(auction, price)
    if barred is not None:
        raise OwnFaultError(str(barred))
    nonce = step.random(NONCE)
    step.put(SEALED, name, price.to_bytes(PRICE_BYTES, "big") + nonce + bytes([reveal]))
    sealed = commitment(name, me, price, nonce)
    record = step.sign(Bid(proposal=name, commitment=sealed, deposit=auction.terms.deposit))
    take_bid(step, record, me)
    _to_all(state, step, record)
    step.event("bid placed", auction=name)
    return record


def tick(state: NodeState, step: Step) -> None:
    """Process the deadlines of every open proposal; delete those that can have no result any more."""
    for name in state.assembly.live:
        asked = proposal_of(state, name)
        if asked is not None:
            _go_on(state, step, asked)
    for name in state.assembly.over(step.now.time):
        forget_proposal(state, step, name)
    _withdraw(state, step)


def _withdraw(state: NodeState, step: Step) -> None:
    """As holder: tell the members of each approval that is not or no longer used, so that they free its cell.

    Its REQUEST was refused, its GRANT aborted, or its settlement ended before its window: no other is granted for it.
    """
    held_here = state.assembly
    own = [name for author in state.own_line for name in held_here.kept_of(author)]
    over = [name for name in own if name in held_here.approvals and held_here.states[name] in OVER]
    mine = [name for name in over if name not in held_here.withdrawn]
    pairs = {pair.request: pair for pair in state.holder.pairs.values()} if mine else {}
    for name in mine:
        asked = proposal_of(state, name)
        request = asked.body.subject if asked is not None else b""
        pair = pairs.get(request)
        held = pair is not None and (pair.live or not step.now.time.after(pair.busy_until_ns))
        if held or (pair is None and state.lineage.get(REPLY, request) is None):
            continue
        came = "refused" if pair is None else HolderState(pair.state).name.lower()
        said = Verdict(
            subject=name, reason=Reason.RELINQUISHED.value, clause=APPROVAL_WITHDRAWN, measured=came, required=""
        )
        record = step.sign(said)
        withdraw(state, step, name, record)
        _to_all(state, step, record)


def _go_on(state: NodeState, step: Step, asked: Record) -> None:
    body: Proposal = asked.body
    auction = auction_of(state, asked.digest, "proposal") if body.auction is not None else None
    while (event := _event(state, step, asked, auction)) is not None:
        moved = state.assembly.move(asked.digest, event)
        if isinstance(moved, Refusal):
            raise IllegalMoveError(str(moved))
        if moved is ProposalState.VOID:
            step.event("no outcome", proposal=asked.digest, function=body.function)
        if moved in OVER:
            _answer_request(state, step, asked)
    at = state.assembly.states[asked.digest]
    if isinstance(auction, AuctionCase):
        if at is ProposalState.REVEALING:
            _show(state, step, auction)
        if at is ProposalState.COUNTING:
            _count(state, step, auction)
    if at is ProposalState.VOTING:
        _vote(state, step, asked)
        _certify(state, step, asked)


def _event(state: NodeState, step: Step, asked: Record, auction: AuctionCase | Refusal | None) -> ProposalEvent | None:
    """Return the next event of a proposal that its deadlines or stored records cause; None where there is none."""
    now, name, at = step.now.time, asked.digest, state.assembly.states[asked.digest]
    if state.lineage.get(OUTCOMES, name) is not None and at is not ProposalState.DECIDED:
        return ProposalEvent.CERTIFIED
    if at in (ProposalState.DECIDED, ProposalState.VOID):
        return None
    if now.after(asked.body.vote_by_ns) or isinstance(auction, Refusal):
        return ProposalEvent.LAPSED
    if auction is None:
        return None
    terms, settle_ns = auction.terms, auction.asked.settle_ns
    if at is ProposalState.BIDDING and now.after(terms.bids_by_ns):
        return ProposalEvent.BIDS_CLOSED
    if at is ProposalState.REVEALING and now.after(terms.reveals_by_ns + settle_ns):
        return ProposalEvent.REVEALS_CLOSED
    if at is ProposalState.COUNTING and state.lineage.get(TALLIES, name) is not None:
        return ProposalEvent.TALLIED
    return None


def _show(state: NodeState, step: Step, auction: AuctionCase) -> None:
    """Reveal this node's own bid a margin after bidding ends, so that it has ended on the other nodes' clocks too."""
    me, name = state.identity.credential, auction.name
    held, sealed = state.lineage.get(BIDS, name + me), state.lineage.get(SEALED, name)
    now, terms = step.now.time, auction.terms
    margin_ns = min(auction.asked.settle_ns, (terms.reveals_by_ns - terms.bids_by_ns) // 4)
    waits = not now.after(terms.bids_by_ns + margin_ns) or not now.before(terms.reveals_by_ns)
    if held is None or sealed is None or waits or state.lineage.get(REVEALS, name + me) is not None:
        return
    price, nonce, wanted = sealed[:PRICE_BYTES], sealed[PRICE_BYTES:-1], bool(sealed[-1])
    if wanted:
        body = Reveal(proposal=name, bid=Arrival.of(held).name, price=int.from_bytes(price, "big"), nonce=nonce)
        record = step.sign(body)
        take_reveal(step, record, me)
        _to_all(state, step, record)


def _count(state: NodeState, step: Step, auction: AuctionCase) -> None:
    """As auctioneer: count the bids and send the TALLY with all bids and reveals beside it."""
    if auction.proposal.frame.author != state.identity.credential or state.lineage.get(TALLIES, auction.name):
        return
    body = count_bids(auction.name, auction.body.function, auction.terms, heard_bids(state, auction.name).values())
    record = step.sign(body)
    take_tally(step, record)
    named = [one for bid in body.bids for one in (bid.bid, bid.reveal) if one is not None]
    _to_all(state, step, record, named)
    state.assembly.move(auction.name, ProposalEvent.TALLIED)
    _vote(state, step, auction.proposal)


def _to_all(state: NodeState, step: Step, record: Record, beside: Sequence[bytes] = ()) -> None:
    for neighbour in state.witness.neighbours():
        if beside:
            step.send_beside(neighbour.hash, record.digest, tuple(beside[:BESIDE_MAX]))
        else:
            step.pass_on(neighbour.hash, record.raw)


# -- voting ------------------------------------------------------------------------------------------------------------


def _choice(state: NodeState, step: Step, asked: Record) -> bytes | None:
    """Return this node's vote: the TALLY that it found right; for or against a REQUEST by its own knowledge."""
    if asked.body.function in PRICE_FUNCTIONS:
        return state.lineage.get(TALLIES, asked.digest)
    now = step.now.time
    return choice_on(state, asked, now.earliest_ns, now.latest_ns)


def _vote(state: NodeState, step: Step, asked: Record) -> None:
    """Sign this node's one vote, where it is a member and has not voted."""
    group, me = group_of(state, asked.body.membership), state.identity.credential
    if group is None or member_of(group, me) is None or state.lineage.get(VOTES, asked.digest + me) is not None:
        return
    chosen = _choice(state, step, asked)
    if chosen is not None:
        cast_vote(state, step, asked, group, chosen)


def cast_vote(state: NodeState, step: Step, asked: Record, group: MemberList, choice: bytes) -> Record | Refusal:
    """Vote once: the vote is stored in the step that signs it, and a second for the same proposal is refused."""
    me = state.identity.credential
    before = state.record_of(state.lineage.get(VOTES, asked.digest + me))
    refusal = may_vote(before.body.choice if before is not None else None, choice)
    refusal = refusal or in_epoch(group, asked.body.epoch, step.now.time, "vote")
    if refusal is not None:
        return refusal
    signed = vote(state.identity.key, membership_of(state.registry.network, group), choice)
    body = Ballot(proposal=asked.digest, epoch=group.epoch, choice=choice, signature=signed.signature)
    record = step.sign(body)
    take_vote(step, record, me)
    _to_all(state, step, record)
    step.event("voted", proposal=asked.digest)
    return record


def _certify(state: NodeState, step: Step, asked: Record) -> None:
    """As proposer: once enough members voted for one choice, sign the OUTCOME with their votes."""
    group = group_of(state, asked.body.membership)
    if group is None or asked.frame.author != state.identity.credential:
        return
    held = {key[len(asked.digest) :]: name for key, name in state.lineage.items_from(VOTES, asked.digest)}
    records = {member: record for member, name in held.items() if (record := state.record_of(name)) is not None}
    votes = {member: record.body.choice for member, record in records.items()}
    for choice, members in choices(votes).items():
        body = _outcome(state, asked, group, choice, [records[one] for one in members])
        if isinstance(judge_outcome(state, body), Refusal):
            continue
        record = step.sign(body)
        take_outcome(state, step, record)
        _answer_request(state, step, asked)
        beside = [choice] if body.tally is not None else []
        _to_all(state, step, record, [*beside, *(records[one].digest for one in members)])
        return


def _answer_request(state: NodeState, step: Step, asked: Record) -> None:
    """As holder: grant a REQUEST that its members approved, once, where it still passes all checks; else refuse it."""
    subject = asked.body.subject
    admitted = state.admitted_of(subject) if subject is not None else None
    mine = asked.frame.author == state.identity.credential
    if admitted is None or not mine or state.lineage.get(REPLY, admitted.record.digest) is not None:
        return
    message = Message(record=admitted.record.raw)
    case = RecordCase(state=state, step=step, admitted=admitted, message=message)
    decision = decide(case)
    if isinstance(decision, Refusal):
        answer_refused(case, decision)
        return
    step.answering(admitted.record.digest)
    decision.act()
    step.answering(None)


def _outcome(
    state: NodeState, asked: Record, group: MemberList, choice: bytes, votes: Sequence[Record]
) -> GroupOutcome:
    membership = membership_of(state.registry.network, group)
    keys = {one.credential: one.key for one in group.members}
    certificate = Certificate(
        epoch=group.epoch,
        membership=membership.name,
        subject=choice,
        votes=tuple(
            Vote(member=keys[one.frame.author or b""], epoch=one.body.epoch, signature=one.body.signature)
            for one in votes
        ),
    )
    tally = state.record_of(choice) if asked.body.function in PRICE_FUNCTIONS else None
    return GroupOutcome(
        proposal=asked.digest,
        epoch=group.epoch,
        choice=choice,
        certificate=encode(certificate),
        tally=choice if tally is not None else None,
        winner=tally.body.winner if tally is not None else None,
        price=tally.body.price if tally is not None else None,
    )
