"""Handles a sealed-bid auction: bids, reveals, the tally that members vote on; and REQUESTs for what was auctioned.

Each node goes by its own clock: a bid counts if it surely came before the bids close; a reveal counts if it was signed
before the reveals close and came before the tally. A bidder that does not reveal owes its deposit.
"""

from dataclasses import dataclass

from settlement.chain.bodies import ClassTerms, Rule
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.core.fixes import deadline_open, time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.market.tiers import judge_eligible
from settlement.pair.terms import Deal, judge_terms
from settlement.quorum.count import HeardBid, judge_count
from settlement.quorum.decided import judge_award
from settlement.quorum.seals import judge_reveal
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.auctionterms import AuctionRule, AuctionTerms
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.decided import deal_asked, grounds_of
from settlement.records.conduct.quorum import contradicted, group_of, keep_both, proposal_of, tell_author
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.quorum import Proposal
from settlement.state.assembly import AUCTIONED, BIDS, OUTCOMES, REVEALS, TALLIES, Arrival, arrived
from settlement.state.nodestate import NodeState
from settlement.state.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionCase:
    """An auction: its PROPOSAL, its terms, the rule that it names, and that rule's terms for its class and auctions."""

    proposal: Record
    terms: AuctionTerms
    asked: AuctionRule
    rule: Rule
    classed: ClassTerms

    @property
    def name(self) -> bytes:
        """The hash of the PROPOSAL."""
        return self.proposal.digest

    @property
    def body(self) -> Proposal:
        """The body of the PROPOSAL."""
        found: Proposal = self.proposal.body
        return found


def auction_of(state: NodeState, name: bytes, clause: str) -> AuctionCase | Refusal:
    """Return the auction by the hash of its PROPOSAL; refusals: OUT_OF_ORDER if unknown here, TERMS by the rule."""
    record = proposal_of(state, name)
    terms: AuctionTerms | None = record.body.auction if record is not None else None
    if record is None or terms is None:
        return refuse(Reason.OUT_OF_ORDER, clause, name.hex()[:16], "an auction known here")
    rule = state.rules.known(record.body.rule)
    held = rule.rule.rule if rule is not None else state.rule.rule
    classed = held.terms(terms.commodity)
    if classed is None or classed.auction is None:
        return refuse(Reason.TERMS, clause, terms.commodity, "a class that the rule has auctions of")
    return AuctionCase(proposal=record, terms=terms, asked=classed.auction, rule=held, classed=classed)


def judge_bidder(state: NodeState, auction: AuctionCase, bidder: Subject) -> Refusal | None:
    """Refuse a bidder to whom the cell could not be granted at any price: if it won, the cell would stay unused.

    Its REQUEST is judged at its most modest: the strongest tier open to it, the EIRP it may use, the reserve as price,
    at the beginning of the window.
    """
    holder = state.registry.get(auction.proposal.frame.author)
    if holder is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "bid.auctioneer", auction.name.hex()[:16], "an admitted credential")
    cell, classed = auction.terms.cell, auction.classed
    strongest = max(holder.scope.tier, bidder.scope.tier)
    tiers = (tier for tier in range(strongest, 256) if judge_eligible(classed.tiers, tier, bidder.level) is None)
    deal = Deal(
        cell=cell,
        commodity=auction.terms.commodity,
        tier=next(tiers, strongest),
        eirp_mdbm=min(holder.scope.max_eirp_mdbm, bidder.scope.max_eirp_mdbm, classed.max_eirp_mdbm),
        price=auction.terms.reserve,
        earliest_ns=cell.window.start_ns,
        latest_ns=cell.window.start_ns,
    )
    return judge_terms(deal, auction.rule, holder=holder, user=bidder)


def judge_price(auction: AuctionCase, price: int) -> Refusal | None:
    """Refuse a price above what the class allows: nothing can be granted at it."""
    most = auction.classed.price_high
    return None if price <= most else refuse(Reason.PRICE, "reveal.price", price, f"<= {most}, the class's price_high")


def heard_bids(state: NodeState, name: bytes) -> dict[bytes, HeardBid]:
    """Return the bids of an auction that this node took, by the hash of the BID, with their reveals."""
    found = {}
    for key, raw in state.lineage.items_from(BIDS, name):
        bidder, came = key[len(name) :], Arrival.of(raw)
        shown = state.lineage.get(REVEALS, name + bidder)
        reveal = Arrival.of(shown) if shown is not None else None
        record = state.record_of(reveal.name) if reveal is not None else None
        found[came.name] = HeardBid(
            bidder=bidder,
            bid=came.name,
            bid_ns=came.at_ns,
            price=record.body.price if record is not None else None,
            nonce=record.body.nonce if record is not None else b"",
            reveal=reveal.name if reveal is not None else None,
            reveal_ns=reveal.at_ns if reveal is not None else 0,
        )
    return found


def pass_to_auctioneer(case: RecordCase, auction: AuctionCase) -> None:
    """Pass a bid or reveal on to the auctioneer, if this node is among the first f + 1 other members of the list.

    At least one of these is not faulty, so a bidder cannot keep its bid from the auctioneer and show it to the members.
    """
    group = group_of(case.state, auction.body.membership)
    auctioneer, me = auction.proposal.frame.author, case.state.identity.credential
    if group is None or auctioneer is None or auctioneer in (me, case.author.hash):
        return
    relays = [one.credential for one in group.members if one.credential not in (auctioneer, case.author.hash)]
    if me in relays[: group.faulty + 1]:
        case.step.pass_on(auctioneer, case.record.raw)


# -- bid ---------------------------------------------------------------------------------------------------------------


def _judge_bid(case: RecordCase) -> AuctionCase | Refusal:
    state, body = case.state, case.body
    auction = auction_of(state, body.proposal, "bid.proposal")
    if isinstance(auction, Refusal):
        return auction
    if case.author.hash == auction.proposal.frame.author:
        return refuse(Reason.TERMS, "bid.bidder", case.author.name, "anybody but the auctioneer")
    late = deadline_open(case.now, auction.terms.bids_by_ns, "bid.bids_by")
    if late is not None:
        return late
    if body.deposit != auction.terms.deposit:
        return refuse(Reason.PRICE, "bid.deposit", body.deposit, auction.terms.deposit)
    first = state.lineage.get(BIDS, body.proposal + case.author.hash)
    if first is not None:
        return contradicted(case, first[:32], "bid.once")
    barred = judge_bidder(state, auction, case.author)
    if barred is not None:
        return barred
    held = len(state.lineage.items_from(BIDS, body.proposal))
    if held >= auction.asked.bidders_max:
        return refuse(Reason.BUDGET, "bid.bidders", held, f"< {auction.asked.bidders_max}")
    return auction


def take_bid(step: Step, record: Record, bidder: bytes) -> None:
    """Store a bid with the time of its arrival."""
    step.put(BIDS, record.body.proposal + bidder, arrived(record.digest, step.now.time))


def _bid(case: RecordCase, auction: AuctionCase) -> None:
    take_bid(case.step, case.record, case.author.hash)
    case.step.event("bid", auction=auction.name, bidder=case.author.name)
    pass_to_auctioneer(case, auction)


def _refuse_bid(case: RecordCase, refusal: Refusal) -> None:
    keep_both(case, refusal, BIDS, case.body.proposal + case.author.hash)
    tell_author(case, refusal)


def _bid_told(told: Retelling, said: Said) -> None:
    told.rows[BIDS, said.body.proposal + said.author] = arrived(said.digest, said.arrived)


# -- reveal ------------------------------------------------------------------------------------------------------------


def _judge_reveal(case: RecordCase) -> AuctionCase | Refusal:
    state, body = case.state, case.body
    auction = auction_of(state, body.proposal, "reveal.proposal")
    if isinstance(auction, Refusal):
        return auction
    key = body.proposal + case.author.hash
    held = state.lineage.get(BIDS, key)
    bid = state.record_of(held[:32]) if held is not None else None
    if bid is None or bid.digest != body.bid:
        return refuse(Reason.OUT_OF_ORDER, "reveal.bid", body.bid.hex()[:16], "a BID of its author's that counts here")
    first = state.lineage.get(REVEALS, key)
    if first is not None:
        return contradicted(case, first[:32], "reveal.once")
    shown = judge_reveal(bid.body, case.author.hash, body) or judge_price(auction, body.price)
    return shown or _in_time(case, auction) or auction


def _in_time(case: RecordCase, auction: AuctionCase) -> Refusal | None:
    """Refuse a REVEAL before the bids have closed, signed after the reveals closed, or here after TALLY or vote."""
    terms, signed = auction.terms, case.record.frame.attestation
    if case.now.before(terms.bids_by_ns):
        return refuse(Reason.NOT_YET, "reveal.bids_by", f"at {case.now.latest_ns} ns", f"after {terms.bids_by_ns} ns")
    if signed.latest_ns >= terms.reveals_by_ns:
        measured = f"signed by {signed.latest_ns} ns"
        return refuse(Reason.EXPIRED, "reveal.reveals_by", measured, f"< {terms.reveals_by_ns} ns")
    if case.state.lineage.get(TALLIES, auction.name) is not None:
        return refuse(Reason.TIMEOUT, "reveal.tally", "after the TALLY", f"signed and here by {terms.reveals_by_ns} ns")
    return deadline_open(case.now, auction.body.vote_by_ns, "reveal.vote_by")


def take_reveal(step: Step, record: Record, bidder: bytes) -> None:
    """Store a reveal with the time of its arrival."""
    step.put(REVEALS, record.body.proposal + bidder, arrived(record.digest, step.now.time))


def _reveal(case: RecordCase, auction: AuctionCase) -> None:
    take_reveal(case.step, case.record, case.author.hash)
    case.step.event("revealed", auction=auction.name, bidder=case.author.name, price=case.body.price)
    pass_to_auctioneer(case, auction)


def _refuse_reveal(case: RecordCase, refusal: Refusal) -> None:
    keep_both(case, refusal, REVEALS, case.body.proposal + case.author.hash)
    tell_author(case, refusal)


def _reveal_told(told: Retelling, said: Said) -> None:
    told.rows[REVEALS, said.body.proposal + said.author] = arrived(said.digest, said.arrived)


# -- tally -------------------------------------------------------------------------------------------------------------


def _judge_tally(case: RecordCase) -> AuctionCase | Refusal:
    state, body = case.state, case.body
    auction = auction_of(state, body.proposal, "tally.proposal")
    if isinstance(auction, Refusal):
        return auction
    if case.author.hash != auction.proposal.frame.author:
        return refuse(Reason.TERMS, "tally.author", case.author.name, "the auctioneer")
    first = state.lineage.get(TALLIES, body.proposal)
    if first is not None:
        return contradicted(case, first, "tally.once")
    timed = time_inside(case.now, auction.terms.reveals_by_ns, auction.body.vote_by_ns, "tally.reveals_by")
    if timed is not None:
        return timed
    heard, settle_ns = heard_bids(state, auction.name), auction.asked.settle_ns
    return judge_count(body, auction.body.function, auction.terms, heard, settle_ns=settle_ns) or auction


def take_tally(step: Step, record: Record) -> None:
    """Store the TALLY of an auction."""
    step.put(TALLIES, record.body.proposal, record.digest)


def _tallied(case: RecordCase, auction: AuctionCase) -> None:
    take_tally(case.step, case.record)
    case.step.event("tallied", auction=auction.name, bids=len(case.body.bids), price=case.body.price)


def _refuse_tally(case: RecordCase, refusal: Refusal) -> None:
    keep_both(case, refusal, TALLIES, case.body.proposal)
    tell_author(case, refusal)


def _tally_told(told: Retelling, said: Said) -> None:
    told.rows[TALLIES, said.body.proposal] = said.digest


# -- what was auctioned ------------------------------------------------------------------------------------------------


def judge_auctioned(case: RecordCase) -> Refusal | None:
    """Refuse a REQUEST under an auctioned offer unless it is the winner's, for that cell, at the certified price."""
    state, body = case.state, case.body
    offer = state.holder.offers.get(body.declaration)
    if offer is None or offer.price_form != "auction":
        return None
    name = state.lineage.get(AUCTIONED, body.declaration)
    auction = auction_of(state, name or b"", "request.auction")
    if isinstance(auction, Refusal):
        return auction
    outcome = state.record_of(state.lineage.get(OUTCOMES, auction.name))
    if outcome is None:
        return refuse(Reason.QUORUM, "request.outcome", "no outcome yet", "one that the auction's members certified")
    terms = state.rule.rule.terms(body.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "request.class", body.commodity, "a class of the rule")
    return judge_award(
        deal_asked(state, case.record, case.now.earliest_ns), terms, grounds_of(state, (case.record.raw,))
    )


CONDUCT = (
    Conduct(body=Bid, judge=_judge_bid, act=_bid, refused=_refuse_bid, keeps=(BIDS,), own=_bid_told, heard=_bid_told),
    Conduct(
        body=Reveal,
        judge=_judge_reveal,
        act=_reveal,
        refused=_refuse_reveal,
        keeps=(REVEALS,),
        own=_reveal_told,
        heard=_reveal_told,
    ),
    Conduct(
        body=AuctionTally,
        judge=_judge_tally,
        act=_tallied,
        refused=_refuse_tally,
        keeps=(TALLIES,),
        own=_tally_told,
        heard=_tally_told,
    ),
)
