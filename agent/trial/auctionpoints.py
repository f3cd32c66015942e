"""What auctions of a trial came to, from signed records alone: every bid, what was shown, winner, price, votes."""

from typing import Any

from agent.trial.collect import Collected
from settlement.chain.records import Record
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.market import Request
from settlement.records.quorum import Ballot, GroupOutcome, Proposal


def auctions_shown(c: Collected, found: list[Record], grants: list[Record]) -> list[dict[str, Any]]:
    """One row for each auction; `found` are all records of the trial, `grants` the GRANTs that were confirmed."""
    return [
        _shown(c, record, found, grants)
        for record in sorted(found, key=lambda r: r.frame.attestation.earliest_ns)
        if isinstance(record.body, Proposal) and record.body.auction is not None
    ]


def _shown(c: Collected, asked: Record, found: list[Record], grants: list[Record]) -> dict[str, Any]:
    of = [r for r in found if getattr(r.body, "proposal", None) == asked.digest]
    outcomes = [r for r in of if isinstance(r.body, GroupOutcome)]
    outcome = outcomes[0].body if outcomes else None
    reveals = {r.body.bid: r.body for r in of if isinstance(r.body, Reveal)}
    counted = {one.bid for r in of if isinstance(r.body, AuctionTally) for one in r.body.bids}
    terms, requests = asked.body.auction, {r.digest: r for r in found if isinstance(r.body, Request)}
    settled = [r for r in grants if requests[r.body.request].body.declaration == terms.declaration]
    return {
        "auction": asked.digest.hex(),
        "by": c.name_of(asked.frame.author or b""),
        "function": asked.body.function,
        "low_hz": terms.cell.band.low_hz,
        "high_hz": terms.cell.band.high_hz,
        "reserve": terms.reserve,
        "bids": [
            {
                "bidder": c.name_of(r.frame.author or b""),
                "price": reveals[r.digest].price if r.digest in reveals else None,
                "counted": r.digest in counted,
                "deposit_lost": 0 if r.digest in reveals else r.body.deposit,
            }
            for r in of
            if isinstance(r.body, Bid)
        ],
        "votes": sorted(c.name_of(r.frame.author or b"") for r in of if isinstance(r.body, Ballot)),
        "outcomes": len({r.body.choice for r in outcomes}),
        "winner": c.name_of(outcome.winner) if outcome is not None and outcome.winner is not None else None,
        "price": outcome.price if outcome is not None else None,
        "settled": [{"user": c.name_of(r.body.user), "price": r.body.price} for r in settled],
    }
