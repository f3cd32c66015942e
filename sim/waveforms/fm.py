"""Narrow-band FM: a tone, as microphones are simulated, or voice-like noise."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from radio.signals.shapes import Cplx


class Programme(Enum):
    """What modulates the carrier."""

    TONE = "tone"
    VOICE = "voice"


def generate(
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    samples: int,
    deviation_hz: float = 15_000.0,
    audio_hz: float = 3_900.0,
    programme: Programme = Programme.TONE,
) -> Cplx:
    """Return a constant-envelope FM carrier, shape (samples,), complex64, unit power.

    The default is the soft speaker of the simulated wireless microphone (C. Clanton, M. Kenkel, Y. Tang, IEEE
    802.22-07/0124r0: 3.9 kHz tone, 15 kHz deviation). VOICE is noise below `audio_hz` whose standard deviation swings
    the carrier by a third of `deviation_hz`. Carson: about 2 (deviation + audio) wide.
    """
    time_s = np.arange(samples) / sample_rate_hz
    if programme is Programme.TONE:
        audio = np.cos(2 * np.pi * (audio_hz * time_s + rng.uniform()))
    else:
        audio = _voice(rng, samples, sample_rate_hz, audio_hz)
    phase = 2 * np.pi * (deviation_hz / sample_rate_hz * np.cumsum(audio) + rng.uniform())
    wave: Cplx = np.exp(1j * np.remainder(phase, 2 * np.pi)).astype(np.complex64)
    return wave


def _voice(rng: np.random.Generator, samples: int, sample_rate_hz: int, audio_hz: float) -> NDArray[np.float64]:
    """Gaussian noise between 300 Hz and `audio_hz`, clipped at three standard deviations to plus or minus one."""
    offset = np.fft.rfftfreq(samples, 1 / sample_rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum[(offset < min(300.0, audio_hz / 2)) | (offset > audio_hz)] = 0
    audio = np.fft.irfft(spectrum, samples)
    spread = float(np.std(audio)) or 1.0
    return np.clip(audio / (3 * spread), -1, 1)
