"""Files of nothing but noise through receivers of several shapes, and how often the survey takes them for use."""

from collections.abc import Callable, Mapping
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
        "filter of 0.72": lambda z: np.convolve(z, signal.firwin(65, 0.72), "same").astype(np.complex64),
    }
)
"""What a receiver makes of white noise; each adds a constant offset to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """Blocks of channels over their threshold, and channels called busy, among how many."""

    over: int
    blocks: int
    busy: int
    channels: int


def false_alarms(seed: int, receiver: str, *, rate_hz: float, seconds: float, files: int) -> FalseAlarms:
    """Survey so many files of noise, each in four channels."""
    rng = np.random.default_rng(seed)
    low, width = CENTER_HZ - rate_hz * SPAN / 2, rate_hz * SPAN / CHANNELS
    channels = tuple(Channel(low_hz=low + i * width, high_hz=low + (i + 1) * width) for i in range(CHANNELS))
    over = blocks = busy = 0
    for _ in range(files):
        survey = Survey(
            SurveySettings(
                center_hz=CENTER_HZ, sample_rate_hz=rate_hz, full_scale=1.0, channels=channels,
                fft_size=fft_size(rate_hz), pfa=PFA, radar=False,
            )
        )  # fmt: skip
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
