"""Signals that stand on the floor from the first sample to the last, wherever the receiver's own filter falls."""

import numpy as np
import pytest

from sensing.shape import floor_shape
from tests.sensing.real import NOISE, band_noise, holds, noise, shaped, states, surveyed

pytestmark = pytest.mark.feature("E2")
FALLS = {
    "dome": lambda f: -4 * (2 * f) ** 2,
    "tilt": lambda f: 3 * f,
    "soft edges": lambda f: -25 * (np.clip(np.abs(f) - 0.36, 0, None) / 0.14) ** 2,
    "steep edges": lambda f: -np.clip((np.abs(f) - 0.4) / 0.08, 0, 1) * 40 - 0.5 * np.cos(4 * np.pi * f),
}


def received(z: np.ndarray, fall: str) -> np.ndarray:
    spectrum = np.fft.fft(z) * 10 ** (FALLS[fall](np.fft.fftfreq(len(z))) / 20)
    return np.fft.ifft(spectrum).astype(np.complex64)


@pytest.mark.parametrize("fall", FALLS)
@pytest.mark.parametrize(("width", "at", "level_db"), [(0.4, 0.05, -3.0), (0.3, -0.15, -2.0), (0.2, 0.2, 0.0)])
def test_a_weak_wide_signal_that_never_stops_is_not_free(fall: str, width: float, at: float, level_db: float) -> None:
    rng = np.random.default_rng(1)
    z = noise(rng, 2_000_000) + band_noise(rng, 2_000_000, width=width, at=at, level_db=level_db)
    _, report = surveyed(received(z, fall), 10e6)
    assert states(report) != ["free"]
    assert holds(report.channels[0], 1.0)


@pytest.mark.parametrize("fall", ["soft edges", "steep edges"])
@pytest.mark.parametrize(("width", "at"), [(0.586, 0.0), (0.35, -0.12)])
def test_a_carrier_beside_which_the_floor_shows_before_the_filter_falls_is_busy(
    fall: str, width: float, at: float
) -> None:
    rng = np.random.default_rng(2)
    z = noise(rng, 1_500_000) + band_noise(rng, 1_500_000, width=width, at=at, level_db=17)
    _, report = surveyed(received(z, fall), 15.36e6)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 1.0)


@pytest.mark.parametrize("fall", FALLS)
@pytest.mark.parametrize("rate", [1e6, 2e6, 10e6])
def test_a_receivers_own_floor_has_no_ledge(fall: str, rate: float) -> None:
    for seed in range(8):
        z = shaped(np.random.default_rng(seed), int(rate * 0.15), FALLS[fall])
        survey, report = surveyed(z, rate, channels=2)
        assert "busy" not in states(report)
        state = survey._floor.states[0]
        groups = survey._layout.groups
        level = 10 * np.log10(state.level[:groups])
        sd = 4.343 / np.sqrt(survey._reader.shapes[:groups] * state.cells[:groups])
        assert not floor_shape(level, sd, survey._layout.centers_hz / rate, passband=None).doubtful.any()


@pytest.mark.parametrize(("seed", "level_db"), [(4, -5.0), (5, -5.2), (6, -4.8)])
def test_a_weak_signal_that_began_after_the_floor_was_known_is_held_by_the_interval(seed: int, level_db: float) -> None:
    rng, samples = np.random.default_rng(seed), 920_000
    z, late = noise(rng, samples), 200_000
    z[late:] += band_noise(rng, samples - late, width=0.37, at=-0.016, level_db=level_db)
    _, report = surveyed(received(z, "tilt"), 2e6)
    assert states(report) != ["free"]
    assert holds(report.channels[0], 1 - late / samples)


def test_what_no_more_than_chance_lifts_is_taught() -> None:
    survey, _ = surveyed(noise(np.random.default_rng(5), 4_000_000, NOISE), 10e6, channels=9)
    assert survey._floor.states[0].pieces > 40
