"""Whether a short pulse is the click of a stronger signal elsewhere in the band: an instant at which that one jumps.

A signal that starts, stops or goes from one symbol to the next abruptly appears over the whole band at that instant, as
a pulse no longer than the receiver's filter. Symbols that are repeated each millisecond make a train of such clicks
with the interval of P0N#1. A megahertz and more away such a click has less than a tenth of the jump's power.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulse import Pulse

PULSE_HZ: Final = 1e6
"""Width in Hz in which a pulse's power is measured."""
APART_HZ: Final = 1.2e6
"""Least distance in Hz from the pulse's strongest frequency to that of the other signal."""
PLACE_HZ: Final = 0.3e6
"""Width in Hz over which the spectrum is smoothed to find the other signal."""
OTHER_HZ: Final = 4e6
"""Width in Hz of the filter around the other signal: its jump then lasts no longer than a quarter of a microsecond."""
STEP_US: Final = 0.4
"""A jump is the change of the other signal within this time, in microseconds."""
NEAR_US, GUARD_US, EDGE_US = 0.5, 1.5, 2.0
"""Microseconds: a jump is searched within NEAR_US of the pulse; the usual changes are measured at least GUARD_US from
it and EDGE_US from both ends of the samples."""
USUAL: Final = 0.9
"""The usual change, and the usual power, are this quantile of those in the samples around the pulse."""
JUMP_MIN: Final = 10**0.8
"""Least ratio of a click's jump to the pulse, in power. Clicks of uplink control had 9.4 dB and more, trains of P0N#1
in noise 6 dB at most, part of which is the pulse itself in the filter's skirt."""
OVER_USUAL_MIN: Final = 10**0.4
"""Least ratio of a click's jump to the usual change, in power; clicks of uplink control had 7 dB and more."""
OTHER_MIN: Final = 10**0.6
"""Least ratio of the usual power of the signal that jumps to the power of the pulse."""


def are_clicks(pulses: Sequence[Pulse]) -> bool:
    """Whether more than half of a train's pulses are clicks of a stronger signal."""
    return 2 * sum(map(is_click, pulses)) > len(pulses)


def is_click(pulse: Pulse) -> bool:
    """Whether a stronger signal elsewhere in the band jumps at the pulse's instant, by enough to cause the pulse.

    False where the pulse's samples were not kept.
    """
    wave = pulse.wave
    if wave is None or len(wave.iq) < 8:
        return False
    spectrum, rate = np.fft.fft(wave.iq), wave.rate_hz
    off = np.fft.fftfreq(len(wave.iq), 1 / rate)
    room = _samples(1e-6, rate)
    own = np.abs(_filtered(spectrum, _distance(off, pulse.peak_hz, rate), PULSE_HZ)) ** 2
    first = max(0, wave.first - room)
    at = first + int(own[first : wave.last + room].argmax())
    place_hz = _strongest_elsewhere(spectrum, off, pulse.peak_hz, rate)
    turned = np.exp(-2j * np.pi * place_hz / rate * np.arange(len(off)))
    other = _filtered(spectrum, _distance(off, place_hz, rate), OTHER_HZ) * turned
    step = max(1, _samples(STEP_US * 1e-6 / 2, rate))
    change = np.zeros(len(other))
    change[step:-step] = np.abs(other[2 * step :] - other[: -2 * step]) ** 2
    near, guard, edge = (max(1, _samples(us * 1e-6, rate)) for us in (NEAR_US, GUARD_US, EDGE_US))
    jump = float(change[max(0, at - near) : at + near + 1].max())
    rest = np.concatenate((change[edge : max(edge, at - guard)], change[at + guard : len(change) - edge]))
    if jump < JUMP_MIN * own[at] or len(rest) == 0:
        return False
    loud = float(np.quantile(np.abs(other) ** 2, USUAL))
    return bool(jump >= OVER_USUAL_MIN * float(np.quantile(rest, USUAL)) and loud >= OTHER_MIN * own[at])


def _samples(seconds: float, rate_hz: float) -> int:
    return round(seconds * rate_hz)


def _distance(off_hz: NDArray[np.floating[Any]], at_hz: float, rate_hz: float) -> NDArray[np.floating[Any]]:
    """Distance in Hz of each frequency from `at_hz`, modulo the sample rate: from minus to plus half of it."""
    away: NDArray[np.floating[Any]] = (off_hz - at_hz + rate_hz / 2) % rate_hz - rate_hz / 2
    return away


def _filtered(
    spectrum: NDArray[np.complexfloating], away_hz: NDArray[np.floating[Any]], width_hz: float
) -> NDArray[np.complex128]:
    """The samples through a Gaussian filter of `width_hz` between its half-power points.

    Args: spectrum: the samples' FFT; away_hz: distance of each of its bins from the filter's centre.
    """
    samples: NDArray[np.complex128] = np.fft.ifft(spectrum * np.exp(-2 * np.log(2) * (away_hz / width_hz) ** 2))
    return samples


def _strongest_elsewhere(
    spectrum: NDArray[np.complexfloating], off_hz: NDArray[np.floating[Any]], pulse_hz: float, rate_hz: float
) -> float:
    """The frequency in Hz of the most power around the pulse that is at least APART_HZ away from the pulse's own."""
    power = np.abs(spectrum) ** 2
    wide = max(1, round(PLACE_HZ * len(power) / rate_hz))
    around = np.concatenate((power[-wide:], power, power[:wide]))
    smooth = np.convolve(around, np.ones(wide) / wide, "same")[wide:-wide]
    return float(off_hz[int(np.where(np.abs(_distance(off_hz, pulse_hz, rate_hz)) < APART_HZ, 0.0, smooth).argmax())])
