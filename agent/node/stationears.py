"""Checks with the node's receiver that base stations fall silent when they must: takes looks, returns findings.

The warden says when each base station may transmit (`StationTold`); the pure rules of `radio.cbrs.byear` compare that
with what the survey says of each look. A finding goes to the warden, which can only restrict the base station for it;
a base station found still transmitting also raises an alarm and a signed record in the log.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from agent.config.settings import NodeConfig
from agent.node.integers import MODALITY, ratio_ppm, touched
from agent.node.watcher import Heard
from agent.timekeeping.keeper import Timekeeper
from radio.cbrs.byear import (
    DOUBT,
    BandLook,
    EarFinding,
    EarKey,
    EarVerdict,
    StationEars,
    StationSpan,
    at_least,
    at_most,
)
from radio.link import StationHeard, StationTold
from sensing.results import ChannelLook, ChannelState
from sensing.values import Interval
from settlement.chain.bodies import PPM, ChannelObservation, Envelope
from settlement.chain.scope import Band, Window
from settlement.core.fixes import TimeFix
from settlement.pair.table import HolderState
from settlement.party.party import Party
from settlement.records.observation import HEARD_AFTER_END, PLACE
from settlement.state.messages import Message
from settlement.state.step import Outgoing, Step

FLAG_BYTES = 32
VALID_NS = 60_000_000_000
RELATIVE = "dBFS"
ALARMS_MAX = 16
UNSAID_MAX = 64
"""Findings kept for the log while nothing may be signed: the newest of each base station and band."""


@dataclass(slots=True)
class StationListening:
    """The agent's part. `own` is the band that this node's own gate is open for, None while the gate is shut."""

    config: NodeConfig
    party: Party
    clock: Timekeeper
    own: Callable[[], Band | None]
    unit: str = RELATIVE
    ears: StationEars = field(default_factory=StationEars)
    alarms: dict[str, str] = field(default_factory=dict)
    """Base stations found still transmitting since this agent's start, each with what was heard."""
    _unsaid: dict[EarKey, EarFinding] = field(default_factory=dict)
    _left_out: int = 0
    """Findings that will never be on record, as newer ones took their places."""

    def told(self, message: StationTold) -> None:
        """Note the warden's word on when a base station may transmit."""
        self.ears.span(StationSpan(**asdict(message)))

    def cleared(self, device: str) -> None:
        """Clear an alarm that a person looked into; what is heard from here on counts anew."""
        self.alarms.pop(device, None)
        for ear in self.ears.ears.values():
            if ear.span.device == device:
                ear.anew(time.monotonic_ns())

    def look(self, heard: Heard) -> None:
        """Judge one look against every base station's band."""
        if not self.ears.ears:
            return
        found = [(low, high) for low, high, _ in heard.incumbents]
        for ear in self.ears.ears.values():
            span = ear.span
            look = band_look(heard.channels, span.low_hz, span.high_hz, heard.listened_ns)
            if look is None:
                continue
            others = self._others(span, found, heard.listened_ns)
            ear.look(look, others)
        self.unit = next((one.power.unit for one in heard.channels), self.unit)

    def _others(self, span: StationSpan, incumbents: list[tuple[int, int]], at_ns: int) -> str:
        band = (span.low_hz, span.high_hz)
        if touched(band, incumbents):
            return "an incumbent is in its band"
        own = self.own()
        if own is not None and own.overlaps(Band(low_hz=span.low_hz, high_hz=span.high_hz)):
            return "this node's own radio may be on there"
        now = self.clock.fix().time
        for pair in self.party.holder.busy.values():
            lent = pair.state == HolderState.CONFIRMED and not now.before(pair.cell.window.start_ns)
            if lent and pair.sid != span.sid and touched(band, [(pair.cell.band.low_hz, pair.cell.band.high_hz)]):
                return "it is lent to somebody else"
        return self.ears.allowed(span.low_hz, span.high_hz, at_ns, beside=span.device)

    def turn(self, now_ns: int) -> list[StationHeard]:
        """Return new findings for the warden; those to be put on record wait for `sign`."""
        made = []
        for one in self.ears.findings(now_ns):
            span = one.span
            if one.verdict is EarVerdict.STILL_ON:
                self._left_out += self._unsaid.pop(span.key, None) is not None
                self._unsaid[span.key] = one
                while len(self._unsaid) > UNSAID_MAX:
                    del self._unsaid[next(iter(self._unsaid))]
                    self._left_out += 1
                self.alarms[span.device] = one.detail
                while len(self.alarms) > ALARMS_MAX:
                    del self.alarms[next(iter(self.alarms))]
            made.append(
                StationHeard(
                    device=span.device,
                    low_hz=span.low_hz,
                    high_hz=span.high_hz,
                    verdict=one.verdict.value,
                    detail=one.detail,
                )
            )
        return made

    @property
    def unsaid(self) -> bool:
        """Whether a finding waits to be signed."""
        return bool(self._unsaid)

    def taken(self, step: Step) -> list[EarFinding]:
        """What is to be signed now, each by `sign`: one that fails keeps no other from its record."""
        if self._left_out:
            step.event("not on record", findings=self._left_out, why="newer ones came while nothing could be signed")
        unsaid, self._unsaid, self._left_out = list(self._unsaid.values()), {}, 0
        return unsaid

    def sign(self, step: Step, found: EarFinding) -> None:
        """Sign what was heard after an end, and send it to the other side of the settlement."""
        body = evidence(found, self.clock.at, step.now.time.latest_ns + VALID_NS)
        refusal = step.may_sign(body)
        if refusal is not None:
            step.event("not on record", device=found.span.device, why=str(refusal))
            return
        record = self.party.bounds.observe(step, body)
        for to in _parties(self.party, found.span.sid):
            step.outgoing.append(Outgoing(to=to, data=Message(record=record.raw).encoded()))
        step.event(
            "base station still on",
            device=found.span.device,
            band=body.channels[0].band,
            levels_db=[round(one, 1) for one in found.levels_db or ()],
            unit=self.unit,
            record=record.digest,
        )


def band_look(channels: Iterable[ChannelLook], low_hz: int, high_hz: int, at_ns: int) -> BandLook | None:
    """Return what a look says of a band: busy where one of its channels is; None where channels do not cover it."""
    inside = sorted(
        (one for one in channels if one.channel.low_hz < high_hz and low_hz < one.channel.high_hz),
        key=lambda one: one.channel.low_hz,
    )
    reach_hz: float = low_hz
    for one in inside:
        if one.channel.low_hz > reach_hz:
            return None
        reach_hz = max(reach_hz, one.channel.high_hz)
    if reach_hz < high_hz:
        return None
    loudest = max(inside, key=lambda one: one.power.value)
    if any(one.busy for one in inside):
        return BandLook(at_ns=at_ns, heard=True, level_db=loudest.power.value)
    unknown = any(one.busy is None for one in inside)
    return BandLook(at_ns=at_ns, heard=None if unknown else False, level_db=loudest.power.value)


def evidence(found: EarFinding, at: Callable[[int], TimeFix], valid_until_ns: int) -> Envelope:
    """Return a place envelope of the band of a base station that was heard after its end, ready to sign.

    Its occupancy is the share of looks in which the base station was heard; its flags name base station and settlement.
    Times are rounded so that the envelope claims no more than was heard.
    """
    span = found.span
    start_ns = max(at(span.silent_from_ns).latest_ns, at(found.from_ns).latest_ns)
    low, high = at_least(found.like, found.looks), at_most(found.like, found.looks)
    share = Interval(value=found.like / found.looks, low=low, high=high)
    row = ChannelObservation(
        band=Band(low_hz=span.low_hz, high_hz=span.high_hz),
        state=ChannelState.BUSY.value,
        occupancy_ppm=ratio_ppm(share),
        floor_unit="",
        flags=(HEARD_AFTER_END, *named(span.device), f"sid:{span.sid.hex()[:24]}"),
    )
    return Envelope(
        kind=PLACE,
        observed=Window(start_ns=start_ns, end_ns=max(start_ns, at(found.to_ns).latest_ns)),
        valid_until_ns=max(valid_until_ns, at(found.to_ns).latest_ns, start_ns),
        level_ppm=round(PPM * (1 - DOUBT)),
        looks=found.looks,
        channels=(row,),
        incumbents=(),
        modality=MODALITY,
    )


def named(device: str) -> tuple[str, ...]:
    """Split a device's text into pieces that fit into flags, in order."""
    data = device.encode()
    return tuple(
        data[at : at + FLAG_BYTES].decode(errors="replace") for at in range(0, min(len(data), 128), FLAG_BYTES)
    )


def _parties(party: Party, sid: bytes) -> list[bytes]:
    """Return the credential of the other side of a settlement; empty where it is unknown here."""
    granted, asked = party.holder.pairs.get(sid), party.user.by_sid(sid)
    if granted is not None:
        return [granted.user]
    grant = party.record_of(asked.grant) if asked is not None and asked.grant is not None else None
    return [] if grant is None or grant.frame.author is None else [grant.frame.author]
