"""Every detector fires in noise as often as it was designed to, and finds what its theory says it finds."""

import numpy as np
import pytest
from scipy import stats

from sensing.detectors.change import Change, ChangeDetector, Cusum, Found, Glr
from sensing.detectors.covariance import CavDetector, idle_correlation
from sensing.detectors.decision import Cells
from sensing.detectors.energy import EnergyDetector, OsCfar
from sensing.detectors.kurtosis import KurtosisDetector, Moments, null_moments
from sensing.theory import energy_snr_needed, f_pd


def within(hits: int, trials: int, p: float) -> bool:
    low, high = stats.binom.interval(0.999, trials, p)
    return bool(low <= hits <= high)


def cells(rng: np.random.Generator, *, averages: int, trials: int, snr: float = 0.0, bins: int = 4) -> Cells:
    return Cells(
        power=rng.gamma(averages, (1 + snr) / averages, (trials, bins)),
        reference=rng.gamma(averages, 1 / averages, (trials, 32)),
    )


@pytest.mark.feature("E2")
@pytest.mark.parametrize("averages", [1, 16, 64])
@pytest.mark.parametrize("pfa", [1e-2, 1e-3])
def test_energy_false_alarms_are_as_designed_with_the_noise_estimated(averages: int, pfa: float) -> None:
    rng = np.random.default_rng(averages)
    trials = 200_000 if pfa < 1e-2 else 50_000
    decision = EnergyDetector(averages=averages, pfa=pfa).decide(cells(rng, averages=averages, trials=trials))
    assert within(int(decision.present.sum()), trials, pfa)


@pytest.mark.feature("E2")
@pytest.mark.parametrize("averages", [1, 16, 64])
def test_energy_detection_is_within_three_tenths_of_a_decibel_of_theory(averages: int) -> None:
    rng = np.random.default_rng(50 + averages)
    detector, trials = EnergyDetector(averages=averages, pfa=1e-2), 20_000
    snr = energy_snr_needed(samples=averages * 4, pfa=1e-2, pd=0.9)
    found = float(detector.decide(cells(rng, averages=averages, trials=trials, snr=snr)).present.mean())
    shapes = {"shape": averages * 4.0, "reference_shape": averages * 32.0, "pfa": 1e-2}
    slack = 4 * np.sqrt(0.25 / trials)
    assert f_pd(snr=snr * 10**-0.03, **shapes) - slack <= found <= f_pd(snr=snr * 10**0.03, **shapes) + slack


def test_energy_on_real_hann_spectra_keeps_its_rate() -> None:
    rng = np.random.default_rng(77)
    trials, frames, n, bins = 6000, 8, 64, 12
    noise = rng.standard_normal((trials, frames, n)) + 1j * rng.standard_normal((trials, frames, n))
    power = np.mean(np.abs(np.fft.fft(noise * np.sin(np.pi * np.arange(n) / n) ** 2)) ** 2, axis=1)
    seen = Cells(power=power[:, :bins], reference=power[:, 16:56])
    hits = int(EnergyDetector(averages=frames, pfa=1e-2, correlated=True).decide(seen).present.sum())
    assert within(hits, trials, 1e-2)


def test_os_cfar_rate_is_per_channel_and_survives_occupied_references() -> None:
    rng = np.random.default_rng(4)
    seen = cells(rng, averages=1, trials=40_000, bins=16)
    assert within(int(OsCfar(pfa=1e-2).decide(seen).present.sum()), 40_000, 1e-2)
    crowded = seen.reference.copy()
    crowded[:, :6] *= 1000
    strong = Cells(power=seen.power * 1000, reference=crowded)
    assert OsCfar(pfa=1e-2).decide(strong).present.mean() > 0.99


@pytest.mark.parametrize("frames", [256, 512])
def test_kurtosis_moments_and_rate(frames: int) -> None:
    rng = np.random.default_rng(frames)
    power = rng.exponential(size=(4000, frames, 4))
    sums, squares = power.sum(axis=1), (power**2).sum(axis=1)
    kurtosis = (frames + 1) / (frames - 1) * (frames * squares / sums**2 - 1)
    mean, sd, skew = null_moments(frames)
    assert mean == pytest.approx(1.0, abs=1e-9)
    assert float(kurtosis.std()) == pytest.approx(sd, rel=0.06)
    assert float(stats.skew(kurtosis.ravel())) == pytest.approx(skew, rel=0.35)
    fired = KurtosisDetector(pfa=1e-2).decide(Moments(sums=sums, squares=squares, frames=frames)).present
    assert 0.005 < fired.mean() < 0.025


def test_kurtosis_tells_carriers_and_bursts() -> None:
    rng = np.random.default_rng(1)
    power = rng.exponential(size=(1, 500, 3))
    power[:, :, 0] = 20 + power[:, :, 0]
    bursts = power.copy()
    bursts[:, ::50, 1] += 40
    for seen in (power, bursts):
        moments = Moments(sums=seen.sum(axis=1), squares=(seen**2).sum(axis=1), frames=500)
        assert KurtosisDetector(pfa=1e-3).decide(moments).present.all()


def test_cav_rate_needs_no_level_and_follows_the_receiver_filter() -> None:
    rng = np.random.default_rng(6)
    n = 2048
    white = (rng.standard_normal((3000, n)) + 1j * rng.standard_normal((3000, n))) * 37.0
    fired = CavDetector(pfa=1e-2).decide(white).present
    assert 0.005 < fired.mean() < 0.016
    coloured = white[:, 1:] + 0.5 * white[:, :-1]
    assert CavDetector(pfa=1e-2).decide(coloured[:50]).present.all()
    idle = idle_correlation(coloured[50:].ravel(), lags=16)
    assert CavDetector(pfa=1e-2, idle=idle).decide(coloured[:500]).present.mean() < 0.15


def test_cav_finds_a_narrow_signal_below_the_noise() -> None:
    rng = np.random.default_rng(8)
    n, trials = 25_000, 60
    noise = (rng.standard_normal((trials, n)) + 1j * rng.standard_normal((trials, n))) / np.sqrt(2)
    carrier = np.exp(2j * np.pi * 0.1 * np.arange(n)) * 10 ** (-16 / 20)
    assert CavDetector(pfa=0.1).decide(noise + carrier).present.mean() > 0.95


def changes(detector: ChangeDetector, series: np.ndarray) -> list[Found]:
    return [one for part in np.array_split(series, 7) for one in detector.decide(part).found]


CHANGE_DETECTORS = {
    "cusum": lambda false_alarms: Cusum(noise=1.0, shape=30.0, snr=0.5, samples_between_false_alarms=false_alarms),
    "glr": lambda false_alarms: Glr(noise=1.0, shape=30.0, samples_between_false_alarms=false_alarms),
}


@pytest.mark.feature("E2")
@pytest.mark.parametrize("name", CHANGE_DETECTORS)
def test_change_is_found_both_ways_and_rarely_in_vain(name: str) -> None:
    rng = np.random.default_rng(2)
    series = np.concatenate([rng.gamma(30, 1 / 30, 5000), rng.gamma(30, 2 / 30, 300), rng.gamma(30, 1 / 30, 5000)])
    found = changes(CHANGE_DETECTORS[name](1e6), series)
    assert [one.change for one in found] == [Change.APPEARED, Change.VACATED]
    assert abs(found[0].onset - 5000) <= 3
    assert abs(found[1].onset - 5300) <= 3
    assert found[0].decided - 5000 < 12
    assert found[1].decided - 5300 < 12


@pytest.mark.parametrize("name", CHANGE_DETECTORS)
def test_time_between_false_alarms_is_at_least_as_asked(name: str) -> None:
    rng = np.random.default_rng(3)
    samples, between = 40_000, 1000.0
    found = changes(CHANGE_DETECTORS[name](between), rng.gamma(30, 1 / 30, samples))
    assert sum(one.change is Change.APPEARED for one in found) <= stats.poisson.isf(1e-4, samples / between)


def test_glr_finds_a_rise_weaker_than_the_cusum_was_told_of_and_a_fall_from_any_height() -> None:
    rng = np.random.default_rng(4)
    heard = {"cusum": 0, "glr": 0}
    for _ in range(20):
        weak = np.concatenate([rng.gamma(30, 1 / 30, 500), rng.gamma(30, 1.17 / 30, 80)])
        told = Cusum(noise=1.0, shape=30.0, snr=1.0, samples_between_false_alarms=1e6)
        heard["cusum"] += changes(told, weak) != []
        heard["glr"] += [one.change for one in changes(CHANGE_DETECTORS["glr"](1e6), weak)] == [Change.APPEARED]
    assert heard["cusum"] <= 2
    assert heard["glr"] >= 15
    strong = np.concatenate([rng.gamma(30, 1 / 30, 500), rng.gamma(30, 300 / 30, 200), rng.gamma(30, 1 / 30, 100)])
    both = changes(CHANGE_DETECTORS["glr"](1e6), strong)
    assert [(one.change, one.onset) for one in both] == [(Change.APPEARED, 500), (Change.VACATED, 700)]
