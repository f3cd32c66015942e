"""Carries out auction commands in the running agent: open an auction, bid in one, list the known ones."""

from collections.abc import Callable
from typing import Any

from agent.config.auctions import AuctionSection
from agent.node.auctions import auction_fields, auctions_of, opened
from agent.node.commands import OpenAuction, PlaceBid, ShowAuctions
from agent.node.errand import Errand, Surroundings, heard_text
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import OwnFaultError
from settlement.party.assembly import place_bid
from settlement.party.party import Party
from settlement.quorum.table import OVER, ProposalState
from settlement.records.conduct.auction import AuctionCase, auction_of
from settlement.state.step import Step

AuctionCommand = OpenAuction | PlaceBid | ShowAuctions
Tell = Callable[..., None]
End = Callable[..., None]
MS = 1_000_000


def go_on(step: Step, party: Party, errand: Errand, around: Surroundings, *, tell: Tell, end: End) -> None:
    """Do the next step of an auction command."""
    command = errand.command
    if errand.auction is not None:
        _follow(party, errand, tell=tell, end=end)
    elif isinstance(command, OpenAuction):
        _open(step, party, errand, command, around, tell=tell, end=end)
    elif isinstance(command, PlaceBid):
        _bid(step, party, errand, command, tell=tell, end=end)
    elif isinstance(command, ShowAuctions):
        names = _named(party, command.auction)
        tell(errand, "auctions", auctions=[auction_fields(party, name) for name in names])
        unknown = refuse(Reason.OUT_OF_ORDER, "auction.name", command.auction, "how a known auction's name begins")
        end(errand, ok=bool(names) or not command.auction, why="" if names else str(unknown))


def _named(party: Party, prefix: str) -> list[bytes]:
    return [name for name in auctions_of(party) if name.hex().startswith(prefix)]


def _open(
    step: Step, party: Party, errand: Errand, command: OpenAuction, around: Surroundings, *, tell: Tell, end: End
) -> None:
    terms, me = party.rule.rule.terms(command.commodity), party.registry.get(party.identity.credential)
    if terms is None or terms.auction is None or me is None:
        held = ", ".join(one.name for one in party.rule.rule.classes if one.auction is not None) or "none"
        end(errand, ok=False, why=f"the rule has no auctions of class {command.commodity!r}; it has them of: {held}")
        return
    most = min(me.scope.max_eirp_mdbm, terms.max_eirp_mdbm)
    wanted = AuctionSection(
        low_hz=command.low_hz,
        high_hz=command.high_hz,
        commodity=command.commodity,
        price=command.price,
        deposit=command.deposit,
        function=command.function,
        max_eirp_mdbm=most if command.eirp_mdbm is None else command.eirp_mdbm,
        bids_s=command.bids_ms / 1000,
        reveals_s=command.reveals_ms / 1000,
        vote_s=command.vote_ms / 1000,
        in_s=command.in_ms / 1000,
        for_s=command.for_ms / 1000,
    )
    made: Record | str = "called off before anything was offered"
    if not errand.cancelled:
        made = opened(step, party, wanted, around.declare) if around.is_free(wanted) else "not all of it is free"
    if isinstance(made, Record):
        errand.auction = made.digest
        tell(errand, "auction opened", auction=made.digest.hex())
        if not command.hold:
            end(errand, ok=True)
        return
    if "listening" not in errand.told:
        errand.told.add("listening")
        tell(errand, "listening", why=made)
    if errand.cancelled or around.now_ns - errand.began_ns > command.wait_ms * MS:
        end(errand, ok=False, why=f"no auction: {made}; heard: {heard_text(around.report())}")


def _bid(step: Step, party: Party, errand: Errand, command: PlaceBid, *, tell: Tell, end: End) -> None:
    if errand.cancelled:
        end(errand, ok=False, why="called off before anything was bid")
        return
    auction = _judge_bid(party, command)
    if isinstance(auction, Refusal):
        end(errand, ok=False, why=str(auction))
        return
    try:
        place_bid(party, step, auction.name, command.price, reveal=command.reveal)
    except OwnFaultError as exc:
        end(errand, ok=False, why=str(exc))
        return
    errand.auction = auction.name
    tell(
        errand,
        "bid placed",
        auction=auction.name.hex(),
        price=command.price,
        deposit=auction.terms.deposit,
        shown="shown once the bids have closed" if command.reveal else "not shown, so the deposit is lost",
    )
    if not command.hold:
        end(errand, ok=True)


def _judge_bid(party: Party, command: PlaceBid) -> AuctionCase | Refusal:
    """Return the auction a bid names, or a refusal of a bid that cannot win or whose deposit is not the auction's."""
    names = _named(party, command.auction)
    if len(names) != 1:
        known = ", ".join(name.hex()[:12] for name in auctions_of(party)) or "none"
        measured = f"{len(names)} begin with {command.auction!r}"
        return refuse(Reason.OUT_OF_ORDER, "bid.proposal", measured, f"one that is known here: {known}")
    auction = auction_of(party, names[0], "bid.proposal")
    if isinstance(auction, Refusal):
        return auction
    if auction.proposal.frame.author in party.own_line:
        return refuse(Reason.TERMS, "bid.bidder", "the auctioneer", "anybody but the auctioneer")
    if command.deposit is not None and command.deposit != auction.terms.deposit:
        return refuse(Reason.PRICE, "bid.deposit", command.deposit, auction.terms.deposit)
    if command.price < auction.terms.reserve:
        return refuse(Reason.PRICE, "bid.reserve", command.price, f">= {auction.terms.reserve}, the reserve")
    return auction


def _follow(party: Party, errand: Errand, *, tell: Tell, end: End) -> None:
    """Tell the client each state of the auction once, and at its end the winner and the price."""
    name = errand.auction or b""
    state = party.assembly.states.get(name)
    if state is not None and state.value not in errand.told:
        errand.told.add(state.value)
        tell(errand, "auction", auction=name.hex(), state=state.value)
    if errand.cancelled:
        end(errand, ok=False, why="not followed any further; what was said in the auction stands")
    elif state is None or state in OVER:  # None: over for so long that the node dropped it
        shown = auction_fields(party, name)
        tell(errand, "auctions", auctions=[shown])
        end(errand, ok=_well(party, errand, shown, state), why=_why(shown, state))


def _well(party: Party, errand: Errand, shown: dict[str, Any], state: ProposalState | None) -> bool:
    me = party.registry.get(party.identity.credential)
    won = me is not None and shown["winner"] == me.name
    return state is ProposalState.DECIDED and (won or isinstance(errand.command, OpenAuction))


def _why(shown: dict[str, Any], state: ProposalState | None) -> str:
    if state is ProposalState.VOID:
        return f"no outcome: {shown['votes']} votes, {shown['required']} required by {shown['vote_by_ns']} ns"
    return f"won by {shown['winner']} at {shown['price']}" if shown["winner"] else "no bid reached the reserve"
