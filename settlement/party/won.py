"""Requests what a node won in an auction: exactly the auctioned cell, at the certified price."""

from settlement.core.reasons import Refusal
from settlement.pair.user import Offer
from settlement.pair.userpairs import UserPair
from settlement.records.conduct.auction import AuctionCase, auction_of
from settlement.state.assembly import OUTCOMES
from settlement.state.nodestate import NodeState
from settlement.state.step import Step


def won_by(state: NodeState, name: bytes) -> tuple[AuctionCase, Offer, int] | None:
    """Return an auction that this node won, with the auctioned offer and the price; None where it won none."""
    outcome = state.record_of(state.lineage.get(OUTCOMES, name))
    auction = auction_of(state, name, "request.auction")
    if outcome is None or isinstance(auction, Refusal) or outcome.body.winner not in state.own_line:
        return None
    offer = state.user.offers.get(auction.terms.declaration)
    return None if offer is None else (auction, offer, outcome.body.price)


def ask_for(step: Step, state: NodeState, name: bytes) -> UserPair | None:
    """Sign the REQUEST for a cell that this node won; None where it did not win, or has requested it before."""
    won, me = won_by(state, name), state.registry.get(state.identity.credential)
    if won is None or me is None:
        return None
    auction, offer, price = won
    if any(_asks(state, pair, offer.declaration) for pair in state.user.pairs.values()):
        return None
    eirp_mdbm = min(offer.body.max_eirp_mdbm, me.scope.max_eirp_mdbm)
    return state.user.request(step, offer, auction.terms.cell, eirp_mdbm=eirp_mdbm, tier=me.scope.tier, price=price)


def _asks(state: NodeState, pair: UserPair, declaration: bytes) -> bool:
    record = state.record_of(pair.request)
    return record is not None and record.body.declaration == declaration
