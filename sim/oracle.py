"""The RF oracle: what each antenna truly emitted, from device state and samples; it knows nothing of any agreement."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from radio.ports import Iq16
from sim.device import Carrier, Segment
from sim.stations import Station

NS = 1_000_000_000
BINS = 1024
FRAMES_MAX = 64
OCCUPIED = 0.99
WINDOW = np.hanning(BINS).astype(np.float32)

Kind: TypeAlias = Literal["burst", "lo_leakage", "tone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Power that left an antenna: monotonic times, the 99 % occupied band, the mean EIRP while it lasted.

    `cut_short` says that the device stopped it before its last sample.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What samples hold: the stretch that is not zero, its mean square of |x|, and its 99 % band around the centre."""

    first: int
    stop: int
    mean_square: float
    low_hz: float
    high_hz: float


def measure(iq: Iq16, *, sample_rate_hz: int, full_scale: int) -> Measured | None:
    """Measure samples of shape (n, 2) as a DAC of that full scale emits them; None if they are all zero.

    Occupied bandwidth as ITU-R SM.328-11 section 3: 0.5 % of the power is below `low_hz`, 0.5 % above `high_hz`; from
    at most 64 Hann-windowed frames of 1024 samples spread evenly, so edges are good to about two bins.
    """
    sounding = np.ascontiguousarray(iq).view(np.int32).reshape(-1) != 0
    if not sounding.any():
        return None
    first, stop = int(sounding.argmax()), len(sounding) - int(sounding[::-1].argmax())
    rails = iq[first:stop].astype(np.float32).reshape(-1)
    np.clip(rails, -full_scale, full_scale - 1, out=rails)
    mean_square = 2 * float(np.dot(rails, rails)) / len(rails)
    low, high = _occupied(_spectrum(rails.view(np.complex64)))
    return Measured(
        first=first,
        stop=stop,
        mean_square=mean_square,
        low_hz=low * sample_rate_hz,
        high_hz=high * sample_rate_hz,
    )


def _spectrum(iq: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Mean power of `BINS` bins, lowest frequency first."""
    if len(iq) < BINS:
        iq = np.pad(iq, (0, BINS - len(iq)))
    starts = np.linspace(0, len(iq) - BINS, min(FRAMES_MAX, -(-len(iq) // BINS))).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(iq, BINS)[starts]
    frames *= WINDOW
    rails = scipy.fft.fft(frames, axis=1, overwrite_x=True).view(np.float32)
    np.square(rails, out=rails)
    power = np.add.reduce(rails, axis=0, dtype=np.float32).reshape(-1, 2).sum(axis=1, dtype=np.float64)
    return np.fft.fftshift(power)


def _occupied(power: NDArray[np.float64]) -> tuple[float, float]:
    """Edges that leave 0.5 % of the power outside on either side, as fractions of the sample rate."""
    total = np.concatenate(([0.0], np.cumsum(power)))
    total /= total[-1]
    edges = (np.arange(BINS + 1) - BINS / 2 - 0.5) / BINS
    tail = (1 - OCCUPIED) / 2
    return float(np.interp(tail, total, edges)), float(np.interp(1 - tail, total, edges))


def burst(segment: Segment, iq: Iq16, station: Station, *, floor_dbm: float = -math.inf) -> Burst | None:
    """Return what a segment that is over emitted, or None if that was nothing or below the floor.

    Args:
        segment: with its final end.
        iq: the samples of the whole burst that it is part of.
        station: who sent it.
        floor_dbm: what is weaker counts as nothing.
    """
    hardware = station.hardware
    rate = segment.sample_rate_hz
    played = min(segment.samples, max(0, -(-(segment.end_ns - segment.start_ns) * rate // NS)))
    part = iq[segment.first_sample : segment.first_sample + played]
    found = measure(part, sample_rate_hz=rate, full_scale=hardware.tx_full_scale) if segment.live else None
    if found is None:
        return None
    level_db = 10 * math.log10(found.mean_square / hardware.tx_full_scale**2)
    eirp_dbm = hardware.tx_full_dbm + station.antenna_gain_dbi - segment.attenuation_mdb / 1000 + level_db
    if eirp_dbm < floor_dbm:
        return None
    return Burst(
        radio=station.name,
        start_ns=segment.start_ns + found.first * NS // rate,
        end_ns=min(segment.end_ns, segment.start_ns + found.stop * NS // rate),
        center_hz=segment.center_hz,
        low_hz=segment.center_hz + math.floor(found.low_hz),
        high_hz=segment.center_hz + math.ceil(found.high_hz),
        eirp_dbm=round(eirp_dbm, 3),
        cut_short=segment.cut_short,
    )


def leakage(carrier: Carrier, station: Station, *, floor_dbm: float) -> Burst | None:
    """Return a steady tone, or what leaks of the oscillator, as an emission; None if it is below the floor."""
    hardware = station.hardware
    relative_db = hardware.lo_leakage_db if carrier.level_db is None else carrier.level_db
    level = hardware.tx_full_dbm + relative_db + station.antenna_gain_dbi - carrier.attenuation_mdb / 1000
    if level < floor_dbm or carrier.end_ns <= carrier.start_ns:
        return None
    return Burst(
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


def merged(bursts: Iterable[Burst], *, gap_ns: int = 1000) -> list[Burst]:
    """Join bursts of one radio, kind and centre that follow within `gap_ns`; returns them by start.

    A joined emission has the widest band of its parts and the highest EIRP, and is cut short if its last part was.
    """
    out: list[Burst] = []
    open_at: dict[tuple[str, Kind, int], int] = {}
    for one in sorted(bursts, key=lambda each: (each.start_ns, each.radio)):
        key = (one.radio, one.kind, one.center_hz)
        index = open_at.get(key)
        if index is not None and one.start_ns - out[index].end_ns <= gap_ns:
            out[index] = _joined(out[index], one)
        else:
            open_at[key] = len(out)
            out.append(one)
    return out


def _joined(before: Burst, after: Burst) -> Burst:
    return replace(
        before,
        end_ns=max(before.end_ns, after.end_ns),
        low_hz=min(before.low_hz, after.low_hz),
        high_hz=max(before.high_hz, after.high_hz),
        eirp_dbm=max(before.eirp_dbm, after.eirp_dbm),
        cut_short=after.cut_short,
    )
