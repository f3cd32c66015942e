"""What may be auctioned: an offer of its author's own, as it was offered, once."""

from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.quorum import Proposal
from settlement.state.assembly import AUCTIONED
from settlement.state.nodestate import NodeState


def judge_sold(state: NodeState, body: Proposal, author: bytes) -> Refusal | None:
    """An auction is of an offer of its author's own, says what the offer says, and is the only one of it."""
    terms = body.auction
    if terms is None:
        return None
    held = state.user.offers.get(terms.declaration)
    offer = state.holder.offers.get(terms.declaration) if author in state.own_line else None
    offer = held.body if held is not None and held.holder == author else offer
    name = terms.declaration.hex()[:16]
    if offer is None:
        return refuse(Reason.TERMS, "proposal.declaration", name, "an offer of its author's, heard here")
    if offer.price_form != "auction":
        return refuse(Reason.PRICE, "proposal.price_form", offer.price_form, "auction")
    inside = (
        offer.cell.band.holds(terms.cell.band)
        and offer.cell.window.holds(terms.cell.window)
        and offer.cell.area.holds(terms.cell.area)
        and offer.commodity == terms.commodity
    )
    if not inside:
        return refuse(
            Reason.TERMS, "proposal.cell", f"{terms.cell.band} of {terms.commodity}", f"inside {offer.cell.band}"
        )
    if terms.reserve != offer.price:
        return refuse(Reason.PRICE, "proposal.reserve", terms.reserve, f"{offer.price}, the offer's price")
    other = state.lineage.get(AUCTIONED, terms.declaration)
    if other is not None:
        return refuse(Reason.EQUIVOCATION, "proposal.once", name, f"one auction of an offer; {other.hex()[:16]} is it")
    return None
