"""Invariants of group decisions as pure functions: each returns "" where it holds, else what breaks it.

Q1  one outcome of a proposal, one vote of a member    q1_one_outcome, q1_one_vote    at every OUTCOME and BALLOT
Q2  an auctioned cell goes to the certified winner,    q2_certified_price             at every GRANT
    at the certified price
Q3  a counted bid that was not shown owes its deposit, q3_deposits                    at the end, from all logs
    and no other does
Q4  nothing is granted without the votes its rule      q4_approved                    at every GRANT
    asks for, over that very REQUEST
"""

from collections.abc import Iterable, Mapping
from typing import Any

from settlement.quorum.outcome import approving
from settlement.records.auction import AuctionTally, Bid
from settlement.records.grant import Grant
from settlement.records.quorum import Ballot, GroupOutcome, Proposal


def q1_one_outcome(outcome: GroupOutcome, others: Iterable[GroupOutcome]) -> str:
    """All OUTCOMEs of one proposal, in any log, certify the same result."""
    choices = {one.choice for one in others if one.proposal == outcome.proposal} | {outcome.choice}
    return f"{len(choices)} outcomes of {outcome.proposal.hex()[:8]}" if len(choices) > 1 else ""


def q1_one_vote(ballots: Iterable[bytes]) -> str:
    """A member signs one BALLOT per proposal. Args: the hashes of one member's ballots on one proposal."""
    count = len(set(ballots))
    return f"{count} votes of one member" if count > 1 else ""


def q2_certified_price(grant: Grant, asked: Proposal | None, outcome: GroupOutcome | None) -> str:
    """An auctioned cell is granted only to the winner, at its price. Args: the auction of the GRANT's offer."""
    if asked is None or asked.auction is None:
        return ""
    if outcome is None or grant.award is None:
        return "granted what was auctioned without an outcome"
    if (grant.user, grant.price) != (outcome.winner, outcome.price) or grant.cell != asked.auction.cell:
        return f"granted at {grant.price}; the outcome says {outcome.price}, or another winner or cell"
    return ""


def q3_deposits(owed: Mapping[str, int], records: Mapping[bytes, Any], names: Mapping[bytes, str]) -> str:
    """An invoice names exactly the deposits of bids that certified TALLYs counted without a REVEAL.

    Args: owed: by the bidder's name. records: (author, body) of all durable records, by hash. names: by credential.
    """
    due: dict[str, int] = {}
    certified = {body.tally for _, body in records.values() if isinstance(body, GroupOutcome) and body.tally}
    for name in certified:
        _, tally = records.get(name, (b"", None))
        for counted in tally.bids if isinstance(tally, AuctionTally) else ():
            author, bid = records.get(counted.bid, (b"", None))
            if counted.reveal is None and isinstance(bid, Bid):
                due[names[author]] = due.get(names[author], 0) + bid.deposit
    return "" if dict(owed) == due else f"deposits {dict(owed)} on the invoice, {due} by the TALLYs"


def q4_approved(
    grant: Grant, need: int, asked: Mapping[bytes, Proposal], ballots: Iterable[tuple[bytes, Ballot]]
) -> str:
    """As many different members as the rule asks for voted for the REQUEST before it was granted.

    Args: asked: PROPOSALs by hash. ballots: those in the holder's log, with their authors.
    """
    about = {name for name, body in asked.items() if body.subject == grant.request}
    yes = {who for who, body in ballots if body.proposal in about and body.choice == approving(body.proposal)}
    return "" if len(yes) >= need else f"granted with {len(yes)} votes of {need}"
