"""The user's side of a fallback: accepts a FALLBACK, requests its substitute, and ends the first settlement in time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from settlement.chain.admission import Admitted
from settlement.core.reasons import Refusal
from settlement.market.prices import Pricing, price_of
from settlement.pair.governed import Governed
from settlement.pair.table import Event
from settlement.pair.userpairs import Moving, UserPair, UserPairs
from settlement.pair.work import Work
from settlement.records.complaint import Fallback
from settlement.records.grant import Grant


class Asker(Protocol):
    """The part of `User` that this module needs."""

    governed: Governed
    offers: Any
    store: UserPairs

    @property
    def request(self) -> Callable[..., UserPair]:
        """The function that signs a REQUEST for a cell of an offer."""
        ...

    @property
    def busy(self) -> Mapping[bytes, UserPair]:
        """The settlements that are not completely over."""
        ...


class MoveTaker:
    """Every settlement of one user that its holder moves to a substitute."""

    def __init__(self, user: Asker) -> None:
        self._user = user

    def take(self, work: Work, pair: UserPair, admitted: Admitted, granted: Grant) -> None:
        """Accept a judged FALLBACK: the settlement ends at its instant, and its substitute is requested."""
        body: Fallback = admitted.record.body
        moving = Moving(
            fallback=admitted.record.digest,
            from_ns=body.from_ns,
            cell=body.cell,
            declaration=body.declaration or b"",
            eirp_mdbm=granted.max_eirp_mdbm,
            tier=granted.tier,
            price=granted.price,
        )
        self._user.store.move(work, pair, Event.FALLBACK, moving=moving)
        work.event("moving", sid=pair.sid, band=body.cell.band, from_ns=body.from_ns, owed=body.owed or 0)
        self.tick(work)

    def tick(self, work: Work) -> None:
        """Request each substitute once, as soon as its offer was heard."""
        due = self._user.store.due(work.now.time)  # settlements that wait are always due
        waiting = [p for p in due if p.moving is not None and p.substitute is None and p.in_force]
        for pair in waiting:
            if pair.moving is not None and work.now.time.before(pair.moving.from_ns):
                self._ask(work, pair, pair.moving)

    def _offer(self, pair: UserPair, moving: Moving) -> Any:
        """Return the offer that the FALLBACK names, or a newer one of the holder that replaces it."""
        named = self._user.offers.get(moving.declaration)
        if named is not None:
            return named
        cell = moving.cell
        anew = [
            one
            for one in self._user.offers.values()
            if one.holder == pair.holder
            and one.body.cell.band.holds(cell.band)
            and one.body.cell.window.holds(cell.window)
        ]
        return anew[-1] if anew else None

    def _ask(self, work: Work, pair: UserPair, moving: Moving) -> None:
        offer = self._offer(pair, moving)
        terms = self._user.governed.terms(offer.body.commodity) if offer is not None else None
        if offer is None or terms is None:
            return
        eirp_mdbm = min(moving.eirp_mdbm, offer.body.max_eirp_mdbm)
        price = price_of(Pricing.of(offer.body, terms.tariff), moving.cell, eirp_mdbm)
        if moving.price is not None and not isinstance(price, Refusal) and price > moving.price:
            return  # an offer that came after the FALLBACK, at a price that nobody here agreed to
        asked = self._user.request(
            work,
            offer,
            moving.cell,
            eirp_mdbm=eirp_mdbm,
            tier=moving.tier,
            price=None if isinstance(price, Refusal) else price,
            replaces=moving.fallback,
        )
        self._user.store.save(work, replace(self._user.store.known[pair.request], substitute=asked.sid))
