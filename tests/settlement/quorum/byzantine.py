"""Seeded runs of one auction in which some members are silent, equivocate, or lie, and their outcome.

Honest members decide by the product's own pure parts: what they heard (`judge_count`), one vote each (`may_vote`),
whose certificate holds (`certificate.verify`). The network loses, doubles and reorders. Faulty members are one
adversary with all their keys: the auctioneer, where it is one, signs a tally for every taste; each signs any choice it
has heard of; all votes seen anywhere are put together to any certificate that they make. In every third run the
adversary is at its worst: all of it says two things, the auctioneer is part of it, and it shows each honest member one
of two tallies that are both in order.
"""

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from random import Random

from settlement.chain.codec import encode
from settlement.chain.keys import SigningKey
from settlement.chain.scope import Cell, Window
from settlement.core.reasons import Refusal
from settlement.quorum import certificate
from settlement.quorum.certificate import Certificate, Membership, Vote
from settlement.quorum.count import HeardBid, count_bids, judge_count
from settlement.quorum.group import membership_of
from settlement.quorum.votes import may_vote
from settlement.records.auction import AuctionTally
from settlement.records.auctionterms import SECOND_PRICE, AuctionTerms
from settlement.records.quorum import GroupMember, MemberList
from tests.settlement.quorum.auctions import AUCTIONS, at
from tests.settlement.world import AREA, LOWER, seed

NETWORK = "byzantine"
TERMS = AuctionTerms(
    declaration=seed("offer"),
    cell=Cell(band=LOWER, area=AREA, window=Window(start_ns=at(7), end_ns=at(12))),
    commodity="cbrs",
    reserve=10,
    deposit=5,
    bids_by_ns=at(2),
    reveals_by_ns=at(4),
)
PROPOSAL = seed("proposal")
BIDDERS = ("ada", "bert", "cara")
BEHAVIOURS = ("silent", "says two things", "lies")


@lru_cache
def key_of(number: int) -> SigningKey:
    return SigningKey.from_seed(seed(f"byzantine-{number}"))


@lru_cache
def group_of(faulty: int, members: int) -> MemberList:
    named = tuple(
        GroupMember(role="witness", credential=seed(f"member-{n}"), key=key_of(n).public, weight=1)
        for n in range(members)
    )
    return MemberList(
        name="notaries", epoch=1, effective=Window(start_ns=at(-60), end_ns=at(600)), faulty=faulty, members=named
    )


@dataclass
class Honest:
    """An honest member: the messages it received, and its vote, stored before it is sent."""

    number: int
    heard: dict[bytes, HeardBid]
    once: bool = True
    kept: list[bytes] = field(default_factory=list)

    def decide(self, tally: AuctionTally) -> bytes | None:
        """The choice it votes for; None where it does not vote."""
        choice = name_of(tally)
        if judge_count(tally, SECOND_PRICE, TERMS, self.heard, settle_ns=AUCTIONS.settle_ns) is not None:
            return None
        if self.once and isinstance(may_vote(self.kept[0] if self.kept else None, choice), Refusal):
            return None
        self.kept.append(choice)
        return choice


@dataclass(frozen=True)
class Came:
    """The result of a run: certified choices, choices that every honest member could see, double voters."""

    certified: frozenset[bytes]
    double: frozenset[bytes]
    finished: bool


def name_of(tally: AuctionTally) -> bytes:
    return hashlib.sha256(encode(tally)).digest()


def bids_of(rng: Random) -> dict[bytes, HeardBid]:
    found = {}
    for bidder in BIDDERS:
        price, shown = rng.randrange(5, 60), rng.random() < 0.8
        bid = seed(f"bid-{bidder}-{price}")
        found[bid] = HeardBid(
            bidder=seed(bidder),
            bid=bid,
            bid_ns=at(rng.choice((1.0, 1.0, 1.95))),
            price=price if shown else None,
            nonce=seed(f"nonce-{bidder}")[:16] if shown else b"",
            reveal=seed(f"reveal-{bid.hex()}") if shown else None,
            reveal_ns=at(rng.choice((3.0, 3.95))),
        )
    return found


def heard_by(rng: Random, bids: dict[bytes, HeardBid], loss: float) -> dict[bytes, HeardBid]:
    """The bids that one member received: a bid or a reveal may be lost."""
    found = {name: one for name, one in bids.items() if rng.random() >= loss}
    return {
        name: replace(one, price=None, reveal=None, nonce=b"") if rng.random() < loss else one
        for name, one in found.items()
    }


def tallies_of(rng: Random, bids: dict[bytes, HeardBid], *, honest: bool) -> list[AuctionTally]:
    """The single count of an honest auctioneer; else many counts: of any part of the bids, and false ones."""
    whole = count_bids(PROPOSAL, SECOND_PRICE, TERMS, bids.values())
    if honest:
        return [whole]
    parts = [p for size in range(len(bids) + 1) for p in combinations(sorted(bids), size)]
    tallies = [count_bids(PROPOSAL, SECOND_PRICE, TERMS, [bids[name] for name in part]) for part in parts]
    lie = replace(whole, winner=seed(rng.choice(BIDDERS)), price=rng.randrange(100))
    return [*rng.sample(tallies, min(len(tallies), 4)), whole, lie]


def run(number: int, *, faulty: int, bad: int | None = None, once: bool = True, silent: bool = False) -> Came:
    """One run with N = 3 f + 1 members of which `bad` (f where not said) are faulty; member 0 is the auctioneer.

    `silent`: they say nothing, the auctioneer is not one of them, and nothing is lost.
    """
    rng, count = Random(f"byzantine/{faulty}/{bad}/{number}"), 3 * faulty + 1
    worst, bad = number % 3 == 0 and not silent, faulty if bad is None else bad
    broken = {0, *rng.sample(range(1, count), bad - 1)} if worst else set(rng.sample(range(silent, count), bad))
    behaviour = {n: "silent" if silent else "says two things" if worst else rng.choice(BEHAVIOURS) for n in broken}
    group, loss = group_of(faulty, count), 0.0 if silent or worst else rng.choice((0.0, 0.0, 0.15))
    membership, bids = membership_of(NETWORK, group), bids_of(rng)
    if behaviour.get(0) == "silent":
        return Came(frozenset(), frozenset(), finished=False)
    tallies = tallies_of(rng, bids, honest=0 not in broken)
    honest = {n: Honest(n, heard_by(rng, bids, loss), once=once) for n in range(count) if n not in broken}
    if worst:
        tallies, bids = _both_in_order(bids)
        honest = {n: Honest(n, dict(bids), once=once) for n in honest}
    cast = _cast(rng, honest, tallies, one_each=worst, sure=silent)
    votes: dict[bytes, list[Vote]] = {}
    signed: dict[bytes, set[bytes]] = {}
    for n in range(count):
        for choice in _choices(n, behaviour, cast, tallies):
            one = certificate.vote(key_of(n), membership, choice)
            votes.setdefault(choice, []).extend([one] * rng.choice((1, 1, 2)))
            signed.setdefault(one.member, set()).add(choice)
    certified = frozenset(choice for choice, some in votes.items() if _certified(rng, membership, choice, some))
    double = frozenset(member for member, choices in signed.items() if len(choices) > 1)
    return Came(certified, double, finished=bool(certified))


def _both_in_order(bids: dict[bytes, HeardBid]) -> tuple[list[AuctionTally], dict[bytes, HeardBid]]:
    """Two tallies that every honest member would vote for: one late bid may be left out."""
    (late, *rest), held = sorted(bids), dict(bids)
    held[late] = replace(held[late], bid_ns=at(1.95))
    parts = ([held[one] for one in rest], list(held.values()))
    return [count_bids(PROPOSAL, SECOND_PRICE, TERMS, part) for part in parts], held


def _cast(
    rng: Random, honest: dict[int, Honest], tallies: list[AuctionTally], *, one_each: bool, sure: bool
) -> dict[int, list[bytes]]:
    """The votes of honest members: tallies reach each in a different order, some twice, some never.

    With `one_each` the adversary has each hear one of them first, as many the one as the other.
    """
    cast = {}
    for place, (n, member) in enumerate(honest.items()):
        order = [one for one in rng.sample(tallies, len(tallies)) if sure or rng.random() < 0.9]
        order = [tallies[place % 2], tallies[(place + 1) % 2]] if one_each else order
        order += rng.sample(order, min(len(order), rng.choice((0, 1))))
        cast[n] = [choice for one in order if (choice := member.decide(one)) is not None]
    return cast


def _choices(
    n: int, behaviour: dict[int, str], cast: dict[int, list[bytes]], tallies: list[AuctionTally]
) -> list[bytes]:
    match behaviour.get(n):
        case None:
            return cast[n]
        case "silent":
            return []
        case "lies":
            return [seed("a tally that nobody made"), name_of(tallies[-1])]
        case _:
            return [name_of(one) for one in tallies]


def _certified(rng: Random, membership: Membership, choice: bytes, votes: list[Vote]) -> bool:
    """Whether any combination of these votes convinces a verifier, with repeated and unknown voters too."""
    distinct = tuple({one.member: one for one in votes}.values())
    stranger = certificate.vote(key_of(1000), membership, choice)
    tried = [distinct, tuple(votes[:64]), (*distinct, stranger), (*distinct, rng.choice(votes))]
    held = [_holds(membership, choice, some) for some in tried]
    assert not held[2], "a stranger's vote was counted"
    assert not held[3], "one vote was counted twice"
    return any(held)


def _holds(membership: Membership, choice: bytes, votes: tuple[Vote, ...]) -> bool:
    made = Certificate(epoch=1, membership=membership.name, subject=choice, votes=votes)
    return isinstance(certificate.verify(encode(made), membership, choice), Certificate)
