"""The waveform classes of CBRS radars: ranges of pulses and trains, and the bandwidth that each needs to be told.

Source of the classes: NTIA TM-18-527 as NIST tabulates them; ranges here have room for the error of measurement.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sensing.detectors.intrapulse import NOTHING, Compressed, coded, dispersed, swept
from sensing.detectors.pulse import Pulse, over_traffic

NARROW_SHARE: Final = 0.6
"""Largest share of the band that a pulse called narrow covers: the rest must be seen to be quiet."""
STEADY_DB_MAX: Final = 8.0
"""A pulse this many dB under a steady signal in its band is taken for that signal's own switching."""

BESIDE_MAX: Final = 0.25
"""A pulse with a larger share of its power just before or after it is a part of something longer."""


class Inside(Enum):
    """The modulation inside a pulse."""

    PLAIN = "plain"
    CODED = "coded"
    SWEPT = "swept"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarClass:
    """The ranges of pulse and train that make a radar class.

    `span` bounds the share of the received band a pulse covers; a sweep that crosses the band at less than
    `slowest_hz_per_us` is another class's. `pulses_min` make a train in a short look, `pulses_whole` where the samples
    are long enough to hold them, `pulses_max` are the most a burst holds. `share_min` is the share of a pulse's energy
    the class's waveform must explain, `sweep_mhz` how far a pulse's sweep goes at least: what moves less is explained
    by a carrier as well. In a band narrower than `band_hz` the class cannot be told from other things.
    """

    name: str
    duration_us: tuple[float, float]
    width_hz: tuple[float, float]
    pri_us: tuple[float, float]
    instant_hz: float
    slope_mhz_per_us: tuple[float, float]
    pulses_min: int
    pulses_whole: int
    pulses_max: int
    inside: Inside
    share_min: float
    band_hz: float
    span: tuple[float, float] = (0.0, 1.0)
    slowest_hz_per_us: float = 0.0
    sweep_mhz: float = 0.0

    @property
    def pulses_allowed(self) -> int:
        """Most pulses that may be counted in one burst of the class: the most that it holds, and two more."""
        return self.pulses_max + 2


SINGLE_PRI: Final = (905.0, 1116.0)
_ANY_PRI: Final = (325.0, 3420.0)
CLASSES: Final = (
    RadarClass(
        name="P0N#2", duration_us=(9, 58), width_hz=(0, 4e6), pri_us=_ANY_PRI, instant_hz=3.5e6,
        slope_mhz_per_us=(0, 0.06), pulses_min=3, pulses_whole=4, pulses_max=20, inside=Inside.CODED, share_min=0.6,
        band_hz=1e6,
    ),
    RadarClass(
        name="Q3N#3", duration_us=(3, 110), width_hz=(5e6, 2e8), pri_us=_ANY_PRI, instant_hz=8e6,
        slope_mhz_per_us=(0.35, 2.6), pulses_min=3, pulses_whole=5, pulses_max=24, inside=Inside.SWEPT, share_min=0.5,
        band_hz=8e6, span=(0.85, 1),
    ),
    RadarClass(
        name="Q3N#2", duration_us=(6.5, 36), width_hz=(0.9e6, 13e6), pri_us=_ANY_PRI, instant_hz=4.5e6,
        slope_mhz_per_us=(0.02, 1.3), pulses_min=2, pulses_whole=2, pulses_max=8, inside=Inside.SWEPT, share_min=0.5,
        band_hz=5e6, sweep_mhz=0.8,
    ),
    RadarClass(
        name="Q3N#1", duration_us=(0, 7), width_hz=(5e6, 2e8), pri_us=_ANY_PRI, instant_hz=1e9,
        slope_mhz_per_us=(0, 1e9), pulses_min=3, pulses_whole=5, pulses_max=24, inside=Inside.FAST, share_min=0.5,
        band_hz=8e6, span=(0.6, 1), slowest_hz_per_us=4e6,
    ),
    RadarClass(
        name="P0N#1", duration_us=(0, 4.2), width_hz=(0, 7e6), pri_us=SINGLE_PRI, instant_hz=7e6,
        slope_mhz_per_us=(0, 1e9), pulses_min=2, pulses_whole=7, pulses_max=40, inside=Inside.PLAIN, share_min=0.0,
        band_hz=5e6,
    ),
)  # fmt: skip
FAST_DELAYS: Final = (0.022, 0.13)
"""Delays in us per MHz of Q3N#1: 50 to 100 MHz in 3 to 5 us."""


def observable(band_hz: float) -> tuple[str, ...]:
    """Names of the classes that a receiver of this bandwidth can tell from other signals."""
    return tuple(sorted(kind.name for kind in CLASSES if band_hz >= kind.band_hz))


def in_class(pulse: Pulse, kind: RadarClass, band_hz: float) -> bool:
    """Whether a pulse's shape fits the class; `verify` tests its modulation."""
    width = pulse.high_hz - pulse.low_hz
    widest = kind.instant_hz if kind.span[0] > 0 else min(kind.instant_hz, NARROW_SHARE * band_hz)
    longest = kind.duration_us[1]
    if kind.slowest_hz_per_us:
        longest = min(longest, width / kind.slowest_hz_per_us + 2)
    return (
        band_hz >= kind.band_hz
        and kind.duration_us[0] <= pulse.duration_us <= longest
        and kind.width_hz[0] <= width <= kind.width_hz[1]
        and pulse.instant_hz <= widest
        and kind.slope_mhz_per_us[0] <= abs(pulse.slope_mhz_per_us) <= kind.slope_mhz_per_us[1]
        and kind.span[0] <= (pulse.span or width / band_hz) <= kind.span[1] * 1.05
        and (kind.inside is not Inside.PLAIN or pulse.steady_db <= STEADY_DB_MAX)
        and pulse.beside <= BESIDE_MAX
    )


def verify(pulse: Pulse, kind: RadarClass) -> Compressed:
    """The class's waveform compressed with a pulse.

    The share is 1 for a class of plain pulses and for a pulse without samples, 0 for a sweep class's pulse of slope 0.
    """
    if kind.inside is Inside.PLAIN or pulse.wave is None:
        return Compressed(share=1.0, slope_mhz_per_us=pulse.slope_mhz_per_us)
    centre = (pulse.low_hz + pulse.high_hz) / 2
    if kind.inside is Inside.CODED:
        return coded(pulse.wave.whitened(), centre_hz=centre, duration_us=(11.5, 57.0))
    if kind.inside is Inside.FAST:
        return dispersed(pulse.wave.whitened(), delays_us_per_mhz=FAST_DELAYS)
    if pulse.slope_mhz_per_us == 0:
        return NOTHING
    width = pulse.high_hz - pulse.low_hz
    roomy = over_traffic(pulse)
    return swept(pulse.wave, centre_hz=centre, slope_mhz_per_us=pulse.slope_mhz_per_us, width_hz=width, roomy=roomy)
