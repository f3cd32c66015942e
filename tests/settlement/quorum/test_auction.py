"""A sealed-bid auction among real parties: who wins at what price, and every word that is refused on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain.leaf import decode_leaf
from settlement.chain.records import sign_record
from settlement.chain.scope import Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.bounds import OwnFaultError
from settlement.pair.table import UserState
from settlement.party import assembly
from settlement.quorum.seals import commitment
from settlement.quorum.table import ProposalState
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.conduct.proofs import judge_evidence
from settlement.records.quorum import Ballot
from settlement.records.witness import Evidence
from settlement.state.assembly import BIDS, SEALED, TALLIES, VOTES
from settlement.state.messages import Message
from tests.settlement.quorum.auctions import TICKS, AuctionWorld, at
from tests.settlement.world import AREA, UPPER, USER_ACTIONS, held, seed

pytestmark = pytest.mark.feature("S9")
PRICES = {"ada": 50, "bert": 70, "cara": 60}


def said(world: AuctionWorld, name: str, body: Any, at_s: float, to: str = "holder") -> Refusal | None:
    """A member signs whatever it likes and sends it to one other."""
    record = world.do(name, at_s, lambda step: step.sign(body), honest=False)
    return world.give(name, to, Message(record=record.raw).encoded(), at_s)


def all_four(refusal: Refusal | None, reason: Reason, clause: str) -> None:
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (reason, clause), refusal
    assert refusal.measured
    assert refusal.required


@pytest.mark.feature("M3")
def test_the_highest_bidder_settles_at_the_second_price(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    assert world.run(auction, {**PRICES, "dora": 90}, hidden=("dora",)) == []
    assert {world.winner(name, auction) for name in world.members} == {("bert", 60)}
    counted = world.members["reg"].party.record_of(world.members["reg"].party.lineage.get(TALLIES, auction))
    assert counted is not None
    assert [one.reveal is None for one in counted.body.bids].count(True) == 1
    sid = world.ask("bert", 4.8, 60)
    assert world.carry(4.8) == []
    assert world.members["bert"].party.user.by_sid(sid).state == UserState.SETTLED  # type: ignore[union-attr]


@pytest.mark.feature("M3")
def test_first_price_is_the_bid_itself_and_a_lone_bid_pays_the_reserve(tmp_path: Path) -> None:
    for folder, function, prices, due in (
        ("a", "first price", PRICES, ("bert", 70)),
        ("b", "second price", {"ada": 50}, ("ada", 10)),
        ("c", "second price", {"ada": 9}, None),
    ):
        (tmp_path / folder).mkdir()
        world = AuctionWorld(tmp_path / folder)
        auction = world.open(function)
        assert world.run(auction, prices) == []
        assert world.winner("cara", auction) == due
        assert world.outcome("cara", auction) is not None


@pytest.mark.feature("M3")
def test_a_request_by_a_loser_at_another_price_or_for_another_cell_is_refused(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.bid("bert", auction, 70)
    world.carry(1.0)
    world.ask("bert", 1.5, 70)
    (early,) = world.carry(1.5)
    all_four(early, Reason.QUORUM, "request.outcome")
    for at_s in TICKS[2:]:
        world.tick(at_s)
    world.ask("ada", 4.6, 10)
    (loser,) = world.carry(4.6)
    all_four(loser, Reason.TERMS, "decided.winner")
    world.ask("bert", 4.7, 70)
    (dear,) = world.carry(4.7)
    all_four(dear, Reason.PRICE, "decided.price")
    cell = world.terms(b"").cell
    shorter = replace(cell, window=Window(start_ns=cell.window.start_ns, end_ns=cell.window.end_ns - 10**9))
    world.ask("bert", 4.75, 10, cell=shorter)
    (other,) = world.carry(4.75)
    all_four(other, Reason.TERMS, "decided.cell")
    world.ask("bert", 4.8, 10)
    assert world.carry(4.8) == []


def test_bids_late_twice_or_for_another_deposit_are_refused(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    sealed = commitment(auction, world.members["ada"].hash, 30, bytes(16))
    bid = Bid(proposal=auction, commitment=sealed, deposit=5)
    all_four(said(world, "ada", replace(bid, deposit=4), 1.0), Reason.PRICE, "bid.deposit")
    all_four(said(world, "ada", replace(bid, proposal=seed("none")), 1.0), Reason.OUT_OF_ORDER, "bid.proposal")
    assert said(world, "ada", bid, 1.0) is None
    twice = said(world, "ada", replace(bid, commitment=seed("other")), 1.1)
    all_four(twice, Reason.EQUIVOCATION, "bid.once")
    all_four(said(world, "cara", bid, 2.0), Reason.TIME_UNDECIDED, "bid.bids_by")
    all_four(said(world, "cara", bid, 2.1), Reason.EXPIRED, "bid.bids_by")
    evidence = [leaf.record for leaf in _leaves(world, "holder") if leaf.record and b"bandpact/evidence" in leaf.record]
    assert len(evidence) == 1
    with pytest.raises(OwnFaultError, match="EXPIRED"):
        world.bid("dora", auction, 5, 2.1)


def _leaves(world: AuctionWorld, name: str) -> list[Any]:
    return [decode_leaf(body) for body in world.members[name].party.lineage.bodies()]


def test_reveals_early_late_twice_or_of_another_price_are_refused(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    for bidder in ("ada", "bert"):
        world.bid(bidder, auction, 30)
    world.carry(1.0)
    kept = world.members["ada"].party.lineage
    sealed, named = kept.get(SEALED, auction), kept.get(BIDS, auction + world.members["ada"].hash)
    assert sealed is not None
    assert named is not None
    body = Reveal(proposal=auction, bid=named[:32], price=30, nonce=sealed[8:24])
    all_four(said(world, "ada", body, 1.5), Reason.NOT_YET, "reveal.bids_by")
    all_four(said(world, "cara", body, 2.5), Reason.OUT_OF_ORDER, "reveal.bid")
    all_four(said(world, "ada", replace(body, price=99), 2.5), Reason.PROOF, "reveal.commitment")
    assert said(world, "ada", body, 2.6) is None
    all_four(said(world, "ada", replace(body, price=31), 2.7), Reason.EQUIVOCATION, "reveal.once")
    kept = world.members["bert"].party.lineage
    sealed, named = kept.get(SEALED, auction), kept.get(BIDS, auction + world.members["bert"].hash)
    assert sealed is not None
    assert named is not None
    late = Reveal(proposal=auction, bid=named[:32], price=30, nonce=sealed[8:24])
    all_four(said(world, "bert", late, 4.0), Reason.EXPIRED, "reveal.reveals_by")
    for at_s in (4.3, 4.4):
        world.tick(at_s)
    assert world.outcome("holder", auction) is None


def test_a_reveal_that_comes_after_the_tally_does_not_count(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.bid("ada", auction, 30, reveal=False)
    world.bid("bert", auction, 20)
    world.carry(1.0)
    kept = world.members["ada"].party.lineage
    sealed, named = kept.get(SEALED, auction), kept.get(BIDS, auction + world.members["ada"].hash)
    assert sealed is not None
    assert named is not None
    body = Reveal(proposal=auction, bid=named[:32], price=30, nonce=sealed[8:24])
    held = world.do("ada", 3.9, lambda step: step.sign(body), honest=False)
    for at_s in TICKS[2:]:
        world.tick(at_s)
    late = world.give("ada", "holder", Message(record=held.raw).encoded(), 4.6)
    all_four(late, Reason.TIMEOUT, "reveal.tally")
    assert world.winner("cara", auction) == ("bert", 10)


def test_members_do_not_vote_for_a_tally_that_they_would_not_have_counted(tmp_path: Path) -> None:
    """An auctioneer that leaves a bid out, favours a bidder or names another price gets one vote: its own."""
    for number, wrong in enumerate(("bids", "winner", "price", "reveal", "unheard")):
        folder = tmp_path / wrong
        folder.mkdir()
        world = AuctionWorld(folder)
        auction = world.open()
        for bidder, price in PRICES.items():
            world.bid(bidder, auction, price)
        world.carry(1.0)
        for at_s in (2.05, 2.3, 3.0):
            world.tick(at_s)
        party = world.members["holder"].party
        true = assembly.count_bids(
            auction, "second price", world.terms(b""), assembly.heard_bids(party, auction).values()
        )
        bids = true.bids
        lies = {
            "bids": replace(true, bids=bids[1:]),
            "winner": replace(true, winner=world.members["cara"].hash),
            "price": replace(true, price=11),
            "reveal": replace(true, bids=(replace(bids[0], reveal=None), *bids[1:])),
            "unheard": replace(true, bids=tuple(sorted((*bids, replace(bids[0], bid=seed("x"))), key=lambda b: b.bid))),
        }
        clauses = {"bids": "bids", "winner": "winner", "price": "winner", "reveal": "reveal", "unheard": "bid"}
        for name in ("ada", "bert", "reg"):
            reason = Reason.PRICE if wrong in ("winner", "price") else Reason.TERMS
            refusal = said(world, "holder", lies[wrong], 4.3 + number / 100, to=name)
            all_four(refusal, reason, f"tally.{clauses[wrong]}")
            assert world.members[name].party.lineage.items(VOTES) == []


def test_an_auctioneer_that_counts_twice_is_proven_to(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.run(auction, PRICES)
    other = AuctionTally(proposal=auction, bids=())
    all_four(said(world, "holder", other, 4.6, to="reg"), Reason.EQUIVOCATION, "tally.once")
    _proven(world, "reg")


def _proven(world: AuctionWorld, name: str) -> None:
    """The node's log holds evidence that proves itself."""
    party = world.members[name].party
    found = [party.record_of(leaf.subject) for leaf in _leaves(world, name) if leaf.origin == 0]
    made = [record.body for record in found if record is not None and isinstance(record.body, Evidence)]
    assert made
    assert all(judge_evidence(one, party.registry) is None for one in made)


def test_a_member_that_votes_twice_is_proven_to(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.run(auction, PRICES)
    party, group = world.members["ada"].party, world.members_list()
    signed = assembly.vote(
        world.members["ada"].key, assembly.membership_of(party.registry.network, group), seed("other")
    )
    body = Ballot(proposal=auction, epoch=1, choice=seed("other"), signature=signed.signature)
    all_four(said(world, "ada", body, 4.6, to="reg"), Reason.EQUIVOCATION, "vote.once")
    _proven(world, "reg")


def test_votes_of_no_member_of_another_epoch_or_unsigned_are_refused(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.run(auction, PRICES)
    cast = world.members["ada"].party
    vote = cast.record_of(cast.lineage.get(VOTES, auction + world.members["ada"].hash))
    assert vote is not None
    body = replace(vote.body)
    all_four(said(world, "cara", body, 4.6), Reason.QUORUM, "vote.member")
    all_four(said(world, "bert", replace(body, epoch=2), 4.6), Reason.EPOCH, "vote.epoch")
    all_four(said(world, "bert", body, 4.6), Reason.SIGNATURE, "vote.signature")
    all_four(said(world, "ada", replace(body, proposal=seed("none")), 4.6), Reason.OUT_OF_ORDER, "vote.proposal")


def test_a_certificate_of_too_few_or_of_another_tally_is_no_outcome(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    world.run(auction, PRICES)
    late = AuctionWorld.outcome(world, "holder", auction)
    party, group = world.members["holder"].party, world.members_list()
    asked = party.record_of(auction)
    votes = [party.record_of(name) for _, name in party.lineage.items(VOTES)]
    assert asked is not None
    few = assembly._outcome(party, asked, group, late.choice, votes[:2])  # type: ignore[arg-type]
    all_four(said(world, "holder", few, 4.6, to="reg"), Reason.QUORUM, "quorum.6")
    dear = replace(late, price=1)
    all_four(said(world, "holder", dear, 4.6, to="reg"), Reason.PRICE, "outcome.winner")
    other = replace(late, choice=seed("other"))
    all_four(said(world, "holder", other, 4.6, to="reg"), Reason.ENTRY_MISMATCH, "quorum.3")
    all_four(said(world, "holder", replace(late, epoch=2), 4.6, to="reg"), Reason.EPOCH, "outcome.epoch")


def test_a_list_of_members_must_follow_and_a_proposal_is_put_to_the_newest(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    old = world.members["holder"].party.lineage.get("members", b"notaries")
    holder = world.members["holder"].party
    again = Message(record=world.by_authority(world.members_list(epoch=1), 0.0)).encoded()
    all_four(world.give("ada", "holder", again, 0.0), Reason.EPOCH, "membership.epoch")
    few = world.members_list(epoch=2, faulty=0, members=world.members_list().members[:1])
    assert few.meaning_flaw() is None
    assert world.members_list(faulty=2).meaning_flaw() is not None
    declaration = world.declare()
    world.carry(0.15)
    world.tell(world.members_list(epoch=2), 0.2)
    terms = world.terms(declaration)
    record = world.do("holder", 0.3, lambda s: assembly.open_auction(holder, s, terms, "second price", at(6.0)))
    stale = replace(record.body, membership=old, epoch=1)
    world.members["holder"].outgoing.clear()
    all_four(said(world, "holder", stale, 0.3, to="ada"), Reason.EPOCH, "proposal.membership")


def test_an_auction_is_of_an_own_offer_at_its_price_and_the_only_one_of_it(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    asked = world.members["ada"].party.record_of(auction)
    assert asked is not None
    assert asked.body.auction is not None
    terms = asked.body.auction
    cell = Cell(band=UPPER, area=AREA, window=terms.cell.window)
    for changes, reason, clause in (
        ({}, Reason.EQUIVOCATION, "proposal.once"),
        ({"reserve": 11}, Reason.PRICE, "proposal.reserve"),
        ({"cell": cell}, Reason.TERMS, "proposal.cell"),
        ({"declaration": seed("none")}, Reason.TERMS, "proposal.declaration"),
        ({"deposit": 4}, Reason.PRICE, "disposition.13.deposit"),
        ({"bids_by_ns": at(0.9)}, Reason.TERMS, "disposition.13.bids_by"),
        ({"reveals_by_ns": at(2.5)}, Reason.TERMS, "disposition.13.reveals_by"),
    ):
        body = replace(asked.body, auction=replace(terms, **changes), vote_by_ns=asked.body.vote_by_ns)
        all_four(said(world, "holder", body, 0.4, to="ada"), reason, clause)


def test_a_party_that_was_restarted_says_the_same(tmp_path: Path) -> None:
    """Its bid is shown, its vote is cast once, what it holds beside its log is what the log decides."""
    world = AuctionWorld(tmp_path)
    auction = world.open()
    for bidder, price in PRICES.items():
        world.bid(bidder, auction, price)
    world.carry(1.0)
    for at_s in TICKS[2:]:
        for name in ("bert", "reg", "holder"):
            world.members[name].party.lineage.close()
            outgoing = world.members[name].outgoing
            world.members[name] = world.member_again(name)
            world.members[name].outgoing = outgoing
        world.tick(at_s)
    assert world.winner("cara", auction) == ("bert", 60)
    for name in ("bert", "reg", "holder"):
        party = world.members[name].party
        own = [leaf for leaf in _leaves(world, name) if leaf.origin == 0 and leaf.record]
        votes = [one for one in own if b"bandpact/ballot" in one.record]
        assert len(votes) == 1
        assert party.assembly.states[auction] is ProposalState.DECIDED


def test_without_a_quorum_there_is_no_outcome(tmp_path: Path) -> None:
    world = AuctionWorld(tmp_path)
    auction = world.open()
    for bidder, price in PRICES.items():
        world.bid(bidder, auction, price)
    world.carry(1.0)
    for at_s in (2.05, 2.3, 3.0):
        world.tick(at_s)
    for at_s in (4.05, 4.3, 4.5, 5.0, 6.1, 6.2):
        for name in ("holder", "ada"):
            world.do(name, at_s, world.members[name].party.tick)
        for name in ("holder", "ada"):
            waiting, world.members[name].outgoing = world.members[name].outgoing, []
            names = {member.hash: one for one, member in world.members.items()}
            for one in waiting:
                if names[one.to] in ("holder", "ada"):
                    world.give(name, names[one.to], one.data, at_s)
    assert world.outcome("holder", auction) is None
    assert world.members["holder"].party.assembly.states[auction] is ProposalState.VOID
    world.ask("bert", 6.3, 60)
    assert any(one.clause == "request.outcome" for one in world.carry(6.3))


@pytest.mark.attack(67)
@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"bands": (UPPER,)}, "terms.user.band"),
        ({"area": replace(AREA, radius_mm=1_000_000)}, "terms.user.area"),
    ],
)
def test_whoever_could_not_be_granted_the_cell_bids_for_nothing(
    tmp_path: Path, changes: dict[str, Any], clause: str
) -> None:
    """It would win, never ask, and owe nothing: the cell would stay unsold."""
    world = AuctionWorld(tmp_path)
    auction = world.open()
    weak = world.credential("mallory", USER_ACTIONS, **changes)
    world.chains["mallory"] = (world.root, weak)
    for member in world.members.values():
        held(member.party.registry.admit(weak))
    world.members["mallory"] = world.member("mallory")
    mallory = world.members["mallory"]
    sealed = commitment(auction, mallory.hash, 100, b"n" * 16)
    for to in ("holder", "reg"):
        raw = sign_record(
            mallory.key, world.frame("mallory", seq=50), Bid(proposal=auction, commitment=sealed, deposit=5)
        )
        all_four(world.give("mallory", to, Message(record=raw).encoded(), 1.0), Reason.SCOPE, clause)
    world.run(auction, PRICES)
    assert world.winner("reg", auction) == ("bert", 60)


@pytest.mark.attack(67)
def test_no_bid_above_what_the_class_allows_wins(tmp_path: Path) -> None:
    """At the first price nobody could be granted anything for it; whoever sealed such a price loses its deposit."""
    world = AuctionWorld(tmp_path)
    auction = world.open(function="first price")
    with pytest.raises(OwnFaultError, match="price_high"):
        world.bid("dora", auction, 101)
    sealed = commitment(auction, world.members["dora"].hash, 10**6, b"n" * 16)
    bid = world.do("dora", 1.0, lambda s: s.sign(Bid(proposal=auction, commitment=sealed, deposit=5)), honest=False)
    for to in ("holder", "reg", "ada", "bert", "cara"):
        assert world.give("dora", to, Message(record=bid.raw).encoded(), 1.0) is None
    for bidder, price in PRICES.items():
        world.bid(bidder, auction, price)
    world.carry(1.0)
    shown = Reveal(proposal=auction, bid=bid.digest, price=10**6, nonce=b"n" * 16)
    for at_s in (2.05, 2.3, 3.0):
        world.tick(at_s)
        if at_s == 2.3:
            all_four(said(world, "dora", shown, at_s), Reason.PRICE, "reveal.price")
    for at_s in TICKS[5:]:
        world.tick(at_s)
    assert world.winner("reg", auction) == ("bert", 70)
