"""A receiver's front end: thermal noise, fixed gain, analogue filter, imperfections, ADC."""

import numpy as np

from radio.ports import Iq16, RxSettings
from radio.signals.shapes import Cplx
from sim.mixer import TAPS, TRANSITION, filtered, low_pass
from sim.stations import Hardware

THERMAL_DBM_PER_HZ = -173.975
"""k T at 290 K (IEEE definition of noise figure)."""
NOISE_BLOCK = 16_384
TONE_FLOOR_LSB = 1e-3
"""A leaked carrier weaker than this is below quantisation and is omitted."""


def amplitude(hardware: Hardware, settings: RxSettings, level_dbm: float) -> float:
    """Return the amplitude, in ADC codes, of a carrier of that power at the antenna port."""
    over_db = level_dbm + settings.gain_mdb / 1000 - hardware.rx_full_scale_dbm
    return float(hardware.rx_full_scale * 10 ** (over_db / 20))


def noise_dbm(hardware: Hardware, bandwidth_hz: float) -> float:
    """Return the receiver's own noise referred to its antenna port: k T B and the noise figure."""
    return THERMAL_DBM_PER_HZ + 10 * float(np.log10(bandwidth_hz)) + hardware.noise_figure_db


def noise(hardware: Hardware, settings: RxSettings, *, seed: tuple[int, int], first: int, samples: int) -> Cplx:
    """Return white noise in ADC codes for samples [first, first + samples) of the receiver's grid.

    Drawn in blocks that are numbered on the grid: each is the same in every look that touches it.
    """
    spread = amplitude(hardware, settings, noise_dbm(hardware, settings.sample_rate_hz)) / np.sqrt(2)
    out = np.empty(samples, dtype=np.complex64)
    rails = out.view(np.float32)
    at = first
    while at < first + samples:
        number, skip = divmod(at, NOISE_BLOCK)
        count = min(NOISE_BLOCK - skip, first + samples - at)
        source = np.random.Generator(np.random.SFC64([*seed, number % 2**64, settings.sample_rate_hz]))
        drawn = source.standard_normal(2 * (skip + count), dtype=np.float32)
        rails[2 * (at - first) : 2 * (at - first + count)] = drawn[2 * skip :]
        at += count
    rails *= np.float32(spread)
    return out


def digitise(field: Cplx, hardware: Hardware, settings: RxSettings) -> Iq16:
    """Return int16 codes, shape (len(field) - TAPS + 1, 2): filter, I/Q imbalance, DC offset, rounding, clipping.

    The image is the conjugate, `iq_image_db` below the signal; the offset is the same on both rails.
    """
    rate = settings.sample_rate_hz
    reach = TAPS // 2
    if settings.bandwidth_hz < (1 - 2 * TRANSITION) * rate:
        passed = filtered(field, low_pass(settings.bandwidth_hz // 2, rate))
    else:
        passed = field[reach : len(field) - reach].copy()
    passed += np.float32(10 ** (hardware.iq_image_db / 20)) * np.conj(passed)
    top = hardware.rx_full_scale
    rails = passed.view(np.float32)
    rails += np.float32(top * 10 ** (hardware.dc_offset_dbfs / 20) / np.sqrt(2))
    np.rint(rails, out=rails)
    np.clip(rails, -top, top - 1, out=rails)
    return rails.astype(np.int16).reshape(-1, 2)


def clipped(iq: Iq16, hardware: Hardware) -> bool:
    """Whether any rail reached the end of the ADC's range."""
    top = hardware.rx_full_scale
    return bool(iq.max(initial=0) >= top - 1 or iq.min(initial=0) <= -top)
