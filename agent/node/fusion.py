"""Several nodes' signed place envelopes made into one, each counting by what the rule makes of its author."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.node.integers import LEVEL_PPM, ratio_ppm
from sensing.fusion import NodeReport, NothingToFuse, fuse
from sensing.values import Interval
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Quantity, Rule
from settlement.chain.scope import Band, Window
from settlement.chain.weights import consistency_ppm, observation_weight_ppm
from settlement.pair.envelopes import PLACE

QUORUM = 3
CONFLICT = "CONFLICT"
"""Flag of a channel on which the nodes that count do not agree: the interval spans them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedEnvelope:
    """An admitted envelope, by whom and of which level of the rule's taxonomy."""

    node: str
    level: str
    envelope: Envelope


def node_reports(rule: Rule, sightings: Sequence[AdmittedEnvelope], band: Band) -> list[NodeReport]:
    """What each node says of the occupancy of one channel, with authority x reliability x consistency as its weight."""
    said = [(s, _occupancy(s.envelope, band)) for s in sightings]
    known = [(s, q) for s, q in said if q is not None]
    reports = []
    for number, (sighting, quantity) in enumerate(known):
        others = [(q.low, q.high) for n, (_, q) in enumerate(known) if n != number]
        weight_ppm = observation_weight_ppm(
            rule,
            level=sighting.level,
            modality=sighting.envelope.modality,
            consistency_ppm=consistency_ppm(others, (quantity.low, quantity.high)),
        )
        reports.append(
            NodeReport(node=sighting.node, value=_interval(quantity, sighting.envelope), authority=weight_ppm / PPM)
        )
    return reports


def _occupancy(envelope: Envelope, band: Band) -> Quantity | None:
    return next((c.occupancy_ppm for c in envelope.channels if c.band == band), None)


def _interval(quantity: Quantity, envelope: Envelope) -> Interval:
    low, value, high = quantity.low / PPM, quantity.value / PPM, quantity.high / PPM
    return Interval(value=value, low=low, high=high, level=envelope.level_ppm / PPM)


def fused_place(
    rule: Rule, sightings: Sequence[AdmittedEnvelope], *, observed: Window, valid_until_ns: int
) -> Envelope:
    """Fuse the occupancy of every channel that anyone reported; what nobody of weight reported stays unknown."""
    bands = sorted({c.band for s in sightings for c in s.envelope.channels}, key=lambda b: (b.low_hz, b.high_hz))
    return Envelope(
        kind=PLACE,
        observed=observed,
        valid_until_ns=min([valid_until_ns, *(s.envelope.valid_until_ns for s in sightings)]),
        level_ppm=LEVEL_PPM,
        looks=sum(s.envelope.looks for s in sightings),
        channels=tuple(_channel(rule, sightings, band) for band in bands),
        incumbents=tuple(sorted({i for s in sightings if _counts(rule, s) for i in s.envelope.incumbents})),
        modality="fusion",
    )


def _counts(rule: Rule, sighting: AdmittedEnvelope) -> bool:
    modality = sighting.envelope.modality
    return observation_weight_ppm(rule, level=sighting.level, modality=modality, consistency_ppm=PPM) > 0


def _channel(rule: Rule, sightings: Sequence[AdmittedEnvelope], band: Band) -> ChannelObservation:
    try:
        counting = [report for report in node_reports(rule, sightings, band) if report.authority > 0]
        fused = fuse(counting, level=LEVEL_PPM / PPM)
    except NothingToFuse:
        return ChannelObservation(band=band, state="unknown", floor_unit="dBm/Hz", flags=())
    # A channel is as free as the node of weight that found it least free.
    states = {c.state for s in sightings if fused.weights.get(s.node) for c in s.envelope.channels if c.band == band}
    state = next((one for one in ("busy", "unknown") if one in states), "free")
    return ChannelObservation(
        band=band,
        state=state,
        occupancy_ppm=ratio_ppm(fused.value),
        floor_unit="dBm/Hz",
        flags=() if fused.decided else (CONFLICT,),
    )


def busy_to_most(rule: Rule, sightings: Sequence[AdmittedEnvelope]) -> list[tuple[int, int]]:
    """Bands in Hz that the nodes of weight together take for busy, whatever one of them says.

    Of fewer than three none can be outvoted, and where they do not agree nobody decides for the others.
    """
    if len(sightings) < QUORUM:
        return []
    own = sightings[0].envelope
    body = fused_place(rule, sightings, observed=own.observed, valid_until_ns=own.valid_until_ns)
    return [
        (c.band.low_hz, c.band.high_hz)
        for c in body.channels
        if c.occupancy_ppm is not None and c.occupancy_ppm.low > 0 and CONFLICT not in c.flags
    ]
