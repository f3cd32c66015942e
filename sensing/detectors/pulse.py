"""One pulse as it was found, and the samples around it."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sensing.detectors.intrapulse import Wave
from sensing.detectors.pulseshape import PulsePlace
from sensing.frontend import Float32s, Iq, flat_samples

SAME_US: Final = 6.0
BESIDE_US: Final = 25.0
BUSY: Final = 4.0
"""A pulse lies over traffic where the loudest background in its band is this ratio over the lower quartile of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One pulse: `time_us` is its centre since the start of the samples; frequencies are from the receiver's centre.

    `snr_db` is the peak in a cell of about 1 MHz, `instant_hz` how wide it is at any one time, and `slope_mhz_per_us`
    how its frequency moves. `nepers` is the log of how many cells of noise it takes for one like it, 0 where only
    `snr_db` tells; `train_nepers` that of how many seconds, for a pulse found only as one of a train, and
    `train_turns` the intervals from the first to the last place of that train. `steady_db` is
    how many dB the loudest steady signal in its band is above its peak, `level_db` the peak in dB of squared full
    scale, `span` the share it covers of the band that is not masked, `beside` the power in its bins just before or
    after it as a share of its own. `wave` has its samples, `surroundings` the cells around it, None of a short or wide
    one.
    """

    time_us: float
    duration_us: float
    low_hz: float
    high_hz: float
    peak_hz: float
    instant_hz: float
    snr_db: float
    slope_mhz_per_us: float
    nepers: float = 0.0
    train_nepers: float = 0.0
    train_turns: int = 0
    steady_db: float = -99.0
    level_db: float | None = None
    span: float | None = None
    beside: float = 0.0
    wave: Wave | None = field(default=None, repr=False, compare=False)
    surroundings: PulsePlace | None = field(default=None, repr=False, compare=False)

    @property
    def around(self) -> float:
        """Power at the pulse's frequency within some 50 us before or after it, as a share of the pulse's own."""
        return 0.0 if self.surroundings is None else self.surroundings.share()


def wave_of(iq: Iq, place: tuple[int, int], *, rate_hz: float, under: Float32s) -> Wave:
    """The samples of a pulse from the first to one past the last of its `place`, with those on both sides."""
    first, last = place
    room = round(BESIDE_US * 1e-6 * rate_hz)
    low = max(0, first - room)
    flat = flat_samples(iq[low : last + room]).astype(np.float32)
    return Wave(iq=flat.view(np.complex64), rate_hz=rate_hz, first=first - low, last=last - low, under=under)


def same_pulse(a: Pulse, b: Pulse) -> bool:
    """Whether two detections are of one pulse: at nearly the same time in overlapping bands."""
    room_us = SAME_US + max(0.0, max(a.duration_us, b.duration_us) / 2 - 2)
    return abs(a.time_us - b.time_us) <= room_us and a.low_hz <= b.high_hz and b.low_hz <= a.high_hz


def over_traffic(one: Pulse) -> bool:
    """Whether a steady signal lies in a pulse's band, more than BUSY over the lower quartile of all backgrounds.

    False where the pulse's samples or background were not kept.
    """
    if one.wave is None or len(one.wave.under) == 0:
        return False
    under, bin_hz = one.wave.under, one.wave.rate_hz / len(one.wave.under)
    low, high = (
        min(len(under) - 1, max(0, round(at_hz / bin_hz) + len(under) // 2)) for at_hz in (one.low_hz, one.high_hz)
    )
    return bool(float(under[low : high + 1].max()) > BUSY * float(np.quantile(under, 0.25)))
