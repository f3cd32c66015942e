"""Shifts, filters and rate conversion: right, and the same on whatever stretch they are asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radio.signals.shapes import Cplx
from sim.mixer import TAPS, band_pass, converted, filtered, low_pass, phasor, reader

RATES = [1_920_000, 2_000_000, 15_360_000, 20_000_000, 30_720_000, 61_440_000]


def tone(frequency_hz: int, rate_hz: int, first: int, samples: int) -> Cplx:
    turns = (np.arange(first, first + samples, dtype=np.int64) * frequency_hz % rate_hz) / rate_hz
    return np.exp(2j * np.pi * turns).astype(np.complex64)


@given(
    frequency=st.integers(-15_000_000, 15_000_000),
    rate=st.sampled_from(RATES),
    first=st.integers(-(2**31), 2**31),
    samples=st.integers(1, 2000),
)
def test_a_phasor_is_exact_far_from_zero(frequency: int, rate: int, first: int, samples: int) -> None:
    found = phasor(frequency, rate_hz=rate, first=first, samples=samples)
    assert np.abs(found - tone(frequency, rate, first, samples)).max() < 2e-6


@pytest.mark.parametrize("rate_in", RATES)
@pytest.mark.parametrize("rate_out", RATES)
def test_a_tone_survives_rate_conversion(rate_in: int, rate_out: int) -> None:
    frequency = int(0.3 * min(rate_in, rate_out))
    found = converted(
        lambda first, count: tone(frequency, rate_in, first, count),
        rate_in_hz=rate_in, rate_out_hz=rate_out, first=12_345, samples=3000,
    )  # fmt: skip
    error = found - tone(frequency, rate_out, 12_345, 3000)
    assert np.mean(np.abs(error) ** 2) < 10**-6


@settings(max_examples=60)
@given(
    pair=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    first=st.integers(-(10**9), 10**9),
    before=st.integers(0, 500),
    samples=st.integers(1, 500),
)
def test_conversion_does_not_depend_on_the_stretch(
    pair: tuple[int, int], first: int, before: int, samples: int
) -> None:
    def read(at: int, count: int) -> Cplx:
        return tone(170_001, pair[0], at, count)

    whole = converted(read, rate_in_hz=pair[0], rate_out_hz=pair[1], first=first - before, samples=before + samples)
    part = converted(read, rate_in_hz=pair[0], rate_out_hz=pair[1], first=first, samples=samples)
    assert part.shape == (samples,)
    assert np.abs(part - whole[before:]).max() < 1e-5


def test_rates_without_a_common_measure_stay_in_step_far_from_zero() -> None:
    rate_in, rate_out, first = 20_000_003, 30_719_999, 10**12 + 7
    found = converted(
        lambda at, count: tone(2_000_000, rate_in, at, count),
        rate_in_hz=rate_in, rate_out_hz=rate_out, first=first, samples=20_000,
    )  # fmt: skip
    error = found - tone(2_000_000, rate_out, first, 20_000)
    assert np.mean(np.abs(error) ** 2) < 10**-4


def test_what_the_slower_rate_cannot_hold_does_not_come_through() -> None:
    found = converted(
        lambda first, count: tone(6_000_000, 30_720_000, first, count),
        rate_in_hz=30_720_000, rate_out_hz=7_680_000, first=0, samples=2000,
    )  # fmt: skip
    assert 10 * np.log10(np.mean(np.abs(found) ** 2)) < -50


@pytest.mark.parametrize(("frequency_hz", "level_db"), [(0, 0), (9_900_000, 0), (-9_900_000, 0), (12_000_000, -50)])
def test_the_low_pass_keeps_its_band_and_drops_the_rest(frequency_hz: int, level_db: float) -> None:
    iq = tone(frequency_hz, 30_720_000, 0, 5000)
    passed = filtered(iq, low_pass(10_000_000, 30_720_000))
    assert len(passed) == len(iq) - TAPS + 1
    found = 10 * np.log10(np.mean(np.abs(passed) ** 2))
    if level_db == 0:
        assert abs(found) < 0.2
        assert np.abs(passed - iq[TAPS // 2 : -(TAPS // 2)]).max() < 0.05
    else:
        assert found < level_db


def test_the_band_pass_is_one_sided() -> None:
    response = band_pass(2_000_000, 8_000_000, 30_720_000)
    kept, dropped = (filtered(tone(f, 30_720_000, 0, 3000), response) for f in (5_000_000, -5_000_000))
    assert abs(10 * np.log10(np.mean(np.abs(kept) ** 2))) < 0.1
    assert 10 * np.log10(np.mean(np.abs(dropped) ** 2)) < -50


def test_a_reader_gives_zeros_outside_and_the_array_inside() -> None:
    iq = np.arange(1, 6).astype(np.complex64)
    read = reader(iq, at=10)
    assert np.array_equal(read(8, 4), np.array([0, 0, 1, 2], dtype=np.complex64))
    assert np.array_equal(read(13, 4), np.array([4, 5, 0, 0], dtype=np.complex64))
    assert not read(100, 3).any()
    assert not read(0, 3).any()
