"""Files of noise through receivers of several shapes, to measure how often the survey calls them busy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from agent.sense.session import fft_size
from sensing.survey import Survey, SurveySettings
from sensing.values import Channel

CENTER_HZ: Final = 3_555_000_000
CHANNELS: Final = 4
SPAN: Final = 0.9
LOOK_S: Final = 0.02
SPARE: Final = 300
AMPLITUDE, OFFSET = 0.02, 0.003
PFA: Final = 1e-3

Floats = NDArray[np.float64]
Cplx = NDArray[np.complex64]


def _bent(z: Cplx, gain_db: Callable[[Floats], Floats]) -> Cplx:
    spectrum = np.fft.fft(z) * 10 ** (gain_db(np.fft.fftfreq(len(z)).astype(np.float64)) / 20)
    return np.fft.ifft(spectrum).astype(np.complex64)


RECEIVERS: Final[Mapping[str, Callable[[Cplx], Cplx]]] = MappingProxyType(
    {
        "flat": lambda z: z,
        "tilt of 3 dB": lambda z: _bent(z, lambda f: 3 * f),
        "dome of 4 dB": lambda z: _bent(z, lambda f: -4 * (2 * f) ** 2),
        "filter of 0.72": lambda z: signal.oaconvolve(z, signal.firwin(65, 0.72), mode="same").astype(np.complex64),
    }
)
"""Frequency response of each receiver, applied to white noise; `false_alarms` adds a constant offset after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """Counts of blocks over their threshold, and of channels called busy, with their totals."""

    over: int
    blocks: int
    busy: int
    channels: int


def false_alarms(
    seed: int | Sequence[int], receiver: str, *, rate_hz: float, seconds: float, files: int
) -> FalseAlarms:
    """Survey `files` files of noise, each in four channels."""
    rng = np.random.default_rng(seed)
    over = blocks = busy = 0
    for _ in range(files):
        survey = _survey(rate_hz)
        pairs = rng.standard_normal((round(rate_hz * seconds) + SPARE, 2), dtype=np.float32)
        z = RECEIVERS[receiver](pairs.view(np.complex64)[:, 0] * np.float32(AMPLITUDE / np.sqrt(2)))[SPARE:]
        z = (z + np.float32(OFFSET)).astype(np.complex64)
        step = round(rate_hz * LOOK_S)
        for start in range(0, len(z), step):
            survey.feed(z[start : start + step], start_ns=round(start / rate_hz * 1e9))
        report = survey.report(round(seconds * 1e9))
        some, of = survey.over_threshold()
        over, blocks = over + some, blocks + of
        busy += sum(c.state.value == "busy" for c in report.channels)
    return FalseAlarms(over=over, blocks=blocks, busy=busy, channels=CHANNELS * files)


def _survey(rate_hz: float) -> Survey:
    low, width = CENTER_HZ - rate_hz * SPAN / 2, rate_hz * SPAN / CHANNELS
    channels = tuple(Channel(low_hz=low + i * width, high_hz=low + (i + 1) * width) for i in range(CHANNELS))
    return Survey(
        SurveySettings(
            center_hz=CENTER_HZ, sample_rate_hz=rate_hz, full_scale=1.0, channels=channels,
            fft_size=fft_size(rate_hz), pfa=PFA, radar=False,
        )
    )  # fmt: skip


USED_DB: Final = 10.0
"""Power in dB of a channel in use above the noise, in its own width."""
ON_S: Final = 0.005


def floor_errors(rng: np.random.Generator, *, seconds: float, files: int, used: int) -> list[tuple[float, float]]:
    """Return error of the reported noise floor for each channel, and its standard uncertainty, in dB.

    White noise at 2 MS/s in four channels, of which `used` carry noise of their own width, on for half the time.
    """
    rate_hz = 2e6
    samples, width = round(rate_hz * seconds), rate_hz * SPAN / CHANNELS
    low = -rate_hz * SPAN / 2
    at_hz = np.fft.fftfreq(samples, 1 / rate_hz)
    truth = 20 * np.log10(AMPLITUDE) - 10 * np.log10(rate_hz)
    found: list[tuple[float, float]] = []
    for _ in range(files):
        z = _white(rng, samples) * np.float32(AMPLITUDE)
        for index in range(used):
            edge = low + index * width
            spectrum = np.fft.fft(_white(rng, samples))
            spectrum[(at_hz < edge + 0.05 * width) | (at_hz > edge + 0.95 * width)] = 0
            on = np.repeat(rng.random(samples // round(rate_hz * ON_S) + 1) < 0.5, round(rate_hz * ON_S))[:samples]
            z = z + np.fft.ifft(spectrum) * on * AMPLITUDE * 10 ** (USED_DB / 20)
        survey = _survey(rate_hz)
        step = round(rate_hz * LOOK_S)
        for start in range(0, samples, step):
            survey.feed(z[start : start + step].astype(np.complex64), start_ns=round(start / rate_hz * 1e9))
        floors = [channel.noise_floor for channel in survey.report(round(seconds * 1e9)).channels]
        found += [(float(floor.value - truth), float(floor.sd)) for floor in floors]
    return found


def _white(rng: np.random.Generator, samples: int) -> Cplx:
    pairs = rng.standard_normal((samples, 2), dtype=np.float32).view(np.complex64)[:, 0]
    return (pairs * np.float32(np.sqrt(0.5))).astype(np.complex64)
