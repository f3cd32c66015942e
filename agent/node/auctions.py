"""Runs a node's part in auctions: opens the configured ones, bids, requests what it won, and lists them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.config.auctions import AuctionSection, BidSection
from agent.config.settings import NodeConfig, OfferSection
from agent.node.policy import NS, free_parts, window_ms
from sensing.survey import SurveyReport
from settlement.chain.records import Record
from settlement.chain.scope import Band
from settlement.core.reasons import Refusal
from settlement.pair.bounds import OwnFaultError
from settlement.party.assembly import open_auction, place_bid, seat_of_auctions
from settlement.party.party import Party
from settlement.party.won import ask_for
from settlement.quorum.group import quorum_of
from settlement.quorum.table import OVER, ProposalState
from settlement.records.auctionterms import AuctionTerms
from settlement.records.conduct.auction import AuctionCase, auction_of, heard_bids
from settlement.records.conduct.quorum import group_of, proposal_of
from settlement.state.assembly import AUCTIONED, OUTCOMES, SEALED, VOTES
from settlement.state.step import Step

NAME_SHOWN = 16
AGAIN_S = 1.0
"""Pause in seconds before an auction that could not be opened is tried again."""
Declare = Callable[[Step, OfferSection], str | None]


def offer_of(auction: AuctionSection) -> OfferSection:
    """Return the offer that is auctioned; its price is the reserve."""
    plain = OfferSection(
        low_hz=auction.low_hz,
        high_hz=auction.high_hz,
        commodity=auction.commodity,
        price=auction.price,
        max_eirp_mdbm=auction.max_eirp_mdbm,
        after_s=auction.after_s,
        for_s=auction.in_s + auction.for_s + 1,
    )
    return plain.model_copy(update={"price_form": "auction"})


def opened(step: Step, party: Party, auction: AuctionSection, declare: Declare) -> Record | str:
    """Offer a band and open its auction in one step; returns the PROPOSAL record, or the reason why none was made."""
    seat = seat_of_auctions(party, auction.commodity)
    if isinstance(seat, Refusal):
        return str(seat)
    before = set(party.holder.offers)
    why = declare(step, offer_of(auction))
    made = next((name for name in party.holder.offers if name not in before), None)
    if why is not None or made is None:
        return why or "nothing was offered"
    now_ns, offer = step.now.time.latest_ns, party.holder.offers[made]
    cell = offer.cell
    start_ns = now_ns + int(auction.in_s * NS)
    window = window_ms(start_ns, start_ns + int(auction.for_s * NS))
    bids_by_ns = now_ns + int(auction.bids_s * NS)
    terms = AuctionTerms(
        declaration=made,
        cell=type(cell)(band=cell.band, area=cell.area, window=window),
        commodity=auction.commodity,
        reserve=offer.price,
        deposit=auction.deposit,
        bids_by_ns=bids_by_ns,
        reveals_by_ns=bids_by_ns + int(auction.reveals_s * NS),
    )
    vote_by_ns = min(terms.reveals_by_ns + int(auction.vote_s * NS), window.start_ns)
    try:
        return open_auction(party, step, terms, auction.function, vote_by_ns)
    except OwnFaultError as exc:
        return str(exc)


@dataclass(slots=True)
class AuctionPolicy:
    """Opens each configured auction and places each configured bid once, and requests what this node won."""

    config: NodeConfig
    _opened: set[int] = field(default_factory=set)
    _bid: set[int] = field(default_factory=set)
    _told: set[tuple[int, str]] = field(default_factory=set)
    _asked: set[bytes] = field(default_factory=set)
    _again_s: float = 0.0

    def act(
        self,
        step: Step,
        party: Party,
        since_s: float,
        declare: Declare,
        free: Callable[[OfferSection], list[OfferSection]],
    ) -> None:
        """Open auctions, bid and request what is due, `since_s` seconds after the start signal."""
        for number, auction in enumerate(self.config.auctions):
            due = number not in self._opened and since_s >= max(auction.after_s, self._again_s)
            if due and wholly_free(auction, free):
                made = opened(step, party, auction, declare)
                if isinstance(made, Record):
                    self._opened.add(number)
                else:
                    self._again_s = since_s + AGAIN_S
                    self._tell(step, number, made)
        for number, bid in enumerate(self.config.bids):
            if number not in self._bid and since_s >= bid.after_s:
                self._place(step, party, number, bid)
        self._ask(step, party)

    def _tell(self, step: Step, number: int, why: str) -> None:
        if (number, why) not in self._told:
            self._told.add((number, why))
            step.event("no auction", why=why)

    def _place(self, step: Step, party: Party, number: int, bid: BidSection) -> None:
        band = Band(low_hz=bid.low_hz, high_hz=bid.high_hz)
        for name in party.assembly.live:
            auction = auction_of(party, name, "bid.proposal")
            open_here = party.assembly.states[name] is ProposalState.BIDDING
            if isinstance(auction, Refusal) or not open_here or not band.holds(auction.terms.cell.band):
                continue
            try:
                place_bid(party, step, name, bid.price, reveal=bid.reveal)
            except OwnFaultError as exc:
                step.event("no bid", auction=name, why=str(exc))
            self._bid.add(number)
            return

    def _ask(self, step: Step, party: Party) -> None:
        """Send the winner's REQUEST for each auction this node won, at the auction's price."""
        self._asked &= party.assembly.states.keys()
        for name, state in party.assembly.states.items():
            if state is not ProposalState.DECIDED or name in self._asked:
                continue
            self._asked.add(name)
            ask_for(step, party, name)


def auctions_of(party: Party) -> list[bytes]:
    """Every auction this node knows, the newest last."""
    known = [name for _, name in party.lineage.items(AUCTIONED)]
    return sorted(known, key=lambda name: party.lineage.index_of(name) or 0)


def auction_fields(party: Party, name: bytes) -> dict[str, Any]:
    """Return one auction as plain values: what is sold, state, bids as far as known, winner and price."""
    found = auction_of(party, name, "auction")
    record = proposal_of(party, name)
    if isinstance(found, Refusal) or record is None:
        return {"auction": name.hex(), "state": "unknown"}
    terms, group = found.terms, group_of(party, found.body.membership)
    outcome = party.record_of(party.lineage.get(OUTCOMES, name))
    state = party.assembly.states.get(name) or (ProposalState.DECIDED if outcome is not None else ProposalState.VOID)
    over = state in (ProposalState.VOTING, *OVER)
    mine = party.lineage.get(SEALED, name)
    members = len(group.members) if group is not None else 0
    return {
        "auction": name.hex(),
        "state": state.value,
        "by": _name(party, record.frame.author),
        "function": found.body.function,
        "low_hz": terms.cell.band.low_hz,
        "high_hz": terms.cell.band.high_hz,
        "unit": terms.cell.band.unit,
        "start_ns": terms.cell.window.start_ns,
        "end_ns": terms.cell.window.end_ns,
        "commodity": terms.commodity,
        "reserve": terms.reserve,
        "deposit": terms.deposit,
        "bids_by_ns": terms.bids_by_ns,
        "reveals_by_ns": terms.reveals_by_ns,
        "vote_by_ns": found.body.vote_by_ns,
        "epoch": found.body.epoch,
        "votes": len(party.lineage.items_from(VOTES, name)),
        "required": quorum_of(members, group.faulty) if group is not None else None,
        "own_price": int.from_bytes(mine[:8], "big") if mine is not None else None,
        "bids": [
            {
                "bidder": _name(party, one.bidder),
                "price": one.price,
                "deposit_lost": terms.deposit if over and one.price is None else 0,
            }
            for one in heard_bids(party, name).values()
        ],
        "winner": _name(party, outcome.body.winner) if outcome is not None and outcome.body.winner else None,
        "price": outcome.body.price if outcome is not None else None,
        "forfeit_term": found.asked.forfeit,
        "forfeit": _forfeit(found, outcome),
    }


def _forfeit(sold: AuctionCase, outcome: Record | None) -> int:
    """Return what the winner owes by the rule if it never sends its REQUEST; 0 without winner or forfeit terms."""
    if outcome is None or outcome.body.winner is None:
        return 0
    return sold.asked.forfeited(deposit=sold.terms.deposit, price=outcome.body.price)


def _name(party: Party, credential: bytes | None) -> str:
    subject = party.registry.get(credential)
    return subject.name if subject is not None else (credential or b"").hex()[:NAME_SHOWN]


def wholly_free(auction: AuctionSection, free: Callable[[OfferSection], list[OfferSection]]) -> bool:
    """Return whether the whole band was heard to be free; an auction sells the whole band or nothing."""
    wanted = offer_of(auction)
    return [(one.low_hz, one.high_hz) for one in free(wanted)] == [(wanted.low_hz, wanted.high_hz)]


def free_of(
    report: Callable[[], SurveyReport], closed: list[tuple[int, int]], looks: int
) -> Callable[[OfferSection], list[OfferSection]]:
    """Return a function that cuts an offer to its free parts, from one survey report made at the first call."""
    held: list[SurveyReport] = []

    def free(offer: OfferSection) -> list[OfferSection]:
        if not held:
            held.append(report())
        return free_parts(held[0], offer, closed) if held[0].looks >= looks else []

    return free
