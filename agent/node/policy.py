"""What a node wants: a holder offers what it sensed to be free, a user asks for what its configuration lists."""

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
"""Offers that one intent is answered with."""
AGAIN_NS = 10 * NS
STANDING_MAX = 32
"""Offers that are remembered as standing: so many of one holder's its users keep."""
BACK_NS = NS // 2
"""A band that was given back is listened to for so long before anything is said of it."""
MARGIN_NS = 50 * MS
"""What is heard so near a window of our own users may still be theirs."""


def window_ms(start_ns: int, end_ns: int) -> Window:
    """A window on whole milliseconds of UTC."""
    return Window(start_ns=start_ns // MS * MS, end_ns=end_ns // MS * MS)


@dataclass(slots=True)
class HolderPolicy:
    """Offers each configured band once, when enough was heard and nothing protected is in it."""

    config: NodeConfig
    made: set[int] = field(default_factory=set)
    standing: list[tuple[OfferSection, int]] = field(default_factory=list)
    """What was offered, and until when (UTC ns)."""
    _said: list[tuple[int, OfferSection]] = field(default_factory=list)
    _again_ns: int = 0
    _newcomers: bool = False
    _lent: list[tuple[int, int]] = field(default_factory=list)
    _looked_ns: int = 0

    def due(
        self, since_start_s: float, heard: Callable[[], SurveyReport], closed: list[tuple[int, int]]
    ) -> list[tuple[int, OfferSection]]:
        """Offers to make now, cut to what was heard to be free; `closed` are the bands protected for an incumbent.

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
        """What answers an intent: what stands, with its end (UTC ns), or what is offered to nobody unasked."""
        reactive: list[tuple[OfferSection, int | None]] = [(o, None) for o in self.config.offers if o.reactive]
        return answering(asked, [*self.standing, *reactive])[:ANSWERS_MAX]

    def note(self, offer: OfferSection, now_ns: int) -> None:
        """An offer went to every neighbour (UTC ns)."""
        self._said = [one for one in self._said if one[0] > now_ns - AGAIN_NS] + [(now_ns, offer)]

    def said_lately(self, part: OfferSection, now_ns: int) -> bool:
        """Whether everybody was offered all of it a moment ago: whoever asks for a piece of that has heard of it."""
        return any(at > now_ns - AGAIN_NS and _holds(offer, part) for at, offer in self._said)

    def stand(self, offer: OfferSection, end_ns: int) -> None:
        """An offer stands until then (UTC ns); what an intent cut of one that stands does not stand beside it."""
        if not any(_holds(one, offer) and until >= end_ns for one, until in self.standing):
            self.standing = [*self.standing, (offer, end_ns)][-STANDING_MAX:]

    def newcomer(self) -> None:
        """A neighbour came up: it has not heard what was offered before, and would not take old records."""
        self._newcomers = True

    def again(
        self, now_ns: int, heard: Callable[[], SurveyReport], closed: list[tuple[int, int]]
    ) -> list[tuple[OfferSection, int]]:
        """What still stands, to be offered anew with its end (UTC ns) to those who came up since, now and then.

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
        """Whether to sign anew what was found: now and then while an offer stands, and once a lent band is given back.

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
        """Sign what was found and the offer that rests on it, new or (`end_ns`) again; returns both records.

        Raises OwnFaultError where what was found does not hold the offer; what was found is signed all the same.
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
        """The offer as it would be signed now."""
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
    """Does an offer say all that another does, but for its band's edges?"""
    inside = offer.low_hz <= part.low_hz and part.high_hz <= offer.high_hz
    return inside and offer == part.model_copy(update={"low_hz": offer.low_hz, "high_hz": offer.high_hz})


def lent_bands(party: Party, now: TimeFix) -> list[tuple[int, int]]:
    """Bands in Hz that this holder's users may be transmitting in now."""
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
    """For each channel the spans (monotonic ns) in which this holder's own users may have transmitted in it."""
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
    """The offer cut to runs of whole channels that were judged not busy and hold no incumbent.

    What nothing senses is offered whole.
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
    """The start signal in UTC, as well as this node knows it."""
    return fix.time.middle_ns - (monotonic_ns - start_mono_ns)
