"""Measures a burst before it is sent: power and spectrum of the very samples, against what the permit allows.

The burst is split into half-overlapping Hann-windowed segments of SEGMENT samples (Welch 1967), and the strongest one
counts. Powers are referred to the antenna by the calibrated EIRP of a full-scale tone, at its most: twice its standard
uncertainty is added. Nothing is known of what a converter makes beyond half the sample rate.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.mask import NO_SERVICE, MaskStretch, Service, stretches
from radio.ports import Iq16
from sensing.transform import fft
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal, refuse

SEGMENT = 2048
HALF = SEGMENT // 2
BLOCK = SEGMENT // 16
REFERENCE_HZ = 1_000_000
OCCUPIED = 0.99
GUARD_MDB = 300
"""Allowance for what another measurement may find more: the loudest moment is searched in steps of BLOCK samples,
which can miss 1/16 of its power (0.28 dB)."""
TAPER = 64
AT_ONCE = 16
"""Number of segments transformed at once: 256 KiB of samples, which fit in a core's cache."""
BLOCKS_AT_ONCE = 128
KEPT = 8
KEPT_SAMPLES = 1 << 17
"""Longest burst whose measurement is kept; KEPT of them are, twice as many as a node's own source repeats."""
TOLD_BY = 251
"""Every so many-th sample of a burst makes its cache key; then all samples are compared."""
_WINDOW = np.hanning(SEGMENT + 1)[:-1].astype(np.float32)
_WINDOW_PAIRS = np.repeat(_WINDOW, 2)
_WINDOW_POWER = float(np.sum(_WINDOW.astype(np.float64) ** 2))
_FALL = (0.5 * (1 + np.cos(np.pi * (np.arange(TAPER) + 1) / (TAPER + 1)))).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """EIRP of a full-scale tone at the transmit setting in use: `eirp_mdbm`, standard uncertainty `sd_mdb`."""

    full_scale: int
    eirp_mdbm: int
    sd_mdb: int = 0

    @property
    def most_mdbm(self) -> int:
        """The highest EIRP of a full-scale tone at about 95 % confidence."""
        return self.eirp_mdbm + 2 * self.sd_mdb


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The limits for a burst: the permit's band and EIRP, the rule's limit outside the band, the service's limits."""

    band: Band
    max_eirp_mdbm: int
    outside_mdbm_per_mhz: int
    service: Service = NO_SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityReading:
    """The strongest 1 MHz of one stretch beside the channel, each bin at its largest of all moments (max hold)."""

    stretch: MaskStretch
    strongest_mdbm_per_mhz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One burst as EIRP: loudest moment, peak, mean density in the band, 99 % band, and what lies beside the band."""

    eirp_mdbm: int
    peak_mdbm: int
    density_mdbm_per_mhz: int
    occupied_low_hz: int
    occupied_high_hz: int
    outside: tuple[DensityReading, ...]
    clipped: bool

    @property
    def outside_mdbm_per_mhz(self) -> int:
        """The strongest 1 MHz outside the band."""
        return max((r.strongest_mdbm_per_mhz for r in self.outside), default=-200_000)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A stretch as bins of the spectrum in FFT order: `first` to below `stop`."""

    stretch: MaskStretch
    first: int
    stop: int


def spectra(iq: Iq16, full_scale: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Power in SEGMENT bins over half-overlapping segments, each bin's sum and maximum; zero frequency first.

    Half a segment of silence is put before and behind, so that every sample counts in full in some segment. Shares of
    a full-scale tone; a few segments at a time, so that a long burst takes no more memory than a short one.

    Args: iq: int16 of shape (n, 2), not changed. full_scale: amplitude of a full-scale tone.
    """
    halves = -(-len(iq) // HALF) + 2
    padded = np.zeros((halves, 2 * HALF), dtype=np.int16)
    padded.reshape(-1)[2 * HALF : 2 * HALF + 2 * len(iq)] = iq.reshape(-1)
    total, held = np.zeros(SEGMENT), np.zeros(SEGMENT, np.float32)
    scale = np.float32(1 / (SEGMENT * _WINDOW_POWER * full_scale**2))
    work = np.empty((min(AT_ONCE, halves - 1), 4 * HALF), dtype=np.float32)
    for first in range(0, halves - 1, AT_ONCE):
        last = min(halves - 1, first + AT_ONCE)
        # The window is applied to interleaved pairs, then viewed as complex: no second copy.
        windowed, rows = work[: last - first], padded[first : last + 1].astype(np.float32)
        np.multiply(rows[:-1], _WINDOW_PAIRS[: 2 * HALF], out=windowed[:, : 2 * HALF])
        np.multiply(rows[1:], _WINDOW_PAIRS[2 * HALF :], out=windowed[:, 2 * HALF :])
        pairs = windowed.view(np.complex64)
        bins = fft(pairs, out=pairs).view(np.float32)
        np.square(bins, out=bins)
        power = bins[:, 0::2] + bins[:, 1::2]
        power *= scale
        total += power.sum(axis=0, dtype=np.float64)
        np.maximum(held, power.max(axis=0), out=held)
    return total, held


def measure(iq: Iq16, *, center_hz: int, sample_rate_hz: int, allowed: Allowed, calibration: Calibration) -> Measured:
    """Measure a burst against its limits, by its strongest moment: a short loud part is not averaged away.

    Args: iq: int16 of shape (n, 2), n > 0. center_hz: where the radio is tuned.
    Returns: EIRP of the strongest SEGMENT samples, of the strongest sample, and in each stretch outside the band the
        strongest REFERENCE_HZ with each bin held at its largest of all segments, in mdBm; occupied bandwidth as
        ITU-R SM.328-11 section 3.
    """
    total, most_held = spectra(iq, calibration.full_scale)
    mean = np.fft.fftshift(total)
    loudest, peak = _moments(iq, calibration.full_scale)
    low, high = _occupied(mean)
    held = np.fft.fftshift(most_held)
    width = max(1, round(REFERENCE_HZ * SEGMENT / sample_rate_hz))
    most = calibration.most_mdbm
    inside = _bins(allowed.band, center_hz, sample_rate_hz)
    segments = max(1.0, len(iq) / HALF)
    return Measured(
        eirp_mdbm=most + _mdb(loudest),
        peak_mdbm=most + _mdb(peak),
        density_mdbm_per_mhz=most + _mdb(_strongest(mean[inside[0] : inside[1]], width) / segments),
        occupied_low_hz=center_hz + round(low * sample_rate_hz),
        occupied_high_hz=center_hz + round(high * sample_rate_hz),
        outside=tuple(
            DensityReading(
                stretch=cut.stretch, strongest_mdbm_per_mhz=most + _mdb(_strongest(held[cut.first : cut.stop], width))
            )
            for cut in _cuts(center_hz, sample_rate_hz, allowed)
        ),
        clipped=bool(max(int(iq.max()), -int(iq.min())) >= calibration.full_scale),
    )


def _bins(band: Band, center_hz: int, sample_rate_hz: int) -> tuple[int, int]:
    """First and one past the last bin, lowest frequency first, whose centre is in a band."""
    first, stop = (
        min(SEGMENT, max(0, math.ceil((edge - center_hz) * SEGMENT / sample_rate_hz) + HALF))
        for edge in (band.low_hz, band.high_hz)
    )
    return first, stop


@lru_cache(maxsize=64)
def _cuts(center_hz: int, sample_rate_hz: int, allowed: Allowed) -> tuple[_Cut, ...]:
    """The stretches beside the band as far as the sample rate reaches; one that holds no bin's centre is left out."""
    half_hz = -(-sample_rate_hz // 2)
    seen = Band(low_hz=center_hz - half_hz, high_hz=center_hz + half_hz)
    found = stretches(allowed.band, seen=seen, rule_mdbm_per_mhz=allowed.outside_mdbm_per_mhz, service=allowed.service)
    placed = (_Cut(s, *_bins(Band(low_hz=s.low_hz, high_hz=s.high_hz), center_hz, sample_rate_hz)) for s in found)
    return tuple(cut for cut in placed if cut.first < cut.stop)


def _strongest(power: NDArray[np.floating], width: int) -> float:
    """The largest sum of `width` neighbouring bins, or of all where they are fewer."""
    summed = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    reach = min(width, len(power))
    return float((summed[reach:] - summed[: len(summed) - reach]).max())


def _moments(iq: Iq16, full_scale: int) -> tuple[float, float]:
    """Mean power of the strongest SEGMENT consecutive samples, in steps of BLOCK, and of the strongest sample."""
    blocks, peak = -(-len(iq) // BLOCK), 0.0
    sums, flat = np.empty(blocks, np.float32), iq.reshape(-1)
    for first in range(0, blocks, BLOCKS_AT_ONCE):
        some = flat[2 * BLOCK * first : 2 * BLOCK * (first + BLOCKS_AT_ONCE)]
        rails = np.zeros((-(-len(some) // (2 * BLOCK)), 2 * BLOCK), dtype=np.float32)
        rails.reshape(-1)[: len(some)] = some
        np.einsum("ij,ij->i", rails, rails, out=sums[first : first + len(rails)])
        np.square(rails, out=rails)
        peak = max(peak, float((rails[:, 0::2] + rails[:, 1::2]).max()))
    span = min(blocks, SEGMENT // BLOCK)
    total = np.concatenate(([0.0], np.cumsum(sums, dtype=np.float64)))
    loudest = float((total[span:] - total[:-span]).max()) / min(len(iq), SEGMENT)
    return loudest / full_scale**2, peak / full_scale**2


def _occupied(mean: NDArray[np.float64]) -> tuple[float, float]:
    """Edges that leave 0.5 % of the power outside on either side, as shares of the sample rate from the centre."""
    total = np.concatenate(([0.0], np.cumsum(mean)))
    if total[-1] <= 0:
        return 0.0, 0.0
    total /= total[-1]
    edges = (np.arange(SEGMENT + 1) - HALF - 0.5) / SEGMENT
    tail = (1 - OCCUPIED) / 2
    return float(np.interp(tail, total, edges)), float(np.interp(1 - tail, total, edges))


def _mdb(ratio: float) -> int:
    return round(10_000 * math.log10(max(ratio, 1e-20)))


class MeasuredBursts:
    """A cache of the last bursts' measurements, for a source that repeats its bursts; every sample is compared."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[object, ...], tuple[Iq16, Measured]] = OrderedDict()

    def __len__(self) -> int:
        """Number of bursts kept."""
        return len(self._held)

    def measure(
        self, iq: Iq16, *, center_hz: int, sample_rate_hz: int, allowed: Allowed, calibration: Calibration
    ) -> Measured:
        """As `measure`; the same samples and arguments as before give the same result without measuring again."""
        key = (len(iq), iq[::TOLD_BY].tobytes(), center_hz, sample_rate_hz, allowed, calibration)
        known = self._held.get(key)
        if known is not None and np.array_equal(known[0], iq):
            self._held.move_to_end(key)
            return known[1]
        found = measure(
            iq, center_hz=center_hz, sample_rate_hz=sample_rate_hz, allowed=allowed, calibration=calibration
        )
        if len(iq) <= KEPT_SAMPLES:
            self._held[key] = iq.copy(), found
            self._held.move_to_end(key)
            if len(self._held) > KEPT:
                self._held.popitem(last=False)
        return found

    def forget(self) -> None:
        """Empty the cache: bursts of an ended settlement are not sent again."""
        self._held.clear()


def check(measured: Measured, allowed: Allowed) -> Refusal | None:
    """Refuse a burst with POWER (too strong) or MASK (too wide, or clipped); None when surely within limits."""
    return _hotter(measured, allowed) or _wider(measured, allowed)


def _hotter(measured: Measured, allowed: Allowed) -> Refusal | None:
    service = allowed.service
    limits = (
        ("eirp", measured.eirp_mdbm, allowed.max_eirp_mdbm),
        ("peak", measured.peak_mdbm, allowed.max_eirp_mdbm + service.peak_to_average_mdb),
        ("density", measured.density_mdbm_per_mhz, service.density_mdbm_per_mhz),
    )
    for clause, found, limit in limits:
        if limit is not None and found + GUARD_MDB > limit:
            return refuse(Reason.POWER, f"waveform.{clause}", f"{found} mdBm", f"<= {limit - GUARD_MDB} mdBm")
    return None


def _wider(measured: Measured, allowed: Allowed) -> Refusal | None:
    if measured.clipped:
        return refuse(Reason.MASK, "waveform.clipped", "samples at full scale", "headroom")
    occupied = f"99 % in {measured.occupied_low_hz} to {measured.occupied_high_hz} Hz"
    if measured.occupied_low_hz < allowed.band.low_hz or measured.occupied_high_hz > allowed.band.high_hz:
        return refuse(Reason.MASK, "waveform.occupied", occupied, allowed.band)
    for reading in measured.outside:
        limit = reading.stretch.limit_mdbm_per_mhz
        if reading.strongest_mdbm_per_mhz + GUARD_MDB > limit:
            found = (
                f"{reading.strongest_mdbm_per_mhz} mdBm/MHz in {reading.stretch.low_hz}-{reading.stretch.high_hz} Hz"
            )
            return refuse(Reason.MASK, "waveform.outside", found, f"<= {limit - GUARD_MDB} mdBm/MHz")
    return None


def shortened(iq: Iq16, samples: int) -> Iq16:
    """The first samples of a burst, ramped down over the last TAPER: a sharp cut would widen the spectrum."""
    if samples >= len(iq):
        return iq
    cut = iq[: max(0, samples)].copy()
    fall = min(TAPER, len(cut))
    cut[len(cut) - fall :] = np.rint(cut[len(cut) - fall :] * _FALL[TAPER - fall :, None]).astype(np.int16)
    return cut
