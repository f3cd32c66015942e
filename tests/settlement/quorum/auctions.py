"""A small world with auctions: a holder, bidders, a regulator, and a list of members that certifies."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from settlement.chain import bodies
from settlement.chain.scope import Cell, Window
from settlement.party import assembly
from settlement.records.auctionterms import SECOND_PRICE, AuctionRule, AuctionTerms
from settlement.records.quorum import GroupMember, MemberList
from settlement.state.messages import Message
from settlement.state.step import Step
from tests.settlement.world import AREA, HOLDER_ACTIONS, LOWER, NS, RULE, T0, TERMS, USER_ACTIONS, World, fix, seed

AUCTIONS = AuctionRule(
    members="notaries",
    functions=("first price", "second price"),
    bids_ns_min=NS,
    reveals_ns_min=NS,
    settle_ns=NS // 5,
    deposit_min=5,
    bidders_max=8,
)
MARKET = replace(RULE, classes=(replace(TERMS, auction=AUCTIONS),))
BIDDERS = ("ada", "bert", "cara", "dora")
BIDS_BY, REVEALS_BY, VOTE_BY, START, END = 2.0, 4.0, 6.0, 7.0, 12.0
TICKS = (0.2, 1.0, 2.05, 2.3, 3.0, 4.05, 4.3, 4.4, 4.5)


def at(seconds: float) -> int:
    return T0 + round(seconds * NS)


class AuctionWorld(World):
    """A world whose members are named by an authority."""

    def __init__(
        self,
        folder: Path,
        *,
        members: tuple[str, ...] = ("holder", "ada", "bert", "reg"),
        faulty: int = 1,
        rule: bodies.Rule = MARKET,
    ) -> None:
        super().__init__(folder, rule=rule)
        bidders = dict.fromkeys(BIDDERS, USER_ACTIONS)
        self.enrol(holder=HOLDER_ACTIONS, reg=("observe",), **bidders)
        self.named, self.faulty = members, faulty
        self.tell(self.members_list(), 0.0)

    def members_list(self, epoch: int = 1, **changes: Any) -> MemberList:
        members = tuple(
            GroupMember(
                role="holder" if name == "holder" else "regulator" if name == "reg" else "bidder",
                credential=self.members[name].hash,
                key=self.members[name].key.public,
                weight=1,
            )
            for name in self.named
        )
        window = Window(start_ns=at(-60), end_ns=at(600))
        base = MemberList(name="notaries", epoch=epoch, effective=window, faulty=self.faulty, members=members)
        return replace(base, **changes)

    def tell(self, body: Any, at_s: float) -> None:
        """Everybody hears an authority's word."""
        raw = self.by_authority(body, at_s)
        for name, member in self.members.items():
            data = Message(record=raw).encoded()
            self.do(name, at_s, partial(member.party.receive, data=data, transport_key=member.transport))
            member.outgoing.clear()

    def declare(self, at_s: float = 0.1, reserve: int = 10) -> bytes:
        party = self.members["holder"].party
        body = bodies.Declaration(
            cell=Cell(band=LOWER, area=AREA, window=Window(start_ns=at(0), end_ns=at(300))),
            commodity="cbrs",
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=30_000,
            price_form="auction",
            price=reserve,
            rule=party.rule.hash,
        )

        def act(step: Step) -> bytes:
            record = party.holder.declare(step, body)
            for neighbour in party.witness.neighbours():
                step.pass_on(neighbour.hash, record.raw)
            return record.digest

        digest: bytes = self.do("holder", at_s, act)
        return digest

    def terms(self, declaration: bytes, **changes: Any) -> AuctionTerms:
        base = AuctionTerms(
            declaration=declaration,
            cell=Cell(band=LOWER, area=AREA, window=Window(start_ns=at(START), end_ns=at(END))),
            commodity="cbrs",
            reserve=10,
            deposit=5,
            bids_by_ns=at(BIDS_BY),
            reveals_by_ns=at(REVEALS_BY),
        )
        return replace(base, **changes)

    def open(self, function: str = SECOND_PRICE, at_s: float = 0.2, **changes: Any) -> bytes:
        declaration = self.declare(at_s - 0.1)
        self.carry(at_s - 0.05)
        party, terms = self.members["holder"].party, self.terms(declaration, **changes)
        record = self.do("holder", at_s, lambda step: assembly.open_auction(party, step, terms, function, at(VOTE_BY)))
        assert self.carry(at_s) == []
        name: bytes = record.digest
        return name

    def bid(self, bidder: str, auction: bytes, price: int, at_s: float = 1.0, *, reveal: bool = True) -> None:
        party = self.members[bidder].party
        self.do(bidder, at_s, lambda step: assembly.place_bid(party, step, auction, price, reveal=reveal))

    def tick(self, at_s: float) -> list[Any]:
        for name, member in self.members.items():
            self.do(name, at_s, member.party.tick)
        return self.carry(at_s)

    def run(self, auction: bytes, prices: dict[str, int], *, hidden: tuple[str, ...] = ()) -> list[Any]:
        """Bid, reveal, count, vote, certify; every refusal on the way."""
        for bidder, price in prices.items():
            self.bid(bidder, auction, price, reveal=bidder not in hidden)
        refusals = self.carry(1.0)
        for at_s in TICKS[2:]:
            refusals += self.tick(at_s)
        return refusals

    def outcome(self, name: str, auction: bytes) -> Any:
        party = self.members[name].party
        record = party.record_of(party.lineage.get("outcome", auction))
        return record.body if record is not None else None

    def winner(self, name: str, auction: bytes) -> tuple[str, int] | None:
        found = self.outcome(name, auction)
        if found is None or found.winner is None:
            return None
        by_hash = {member.hash: one for one, member in self.members.items()}
        return by_hash[found.winner], found.price

    def ask(self, bidder: str, at_s: float, price: int, **changes: Any) -> bytes:
        """The bidder asks for the auctioned cell."""
        party = self.members[bidder].party
        offer = next(one for one in party.user.offers.values() if one.body.price_form == "auction")
        cell = changes.pop("cell", self.terms(offer.declaration).cell)
        pair = self.do(
            bidder, at_s, lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=2, price=price)
        )
        sid: bytes = pair.sid
        return sid


__all__ = ["AuctionWorld", "at", "fix", "seed"]
