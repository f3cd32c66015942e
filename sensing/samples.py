"""Checks raw samples for faults: clipping, zeros, NaN, DC offsets and images."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.flags import SampleFlag
from sensing.frontend import Iq, flat_samples
from sensing.samplekernels import probed

PROBE_SAMPLES: Final = 16384
JUDGED_SAMPLES_MIN: Final = 64
CLIPPED_SHARE: Final = 1e-4
"""Share of clipped samples above which a look is flagged."""
PILE_UP_STEPS: Final = 8
PILE_UP_COUNT: Final = 20
PILE_UP_RATIO: Final = 8
STEPS_SEEN: Final = 512
"""Number of different values up to which floating-point samples are those of a converter of eight bits or so."""
DC_SHARE: Final = 0.1
SILENT_SHARE: Final = 1e-10
"""Share of a constant offset below which a variation is rounding of the numbers."""
STEP_SHARE_MOST: Final = 0.02
"""Largest amplitude, as a share of full scale, at which two values are noise below a step; beyond, they are a
limiter's."""
NEIGHBOURS: Final = 2
FEW: Final = 64
"""Number of samples in which noise over a few steps shows more than two codes: most looks need no more."""
IMAGE_COEFFICIENT: Final = 0.1
"""Circularity above which an image is reported: twice the amplitude of the image, so 26 dB of rejection."""
CONSTANT_ENVELOPE: Final = 1.3
"""Envelope kurtosis below which a signal has constant amplitude: 2 for noise and OFDM, 1 for a carrier."""
COARSE_POWER: Final = 6.0
"""Power, as a multiple of the quantisation noise, below which noise takes two codes, so that its envelope looks
constant; six times that noise is one step squared."""
LOUD_FLOOR: Final = 0.06
"""Total power of a "floor", as a share of a full-scale sine (-12 dBFS), above which it is not receiver noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The measurements of raw samples; powers in squared full scale. `power` and kurtosis are without the DC offset."""

    flags: SampleFlag
    clipped_share: float
    power: float
    dc_power: float
    envelope_kurtosis: float


def finite(iq: Iq) -> tuple[Iq, SampleFlag]:
    """The samples with NaN and infinity replaced by zero in a copy, and the flag if there were any."""
    with np.errstate(over="ignore", invalid="ignore"):
        if iq.dtype != np.complex64 or np.isfinite(iq.sum()):
            return iq, SampleFlag.NONE
    bad = ~np.isfinite(iq)
    if not bad.any():
        return iq, SampleFlag.NONE
    return np.where(bad, np.complex64(0), iq), SampleFlag.NON_FINITE


def clipped_share(iq: Iq, full_scale: float) -> float:
    """Share of samples whose I or Q is at an end of the converter's range, or piles up at an extreme below it.

    Floating point samples have no hard range: there only piling up counts.
    """
    if len(iq) == 0:
        return 0.0
    flat = flat_samples(iq)
    hit = 0
    for end in (float(flat.max()), float(flat.min())):
        if iq.dtype != np.complex64 and abs(end) >= full_scale - 1:
            hit += int(np.count_nonzero(flat >= full_scale - 1 if end > 0 else flat <= 1 - full_scale))
        else:
            hit += _piled_up(flat, end, full_scale)
    return min(1.0, hit / len(iq))


def clipped_spans(iq: Iq, *, full_scale: float) -> list[tuple[int, int]]:
    """Spans of samples with I or Q at an end of the range, or at their own extreme where that is below."""
    flat = flat_samples(iq)
    if iq.dtype != np.complex64:
        full = float(full_scale) - 1
        at = (flat >= min(full, float(flat.max()))) | (flat <= max(-full, float(flat.min())))
    else:
        at = (flat == flat.max()) | (flat == flat.min())
    return [(n, n + 1) for n in np.flatnonzero(at[::2] | at[1::2]).tolist()]


def _step(flat: NDArray[np.int16] | NDArray[np.float32], full_scale: float) -> float:
    """The converter's step: the greatest common divisor of the samples' differences; 1/512 of full scale for floats.

    Samples of an 8-bit converter come in steps of 2, as half codes, or of 256, shifted.
    """
    if flat.dtype != np.int16:
        return full_scale / 512
    values = np.unique(flat[:PROBE_SAMPLES]).astype(np.int64)
    return float(max(1, np.gcd.reduce(values - values[0])))


def converter_noise(iq: Iq, *, full_scale: float) -> float:
    """Quantisation noise power, in squared full scales; 0 where the samples show no steps.

    Signals below that power cannot be detected.

    Args: iq int16 (n, 2) or complex64 (n,), finite.
    """
    flat = flat_samples(iq)[:PROBE_SAMPLES]
    if len(flat) == 0:
        return 0.0
    if flat.dtype == np.int16:
        step = _step(flat, full_scale)
    else:
        values = np.unique(flat)
        step = float(np.diff(values).min()) if 1 < len(values) < STEPS_SEEN else 0.0
    return 2 * (step / full_scale) ** 2 / 12


def _within_a_step(iq: Iq, full_scale: float) -> bool:
    """Whether I and Q each take at most two neighbouring codes, as noise below the converter's step does."""
    if iq.dtype != np.int16:
        return False
    flat = flat_samples(iq)[: 2 * PROBE_SAMPLES]
    if max(-float(flat.min()), float(flat.max())) > STEP_SHARE_MOST * full_scale:
        return False
    some = flat.reshape(-1, 2)
    if any(len(set(column)) > NEIGHBOURS for column in some[:FEW].T.tolist()):
        return False
    low, high = some.min(axis=0).astype(np.float64), some.max(axis=0).astype(np.float64)
    return bool(((high - low) <= _step(some.ravel(), full_scale)).all())


def _piled_up(flat: NDArray[np.int16] | NDArray[np.float32], end: float, full_scale: float) -> int:
    """Samples exactly at the extreme, if far more than just below it: a limiter's, not a signal's; else 0."""
    at = int(np.count_nonzero(flat == flat.dtype.type(end)))
    if at < PILE_UP_COUNT:
        return 0
    step = _step(flat, full_scale)
    if abs(end) <= PILE_UP_STEPS * step:
        return 0
    inner = abs(end) - 1.5 * step
    near = int(np.count_nonzero(flat >= inner if end > 0 else flat <= -inner)) - at
    high = flat[np.abs(flat) > 0.8 * abs(end)][:PROBE_SAMPLES]
    varied = flat.dtype == np.int16 or len(np.unique(high)) > PILE_UP_COUNT  # a tone of few phases repeats its values
    return at if varied and at > PILE_UP_RATIO * near else 0


def inspect(iq: Iq, *, full_scale: float) -> Quality:
    """Measure the faults of a look's samples; none are found in fewer than JUDGED_SAMPLES_MIN.

    Args: iq int16 (n, 2) or complex64 (n,), finite; full_scale in the units of I and Q.
    """
    step = max(1, len(iq) // PROBE_SAMPLES)
    count = min(PROBE_SAMPLES, -(-len(iq) // step))
    if count < JUDGED_SAMPLES_MIN:
        return Quality(flags=SampleFlag.NONE, clipped_share=0.0, power=0.0, dc_power=0.0, envelope_kurtosis=2.0)
    found = np.empty(6)
    probed(flat_samples(iq), step, count, float(full_scale), found)
    mean_i, mean_q, in_phase, quadrature, crossed, fourth = found.tolist()
    offset = complex(mean_i, mean_q)
    power = in_phase + quadrature
    silent = power <= max(_quantisation_power(iq, full_scale), SILENT_SHARE * abs(offset) ** 2)
    silent = silent or _within_a_step(iq, full_scale)
    share = 0.0 if silent else clipped_share(iq, full_scale)
    flags = SampleFlag.CLIPPED if share > CLIPPED_SHARE else SampleFlag.NONE
    if silent:
        flags |= SampleFlag.BELOW_QUANTISATION
    if abs(offset) ** 2 > DC_SHARE * power and offset != 0:
        flags |= SampleFlag.DC_SPIKE
    if power > 0 and abs(complex(in_phase - quadrature, 2 * crossed)) > _image_limit(count) * power:
        flags |= SampleFlag.IQ_IMAGE
    kurtosis = fourth / power**2 if power > 0 else 2.0
    if kurtosis < CONSTANT_ENVELOPE and power < COARSE_POWER * converter_noise(iq, full_scale=full_scale):
        kurtosis = 2.0
    return Quality(flags=flags, clipped_share=share, power=power, dc_power=abs(offset) ** 2, envelope_kurtosis=kurtosis)


def _quantisation_power(iq: Iq, full_scale: float) -> float:
    return 0.0 if iq.dtype == np.complex64 else 2 * (0.5 / full_scale) ** 2


def _image_limit(samples: int) -> float:
    return max(IMAGE_COEFFICIENT, 5 / float(np.sqrt(samples)))
