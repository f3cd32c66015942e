"""Samples as real receivers give them, and surveys of them: as a whole, or in a node's looks."""

import numpy as np
from numpy.typing import NDArray

from agent.sense.session import fft_size
from hw_profiles.calibration import Scale
from sensing.flags import SampleFlag
from sensing.survey import ChannelReport, Survey, SurveyReport, SurveySettings
from sensing.values import Channel

CENTER = 3_555_000_000
NOISE = 0.02
LOOK_S = 0.02
NODE_LOOK_S = 2.25e-3
Cplx = NDArray[np.complex64]


def noise(rng: np.random.Generator, samples: int, amplitude: float = NOISE) -> Cplx:
    """White noise of that root mean square amplitude."""
    pairs = rng.standard_normal((samples, 2), dtype=np.float32) * np.float32(amplitude / np.sqrt(2))
    return pairs.view(np.complex64)[:, 0]


def shaped(rng: np.random.Generator, samples: int, gain_db: object) -> Cplx:
    """White noise with that gain in dB at each frequency, given as a share of the sample rate."""
    spectrum = np.fft.fft(noise(rng, samples))
    return np.fft.ifft(spectrum * 10 ** (gain_db(np.fft.fftfreq(samples)) / 20)).astype(np.complex64)  # type: ignore[operator]


def band_noise(rng: np.random.Generator, samples: int, *, width: float, level_db: float, at: float = 0.0) -> Cplx:
    """Noise in a share `width` of the band, so many dB over the receiver's noise there."""
    spectrum = np.fft.fft(noise(rng, samples, NOISE * 10 ** (level_db / 20)))
    spectrum[np.abs(np.fft.fftfreq(samples)) > width / 2] = 0
    shift = np.exp(2j * np.pi * at * np.arange(samples))
    return (np.fft.ifft(spectrum) * shift).astype(np.complex64)


def surveyed(
    z: np.ndarray,
    rate: float,
    *,
    channels: int = 1,
    span: float = 0.9,
    node: bool = False,
    calibration: Scale | None = None,
    bandwidth: float | None = None,
) -> tuple[Survey, SurveyReport]:
    """Survey samples, complex or 12-bit pairs, in `channels` equal parts of `span` of the band."""
    low, width = CENTER - rate * span / 2, rate * span / channels
    survey = Survey(
        SurveySettings(
            center_hz=CENTER, sample_rate_hz=rate, full_scale=1.0 if z.dtype == np.complex64 else 2048,
            channels=tuple(Channel(low_hz=low + i * width, high_hz=low + (i + 1) * width) for i in range(channels)),
            bandwidth_hz=bandwidth, fft_size=fft_size(rate), calibration=calibration, radar=False,
        )
    )  # fmt: skip
    step = round(LOOK_S * rate)
    length = round(NODE_LOOK_S * rate) if node else step
    for start in range(0, len(z), step):
        survey.feed(z[start : start + length], start_ns=round(start / rate * 1e9), flags=SampleFlag.NONE)
    return survey, survey.report(round(len(z) / rate * 1e9))


def states(report: SurveyReport) -> list[str]:
    """State of each channel."""
    return [c.state.value for c in report.channels]


def holds(channel: ChannelReport, share: float, slack: float = 0.03) -> bool:
    """Whether the occupancy interval contains the share."""
    return channel.occupancy.low - slack <= share <= channel.occupancy.high + slack
