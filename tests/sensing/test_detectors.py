"""Every detector fires in noise as often as it was designed to, and finds what its theory says it finds."""

import numpy as np
import pytest
from scipy import stats

from sensing.detectors.decision import Cells
from sensing.detectors.energy import EnergyDetector
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
