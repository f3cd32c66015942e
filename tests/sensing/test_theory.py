"""The closed forms against the published table and against counted trials."""

import numpy as np
import pytest
from scipy import stats

from sensing import theory

TABLE = [
    (256, -7.60, -6.02, -3.98),
    (1024, -10.79, -9.26, -7.36),
    (4096, -13.89, -12.38, -10.55),
    (65536, -19.97, -18.48, -16.70),
]
POINTS = [(0.9, 0.1), (0.9, 0.01), (0.99, 0.001)]


def within_binomial(hits: int, trials: int, p: float, *, level: float = 0.999) -> bool:
    low, high = stats.binom.interval(level, trials, p)
    return bool(low <= hits <= high)


@pytest.mark.feature("E2")
@pytest.mark.parametrize("row", TABLE)
def test_energy_detector_needs_the_tabulated_snr(row: tuple[float, ...]) -> None:
    for (pd, pfa), expected in zip(POINTS, row[1:], strict=True):
        needed = theory.db(theory.energy_snr_needed(samples=row[0], pfa=pfa, pd=pd))
        assert needed == pytest.approx(expected, abs=0.006)


def test_f_threshold_is_not_ca_cfar_on_averaged_bins() -> None:
    assert theory.f_threshold(shape=16, reference_shape=16 * 32, pfa=1e-3) == pytest.approx(1.984, abs=0.001)
    single = theory.f_threshold(shape=1, reference_shape=32, pfa=1e-3)
    assert single == pytest.approx(32 * (1e-3 ** (-1 / 32) - 1), rel=1e-6)


@pytest.mark.parametrize(("uncertainty", "wall"), [(0.1, -13.4), (0.5, -6.4), (1.0, -3.3), (2.0, -0.2)])
def test_snr_wall(uncertainty: float, wall: float) -> None:
    assert theory.snr_wall_db(uncertainty) == pytest.approx(wall, abs=0.06)


def test_channel_rate_is_that_of_any_of_its_tests() -> None:
    each = theory.pfa_each(pfa=1e-2, tests=64)
    assert 1 - (1 - each) ** 64 == pytest.approx(1e-2)


def test_truncated_mean_gives_the_published_fcme_bias() -> None:
    assert theory.db(theory.truncated_mean(shape=1, threshold=6.908)) == pytest.approx(-0.03, abs=0.005)
    assert theory.db(theory.truncated_mean(shape=1, threshold=4.605)) == pytest.approx(-0.21, abs=0.06)


def test_os_cfar_closed_form_against_trials() -> None:
    rng = np.random.default_rng(11)
    threshold = theory.os_cfar_threshold(cells=32, rank=24, pfa=1e-2)
    cells = rng.exponential(size=(40_000, 33))
    fired = cells[:, 0] > threshold * np.sort(cells[:, 1:], axis=1)[:, 23]
    assert within_binomial(int(fired.sum()), len(fired), 1e-2)


def test_large_sample_form_agrees_with_the_exact_one() -> None:
    snr = theory.energy_snr_needed(samples=4096, pfa=0.01, pd=0.9)
    assert theory.samples_needed(snr=snr, pfa=0.01, pd=0.9) == pytest.approx(4096, rel=0.03)


def test_hann_bins_are_worth_fewer() -> None:
    rng = np.random.default_rng(5)
    n, bins = 256, 8
    noise = rng.standard_normal((4000, n)) + 1j * rng.standard_normal((4000, n))
    power = np.abs(np.fft.fft(noise * np.hanning(n + 1)[:-1], axis=1)) ** 2
    sums = power[:, 20 : 20 + bins].mean(axis=1)
    shape = float(sums.mean() ** 2 / sums.var())
    assert shape == pytest.approx(theory.hann_sum_shape(bins), rel=0.08)
