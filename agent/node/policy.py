"""A holder's policy: which offers to make of what was sensed to be free, when, and when to repeat them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.config.settings import NodeConfig, OfferSection
from agent.node.integers import touched
from agent.node.intents import answering
from agent.node.prices import priced
from agent.node.unsensed import offered_area
from sensing.survey import ChannelState, SurveyReport
from sensing.values import Channel
from settlement.chain.bodies import Declaration, Envelope
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import Fix, TimeFix
from settlement.pair.effects import AnswerIntent
from settlement.pair.table import HolderState
from settlement.party.party import Party
from settlement.records.conduct.counter import LEAST
from settlement.state.step import Step

MS = 1_000_000
NS = 1_000_000_000
LOOKS_BEFORE_OFFER = 20
ANSWERS_MAX = 4
"""Most offers that answer one intent."""
AGAIN_NS = 10 * NS
STANDING_MAX = 32
"""Most offers remembered as standing: as many as users keep of one holder."""
BACK_NS = NS // 2
"""Time in ns for which a band that was given back is sensed before anything is reported of it."""
MARGIN_NS = 50 * MS
"""Margin in ns around a window of our own users within which a signal may still be theirs."""


def window_ms(start_ns: int, end_ns: int) -> Window:
    """Return a window rounded to whole milliseconds of UTC."""
    return Window(start_ns=start_ns // MS * MS, end_ns=end_ns // MS * MS)


@dataclass(slots=True)
class HolderPolicy:
    """Offers each configured band once, when enough was sensed and no incumbent is protected in it."""

    config: NodeConfig
    made: set[int] = field(default_factory=set)
    standing: list[tuple[OfferSection, int]] = field(default_factory=list)
    """Offers made, each with its end (UTC ns)."""
    _said: list[tuple[int, OfferSection]] = field(default_factory=list)
    _again_ns: int = 0
    _newcomers: bool = False
    _lent: list[tuple[int, int]] = field(default_factory=list)
    _looked_ns: int = 0

    def due(
        self, since_start_s: float, heard: Callable[[], SurveyReport], closed: list[tuple[int, int]]
    ) -> list[tuple[int, OfferSection]]:
        """Return the offers to make now, cut to their free parts; `closed` are bands in Hz that cannot be offered.

        `heard` makes the survey's report, which takes tens of milliseconds: it is called only where an offer is due.
        """
        waiting = [(i, o) for i, o in enumerate(self.config.offers) if i not in self.made]
        ready = [(i, o) for i, o in waiting if since_start_s >= o.after_s and not o.reactive]
        if not ready:
            return []
        unsensed = [(i, o) for i, o in ready if o.unit is not None]
        if len(unsensed) == len(ready):
            return unsensed
        report = heard()
        if report.looks < LOOKS_BEFORE_OFFER:
            return unsensed
        return [(i, part) for i, offer in ready for part in free_parts(report, offer, closed)]

    def answers(self, asked: AnswerIntent) -> list[tuple[OfferSection, int | None]]:
        """Return the offers that answer an intent: standing ones with their end (UTC ns), and those made on request."""
        reactive: list[tuple[OfferSection, int | None]] = [(o, None) for o in self.config.offers if o.reactive]
        return answering(asked, [*self.standing, *reactive])[:ANSWERS_MAX]

    def note(self, offer: OfferSection, now_ns: int) -> None:
        """Note that an offer went to every neighbour (UTC ns)."""
        self._said = [one for one in self._said if one[0] > now_ns - AGAIN_NS] + [(now_ns, offer)]

    def said_lately(self, part: OfferSection, now_ns: int) -> bool:
        """Return whether every neighbour was offered all of this a moment ago, and so need not be sent a part of it."""
        return any(at > now_ns - AGAIN_NS and _holds(offer, part) for at, offer in self._said)

    def stand(self, offer: OfferSection, end_ns: int) -> None:
        """Note that an offer stands until `end_ns` (UTC); parts cut for an intent are not noted beside the whole."""
        if not any(_holds(one, offer) and until >= end_ns for one, until in self.standing):
            self.standing = [*self.standing, (offer, end_ns)][-STANDING_MAX:]

    def newcomer(self) -> None:
        """Note that a neighbour connected: it has not received earlier offers, and would not accept old records."""
        self._newcomers = True

    def again(
        self, now_ns: int, heard: Callable[[], SurveyReport], closed: list[tuple[int, int]]
    ) -> list[tuple[OfferSection, int]]:
        """Return standing offers with their end (UTC ns), to be repeated for neighbours that connected since.

        `heard` makes the survey's report; it is called only where something is to be offered anew.
        """
        if not self._newcomers or now_ns < self._again_ns:
            return []
        report = heard()
        if not report.looks:
            return []
        self._newcomers, self._again_ns = False, now_ns + AGAIN_NS
        self.standing = [(offer, end_ns) for offer, end_ns in self.standing if end_ns > now_ns + NS]
        return [(part, end_ns) for offer, end_ns in self.standing for part in free_parts(report, offer, closed)]

    def look_again(self, now_ns: int, lent: list[tuple[int, int]]) -> bool:
        """Return whether to sign the place envelope again: periodically with a standing offer, or for a returned band.

        Args: now_ns: UTC. lent: bands in Hz that this holder's own users have now.
        """
        back = any(band not in lent for band in self._lent)
        due = self._looked_ns + (BACK_NS if back else AGAIN_NS)
        if now_ns < due or not any(end_ns > now_ns for _, end_ns in self.standing):
            return False
        self._looked_ns, self._lent = now_ns, lent
        return True

    def offer(
        self,
        step: Step,
        party: Party,
        offer: OfferSection,
        *,
        found: Envelope,
        end_ns: int | None = None,
    ) -> tuple[bytes, bytes]:
        """Sign a place envelope and the offer that rests on it, new or (with `end_ns`) repeated; returns both records.

        Raises OwnFaultError where the envelope does not support the offer; the envelope is signed all the same.
        """
        now_ns = step.now.time.middle_ns
        envelope = party.bounds.observe(step, found)
        self._looked_ns = now_ns
        body = self.declaration(step, party, offer, end_ns=end_ns, envelope=envelope.digest)
        declaration = party.holder.declare(step, body)
        if offer.least is not None:
            step.put(LEAST, declaration.digest, offer.least.to_bytes(8, "big"))
        if end_ns is None and body.price_form != "auction":
            self.stand(offer, body.cell.window.end_ns)
        step.event("offered", band=body.cell.band)
        return envelope.raw, declaration.raw

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
        now_ns = step.now.time.middle_ns
        window = window_ms(now_ns, end_ns or now_ns + int(offer.for_s * NS))
        band = Band(low_hz=offer.low_hz, high_hz=offer.high_hz, unit=offer.unit)
        return Declaration(
            cell=Cell(band=band, area=offered_area(self.config, offer), window=window),
            commodity=offer.commodity,
            tier_low=2,
            tier_high=3,
            max_eirp_mdbm=offer.max_eirp_mdbm,
            rule=party.rule.hash,
            envelope=envelope,
            **priced(party, offer),
        )


def _holds(offer: OfferSection, part: OfferSection) -> bool:
    """Return whether an offer equals another except that its band holds the other's band."""
    inside = offer.low_hz <= part.low_hz and part.high_hz <= offer.high_hz
    return inside and offer == part.model_copy(update={"low_hz": offer.low_hz, "high_hz": offer.high_hz})


def lent_bands(party: Party, now: TimeFix) -> list[tuple[int, int]]:
    """Return bands in Hz in which this holder's users may be transmitting now."""
    return [
        (pair.cell.band.low_hz, pair.cell.band.high_hz)
        for pair in party.holder.pairs.values()
        if pair.cell.band.unit is None
        and pair.state == HolderState.CONFIRMED
        and not now.before(pair.cell.window.start_ns - MARGIN_NS)
    ]


def lent_spans(
    party: Party, channels: Iterable[Channel], *, utc_ns: int, monotonic_ns: int
) -> dict[Channel, list[tuple[int, int]]]:
    """Return for each channel the spans (monotonic ns) in which this holder's own users may have transmitted in it."""
    found: dict[Channel, list[tuple[int, int]]] = {}
    for pair in party.holder.pairs.values():
        window, band = pair.cell.window, (pair.cell.band.low_hz, pair.cell.band.high_hz)
        if pair.decision is None or pair.busy_until_ns == 0 or pair.cell.band.unit is not None:
            continue
        end_ns = min(window.end_ns, pair.busy_until_ns) + MARGIN_NS
        span = (window.start_ns - MARGIN_NS - utc_ns + monotonic_ns, end_ns - utc_ns + monotonic_ns)
        for channel in channels:
            if touched((int(channel.low_hz), int(channel.high_hz)), [band]):
                found.setdefault(channel, []).append(span)
    return found


def free_parts(report: SurveyReport, offer: OfferSection, closed: list[tuple[int, int]]) -> list[OfferSection]:
    """Cut an offer to runs of whole channels that were judged neither busy nor unknown and share nothing with `closed`.

    An offer that nothing senses, in a unit other than Hz, is returned whole.
    """
    if offer.unit is not None:
        return [offer]
    parts: list[OfferSection] = []
    for found in report.channels:
        low_hz, high_hz = int(found.channel.low_hz), int(found.channel.high_hz)
        inside = offer.low_hz <= low_hz and high_hz <= offer.high_hz
        taken = found.state in (ChannelState.BUSY, ChannelState.UNKNOWN)
        if not inside or taken or touched((low_hz, high_hz), closed):
            continue
        if parts and parts[-1].high_hz == low_hz:
            parts[-1] = parts[-1].model_copy(update={"high_hz": high_hz})
        else:
            parts.append(offer.model_copy(update={"low_hz": low_hz, "high_hz": high_hz}))
    return parts


def start_of(fix: Fix, monotonic_ns: int, start_mono_ns: int) -> int:
    """Return the start signal's time in UTC, by this node's clock."""
    return fix.time.middle_ns - (monotonic_ns - start_mono_ns)
