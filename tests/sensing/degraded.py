"""Signals as received by a poor receiver: narrow filter, tilt, DC offset, image, compression."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin

from agent.bench.impostors import unit_noise

Cplx = NDArray[np.complexfloating]
RAIL = 2047


def degraded(rng: np.random.Generator, signal: Cplx, *, rate_hz: float, density_db: float) -> NDArray[np.int16]:
    """Codes of 12 bits of a signal in noise through a receiver drawn at random, shape (n, 2).

    Args: density_db is by how much the signal's unit power, were it spread over the band, is above the noise.
    """
    n = len(signal)
    turns = rng.uniform(-35e3, 35e3) / rate_hz * np.arange(n)
    wandering = np.cumsum(rng.standard_normal(n)) * 10 ** rng.uniform(-4.5, -2.5) * np.sqrt(2e6 / rate_hz)
    z = signal * np.exp(1j * (2 * np.pi * turns + wandering)) * 10 ** (density_db / 20) + unit_noise(rng, n)
    z = fftconvolve(z, firwin(int(rng.choice([15, 31, 63, 127])), rng.uniform(0.5, 0.95)), "same")
    z = fftconvolve(z, [1, rng.uniform(-0.3, 0.3) * np.exp(2j * np.pi * rng.random())], "same")
    level = np.sqrt(np.mean(np.abs(z) ** 2))
    z = z / np.sqrt(1 + np.abs(z / (level * 10 ** (rng.uniform(0, 10) / 20))) ** 2)
    z = z + 10 ** (rng.uniform(-40, -15) / 20) * np.conj(z) + level * 10 ** (rng.uniform(-30, -5) / 20)
    rails = z.astype(np.complex64).view(np.float32) * np.float32(rng.uniform(8, 200) / np.sqrt(np.mean(np.abs(z) ** 2)))
    return np.clip(np.rint(rails), -RAIL - 1, RAIL).astype(np.int16).reshape(-1, 2)
