"""Outcome functions: the result of a proposal from its votes or bids. Pure.

unanimous      every member approves
k of n         at least `need` members approve
weighted       the members that approve weigh at least `need` together, which must exceed half of the sum of all weights
               and the f heaviest
first price    the highest bid that is not below the reserve wins, at its own price
second price   the same bid wins, at the price of the next bid, or at the reserve where there is none

Each also needs a quorum of distinct keys (`settlement.quorum.group`). The order of equal bids follows from the nonces
of all revealed bids: each nonce was fixed by its BID before any other could be read, so no bidder can choose the order.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.quorum.group import quorum_of, weight_of
from settlement.records.auctionterms import FIRST_PRICE, K_OF_N, UNANIMOUS, WEIGHTED
from settlement.records.quorum import MemberList

_APPROVE: Final = b"bandpact/1/approve"
_REJECT: Final = b"bandpact/1/reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealedBid:
    """A bid that was revealed in time: the hash of its BID, the bidder's credential, its price and its nonce."""

    bid: bytes
    bidder: bytes
    price: int
    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """The winner of an auction, by its credential, and the price it pays."""

    bid: bytes
    winner: bytes
    price: int


def best_bid(function: str, bids: Iterable[RevealedBid], *, reserve: int) -> Award | None:
    """Return the winner by first or second price; None where no bid reaches the reserve."""
    shown = sorted(bids, key=lambda one: one.bid)
    lot = hashlib.sha256(b"".join(one.nonce for one in shown)).digest()
    drawn = {one.bid: hashlib.sha256(lot + one.bid).digest() for one in shown}
    fit = sorted((one for one in shown if one.price >= reserve), key=lambda one: (-one.price, drawn[one.bid]))
    if not fit:
        return None
    first = fit[0]
    next_price = fit[1].price if len(fit) > 1 else reserve
    price = first.price if function == FIRST_PRICE else next_price
    return Award(bid=first.bid, winner=first.bidder, price=price)


def least_need(function: str, group: MemberList) -> int:
    """Return the least `need` with which an outcome function cannot reach two outcomes of one proposal."""
    if function == WEIGHTED:
        weights = sorted((one.weight for one in group.members), reverse=True)
        return (sum(weights) + sum(weights[: group.faulty])) // 2 + 1
    return quorum_of(len(group.members), group.faulty)


def judge_need(function: str, need: int, group: MemberList) -> Refusal | None:
    """Refuse a `need` that all members together cannot reach, or that would allow two different outcomes."""
    if function not in (K_OF_N, WEIGHTED):
        return None
    weights = [one.weight for one in group.members]
    most = sum(weights) if function == WEIGHTED else len(weights)
    least = least_need(function, group)
    if least <= need <= most:
        return None
    return refuse(Reason.QUORUM, "proposal.need", need, f"{least}-{most}, by {function}")


def judge_approval(function: str, need: int, group: MemberList, yes: Collection[bytes]) -> Refusal | None:
    """Return None where the approving members (`yes`, by credential) are enough; else QUORUM with both numbers."""
    known = {one.credential for one in group.members} & set(yes)
    quorum = quorum_of(len(group.members), group.faulty)
    if len(known) < quorum:
        return refuse(Reason.QUORUM, "outcome.votes", f"{len(known)} members", f">= {quorum}")
    found, wanted = len(known), {UNANIMOUS: len(group.members), K_OF_N: max(quorum, need)}.get(function, quorum)
    if function == WEIGHTED:
        found, wanted = weight_of(group, known), need
    if found < wanted:
        return refuse(Reason.QUORUM, f"outcome.{function}", found, f">= {wanted}")
    return None


def approving(proposal: bytes) -> bytes:
    """Return the choice that a vote for a proposal names."""
    return hashlib.sha256(_APPROVE + proposal).digest()


def rejecting(proposal: bytes) -> bytes:
    """Return the choice that a vote against a proposal names."""
    return hashlib.sha256(_REJECT + proposal).digest()
