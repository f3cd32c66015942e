"""Outcome functions: the result of a proposal from its votes or bids. Pure.

unanimous      every member approves
k of n         at least `need` members approve
weighted       members of at least `need` weight together approve, and more than half of what all weigh and the
               heaviest f of them do
first price    the highest bid that is not below the reserve gets it, at its own price
second price   the same bid gets it, at the price of the next, or the reserve where there is none

Each takes a quorum of distinct keys besides (`settlement.quorum.group`). Which of equal bids comes first follows from
the nonces of all that were shown: each was fixed by its BID before any other could be read, so nobody can choose it.
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
    """A bid that was shown in time: the hash of its record, who made it, and its price."""

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
    """The winner by first or second price; None where no bid reaches the reserve."""
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
    """The least `need` with which two outcomes of one proposal cannot both be reached by an outcome function."""
    if function == WEIGHTED:
        weights = sorted((one.weight for one in group.members), reverse=True)
        return (sum(weights) + sum(weights[: group.faulty])) // 2 + 1
    return quorum_of(len(group.members), group.faulty)


def judge_need(function: str, need: int, group: MemberList) -> Refusal | None:
    """Can this many decide, and can no second group of so many decide otherwise?"""
    if function not in (K_OF_N, WEIGHTED):
        return None
    weights = [one.weight for one in group.members]
    most = sum(weights) if function == WEIGHTED else len(weights)
    least = least_need(function, group)
    if least <= need <= most:
        return None
    return refuse(Reason.QUORUM, "proposal.need", need, f"{least}-{most}, by {function}")


def judge_approval(function: str, need: int, group: MemberList, yes: Collection[bytes]) -> Refusal | None:
    """None where those who approve, by their credentials, are enough; else how many there are and how many it takes."""
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
