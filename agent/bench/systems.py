"""Real radio systems by their generators, each at its own bandwidth and any sample rate that it fits into.

The generators are in `sim/waveforms` and `radio/signals`, and independent of the detectors.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.signal import resample_poly

from agent.bench.impostors import IMPOSTORS
from radio.signals import ofdm
from sim.waveforms import ble, fm, hopping, sensors, wifi

USED: Final = 0.9
"""Share of the received band that a system may lie in."""
PLACE: Final = 0.2
"""Offset of a system from the band's centre as a share of the sample rate, if it is narrow enough."""

Cplx = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system: its generator, its bandwidth, and the only rate of its generator, None for any rate.

    `width_hz` is None for a system that fills any band in which it is received.
    """

    generate: Callable[..., Cplx]
    width_hz: float | None
    params: Mapping[str, Any] = field(default_factory=dict)
    native_hz: int | None = None

    def width_at(self, rate_hz: float) -> float:
        """Return the system's bandwidth in Hz at a sample rate."""
        return USED * rate_hz if self.width_hz is None else self.width_hz

    def fits(self, rate_hz: float) -> bool:
        """Return whether a receiver of that sample rate receives all of it."""
        return self.width_at(rate_hz) <= USED * rate_hz

    def place_hz(self, rate_hz: float) -> float:
        """Return its centre in Hz from the band's centre: beside the tuned frequency where there is room."""
        return min(PLACE * rate_hz, (USED * rate_hz - self.width_at(rate_hz)) / 2)

    def draw(self, rng: np.random.Generator, *, rate_hz: int, samples: int) -> Cplx:
        """Return samples of the system at its offset, shape (samples,), unit power while on, without noise."""
        native = self.native_hz or rate_hz
        ratio = Fraction(rate_hz, native)
        wanted = samples if ratio == 1 else next_fast_len(int(samples / ratio) + 1)
        z = self.generate(rng, sample_rate_hz=native, samples=wanted, **self.params)
        if ratio != 1:
            z = resample_poly(z, ratio.numerator, ratio.denominator)[:samples]
        turns = self.place_hz(rate_hz) / rate_hz * np.arange(samples) if self.place_hz(rate_hz) else np.zeros(1)
        moved: Cplx = (z * np.exp(2j * np.pi * turns)).astype(np.complex64)
        return moved


PULSED_WIDTHS_HZ: Final[Mapping[str, float | None]] = MappingProxyType(
    {
        "uplink control each 2.5 ms": 0.36e6,
        "uplink control each 0.5 ms": 0.36e6,
        "sounding each 1 ms": 5.76e6,
        "sounding each 2 ms": 1.44e6,
        "uplink control of 60 kHz carriers": 0.72e6,
        "sounding on each fourth carrier": 5.76e6,
        "synchronisation blocks": 7.2e6,
        "TDD lightly loaded": 8.64e6,
        "BLE acknowledgements": 2e6,
        "BLE, short packets": 2e6,
        "DECT": 1.728e6,
        "GSM": 0.2e6,
        "on-off keying, 50 us": 60e3,
        "FSK, 58 us": 100e3,
        "PWM at 1 kHz": 1e6,
        "PWM at 2.5 kHz": 1e6,
        "a carrier with lost buffers": 25e3,
        "a carrier with zeros for lost buffers": 25e3,
        "a carrier with 5 us lost": 25e3,
        "chirp jammer of 40 us": None,
        "chirp jammer": None,
    }
)
CENTRED: Final = ("offset_hz", "ring_hz")
"""Parameters by which a generator would shift a system from the centre."""


def _pulsed(name: str) -> System:
    generate, params = IMPOSTORS[name]
    known = inspect.signature(generate).parameters
    kept = {**params, **{key: 0.0 for key in CENTRED if key in known}}
    return System(generate=generate, params=kept, width_hz=PULSED_WIDTHS_HZ[name])


SYSTEMS: Final[Mapping[str, System]] = MappingProxyType(
    {
        "LTE, 1.4 MHz": System(
            generate=ofdm.generate, params={"bandwidth_hz": 1_400_000}, width_hz=1.08e6, native_hz=1_920_000
        ),
        "LTE, 10 MHz": System(
            generate=ofdm.generate, params={"bandwidth_hz": 10_000_000}, width_hz=9e6, native_hz=15_360_000
        ),
        "LTE, 10 MHz, TDD": System(
            generate=ofdm.generate, params={"bandwidth_hz": 10_000_000, "duplex": ofdm.Duplex.TDD}, width_hz=9e6,
            native_hz=15_360_000,
        ),
        "Wi-Fi": System(generate=wifi.generate, width_hz=16.6e6, native_hz=20_000_000),
        "BLE, both sides": System(
            generate=ble.generate, params={"mbps": 1, "payload": 100, "data_db": 0.0}, width_hz=1e6
        ),
        "FM, a microphone's tone": System(generate=fm.generate, width_hz=40e3),
        "FM, voice": System(generate=fm.generate, params={"programme": fm.Programme.VOICE}, width_hz=40e3),
        "FM, broadcast": System(
            generate=fm.generate,
            params={"programme": fm.Programme.VOICE, "deviation_hz": 75e3, "audio_hz": 15e3}, width_hz=180e3,
        ),
        "hopping over 8 MHz": System(generate=hopping.generate, params={"channels": 8}, width_hz=8e6),
        "on-off keying, 350 us": System(generate=sensors.generate, width_hz=25e3),
        "on-off keying, pulse distance": System(
            generate=sensors.generate, params={"coding": sensors.Coding.PULSE_DISTANCE}, width_hz=25e3
        ),
        **{name: _pulsed(name) for name in PULSED_WIDTHS_HZ},
    }
)  # fmt: skip
