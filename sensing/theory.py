"""Closed-form detection theory: thresholds and probabilities that the detectors use and are tested against.

Powers are linear ratios to the mean noise power, degrees of freedom follow Welch's average of K periodograms: an
average of K independent complex bins is a gamma variable of shape K and mean one in noise.
"""

from math import exp, expm1, log1p, log10
from typing import Final

from sensing.probability import f_sf, normal_isf
from sensing.roots import crossing
from sensing.specials import fdtri, gammainc, gammaincc, gammainccinv, gammaincinv

HANN_HALF_OVERLAP_EFFICIENCY: Final = 0.947
"""Independent averages that each Hann window with 50 % overlap is worth."""

HANN_BIN_CORRELATION: Final = 4 / 9
"""Correlation of the powers of neighbouring bins under a Hann window; two apart it is 1/36."""


def db(ratio: float) -> float:
    """Convert a power ratio to decibels."""
    return 10 * log10(ratio)


def energy_threshold(*, samples: float, pfa: float) -> float:
    """Threshold on the mean power of `samples` complex samples, noise known: Q_chi2(2N)(2N t) = pfa."""
    return float(gammainccinv(samples, pfa)) / samples


def energy_pfa(*, samples: float, threshold: float) -> float:
    """False-alarm probability of the energy detector at `threshold` times the known noise power."""
    return float(gammaincc(samples, samples * threshold))


def energy_pd(*, samples: float, pfa: float, snr: float) -> float:
    """Detection probability of a Gaussian signal at linear `snr`, noise known."""
    return float(gammaincc(samples, samples * energy_threshold(samples=samples, pfa=pfa) / (1 + snr)))


def energy_snr_needed(*, samples: float, pfa: float, pd: float) -> float:
    """Linear SNR at which the energy detector reaches `pd` at `pfa`, noise known."""
    return float(gammainccinv(samples, pfa) / gammainccinv(samples, pd)) - 1


def samples_needed(*, snr: float, pfa: float, pd: float) -> float:
    """Large-N number of samples for the energy detector: [Q^-1(pfa) - Q^-1(pd)(1+snr)]^2 / snr^2."""
    return float((normal_isf(pfa) - normal_isf(pd) * (1 + snr)) ** 2 / snr**2)


def f_threshold(*, shape: float, reference_shape: float, pfa: float) -> float:
    """Threshold on power over *estimated* noise power, both gamma averages: F^-1(1-pfa; 2K, 2KM).

    Args: shape is K, the independent averages under test; reference_shape is K*M, those behind the noise estimate.
    """
    return 1 / float(fdtri(2 * reference_shape, 2 * shape, pfa))


def f_pd(*, shape: float, reference_shape: float, pfa: float, snr: float) -> float:
    """Detection probability of a Gaussian signal with the noise estimated as in `f_threshold`."""
    threshold = f_threshold(shape=shape, reference_shape=reference_shape, pfa=pfa)
    return f_sf(threshold / (1 + snr), 2 * shape, 2 * reference_shape)


def pfa_each(*, pfa: float, tests: float) -> float:
    """False-alarm rate to design each of `tests` independent tests for, so that any one fires with rate `pfa`."""
    return -expm1(log1p(-pfa) / tests)


def snr_wall_db(uncertainty_db: float) -> float:
    """Lowest SNR an energy detector can find when the noise is only known to within +-`uncertainty_db`.

    Source: Tandra and Sahai, "SNR walls for signal detection", (rho^2-1)/rho.
    """
    rho: float = 10 ** (uncertainty_db / 10)
    return db((rho * rho - 1) / rho)


def hann_sum_shape(bins: int) -> float:
    """Independent bins that a sum of `bins` neighbouring Hann bins is worth."""
    near = 2 * (bins - 1) / bins * HANN_BIN_CORRELATION if bins > 1 else 0.0
    far = 2 * (bins - 2) / bins / 36 if bins > 2 else 0.0
    return bins / (1 + near + far)


def truncated_mean(*, shape: float, threshold: float) -> float:
    """Mean of a unit-mean gamma variable of `shape` that is known to lie below `threshold`."""
    return float(gammainc(shape + 1, shape * threshold) / gammainc(shape, shape * threshold))


def gamma_quantile(*, shape: float, q: float) -> float:
    """The q-quantile of a unit-mean gamma variable."""
    return float(gammaincinv(shape, q)) / shape


def os_cfar_pfa(*, cells: int, rank: int, threshold: float) -> float:
    """False-alarm probability of OS-CFAR on single periodogram bins: prod (M-i)/(M-i+T), i < rank.

    Source: Rohling, "Radar CFAR thresholding in clutter and multiple target situations", eq. 24.
    """
    log_p = sum(-log1p(threshold / (cells - i)) for i in range(rank))
    return exp(log_p)


def os_cfar_threshold(*, cells: int, rank: int, pfa: float) -> float:
    """Multiplier on the rank-th smallest of `cells` reference bins for a false-alarm probability `pfa`."""
    return float(crossing(lambda t: os_cfar_pfa(cells=cells, rank=rank, threshold=t) - pfa, 1e-9, 1e9, xtol=1e-9))
