"""An auctioneer's count of bids, and why a member does not vote for a count: pure functions of the bids heard."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.quorum.outcome import RevealedBid, best_bid
from settlement.records.auction import AuctionTally
from settlement.records.auctionterms import AuctionTerms, CountedBid


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardBid:
    """One bid as a node received it: hashes of BID and REVEAL, and the latest time of each arrival (UTC, ns)."""

    bidder: bytes
    bid: bytes
    bid_ns: int
    price: int | None = None
    nonce: bytes = b""
    reveal: bytes | None = None
    reveal_ns: int = 0


def count_bids(proposal: bytes, function: str, terms: AuctionTerms, heard: Collection[HeardBid]) -> AuctionTally:
    """Return the TALLY of the bids: in the order of their hashes, with the winner by the outcome function.

    Args: proposal: hash of the PROPOSAL. function: one of PRICE_FUNCTIONS.
    """
    bids = sorted(heard, key=lambda one: one.bid)
    award = best_bid(function, _revealed(bids), reserve=terms.reserve)
    return AuctionTally(
        proposal=proposal,
        bids=tuple(CountedBid(bid=one.bid, reveal=one.reveal) for one in bids),
        winner=award.winner if award is not None else None,
        price=award.price if award is not None else None,
    )


def _revealed(bids: Collection[HeardBid]) -> list[RevealedBid]:
    return [
        RevealedBid(bid=one.bid, bidder=one.bidder, price=one.price, nonce=one.nonce)
        for one in bids
        if one.price is not None and one.reveal is not None
    ]


def judge_count(
    body: AuctionTally, function: str, terms: AuctionTerms, heard: Mapping[bytes, HeardBid], *, settle_ns: int
) -> Refusal | None:
    """Refuse a TALLY that this node would have counted differently; `heard` are its bids, by the hash of the BID.

    A TALLY may leave out a bid or a reveal that came here less than `settle_ns` before its deadline, as the auctioneer
    may have received it too late.
    """
    counted = {one.bid: one.reveal for one in body.bids}
    for name in counted:
        if name not in heard:
            return refuse(Reason.TERMS, "tally.bid", name.hex()[:16], "a bid that was heard here in time")
    for name, reveal in counted.items():
        mine = heard[name]
        if reveal is not None and reveal != mine.reveal:
            found = mine.reveal.hex()[:16] if mine.reveal is not None else "none"
            return refuse(Reason.TERMS, "tally.reveal", reveal.hex()[:16], found)
        if reveal is None and mine.reveal is not None and mine.reveal_ns + settle_ns < terms.reveals_by_ns:
            return refuse(Reason.TERMS, "tally.reveal", "none", f"{mine.reveal.hex()[:16]}, heard here in time")
    for name, mine in sorted(heard.items()):
        if name not in counted and mine.bid_ns + settle_ns < terms.bids_by_ns:
            return refuse(Reason.TERMS, "tally.bids", f"{len(counted)} bids", f"{name.hex()[:16]} too, heard in time")
    due = best_bid(
        function, _revealed([heard[name] for name, shown in counted.items() if shown]), reserve=terms.reserve
    )
    said = None if body.winner is None else (body.winner, body.price)
    if said != (None if due is None else (due.winner, due.price)):
        winner = "nobody" if body.winner is None else f"{body.winner.hex()[:16]} at {body.price}"
        wanted = "nobody" if due is None else f"{due.winner.hex()[:16]} at {due.price}, by {function}"
        return refuse(Reason.PRICE, "tally.winner", winner, wanted)
    return None
