"""Converts measured floats to the integers of signed records, interval ends rounded outwards; no other module does."""

import math
from collections.abc import Iterable, Sequence

from hw_profiles.profile import RadioProfile
from sensing.flags import names
from sensing.survey import ChannelReport, ChannelState, SurveyReport
from sensing.values import Interval, LevelDb
from settlement.chain.bodies import PPM, ChannelObservation, Envelope, Quantity
from settlement.chain.scope import Band, Window
from settlement.pair.envelopes import ABLE, PLACE, UNIT

LEVEL_PPM = 950_000
SIGMAS = 1.96
INCUMBENT = "INCUMBENT"
"""Flag of a channel that counts as busy because an incumbent was heard in it."""
MODALITY = "energy"
"""Modality of our own survey, energy detection, which a rule may rate."""


def ratio_ppm(interval: Interval) -> Quantity | None:
    """Convert a ratio with its interval to millionths, ends rounded outwards; None where it is unknown."""
    values = (interval.value, interval.low, interval.high)
    if not all(math.isfinite(v) for v in values):
        return None
    low, high = math.floor(interval.low * PPM), math.ceil(interval.high * PPM)
    return Quantity(value=round(interval.value * PPM), low=max(0, low), high=min(PPM, high))


def level_mdb(level: LevelDb) -> Quantity | None:
    """Convert a level with its 95 % interval to thousandths of a dB, ends rounded outwards; None if unknown."""
    if not (math.isfinite(level.value) and math.isfinite(level.sd)):
        return None
    spread = SIGMAS * level.sd * 1000
    value = level.value * 1000
    return Quantity(value=round(value), low=math.floor(value - spread), high=math.ceil(value + spread))


def channel(report: ChannelReport, *, protected: bool = False) -> ChannelObservation:
    """Return one channel's row of an envelope; a channel protected for an incumbent is never marked free."""
    flags = names(report.flags)
    return ChannelObservation(
        band=Band(low_hz=int(report.channel.low_hz), high_hz=int(report.channel.high_hz)),
        state=ChannelState.BUSY.value if protected else report.state.value,
        occupancy_ppm=ratio_ppm(report.occupancy),
        floor_mdb=level_mdb(report.noise_floor),
        floor_unit=report.noise_floor.unit,
        flags=(*flags, INCUMBENT) if protected else flags,
    )


def place_envelope(
    report: SurveyReport,
    *,
    observed: Window,
    valid_until_ns: int,
    incumbents: Iterable[str],
    closed: Sequence[tuple[int, int]] = (),
    lent: Sequence[tuple[int, int]] = (),
) -> Envelope:
    """Return a place envelope from a survey report, ready to sign.

    Args: closed: bands in Hz protected for an incumbent. lent: bands in Hz that this node's own users fill, which are
        left out.
    """
    rows = [(r, (int(r.channel.low_hz), int(r.channel.high_hz))) for r in report.channels]
    return Envelope(
        kind=PLACE,
        observed=observed,
        valid_until_ns=valid_until_ns,
        level_ppm=LEVEL_PPM,
        looks=report.looks,
        channels=tuple(channel(r, protected=touched(band, closed)) for r, band in rows if not touched(band, lent)),
        incumbents=tuple(incumbents),
        modality=MODALITY,
    )


def sighting(bands: Iterable[tuple[int, int]], *, observed: Window, valid_until_ns: int, what: str) -> Envelope:
    """Return an envelope that only says that an incumbent was heard in these bands (Hz), without a survey report."""
    channels = tuple(
        ChannelObservation(
            band=Band(low_hz=low, high_hz=high), state=ChannelState.BUSY.value, floor_unit="", flags=(INCUMBENT,)
        )
        for low, high in sorted(bands)
    )
    return Envelope(
        kind=PLACE,
        observed=observed,
        valid_until_ns=valid_until_ns,
        level_ppm=LEVEL_PPM,
        looks=1,
        channels=channels,
        incumbents=(what,),
        modality=MODALITY,
    )


def touched(band: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    """Return whether a band in Hz shares a frequency with one of the others."""
    return any(low < band[1] and band[0] < high for low, high in others)


def unit_envelope(profile: RadioProfile, *, full_scale_eirp_mdbm: int, now_ns: int, valid_ns: int) -> Envelope:
    """Return a unit envelope from a radio's profile, ready to sign: what the radio can do.

    Covers the frequencies where it can both receive and transmit, its transmit bandwidth, and its EIRP at full scale.
    """
    low_hz = max(profile.rx.lo_hz.low, profile.tx.lo_hz.low)
    high_hz = min(profile.rx.lo_hz.high, profile.tx.lo_hz.high)
    reach = Band(low_hz=low_hz, high_hz=high_hz)
    able = ChannelObservation(band=reach, state=ABLE, floor_unit="", flags=())
    return Envelope(
        kind=UNIT,
        observed=Window(start_ns=now_ns, end_ns=now_ns),
        valid_until_ns=now_ns + valid_ns,
        level_ppm=PPM,
        looks=0,
        channels=(able,) if low_hz < high_hz else (),
        incumbents=(),
        max_eirp_mdbm=full_scale_eirp_mdbm,
        modality="profile",
        width_hz_max=profile.tx.bw_hz.high,
    )
