"""Intervals of occupancy cover the truth as often as they claim, however alike neighbouring samples are."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from sensing.occupancy import (
    DetectorRates,
    SampleGaps,
    aged,
    band_occupancy,
    channel_occupancy,
    effective_samples,
    lag_one,
    outage_widened,
    revisit_ok,
    spectrum_resource_occupancy,
    wilson,
)
from sensing.values import Interval

TRIALS, SAMPLES = 500, 1000


def chains(rng: np.random.Generator, *, p: float, gaps: np.ndarray, lam: float) -> np.ndarray:
    """Two-state Markov chains, shape (TRIALS, n): mean p, correlation lam over a gap of 1."""
    keep = lam**gaps
    busy = np.empty((TRIALS, len(gaps) + 1), bool)
    busy[:, 0] = rng.random(TRIALS) < p
    draws = rng.random((len(gaps), TRIALS))
    for i, kept in enumerate(keep):
        busy[:, i + 1] = draws[i] < np.where(busy[:, i], p + kept * (1 - p), p * (1 - kept))
    return busy


def covered(busy: np.ndarray, p: float, times: np.ndarray | None = None) -> int:
    found = (channel_occupancy(row, times_s=times) for row in busy)
    return sum(one.low <= p <= one.high for one in found)


@pytest.mark.feature("E2")
@pytest.mark.parametrize("p", [0.01, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("lam", [0.0, 0.5, 0.9])
def test_interval_covers_at_regular_revisits(p: float, lam: float) -> None:
    rng = np.random.default_rng(int(1000 * p + 10 * lam))
    hits = covered(chains(rng, p=p, gaps=np.ones(SAMPLES - 1), lam=lam), p)
    low, _ = stats.binom.interval(0.999, TRIALS, 0.94)
    _, high = stats.binom.interval(0.999, TRIALS, 0.97)
    assert low <= hits <= high


@pytest.mark.feature("E2")
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("lam", [0.5, 0.9])
def test_interval_covers_at_irregular_revisits(p: float, lam: float) -> None:
    rng = np.random.default_rng(7)
    gaps = rng.choice([0.2, 0.5, 1.0, 3.0], SAMPLES - 1)
    times = np.concatenate(([0.0], np.cumsum(gaps)))
    hits = covered(chains(rng, p=p, gaps=gaps, lam=lam), p, times)
    low, high = stats.binom.interval(0.999, TRIALS, 0.95)
    assert low <= hits <= high


def test_naive_interval_would_not_cover() -> None:
    rng = np.random.default_rng(8)
    rows = chains(rng, p=0.1, gaps=np.ones(SAMPLES - 1), lam=0.9)
    naive = sum(one.low <= 0.1 <= one.high for one in (wilson(successes=float(r.sum()), trials=SAMPLES) for r in rows))
    assert naive < 0.6 * TRIALS


def test_none_and_all_are_one_sided() -> None:
    empty = channel_occupancy(np.zeros(500, bool))
    full = channel_occupancy(np.ones(500, bool))
    assert (empty.value, empty.low) == (0.0, 0.0)
    assert (full.value, full.high) == (1.0, 1.0)
    assert 0 < empty.high < 0.2
    assert 0.8 < full.low < 1
    assert channel_occupancy(np.zeros(0, bool)).high == 1.0


def test_few_long_runs_say_less_than_many_short_ones() -> None:
    one_run, ten_runs = np.zeros(1000, bool), np.zeros(1000, bool)
    one_run[300:310] = True
    ten_runs[50::100] = True
    few, many = channel_occupancy(one_run), channel_occupancy(ten_runs)
    assert few.value == many.value == 0.01
    assert few.low < many.low < 0.01 < many.high < few.high < 0.2


def test_correction_for_the_detector_finds_the_truth() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(20_000) < 0.2
    seen = np.where(truth, rng.random(20_000) < 0.9, rng.random(20_000) < 0.05)
    found = channel_occupancy(seen, rates=DetectorRates(pfa=0.05, pd=0.9))
    assert found.low <= 0.2 <= found.high
    unsure = channel_occupancy(seen, rates=DetectorRates(pfa=0.05, pd=0.9, pfa_sd=0.02, pd_sd=0.02))
    assert unsure.high - unsure.low > found.high - found.low


def test_lag_one_of_alternation_and_of_runs() -> None:
    assert lag_one(np.tile([True, False], 50)) == 0.0
    assert lag_one(np.repeat([True, False] * 20, 10)) == pytest.approx(0.8, abs=0.03)


def test_band_and_resource_occupancy() -> None:
    cells = np.zeros((10, 4), bool)
    cells[:, 0] = True
    assert band_occupancy(cells) == 0.25
    channels = [Interval(value=0.2, low=0.1, high=0.3), Interval(value=0.4, low=0.2, high=0.6)]
    whole = spectrum_resource_occupancy(channels)
    assert (whole.value, whole.low, whole.high) == pytest.approx((0.3, 0.15, 0.45))


def test_unseen_time_and_age_widen() -> None:
    seen = Interval(value=0.2, low=0.1, high=0.3)
    half = outage_widened(seen, unseen_share=0.5)
    assert (half.low, half.high) == pytest.approx((0.05, 0.65))
    old = aged(seen, age_s=10.0, half_life_s=10.0)
    assert (old.low, old.high) == pytest.approx((0.05, 0.65))


def test_revisit_rule() -> None:
    assert revisit_ok(revisit_s=0.02, shortest_s=0.04)
    assert not revisit_ok(revisit_s=0.021, shortest_s=0.04)


@pytest.mark.parametrize("lam", [0.05, 0.5, 0.9, 0.999])
def test_the_worth_of_uneven_decisions_is_what_their_gaps_say(lam: float) -> None:
    """Against the sum over pairs written out, and every gap by itself, not those alike together."""
    rng = np.random.default_rng(3)
    looks = np.arange(60) * 0.02 + rng.normal(0, 1e-4, 60)
    times_s = (looks[:, None] + np.arange(24) * 67e-6).ravel()
    gaps = np.diff(times_s)
    rate = brentq(lambda r: float(np.exp(-gaps * r).mean()) - lam, 1e-6, 1e7, xtol=1e-12, rtol=1e-12)
    apart = np.abs(times_s[:, None] - times_s[None, :])
    expected = len(times_s) ** 2 / float(np.exp(-apart * rate).sum())
    busy = rng.random(len(times_s)) < 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sensing.occupancy.lag_one", lambda _busy: lam)
        found = effective_samples(busy, times_s)
        assert effective_samples(busy, SampleGaps(times_s)) == found
    assert found == pytest.approx(max(1.0, expected), rel=2e-3)
