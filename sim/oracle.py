"""The RF oracle: what each antenna truly emitted, from device state and samples; it knows of no settlement."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from radio.ports import Iq16
from sim.device import BurstSegment, Carrier
from sim.spectrum import BINS, extent, spectrum
from sim.stations import Station

NS = 1_000_000_000
OCCUPIED = 0.99
MOMENT = 2048
MOMENT_STEP = 256
LEVELS_MDBM_PER_MHZ = (-13_000, -25_000, -40_000)
"""Default levels at which an emission's extent is reported: the mask of 47 CFR 96.41(e)."""

Kind: TypeAlias = Literal["burst", "lo_leakage", "tone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiatedBurst:
    """Power that left an antenna: monotonic times, the 99 % occupied band, the mean EIRP.

    `moment_dbm` is the mean EIRP of its loudest MOMENT samples, `peak_dbm` that of its loudest sample. `reaches` holds,
    for each level in mdBm per MHz, how far down and up any 1 MHz of any moment holds more than that: (level, low_hz,
    high_hz). `cut_short` says that the device stopped it before its last sample.
    """

    radio: str
    start_ns: int
    end_ns: int
    center_hz: int
    low_hz: int
    high_hz: int
    eirp_dbm: float
    cut_short: bool
    kind: Kind = "burst"
    moment_dbm: float | None = None
    peak_dbm: float | None = None
    levels_mdbm: tuple[int, ...] = ()
    reaches: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleContent:
    """Measured samples: the non-zero stretch, its mean square of |x|, its 99 % band around the centre.

    `loudest` and `peak` are the mean square of the loudest MOMENT samples and of the loudest one; `held` the largest
    mean square of each bin in any moment.
    """

    first: int
    stop: int
    mean_square: float
    loudest: float
    peak: float
    low_hz: float
    high_hz: float
    held: NDArray[np.float64]


def measure(
    iq: Iq16, *, sample_rate_hz: int, full_scale: int, whole: tuple[bool, bool] = (True, True)
) -> SampleContent | None:
    """Measure samples of shape (n, 2) as a DAC of that full scale emits them; None if they are all zero.

    Args: whole: whether they begin and end what was sent, with silence beside them.
    Returns: occupied bandwidth as ITU-R SM.328-11 section 3: 0.5 % of the power is below `low_hz`, 0.5 % above
        `high_hz`; edges are good to about two bins.
    """
    sounding = np.ascontiguousarray(iq).view(np.int32).reshape(-1) != 0
    if not sounding.any():
        return None
    first, stop = int(sounding.argmax()), len(sounding) - int(sounding[::-1].argmax())
    rails = iq.astype(np.float32).reshape(-1)
    np.clip(rails, -full_scale, full_scale - 1, out=rails)
    sounds = rails[2 * first : 2 * stop]
    loudest, peak = _moments(sounds)
    found = spectrum(rails.view(np.complex64), before=whole[0], after=whole[1])
    low, high = _occupied(found.total)
    return SampleContent(
        first=first,
        stop=stop,
        mean_square=2 * float(np.dot(sounds, sounds)) / len(sounds),
        loudest=loudest,
        peak=peak,
        low_hz=low * sample_rate_hz,
        high_hz=high * sample_rate_hz,
        held=found.held,
    )


Measure: TypeAlias = Callable[..., SampleContent | None]
"""As `measure`."""


def _moments(rails: NDArray[np.float32]) -> tuple[float, float]:
    """Mean square of the loudest MOMENT samples, in steps of MOMENT_STEP, and of the loudest one."""
    square = np.square(rails)
    power = square[0::2] + square[1::2]
    starts = np.arange(0, len(power), MOMENT_STEP)
    steps = np.add.reduceat(power, starts, dtype=np.float64)
    span = min(len(steps), MOMENT // MOMENT_STEP)
    summed = np.concatenate(([0.0], np.cumsum(steps)))
    return float((summed[span:] - summed[:-span]).max()) / min(len(power), MOMENT), float(power.max())


def _occupied(power: NDArray[np.float64]) -> tuple[float, float]:
    """Edges that leave 0.5 % of the power outside on either side, as fractions of the sample rate."""
    total = np.concatenate(([0.0], np.cumsum(power)))
    total /= total[-1]
    edges = (np.arange(BINS + 1) - BINS / 2 - 0.5) / BINS
    tail = (1 - OCCUPIED) / 2
    return float(np.interp(tail, total, edges)), float(np.interp(1 - tail, total, edges))


def burst(
    segment: BurstSegment,
    iq: Iq16,
    station: Station,
    *,
    floor_dbm: float = -math.inf,
    levels_mdbm: tuple[int, ...] = LEVELS_MDBM_PER_MHZ,
    measured: Measure = measure,
) -> RadiatedBurst | None:
    """The emission of an ended segment, or None if it had none or was below the floor.

    Args:
        segment: with its final end.
        iq: the samples of the whole burst that it is part of.
        station: who sent it.
        floor_dbm: EIRP; an emission whose loudest moment is weaker counts as none.
        levels_mdbm: levels at which its extent is reported, in mdBm per MHz.
        measured: `measure`, or a function with the same arguments and result.
    """
    rate, full = segment.sample_rate_hz, station.hardware.tx_full_scale
    played = min(segment.samples, max(0, -(-(segment.end_ns - segment.start_ns) * rate // NS)))
    part = iq[segment.first_sample : segment.first_sample + played]
    whole = segment.first_sample == 0, played == len(iq) - segment.first_sample
    found = measured(part, sample_rate_hz=rate, full_scale=full, whole=whole) if segment.live else None
    if found is None:
        return None
    full_dbm = _full_scale_dbm(station, segment.attenuation_mdb)
    if full_dbm + _db(found.loudest / full**2) < floor_dbm:
        return None
    return RadiatedBurst(
        radio=station.name,
        start_ns=segment.start_ns + found.first * NS // rate,
        end_ns=min(segment.end_ns, segment.start_ns + found.stop * NS // rate),
        center_hz=segment.center_hz,
        low_hz=segment.center_hz + math.floor(found.low_hz),
        high_hz=segment.center_hz + math.ceil(found.high_hz),
        eirp_dbm=round(full_dbm + _db(found.mean_square / full**2), 3),
        cut_short=segment.cut_short,
        moment_dbm=round(full_dbm + _db(found.loudest / full**2), 3),
        peak_dbm=round(full_dbm + _db(found.peak / full**2), 3),
        levels_mdbm=levels_mdbm,
        reaches=_reaches(found.held / full**2, segment, full_dbm, levels_mdbm),
    )


def _full_scale_dbm(station: Station, attenuation_mdb: int) -> float:
    return station.hardware.tx_full_dbm + station.antenna_gain_dbi - attenuation_mdb / 1000


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio)


def _reaches(
    held: NDArray[np.float64], segment: BurstSegment, full_dbm: float, levels_mdbm: tuple[int, ...]
) -> tuple[tuple[int, int, int], ...]:
    bin_hz = segment.sample_rate_hz / BINS
    found: list[tuple[int, int, int]] = []
    for level in levels_mdbm:
        bins = extent(held, bin_hz=bin_hz, limit=10 ** ((level / 1000 - full_dbm) / 10))
        if bins is not None:
            low_hz, high_hz = (segment.center_hz + (b - BINS // 2) * bin_hz for b in bins)
            found.append((level, math.floor(low_hz), math.floor(high_hz)))
    return tuple(found)


def leakage(carrier: Carrier, station: Station, *, floor_dbm: float) -> RadiatedBurst | None:
    """A steady tone, or oscillator leakage, as an emission; None if below the floor."""
    relative_db = station.hardware.lo_leakage_db if carrier.level_db is None else carrier.level_db
    level = _full_scale_dbm(station, carrier.attenuation_mdb) + relative_db
    if level < floor_dbm or carrier.end_ns <= carrier.start_ns:
        return None
    return RadiatedBurst(
        radio=station.name,
        start_ns=carrier.start_ns,
        end_ns=carrier.end_ns,
        center_hz=carrier.center_hz,
        low_hz=carrier.center_hz,
        high_hz=carrier.center_hz,
        eirp_dbm=round(level, 3),
        cut_short=False,
        kind="lo_leakage" if carrier.level_db is None else "tone",
    )
