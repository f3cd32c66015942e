"""The one place where measured floats become the integers of signed records, and interval ends round outwards."""

import math
from collections.abc import Iterable

from sensing.flags import names
from sensing.survey import ChannelReport, SurveyReport
from sensing.values import Interval, Level
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Quantity
from settlement.chain.scope import Band, Window

LEVEL_PPM = 950_000
SIGMAS = 1.96
MODALITY = "energy"
"""How our own survey observes, as a rule may rate it."""


def ratio_ppm(interval: Interval) -> Quantity | None:
    """A ratio with its interval in millionths, ends rounded outwards; None where it is not known."""
    values = (interval.value, interval.low, interval.high)
    if not all(math.isfinite(v) for v in values):
        return None
    low, high = math.floor(interval.low * PPM), math.ceil(interval.high * PPM)
    return Quantity(value=round(interval.value * PPM), low=max(0, low), high=min(PPM, high))


def level_mdb(level: Level) -> Quantity | None:
    """A level in milli-decibel with its 95 % interval, ends rounded outwards; None where it is not known."""
    if not (math.isfinite(level.value) and math.isfinite(level.sd)):
        return None
    spread = SIGMAS * level.sd * 1000
    value = level.value * 1000
    return Quantity(value=round(value), low=math.floor(value - spread), high=math.ceil(value + spread))


def channel(report: ChannelReport) -> ChannelObservation:
    """One channel's row of an envelope."""
    return ChannelObservation(
        band=Band(low_hz=int(report.channel.low_hz), high_hz=int(report.channel.high_hz)),
        state=report.state.value,
        occupancy_ppm=ratio_ppm(report.occupancy),
        floor_mdb=level_mdb(report.noise_floor),
        floor_unit=report.noise_floor.unit,
        flags=names(report.flags),
    )


def place_envelope(
    report: SurveyReport, *, observed: Window, valid_until_ns: int, incumbents: Iterable[str]
) -> Envelope:
    """What was sensed at this place, ready to sign."""
    return Envelope(
        kind="place",
        observed=observed,
        valid_until_ns=valid_until_ns,
        level_ppm=LEVEL_PPM,
        looks=report.looks,
        channels=tuple(channel(c) for c in report.channels),
        incumbents=tuple(incumbents),
        modality=MODALITY,
    )
