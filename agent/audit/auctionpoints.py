"""Tables of group decisions from signed records: auctions, and REQUESTs approved before a GRANT."""

from collections.abc import Callable
from typing import Any

from settlement.chain.records import Record
from settlement.quorum.outcome import approving
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.market import Request
from settlement.records.quorum import Ballot, GroupOutcome, Proposal

Named = Callable[[bytes], str]


def auctions_shown(name: Named, found: list[Record], grants: list[Record]) -> list[dict[str, Any]]:
    """Return one row for each auction.

    Args: name: returns a credential's name. found: all records. grants: the confirmed GRANTs.
    """
    return [
        _shown(name, record, found, grants)
        for record in sorted(found, key=lambda r: r.frame.attestation.earliest_ns)
        if isinstance(record.body, Proposal) and record.body.auction is not None
    ]


def _shown(name: Named, asked: Record, found: list[Record], grants: list[Record]) -> dict[str, Any]:
    of = [r for r in found if getattr(r.body, "proposal", None) == asked.digest]
    outcomes = [r for r in of if isinstance(r.body, GroupOutcome)]
    outcome = outcomes[0].body if outcomes else None
    reveals = {r.body.bid: r.body for r in of if isinstance(r.body, Reveal)}
    counted = {one.bid for r in of if isinstance(r.body, AuctionTally) for one in r.body.bids}
    terms = asked.body.auction
    sold = {r.digest for r in found if isinstance(r.body, Request) and r.body.declaration == terms.declaration}
    settled = [r for r in grants if r.body.request in sold]
    return {
        "auction": asked.digest.hex(),
        "by": name(asked.frame.author or b""),
        "function": asked.body.function,
        "low_hz": terms.cell.band.low_hz,
        "high_hz": terms.cell.band.high_hz,
        "reserve": terms.reserve,
        "bids": [
            {
                "bidder": name(r.frame.author or b""),
                "price": reveals[r.digest].price if r.digest in reveals else None,
                "counted": r.digest in counted,
                "deposit_lost": 0 if r.digest in reveals else r.body.deposit,
            }
            for r in of
            if isinstance(r.body, Bid)
        ],
        "votes": sorted(name(r.frame.author or b"") for r in of if isinstance(r.body, Ballot)),
        "outcomes": len({r.body.choice for r in outcomes}),
        "winner": name(outcome.winner) if outcome is not None and outcome.winner is not None else None,
        "price": outcome.price if outcome is not None else None,
        "settled": [{"user": name(r.body.user), "price": r.body.price} for r in settled],
    }


def approvals_shown(name: Named, found: list[Record], grants: list[Record]) -> list[dict[str, Any]]:
    """Return one row for each REQUEST that its holder put to members: the votes, and whether it was granted."""
    return [
        _approval(name, record, found, grants)
        for record in sorted(found, key=lambda r: r.frame.attestation.earliest_ns)
        if isinstance(record.body, Proposal) and record.body.approval is not None
    ]


def _approval(name: Named, asked: Record, found: list[Record], grants: list[Record]) -> dict[str, Any]:
    votes = [r for r in found if isinstance(r.body, Ballot) and r.body.proposal == asked.digest]
    outcomes = {r.digest for r in found if isinstance(r.body, GroupOutcome) and r.body.proposal == asked.digest}
    terms, yes = asked.body.approval, approving(asked.digest)
    return {
        "by": name(asked.frame.author or b""),
        "user": name(terms.user),
        "low_hz": terms.cell.band.low_hz,
        "high_hz": terms.cell.band.high_hz,
        "function": asked.body.function,
        "for": sorted(name(r.frame.author or b"") for r in votes if r.body.choice == yes),
        "against": sorted(name(r.frame.author or b"") for r in votes if r.body.choice != yes),
        "outcomes": len(outcomes),
        "granted": any(r.body.approval in outcomes and r.body.request == asked.body.subject for r in grants),
    }
