"""Fills one wish from several holders: requests from one after the other the widest part that is left.

Every REQUEST after the first lists the settled parts before it. When no more can be had, what is left is put on
record.
"""

from dataclasses import dataclass, field, replace

from agent.node.offerchoice import matched, price_for
from settlement.chain.scope import Band, Cell
from settlement.market.choice import SpectrumWish
from settlement.market.residual import FilledWish, next_part, unfilled
from settlement.pair.effects import SettlementNews
from settlement.pair.parts import record_residual
from settlement.party.party import Party
from settlement.records.market import PARTS_MAX, PartOf, ShownPart
from settlement.state.step import Step

ENDINGS = (SettlementNews.SETTLED, SettlementNews.REFUSED, SettlementNews.ABORTED)


@dataclass(slots=True)
class Filling:
    """Progress of a wish; `asked` is the REQUEST under way, `settled` the ids of the settled parts.

    A refused offer is not requested again; one whose REQUEST failed otherwise (`aborted`) is requested once more.
    """

    wish: SpectrumWish
    eirp_mdbm: int
    name: bytes = b""
    first: bytes | None = None
    whole: Cell | None = None
    asked: bytes | None = None
    offer: bytes = b""
    settled: list[bytes] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)
    aborted: set[bytes] = field(default_factory=set)

    def hear(self, news: SettlementNews) -> bool:
        """Note the outcome of the REQUEST under way; returns whether it ended, settled or not."""
        if self.asked is None or news not in ENDINGS:
            return False
        if news is SettlementNews.SETTLED:
            self.settled.append(self.asked)
        elif news is SettlementNews.REFUSED or self.offer in self.aborted:
            self.refused.add(self.offer)
        else:
            self.aborted.add(self.offer)
        self.asked = None
        return True

    def left(self, party: Party) -> FilledWish | None:
        """Return what is filled and what is left; None before the first REQUEST."""
        if self.whole is None:
            return None
        cells = [pair.cell for sid in self.settled if (pair := party.user.by_sid(sid)) is not None]
        return unfilled(self.whole, cells)

    def ask(self, step: Step, party: Party) -> bytes | None:
        """Sign the REQUEST for the next part; returns its settlement's id, or None where nobody offers any."""
        left = self.left(party)
        pieces = [self.wish.band] if left is None else [cell.band for cell in left.residual]
        if len(self.settled) > PARTS_MAX:
            return None
        for piece in sorted(pieces, key=lambda band: (band.low_hz - band.high_hz, band.low_hz)):
            sid = self._ask_for(step, party, piece)
            if sid is not None:
                return sid
        return None

    def _ask_for(self, step: Step, party: Party, piece: Band) -> bytes | None:
        sought = replace(self.wish, band=piece, partial=True)
        winner = matched(party, sought, step.now.position, without=self.refused).winner
        if winner is None:
            return None
        offer = party.user.offers[winner.declaration]
        terms = party.rule.rule.terms(offer.body.commodity)
        whole = self.whole or Cell(band=self.wish.band, area=offer.body.cell.area, window=self.wish.window)
        piece_cell = replace(whole, band=piece)
        band = next_part([piece_cell], offer.body.cell.band, terms.raster_hz if terms is not None else 1)
        if band is None:
            self.refused.add(winner.declaration)
            return None
        cell = Cell(band=band, area=offer.body.cell.area, window=self.wish.window)
        self.name = self.name or step.random(16)
        part = PartOf(wish=self.name, index=len(self.settled), whole=whole, shown=self._shown(party))
        eirp_mdbm = min(self.eirp_mdbm, offer.body.max_eirp_mdbm)
        price = price_for(party, offer, cell, eirp_mdbm)
        pair = party.user.request(step, offer, cell, eirp_mdbm=eirp_mdbm, tier=self.wish.tier, part=part, price=price)
        self.whole, self.first = whole, self.first or pair.request
        self.asked, self.offer = pair.sid, winner.declaration
        return pair.sid

    def _shown(self, party: Party) -> tuple[ShownPart, ...]:
        """Return the settled parts in the form shown to the next holder."""
        pairs = [party.user.by_sid(sid) for sid in self.settled]
        raws = [
            (party.record_bytes(p.grant), party.record_bytes(p.accept), party.record_bytes(p.decision))
            for p in pairs
            if p is not None
        ]
        return tuple(ShownPart(grant=g or b"", accept=a or b"", confirm=c or b"") for g, a, c in raws)

    def close(self, step: Step, party: Party) -> FilledWish | None:
        """Put on record what is left; returns None where no REQUEST was made."""
        left = self.left(party)
        if left is not None and self.first is not None:
            record_residual(step, self.first, left)
        return left


def filled_text(filled: FilledWish) -> str:
    """Return as text how far a wish is filled."""
    share = 100 * filled.filled_hz_ns / filled.asked_hz_ns
    left = ", ".join(str(cell.band) for cell in filled.residual) or "nothing"
    return f"{share:.3g} % filled; left: {left}"
