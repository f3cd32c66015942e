"""Sensing results and radio limits of simulated members: place and unit envelopes."""

from random import Random

from settlement.chain.bodies import PPM, ChannelObservation, Envelope
from settlement.chain.scope import Band, Window
from settlement.pair.envelopes import ABLE, FREE, PLACE, UNIT, UNKNOWN
from sim.world.plan import NS
from sim.world.trust import BAND, EIRP_MDBM, RASTER_HZ

LEVEL_PPM = 950_000
BUSY = "busy"
LOOK_NS = NS // 2


def _channel(low_hz: int, state: str) -> ChannelObservation:
    band = Band(low_hz=low_hz, high_hz=low_hz + RASTER_HZ)
    return ChannelObservation(band=band, state=state, floor_unit="dBm/Hz", flags=())


def _place(channels: tuple[ChannelObservation, ...], now_ns: int, valid_ns: int) -> Envelope:
    return Envelope(
        kind=PLACE,
        observed=Window(start_ns=now_ns - LOOK_NS, end_ns=now_ns),
        valid_until_ns=now_ns + valid_ns,
        level_ppm=LEVEL_PPM,
        looks=20,
        channels=channels,
        incumbents=(),
        modality="energy",
    )


def all_free(band: Band, now_ns: int) -> Envelope:
    """An envelope with every channel of a band free, valid for a minute."""
    channels = tuple(_channel(low_hz, FREE) for low_hz in range(band.low_hz, band.high_hz, RASTER_HZ))
    return _place(channels, now_ns, 60 * NS)


def looked(band: Band, now_ns: int, draw: Random) -> Envelope:
    """Some channels of a band, each free, busy or unknown; valid for two seconds or a minute."""
    lows = draw.sample(range(band.low_hz, band.high_hz, RASTER_HZ), draw.choice((1, 2, 4)))
    channels = tuple(_channel(low_hz, draw.choice((FREE, FREE, BUSY, UNKNOWN))) for low_hz in sorted(lows))
    return _place(channels, now_ns, draw.choice((2, 60)) * NS)


def unit_of(draw: Random, now_ns: int, within: Band = BAND) -> Envelope:
    """A member's radio limits: mostly the whole band, at times not the lowest channel, less wide or less loud."""
    low_hz = within.low_hz + draw.choice((0, 0, 0, 0, 0, 0, 0, RASTER_HZ))
    reach = Band(low_hz=low_hz, high_hz=within.high_hz)
    return Envelope(
        kind=UNIT,
        observed=Window(start_ns=now_ns, end_ns=now_ns),
        valid_until_ns=now_ns + 3600 * NS,
        level_ppm=PPM,
        looks=0,
        channels=(ChannelObservation(band=reach, state=ABLE, floor_unit="", flags=()),),
        incumbents=(),
        max_eirp_mdbm=draw.choice((EIRP_MDBM, EIRP_MDBM, 22_000, 22_000, 22_000, 22_000, 22_000, 18_000)),
        modality="profile",
        width_hz_max=draw.choice((4, 4, 4, 4, 4, 4, 2)) * RASTER_HZ,
    )
