"""The waveform check: power and mask measured on the very samples (attack 54)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from radio.ports import Iq16
from radio.waveform import SEGMENT, Calibration, Measured, check, measure
from settlement.chain.scope import Band
from settlement.reasons import Reason
from sim.waveforms import ofdm

RATE = 30_720_000
CENTRE = 3_555_000_000
BAND = Band(low_hz=3_550_000_000, high_hz=3_560_000_000)
CALIBRATION = Calibration(full_scale=16384, eirp_mdbm=30_000)


def iq16(samples: NDArray[np.complex64], dbfs: float) -> Iq16:
    scaled = samples * np.float32(16384 * 10 ** (dbfs / 20))
    return np.rint(scaled.view(np.float32)).astype(np.int16).reshape(-1, 2)


def tone(offset_hz: float, samples: int = 61_440) -> NDArray[np.complex64]:
    samples_of: NDArray[np.complex64] = np.exp(2j * np.pi * offset_hz / RATE * np.arange(samples)).astype(np.complex64)
    return samples_of


def measured(iq: Iq16, band: Band = BAND) -> Measured:
    iq.setflags(write=False)
    return measure(iq, center_hz=CENTRE, sample_rate_hz=RATE, band=band, calibration=CALIBRATION)


def verdict(found: Measured, eirp_mdbm: int = 20_000) -> Reason | None:
    refusal = check(found, max_eirp_mdbm=eirp_mdbm, outside_limit_mdbm_per_mhz=-13_000)
    return refusal.reason if refusal else None


@pytest.mark.feature("R8")
@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -40.0])
@pytest.mark.parametrize("offset_hz", [0.0, 1.2e6, -4e6])
def test_a_tone_measures_its_level(dbfs: float, offset_hz: float) -> None:
    assert measured(iq16(tone(offset_hz), dbfs)).eirp_mdbm == pytest.approx(30_000 + dbfs * 1000, abs=30)


@pytest.mark.feature("R8")
def test_the_trials_own_waveform_passes() -> None:
    burst = ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, samples=61_440)
    found = measured(iq16(burst, -12.0))
    assert found.eirp_mdbm == pytest.approx(18_100, abs=300)
    assert found.outside_mdbm_per_mhz < -20_000
    assert verdict(found) is None


@pytest.mark.attack(54)
def test_hotter_than_the_permit_is_refused() -> None:
    burst = ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, samples=61_440)
    assert verdict(measured(iq16(burst, -12.0)), eirp_mdbm=17_000) is Reason.POWER


@pytest.mark.attack(54)
@pytest.mark.parametrize("offset_hz", [5.1e6, -5.1e6, 12e6, -15e6])
def test_power_outside_the_band_is_refused(offset_hz: float) -> None:
    inside, outside = iq16(tone(1e6), -20.0), iq16(tone(offset_hz), -40.0)
    assert verdict(measured(inside)) is None
    assert verdict(measured((inside + outside).astype(np.int16))) is Reason.MASK


@pytest.mark.attack(54)
def test_a_wider_signal_is_refused() -> None:
    wide = ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, bandwidth_hz=20_000_000, samples=61_440)
    assert verdict(measured(iq16(wide, -15.0))) is Reason.MASK


@pytest.mark.attack(54)
def test_one_bad_segment_among_good_ones_is_not_averaged_away() -> None:
    good = iq16(tone(1e6), -20.0)
    bad = good.copy()
    bad[-SEGMENT:] = iq16(tone(9e6, SEGMENT), -15.0)
    assert verdict(measured(bad)) is Reason.MASK


@pytest.mark.attack(54)
@pytest.mark.parametrize("joint", [SEGMENT - 32, SEGMENT, 0])
def test_a_spur_at_the_joint_of_two_segments_is_found(joint: int) -> None:
    bad = iq16(tone(1e6), -20.0).copy()
    bad[joint : joint + 64] = iq16(tone(9e6, 64), -12.0)
    assert verdict(measured(bad)) is Reason.MASK


@pytest.mark.attack(54)
def test_a_loud_moment_before_silence_is_not_averaged_away() -> None:
    burst = iq16(tone(1e6), -60.0).copy()
    burst[:6000] = iq16(tone(1e6, 6000), -7.0)
    assert verdict(measured(burst)) is Reason.POWER


def test_full_scale_samples_are_refused() -> None:
    clipped = iq16(tone(1e6), -20.0).copy()
    clipped[100] = 16384
    assert verdict(measured(clipped)) is Reason.MASK


@given(st.integers(1, 5000))
def test_any_length_can_be_measured(samples: int) -> None:
    assert measured(iq16(tone(1e6, samples), -20.0)).eirp_mdbm == pytest.approx(10_000, abs=30)
