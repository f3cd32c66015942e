"""Offers of quantities that sensing cannot measure: an amount of a class in a unit other than Hz, such as bit/s."""

from collections.abc import Iterable
from typing import Protocol

from agent.config.settings import NodeConfig, OfferSection
from settlement.chain.scope import Area
from settlement.core.reasons import Refusal
from settlement.market.link import corridor
from settlement.pair.bounds import OwnFaultError
from settlement.party.party import Party
from settlement.records.conduct.counter import LEAST
from settlement.records.market import Declaration
from settlement.state.messages import Message
from settlement.state.step import Outgoing, Step


class Declaring(Protocol):
    """The holder's policy that makes offers, and remembers which stand until when (UTC ns)."""

    def stand(self, offer: OfferSection, end_ns: int) -> None:
        """Note that an offer stands until `end_ns` (UTC)."""
        ...

    def declaration(
        self,
        step: Step,
        party: Party,
        offer: OfferSection,
        *,
        end_ns: int | None = None,
        envelope: bytes | None = None,
    ) -> Declaration:
        """Return the body of an offer as it would be signed now."""
        ...


def offered_area(config: NodeConfig, offer: OfferSection) -> Area:
    """Return where an offer holds: the strip of a link between two places, or this node's own area."""
    if offer.link is not None:
        return corridor(offer.link[0], offer.link[1], offer.corridor_mm or 0)
    return Area(lat_e7=config.place.lat_e7, lon_e7=config.place.lon_e7, radius_mm=config.area_radius_mm)


def declare(
    step: Step, policy: Declaring, party: Party, offer: OfferSection, *, to: Iterable[bytes], end_ns: int | None
) -> str | None:
    """Sign an offer that rests on no envelope and send it to the given neighbours; returns why not where it may not."""
    try:
        made = party.attempt(step, lambda: _declared(step, policy, party, offer, end_ns))
    except OwnFaultError as exc:
        return str(exc)
    if isinstance(made, Refusal):
        return str(made)
    data = Message(record=made).encoded()
    step.outgoing += [Outgoing(to=one, data=data) for one in to]
    return None


def _declared(step: Step, policy: Declaring, party: Party, offer: OfferSection, end_ns: int | None) -> bytes:
    body = policy.declaration(step, party, offer, end_ns=end_ns)
    record = party.holder.declare(step, body)
    if offer.least is not None:
        step.put(LEAST, record.digest, offer.least.to_bytes(8, "big"))
    if end_ns is None:
        policy.stand(offer, body.cell.window.end_ns)
    step.event("offered", band=body.cell.band)
    return record.raw
