"""Gains that hum, creep far and fast, or step and step back: none of it is use of a channel, and it hides none."""

import numpy as np
import pytest

from sensing.flags import SampleFlag
from sensing.sway import sway
from tests.sensing.real import band_noise, holds, noise, shaped, states, surveyed

pytestmark = pytest.mark.feature("E2")


def domed(seed: int, samples: int) -> np.ndarray:
    return shaped(np.random.default_rng(seed), samples, lambda f: -4 * (2 * f) ** 2)


def bursts(seed: int, samples: int, rate: float) -> np.ndarray:
    on = np.arange(samples) % int(0.02 * rate) < 0.006 * rate
    return band_noise(np.random.default_rng(seed), samples, width=0.3, level_db=15) * on


@pytest.mark.parametrize("hum_hz", [50, 100, 120])
@pytest.mark.parametrize("rate", [2.4e6, 10e6])
def test_noise_that_hums_with_the_mains_is_not_busy_and_hides_nothing(rate: float, hum_hz: int) -> None:
    samples = int(0.3 * rate)
    gain = (1 + 0.1 * np.sin(2 * np.pi * hum_hz * np.arange(samples) / rate)).astype(np.float32)
    _, report = surveyed(domed(1, samples) * gain, rate)
    assert states(report) != ["busy"]
    _, report = surveyed((domed(1, samples) + bursts(2, samples, rate)) * gain, rate)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.3)


@pytest.mark.parametrize("slope_db", [-25.0, -12.0, 9.0, 20.0])
@pytest.mark.parametrize("rate", [1e6, 2.4e6])
def test_a_gain_that_creeps_far_begins_settings_of_its_own(rate: float, slope_db: float) -> None:
    samples = int(0.8 * rate)
    gain = (10 ** (slope_db * np.arange(samples) / rate / 20)).astype(np.float32)
    _, report = surveyed(domed(3, samples) * gain, rate)
    assert states(report) != ["busy"]
    assert SampleFlag.GAIN_STEP in report.flags
    _, report = surveyed((domed(3, samples) + bursts(4, samples, rate)) * gain, rate)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.3)


@pytest.mark.parametrize("swing_db", [3.0, 5.0])
def test_a_gain_that_wanders_to_and_fro_is_followed(swing_db: float) -> None:
    rate, samples = 2.4e6, 1_900_000
    t = np.arange(samples) / rate
    gain = (10 ** (swing_db * np.sin(2 * np.pi * 0.7 * t) / 20)).astype(np.float32)
    assert states(surveyed(domed(5, samples) * gain, rate)[1]) != ["busy"]


def lifted(spans: list[tuple[float, float]]) -> np.ndarray:
    z = domed(6, 1_200_000)
    for first, last in spans:
        z[int(first * 2e6) : int(last * 2e6)] *= np.float32(10 ** (7 / 20))
    return z


@pytest.mark.parametrize("lasts_s", [0.02, 0.048])
def test_a_step_of_the_gain_that_returns_at_once_is_not_use(lasts_s: float) -> None:
    _, report = surveyed(lifted([(0.2, 0.2 + lasts_s)]), 2e6)
    assert states(report) != ["busy"]
    assert holds(report.channels[0], 0.0, slack=0.0)


def test_what_rises_over_the_whole_band_time_after_time_is_somebodys() -> None:
    _, report = surveyed(lifted([(0.05 + 0.1 * k, 0.05 + 0.1 * k + 0.03) for k in range(5)]), 2e6)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.25)


def test_only_what_moves_the_whole_band_smoothly_is_a_sway() -> None:
    rng = np.random.default_rng(7)
    idle = rng.gamma(16, 1 / 16, (64, 40))
    level, variance = np.ones(40), np.full(40, 1 / 16)
    hum = 10 ** (0.08 * np.sin(2 * np.pi * np.arange(64) / 100))[:, None]
    found = sway(idle * hum, level, variance).course_db
    assert found is not None
    assert np.abs(found - 10 * np.log10(hum[:, 0])).max() < 0.4
    assert sway(idle, level, variance).course_db is None
    lifted_some = np.where(np.arange(40) < 28, hum * 1.2, 1.0)
    some = sway(idle * lifted_some, level, variance).course_db
    assert some is None or some.max() < 0.6, "where a third of the band stays where it was little is followed"
    onset = np.where(np.arange(64) < 30, 1.0, 1.6)[:, None]
    assert sway(idle * onset, level, variance).course_db is None, "a signal begins at once"


@pytest.mark.feature("E4")
def test_noise_beneath_the_converters_step_between_bursts_is_time_that_was_not_heard() -> None:
    rng, rate, samples = np.random.default_rng(8), 10e6, 1_500_000
    on = np.arange(samples) % 200_000 < 80_000
    z = noise(rng, samples, 0.39) + band_noise(rng, samples, width=0.5, level_db=52) * on
    pairs = np.rint(np.stack((z.real, z.imag), axis=1)).astype(np.int16)
    _, report = surveyed(pairs, rate)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.4)
