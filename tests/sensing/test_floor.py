"""The idle level: right on average, and inside its own interval as often as it says."""

import numpy as np
import pytest
from scipy import stats

from sensing.floor import TooFewBins, fcme, noise_floor, quantile_floor, rank_interval, total_sd_db

TRIALS = 400


def occupied(rng: np.random.Generator, *, averages: int, share: float, bins: int = 1024) -> np.ndarray:
    psd = rng.gamma(averages, 1 / averages, bins)
    busy = rng.permutation(bins)[: int(share * bins)]
    psd[busy] *= 1 + 10 ** (rng.uniform(3, 30, len(busy)) / 10)
    return psd


@pytest.mark.feature("E2")
@pytest.mark.parametrize("averages", [16, 64])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_floor_is_within_a_decibel_and_its_interval_covers(averages: int, share: float) -> None:
    rng = np.random.default_rng(100 * averages + int(10 * share))
    errors, covered = [], 0
    for _ in range(TRIALS):
        floor = noise_floor(occupied(rng, averages=averages, share=share), averages=averages)
        error = 10 * np.log10(floor.power)
        errors.append(abs(error))
        covered += abs(error) <= 1.96 * floor.se_db
    low, high = stats.binom.interval(0.999, TRIALS, 0.95)
    assert max(errors) < 1.0
    assert low <= covered <= high


def test_few_averages_are_pooled_when_the_occupied_bins_lie_together() -> None:
    rng = np.random.default_rng(4)
    psd = rng.exponential(size=4096)
    psd[:3200] *= 100
    assert abs(10 * np.log10(noise_floor(psd, averages=1).power)) < 1.0


def test_too_few_bins_are_refused() -> None:
    with pytest.raises(TooFewBins, match="20 are needed"):
        noise_floor(np.ones(64), averages=2)


def test_uncorrected_cut_would_be_biased() -> None:
    rng = np.random.default_rng(9)
    cells = rng.exponential(size=200_000)
    floor = fcme(cells, shape=1, pfa=1e-2)
    assert 10 * np.log10(floor.power) == pytest.approx(0.0, abs=4 * floor.se_db)


@pytest.mark.parametrize("q", [0.25, 0.5])
def test_order_statistics_cover(q: float) -> None:
    rng = np.random.default_rng(21)
    covered = ranks = 0
    for _ in range(TRIALS):
        cells = rng.gamma(4, 1 / 4, 500)
        floor = quantile_floor(cells, shape=4, q=q)
        covered += abs(10 * np.log10(floor.power)) <= 1.96 * floor.se_db
        low, high = rank_interval(cells, shape=4, q=q)
        ranks += low <= 1.0 <= high
    low_count, _ = stats.binom.interval(0.999, TRIALS, 0.95)
    assert covered >= low_count
    assert ranks >= low_count


def test_parts_of_the_uncertainty_add_in_quadrature() -> None:
    total = total_sd_db(statistical_db=0.3, excision_db=0.0, gain_db=0.4, temperature_db=0.0, age_db=0.0)
    assert total == pytest.approx(0.5)
