"""Fuses several nodes' signed place envelopes into one, each weighted by what the rule says of its author."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.node.integers import LEVEL_PPM, ratio_ppm
from sensing.fusion import Fused, NodeReport, NothingToFuse, fuse
from sensing.values import Interval
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Quantity, Rule
from settlement.chain.scope import Band, Window
from settlement.chain.weights import consistencies_ppm, observation_weight_ppm
from settlement.pair.envelopes import PLACE

QUORUM, VOICES = 3, 2
CONFLICT = "CONFLICT"
"""Flag of a channel on which the weighted nodes disagree: the fused interval spans all of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedEnvelope:
    """An admitted envelope with its author and the author's level in the rule's taxonomy."""

    node: str
    level: str
    envelope: Envelope


Said = list[tuple[AdmittedEnvelope, ChannelObservation]]
"""The envelopes that report one channel, each with its observation of that channel."""


def node_reports(rule: Rule, sightings: Sequence[AdmittedEnvelope], band: Band) -> list[NodeReport]:
    """Return each node's report of one channel's occupancy, weighted by authority x reliability x consistency."""
    return _reports(rule, _by_channel(sightings).get(band, []))


def _by_channel(sightings: Sequence[AdmittedEnvelope], only: Collection[Band] | None = None) -> dict[Band, Said]:
    """Group the observations by channel, each envelope's first one per channel, in one pass over all envelopes."""
    found: dict[Band, Said] = {}
    for sighting in sightings:
        first: dict[Band, ChannelObservation] = {}
        for channel in sighting.envelope.channels:
            if only is None or channel.band in only:
                first.setdefault(channel.band, channel)
        for band, channel in first.items():
            found.setdefault(band, []).append((sighting, channel))
    return found


def _reports(rule: Rule, said: Said) -> list[NodeReport]:
    known = [(sighting, one.occupancy_ppm) for sighting, one in said if one.occupancy_ppm is not None]
    consistent = consistencies_ppm([(quantity.low, quantity.high) for _, quantity in known])
    return [
        NodeReport(
            node=sighting.node, value=_interval(quantity, sighting.envelope), authority=_weight(rule, sighting, ppm)
        )
        for (sighting, quantity), ppm in zip(known, consistent, strict=True)
    ]


def _weight(rule: Rule, sighting: AdmittedEnvelope, consistency_ppm: int) -> float:
    level, modality = sighting.level, sighting.envelope.modality
    return observation_weight_ppm(rule, level=level, modality=modality, consistency_ppm=consistency_ppm) / PPM


def _interval(quantity: Quantity, envelope: Envelope) -> Interval:
    low, value, high = quantity.low / PPM, quantity.value / PPM, quantity.high / PPM
    return Interval(value=value, low=low, high=high, level=envelope.level_ppm / PPM)


def fused_place(
    rule: Rule, sightings: Sequence[AdmittedEnvelope], *, observed: Window, valid_until_ns: int
) -> Envelope:
    """Fuse the occupancy of every channel that anyone reported; without a report of nonzero weight it stays unknown."""
    told = sorted(_by_channel(sightings).items(), key=lambda one: (one[0].low_hz, one[0].high_hz))
    return Envelope(
        kind=PLACE,
        observed=observed,
        valid_until_ns=min([valid_until_ns, *(s.envelope.valid_until_ns for s in sightings)]),
        level_ppm=LEVEL_PPM,
        looks=sum(s.envelope.looks for s in sightings),
        channels=tuple(_channel(rule, said, band) for band, said in told),
        incumbents=tuple(sorted({i for s in sightings if _counts(rule, s) for i in s.envelope.incumbents})),
        modality="fusion",
    )


def _counts(rule: Rule, sighting: AdmittedEnvelope) -> bool:
    return _weight(rule, sighting, PPM) > 0


def _channel(rule: Rule, said: Said, band: Band) -> ChannelObservation:
    try:
        fused = _fused(rule, said)
    except NothingToFuse:
        return ChannelObservation(band=band, state="unknown", floor_unit="dBm/Hz", flags=())
    # The fused state is the least free of those that nodes of nonzero weight reported.
    states = {channel.state for sighting, channel in said if fused.weights.get(sighting.node)}
    state = next((one for one in ("busy", "unknown") if one in states), "free")
    return ChannelObservation(
        band=band,
        state=state,
        occupancy_ppm=ratio_ppm(fused.value),
        floor_unit="dBm/Hz",
        flags=() if fused.decided else (CONFLICT,),
    )


def _fused(rule: Rule, said: Said) -> Fused:
    """Fuse the observations of one channel. Raises NothingToFuse."""
    return fuse([report for report in _reports(rule, said) if report.authority > 0], level=LEVEL_PPM / PPM)


def busy_to_most(
    rule: Rule, sightings: Sequence[AdmittedEnvelope], channels: Collection[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return those of a node's own channels (Hz) that the weighted nodes together take for busy.

    Returns none with fewer than three envelopes; a channel is left out where the nodes disagree, or only one of them
    knows its occupancy. Observations of other bands are ignored, however they are cut.
    """
    if len(sightings) < QUORUM:
        return []
    counting = [sighting for sighting in sightings if _counts(rule, sighting)]
    told = _by_channel(counting, {Band(low_hz=low, high_hz=high) for low, high in channels})
    return sorted((band.low_hz, band.high_hz) for band, said in told.items() if _busy_to_most(rule, said))


def _busy_to_most(rule: Rule, said: Said) -> bool:
    if sum(channel.occupancy_ppm is not None for _, channel in said) < VOICES:
        return False
    try:
        fused = _fused(rule, said)
    except NothingToFuse:
        return False
    occupancy = ratio_ppm(fused.value)
    return fused.decided and occupancy is not None and occupancy.low > 0
