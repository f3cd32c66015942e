"""A stream in pieces comes out as it would in one: resampled, and moved in frequency."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.samples.resampler import Mixer, Resampler
from radio.signals.shapes import Cplx

pytestmark = pytest.mark.feature("R11")

RATES = [(4_000_000, 3_840_000), (1_000_000, 4_000_000), (3_840_000, 1_920_000), (2_000_000, 2_000_000)]


def noise(count: int, seed: int = 1) -> Cplx:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(np.complex64)


def tone(hz: float, rate: int, count: int) -> Cplx:
    return np.exp(2j * np.pi * hz / rate * np.arange(count)).astype(np.complex64)


def strongest_hz(samples: Cplx, rate: int) -> float:
    power = np.abs(np.fft.fft(samples * np.hanning(len(samples))))
    return float(np.fft.fftfreq(len(samples), 1 / rate)[np.argmax(power)])


@settings(max_examples=15)
@given(st.lists(st.integers(0, 3000), max_size=12), st.sampled_from(RATES))
def test_cuts_leave_no_mark(cuts: list[int], rates: tuple[int, int]) -> None:
    whole = noise(3000)
    at_once = Resampler(from_hz=rates[0], to_hz=rates[1]).feed(whole)
    piecewise = Resampler(from_hz=rates[0], to_hz=rates[1])
    parts = np.concatenate([piecewise.feed(part) for part in np.split(whole, sorted(cuts))])
    assert np.array_equal(parts, at_once)
    assert len(parts) == (3000 - 1) * rates[1] // rates[0] + 1


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_keeps_its_frequency_and_its_level(from_hz: int, to_hz: int) -> None:
    hz = 0.2 * min(from_hz, to_hz)
    out = Resampler(from_hz=from_hz, to_hz=to_hz).feed(tone(hz, from_hz, 20_000))
    settled = out[2_000:-2_000]
    assert strongest_hz(settled, to_hz) == pytest.approx(hz, abs=2 * to_hz / len(settled))
    assert np.abs(settled) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("hz", [1_050_000, 1_500_000, 1_900_000])
def test_what_the_slower_rate_cannot_hold_is_weak(hz: int) -> None:
    out = Resampler(from_hz=4_000_000, to_hz=2_000_000).feed(tone(hz, 4_000_000, 20_000))
    assert np.abs(out[1_000:-1_000]).max() < 10 ** (-50 / 20)


@pytest.mark.parametrize("shift_hz", [0, 250_000, -1_000_000, 333_333])
def test_the_centre_moves_without_a_step(shift_hz: int) -> None:
    rate = 4_000_000
    mixer = Mixer(shift_hz=shift_hz, rate_hz=rate)
    moved = np.concatenate([mixer.feed(part) for part in np.array_split(tone(500_000, rate, 12_000), 7)])
    expected = tone(500_000 - shift_hz, rate, 12_000)
    assert np.abs(moved - expected).max() < 1e-3


def test_a_shift_of_a_long_period_needs_no_table() -> None:
    rate, shift_hz = 30_720_000, 1_234_567
    mixer = Mixer(shift_hz=shift_hz, rate_hz=rate)
    moved = np.concatenate([mixer.feed(part) for part in np.array_split(tone(0, rate, 5_000), 3)])
    assert np.abs(moved - tone(-shift_hz, rate, 5_000)).max() < 1e-3
