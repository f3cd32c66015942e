"""Pulsed signals that are no radar, each by its generator, to measure how often the search reports a radar.

The generators are in `sim/waveforms` and independent of the detectors.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensing.survey import Survey, SurveySettings
from sensing.values import Channel
from sim.waveforms import ble, dect, gsm, impulses, jammer, nr, sensors

CENTER_HZ: Final = 3.55e9
FULL_SCALE: Final = 2048
NOISE_RMS: Final = 10.0
LOOKS_PER_S: Final = 50
PIECE_S: Final = 2
"""Interval in seconds at which a generator is drawn again, with its own times and data."""

Cplx = NDArray[np.complex64]
Generator = Callable[..., Cplx]

IMPOSTORS: Final[Mapping[str, tuple[Generator, Mapping[str, Any]]]] = MappingProxyType(
    {
        "uplink control each 2.5 ms": (nr.pucch, {"period_s": 2.5e-3, "offset_hz": 1e6}),
        "uplink control each 0.5 ms": (nr.pucch, {"period_s": 0.5e-3, "offset_hz": -2e6}),
        "sounding each 1 ms": (nr.srs, {"period_s": 1e-3}),
        "sounding each 2 ms": (nr.srs, {"period_s": 2e-3, "blocks": 4, "offset_hz": 1e6}),
        "uplink control of 60 kHz carriers": (nr.pucch, {"period_s": 1e-3, "mu": 2}),
        "sounding on each fourth carrier": (nr.srs, {"period_s": 1e-3, "comb": 4}),
        "synchronisation blocks": (nr.ssb, {}),
        "TDD lightly loaded": (nr.tdd, {}),
        "BLE acknowledgements": (ble.generate, {"offset_hz": 1e6}),
        "BLE, short packets": (ble.generate, {"payload": 20}),
        "DECT": (dect.generate, {}),
        "GSM": (gsm.generate, {}),
        "on-off keying, 50 us": (sensors.generate, {"coding": sensors.Coding.MANCHESTER, "unit_s": 50e-6, "bits": 80}),
        "FSK, 58 us": (sensors.generate, {"coding": sensors.Coding.FSK, "unit_s": 58e-6, "bits": 120}),
        "PWM at 1 kHz": (impulses.pwm, {"ring_hz": 1e6, "decay_s": 1e-6}),
        "PWM at 2.5 kHz": (impulses.pwm, {"period_s": 4e-4, "ring_hz": 1e6, "both_edges": True}),
        "a carrier with lost buffers": (impulses.dropping, {}),
        "a carrier with zeros for lost buffers": (impulses.dropping, {"zeros": True}),
        "a carrier with 5 us lost": (impulses.dropping, {"period_s": 9.5e-4, "lost_s": 5e-6, "offset_hz": 1.1e6}),
        "chirp jammer of 40 us": (jammer.generate, {"sweep_s": 40e-6}),
        "chirp jammer": (jammer.generate, {}),
    }
)


def impostor(rng: np.random.Generator, name: str, *, rate_hz: int, seconds: float, snr_db: float) -> Cplx:
    """Return the named signal, `snr_db` over the noise in 1 MHz, in unit-power noise, shape (rate_hz * seconds,)."""
    generate, params = IMPOSTORS[name]
    samples = int(rate_hz * seconds)
    signal = generate(rng, sample_rate_hz=rate_hz, samples=samples, **params)
    heard: Cplx = signal * np.float32(np.sqrt(10 ** (snr_db / 10) * 1e6 / rate_hz)) + unit_noise(rng, samples)
    return heard


def unit_noise(rng: np.random.Generator, samples: int) -> Cplx:
    """Return white noise of unit power."""
    z: Cplx = rng.standard_normal(2 * samples, dtype=np.float32).view(np.complex64) * np.float32(np.sqrt(0.5))
    return z


def codes(z: NDArray[np.complexfloating]) -> NDArray[np.int16]:
    """Quantize as a 12-bit converter does, shape (n, 2)."""
    rails = z.astype(np.complex64).view(np.float32) * np.float32(NOISE_RMS)
    pairs: NDArray[np.int16] = np.clip(np.rint(rails), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16).reshape(-1, 2)
    return pairs


def survey_for(rate_hz: int, **more: Any) -> Survey:
    """Return a survey of nine tenths of the band as one channel, radar search included."""
    whole = Channel(low_hz=CENTER_HZ - 0.45 * rate_hz, high_hz=CENTER_HZ + 0.45 * rate_hz)
    return Survey(
        SurveySettings(
            center_hz=CENTER_HZ, sample_rate_hz=rate_hz, full_scale=FULL_SCALE, channels=(whole,), **more
        )
    )  # fmt: skip


def radars_reported(seed: int, name: str, *, rate_hz: int, seconds: int, snr_db: float) -> int:
    """Return how many radars a survey reports after `seconds` seconds of the named signal without a gap."""
    survey, step = survey_for(rate_hz), rate_hz // LOOKS_PER_S
    for piece in range(-(-seconds // PIECE_S)):
        rng = np.random.default_rng([seed, piece])
        iq = codes(impostor(rng, name, rate_hz=rate_hz, seconds=min(PIECE_S, seconds - piece * PIECE_S), snr_db=snr_db))
        for start in range(0, len(iq), step):
            at_ns = piece * PIECE_S * 10**9 + round(start / rate_hz * 1e9)
            survey.feed(iq[start : start + step], start_ns=at_ns)
    return len(survey.report(seconds * 10**9).incumbents)
