"""Checks what a PROPOSAL is about: an offer of its author, auctioned once; or the REQUEST that is to be approved."""

from settlement.chain.admission import Admitted, prove
from settlement.chain.records import digest
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.conduct.base import RecordCase
from settlement.records.conduct.decided import asked_terms
from settlement.records.handover import Handover
from settlement.records.market import Declaration, Request
from settlement.records.quorum import Proposal
from settlement.state.assembly import AUCTIONED
from settlement.state.nodestate import NodeState


def judge_sold(state: NodeState, body: Proposal, author: bytes) -> Refusal | None:
    """Refuse an auction that is not of its author's own offer, does not match it, or is a second one of it."""
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


def shows_request(case: RecordCase) -> bool:
    """Whether the signed REQUEST that a PROPOSAL is about, and the proposer's offer for it, are beside it."""
    body: Proposal = case.body
    found = {digest(raw): prove(raw, case.state.registry) for raw in case.message.beside or ()}
    shown = {name: one for name, one in found.items() if isinstance(one, Admitted)}
    asked = shown.get(body.subject or b"")
    if body.approval is None or asked is None or not isinstance(asked.record.body, Request):
        return False
    offer = shown.get(asked.record.body.declaration)
    if offer is None or not isinstance(offer.record.body, Declaration | Handover):
        return False
    return (
        offer.author.hash in case.state.registry.line(case.author.hash) and asked_terms(asked.record) == body.approval
    )
