"""A user's policy: requests each want of the configuration at its time, from the best offer heard."""

import math
from dataclasses import dataclass
from functools import partial

from agent.config.settings import NodeConfig, WantSection
from agent.node.offerchoice import matched, price_for, whole_of
from agent.node.partialfill import Filling
from agent.node.policy import NS, window_ms
from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Refusal
from settlement.market.choice import SpectrumWish
from settlement.pair.effects import RequestProgress, SettlementNews
from settlement.party.party import Party
from settlement.state.step import Step

PART_SPARE_NS = NS
"""Time in ns before the window opens at which the unfilled part of a want is put on record."""


@dataclass(slots=True)
class _Asking:
    want: WantSection
    tried: int = 0
    sid: bytes | None = None
    done: bool = False
    told: bool = False
    filling: Filling | None = None


def _wanted(want: WantSection, start_ns: int, now_ns: int) -> Window:
    """Return the window of a want, from the start signal and the latest that it can be now (UTC ns)."""
    if want.for_s is not None:
        return window_ms(now_ns, now_ns + int(want.for_s * NS))
    return window_ms(start_ns + int((want.start_s or 0.0) * NS), start_ns + int((want.end_s or 0.0) * NS))


class UserPolicy:
    """Requests the configured wants; after a refusal it tries the next band on the want's list."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._asking = [_Asking(want) for want in config.wants]

    def hear(self, progress: RequestProgress) -> None:
        """Note the progress of a REQUEST of ours."""
        for asking in self._asking:
            if asking.sid != progress.sid:
                continue
            if asking.filling is not None:
                asking.sid = None if asking.filling.hear(progress.news) else asking.sid
                continue
            match progress.news:
                case SettlementNews.SETTLED:
                    asking.done = True
                case SettlementNews.REFUSED | SettlementNews.ABORTED:
                    asking.sid, asking.tried = None, asking.tried + 1
                case _:
                    pass

    def act(self, step: Step, party: Party, since_start_s: float, start_ns: int) -> None:
        """Send the REQUESTs that are due; `start_ns` is the start signal in UTC."""
        for asking in self._asking:
            want = asking.want
            if asking.done or asking.sid is not None or not want.ask_s <= since_start_s < (want.end_s or math.inf):
                continue
            if asking.tried < len(asking.want.bands_hz):
                asked = party.attempt(step, partial(self._request, step, party, asking, start_ns))
                if isinstance(asked, Refusal):
                    asking.tried += 1
                else:
                    asking.sid = asked

    def _request(self, step: Step, party: Party, asking: _Asking, start_ns: int) -> bytes | None:
        low_hz, high_hz = asking.want.bands_hz[asking.tried]
        band = Band(low_hz=low_hz, high_hz=high_hz)
        window = _wanted(asking.want, start_ns, step.now.time.latest_ns)
        if asking.want.partial:
            return self._part(step, party, asking, SpectrumWish(band=band, window=window, tier=self._tier(party)))
        dear = asking.want.price_max
        wish = SpectrumWish(band=band, window=window, tier=self._tier(party), price_max=dear)
        winner = matched(party, wish, step.now.position, handed_only=asking.want.handed).winner
        if winner is not None:
            offer = party.user.offers[winner.declaration]
            cell = Cell(band=band, area=offer.body.cell.area, window=window)
            want = asking.want
            cell, eirp_mdbm = whole_of(offer, cell, want.eirp_mdbm)
            due = price_for(party, offer, cell, eirp_mdbm)
            price = want.bid if want.bid is not None and winner.bargains else due
            pair = party.user.request(
                step,
                offer,
                cell,
                eirp_mdbm=eirp_mdbm,
                tier=wish.tier,
                price=price,
                price_max=want.price_max,
                emergency=want.emergency,
                fallback=want.fallback,
            )
            return pair.sid
        if not asking.told:
            step.event("no offer", band=band)
            asking.told = True
        return None

    def _part(self, step: Step, party: Party, asking: _Asking, wish: SpectrumWish) -> bytes | None:
        """Request the next part of a want that several holders may fill; records what is left before it begins."""
        if asking.filling is None:
            asking.filling = Filling(wish=wish, eirp_mdbm=asking.want.eirp_mdbm)
        sid = asking.filling.ask(step, party)
        begins = not step.now.time.before(wish.window.start_ns - PART_SPARE_NS)
        left = asking.filling.left(party)
        if sid is None and left is not None and (begins or not left.residual):
            asking.filling.close(step, party)
            asking.done = True
        return sid

    @staticmethod
    def _tier(party: Party) -> int:
        """Return the strongest tier of this node's credential."""
        mine = party.registry.get(party.identity.credential)
        return mine.scope.tier if mine is not None else 1
