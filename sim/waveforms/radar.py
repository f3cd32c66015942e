"""The five CBRS radar waveform classes as endless pulse trains of which any stretch can be rendered on demand.

Source of the classes and their ranges: NTIA Technical Memorandum TM-18-527, as NIST tabulates them for the
certification of environmental sensing (NISTIR 8167).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx

BARKER_4 = np.array([1, 1, -1, 1], dtype=np.float64)
"""The chips of the phase code (M. Skolnik, Radar Handbook, table of Barker codes, length 4)."""


class RadarClassName(Enum):
    """Names as the regulator writes them."""

    P0N1 = "P0N#1"
    P0N2 = "P0N#2"
    Q3N1 = "Q3N#1"
    Q3N2 = "Q3N#2"
    Q3N3 = "Q3N#3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRange:
    """An inclusive interval of a parameter."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value is inside, with room for rounding."""
        room = 1e-9 * max(abs(self.low), abs(self.high))
        return self.low - room <= value <= self.high + room


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRanges:
    """The parameter ranges of a class; `chirp_hz` is 0 to 0 where the class does not sweep."""

    pulse_s: ParameterRange
    chirp_hz: ParameterRange
    pulses_per_s: ParameterRange
    pulses_per_burst: ParameterRange
    phase_coded: bool


def _ranges(
    pulse_us: tuple[float, float],
    chirp_mhz: tuple[float, float],
    rate: tuple[int, int],
    burst: tuple[int, int],
    *,
    coded: bool = False,
) -> ClassRanges:
    return ClassRanges(
        pulse_s=ParameterRange(low=pulse_us[0] * 1e-6, high=pulse_us[1] * 1e-6),
        chirp_hz=ParameterRange(low=chirp_mhz[0] * 1e6, high=chirp_mhz[1] * 1e6),
        pulses_per_s=ParameterRange(low=rate[0], high=rate[1]),
        pulses_per_burst=ParameterRange(low=burst[0], high=burst[1]),
        phase_coded=coded,
    )


RANGES: dict[RadarClassName, ClassRanges] = {
    RadarClassName.P0N1: _ranges((0.5, 2.5), (0, 0), (900, 1100), (15, 40)),
    RadarClassName.P0N2: _ranges((13, 52), (0, 0), (300, 3000), (5, 20), coded=True),
    RadarClassName.Q3N1: _ranges((3, 5), (50, 100), (300, 3000), (8, 24)),
    RadarClassName.Q3N2: _ranges((10, 30), (1, 10), (300, 3000), (2, 8)),
    RadarClassName.Q3N3: _ranges((50, 100), (50, 100), (300, 3000), (8, 24)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Radar:
    """One radar: a burst of `pulses_per_burst` pulses starts every `burst_interval_s`, the first at time 0.

    `bend` makes a sweep non-linear, as NTIA TM-18-534 has it: over the pulse, u from -1 to 1, its frequency is
    chirp/2 ((1 - bend) u + bend u^3).

    Raises ValueError where a value is outside its class, or a burst does not fit into its interval.
    """

    radar_class: RadarClassName
    pulse_s: float
    chirp_hz: float
    pulses_per_s: float
    pulses_per_burst: int
    burst_interval_s: float = 1.0
    seed: int = 0
    bend: float = 0.0

    def __post_init__(self) -> None:
        allowed = RANGES[self.radar_class]
        for name in ("pulse_s", "chirp_hz", "pulses_per_s", "pulses_per_burst"):
            value, span = getattr(self, name), getattr(allowed, name)
            if not span.holds(value):
                raise ValueError(
                    f"{self.radar_class.value}: {name} is {value:g}, allowed {span.low:g} to {span.high:g}"
                )
        if self.burst_s > self.burst_interval_s:
            raise ValueError(f"burst_interval_s is {self.burst_interval_s:g}, a burst lasts {self.burst_s:g} s")

    @property
    def burst_s(self) -> float:
        """From the beginning of a burst's first pulse to the end of its last, in seconds."""
        return (self.pulses_per_burst - 1) / self.pulses_per_s + self.pulse_s

    @property
    def width_hz(self) -> float:
        """Approximate width of the pulse: its sweep and eight of its main lobes."""
        chips = len(BARKER_4) if RANGES[self.radar_class].phase_coded else 1
        return self.chirp_hz + 8 * chips / self.pulse_s


def draw(rng: np.random.Generator, radar_class: RadarClassName, *, burst_interval_s: float = 1.0) -> Radar:
    """Return a radar with every parameter drawn evenly from its class's range."""
    spans = RANGES[radar_class]
    return Radar(
        radar_class=radar_class,
        pulse_s=float(rng.uniform(spans.pulse_s.low, spans.pulse_s.high)),
        chirp_hz=float(rng.uniform(spans.chirp_hz.low, spans.chirp_hz.high)),
        pulses_per_s=float(rng.uniform(spans.pulses_per_s.low, spans.pulses_per_s.high)),
        pulses_per_burst=int(rng.integers(int(spans.pulses_per_burst.low), int(spans.pulses_per_burst.high) + 1)),
        burst_interval_s=burst_interval_s,
        seed=int(rng.integers(2**32)),
    )


def corners(radar_class: RadarClassName, *, burst_interval_s: float = 1.0) -> Iterator[Radar]:
    """Yield a radar for every combination of lowest and highest parameter of the class."""
    spans = RANGES[radar_class]
    chirps = sorted({spans.chirp_hz.low, spans.chirp_hz.high})
    ends = [(span.low, span.high) for span in (spans.pulse_s, spans.pulses_per_s, spans.pulses_per_burst)]
    for (pulse, rate, count), chirp in itertools.product(itertools.product(*ends), chirps):
        yield Radar(
            radar_class=radar_class,
            pulse_s=pulse,
            chirp_hz=chirp,
            pulses_per_s=rate,
            pulses_per_burst=int(count),
            burst_interval_s=burst_interval_s,
        )


def pulse_times(radar: Radar, *, start_s: float, stop_s: float) -> list[tuple[float, int, int]]:
    """Return (begin in s, burst number, pulse number) of the pulses that touch [start_s, stop_s)."""
    first = max(0, math.floor((start_s - radar.burst_s) / radar.burst_interval_s))
    last = math.floor(stop_s / radar.burst_interval_s)
    found = []
    for burst in range(first, last + 1):
        begin = burst * radar.burst_interval_s
        lowest = max(0, math.ceil((start_s - radar.pulse_s - begin) * radar.pulses_per_s))
        highest = min(radar.pulses_per_burst - 1, math.floor((stop_s - begin) * radar.pulses_per_s))
        for pulse in range(lowest, highest + 1):
            at = begin + pulse / radar.pulses_per_s
            if at + radar.pulse_s > start_s and at < stop_s:
                found.append((at, burst, pulse))
    return found


def render(radar: Radar, *, sample_rate_hz: int, start: int, samples: int) -> Cplx:
    """Return samples [start, start + samples) of the train, unit peak, complex64; sample 0 is at time 0.

    Any stretch is the same whatever was rendered before. A sample at the edge of a pulse carries the share of its own
    duration that the pulse fills. The part of a sweep beyond half the sample rate is left out.
    """
    out = np.zeros(samples, dtype=np.complex64)
    begin_s, end_s = (start - 1) / sample_rate_hz, (start + samples + 1) / sample_rate_hz
    for at, burst, pulse in pulse_times(radar, start_s=begin_s, stop_s=end_s):
        first = max(start, math.floor(at * sample_rate_hz))
        stop = min(start + samples, math.ceil((at + radar.pulse_s) * sample_rate_hz) + 1)
        if stop > first:
            into_s = np.arange(first, stop) / sample_rate_hz - at
            out[first - start : stop - start] += _pulse(radar, into_s, sample_rate_hz, _phase(radar, burst, pulse))
    return out


def _pulse(radar: Radar, into_s: NDArray[np.float64], sample_rate_hz: int, phase: float) -> Cplx:
    """The pulse at times after its beginning, with its carrier's phase."""
    before = into_s * sample_rate_hz + 0.5
    after = (radar.pulse_s - into_s) * sample_rate_hz + 0.5
    filled = np.clip(np.minimum(before, after), 0, 1)
    slope = radar.chirp_hz / radar.pulse_s
    centred = into_s - radar.pulse_s / 2
    half = radar.pulse_s / 2
    u = centred / half
    at_hz = slope * half * ((1 - radar.bend) * u + radar.bend * u**3)
    filled = np.where(np.abs(at_hz) < sample_rate_hz / 2, filled, 0)
    if RANGES[radar.radar_class].phase_coded:
        chip = np.clip(into_s / radar.pulse_s * len(BARKER_4), 0, len(BARKER_4) - 1).astype(np.int64)
        filled = filled * BARKER_4[chip]
    swept = np.pi * slope * half**2 * ((1 - radar.bend) * u**2 + radar.bend * u**4 / 2)
    wave: Cplx = (filled * np.exp(1j * (phase + swept))).astype(np.complex64)
    return wave


def _phase(radar: Radar, burst: int, pulse: int) -> float:
    """The carrier's phase: new with every pulse of a magnetron (P0N#1), with every burst of the others."""
    each = pulse if radar.radar_class is RadarClassName.P0N1 else 0
    return 2 * math.pi * _mix(_mix(_mix(radar.seed) ^ burst) ^ each) / 2**64


def _mix(value: int) -> int:
    """Scramble 64 bits (splitmix64, G. Steele et al., OOPSLA 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)
