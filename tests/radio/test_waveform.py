"""The waveform check: power and mask measured on the very samples (attack 54)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw_profiles.loader import load_limits
from radio import waveform
from radio.mask import MaskStretch, Service, stretches
from radio.ports import Iq16
from radio.signals import ofdm
from radio.waveform import (
    GUARD_MDB,
    KEPT,
    KEPT_SAMPLES,
    SEGMENT,
    TAPER,
    TOLD_BY,
    Allowed,
    Calibration,
    Measured,
    MeasuredBursts,
    check,
    measure,
    shortened,
)
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal

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


SERVICE = Service.of(load_limits("cbrs-b"))
ALLOWED = Allowed(band=BAND, max_eirp_mdbm=20_000, outside_mdbm_per_mhz=-13_000)


def measured(iq: Iq16, allowed: Allowed = ALLOWED, calibration: Calibration = CALIBRATION) -> Measured:
    iq.setflags(write=False)
    return measure(iq, center_hz=CENTRE, sample_rate_hz=RATE, allowed=allowed, calibration=calibration)


def refusal(iq: Iq16, allowed: Allowed = ALLOWED, calibration: Calibration = CALIBRATION) -> Refusal | None:
    return check(measured(iq, allowed, calibration), allowed)


def verdict(found: Measured, eirp_mdbm: int = 20_000) -> Reason | None:
    refused = check(found, replace(ALLOWED, max_eirp_mdbm=eirp_mdbm))
    return refused.reason if refused else None


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
    assert verdict(measured(clipped), eirp_mdbm=25_000) is Reason.MASK


@given(st.integers(1, 5000))
def test_any_length_can_be_measured(samples: int) -> None:
    assert measured(iq16(tone(1e6, samples), -20.0)).eirp_mdbm == pytest.approx(10_000, abs=30)


def burst_of(dbfs: float) -> Iq16:
    return iq16(ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, samples=61_440), dbfs)


@pytest.mark.attack(54)
def test_an_unsure_calibration_counts_at_its_most() -> None:
    """18.3 dBm at the loudest moment: 2 dB under the permit, not with a standard uncertainty of 1 dB."""
    assert refusal(burst_of(-12.0)) is None
    unsure = replace(CALIBRATION, sd_mdb=1000)
    found = refusal(burst_of(-12.0), calibration=unsure)
    assert found is not None
    assert (found.reason, found.clause) == (Reason.POWER, "waveform.eirp")
    assert measured(burst_of(-12.0), calibration=unsure).eirp_mdbm == measured(burst_of(-12.0)).eirp_mdbm + 2000


@pytest.mark.attack(54)
def test_a_peak_too_short_for_any_mean_is_refused() -> None:
    allowed = replace(ALLOWED, service=replace(SERVICE, peak_to_average_mdb=6_000))
    assert refusal(iq16(tone(1e6), -20.0), allowed) is None
    quiet = iq16(tone(1e6), -20.0).copy()
    quiet[30_000:30_004] = iq16(tone(1e6, 4), -2.0)
    found = refusal(quiet, allowed)
    assert found is not None
    assert (found.reason, found.clause) == (Reason.POWER, "waveform.peak")


@pytest.mark.attack(54)
def test_too_much_in_one_megahertz_is_refused_where_the_service_says_so() -> None:
    a = replace(ALLOWED, max_eirp_mdbm=30_000, service=Service.of(load_limits("cbrs-a")))
    narrow = iq16(tone(1e6), -8.0)
    assert refusal(narrow, replace(a, service=SERVICE)) is None
    found = refusal(narrow, a)
    assert found is not None
    assert (found.reason, found.clause) == (Reason.POWER, "waveform.density")
    assert refusal(burst_of(-12.0), a) is None
    assert measured(narrow, a).density_mdbm_per_mhz == pytest.approx(22_000, abs=150)


@pytest.mark.attack(54)
def test_what_fills_more_than_the_band_is_refused_even_when_weak() -> None:
    lax = replace(ALLOWED, outside_mdbm_per_mhz=100_000)
    wide = ofdm.generate(np.random.default_rng(5), sample_rate_hz=RATE, bandwidth_hz=20_000_000, samples=61_440)
    found = refusal(iq16(wide, -40.0), lax)
    assert found is not None
    assert (found.reason, found.clause) == (Reason.MASK, "waveform.occupied")


def shaped(iq: Iq16) -> Iq16:
    """The same with a soft start and end."""
    fade = np.ones((len(iq), 1))
    fade[:1024, 0] = np.sin(np.linspace(0, np.pi / 2, 1024)) ** 2
    fade[-1024:] = fade[1023::-1]
    return np.rint(iq * fade).astype(np.int16)


STEPS = [
    # offset of a tone from the centre, its limit by 96.41(e) for a channel 3550-3560 in dBm
    (5.5e6, -13.0),
    (-14.9e6, -13.0),
    (15.2e6, -25.0),
    (-15.2e6, -25.0),
]


@pytest.mark.attack(54)
@pytest.mark.feature("R8")
@pytest.mark.parametrize(("offset_hz", "limit_dbm"), STEPS)
def test_each_step_of_the_mask_holds(offset_hz: float, limit_dbm: float) -> None:
    allowed = replace(ALLOWED, max_eirp_mdbm=30_000, outside_mdbm_per_mhz=0, service=SERVICE)
    base = shaped(iq16(tone(1e6), -15.0)).astype(np.int32)
    for above_db, refused in ((-1.5, False), (0.2, True)):
        level = limit_dbm + above_db - 30
        noise = np.random.default_rng(3).uniform(-0.5, 0.5, size=base.shape)
        spur = np.rint(tone(offset_hz).view(np.float32).reshape(-1, 2) * 16384 * 10 ** (level / 20) + noise)
        found = refusal((base + spur.astype(np.int32)).astype(np.int16), allowed)
        assert (found is not None) is refused, (above_db, found)
        assert found is None or found.clause == "waveform.outside"


@pytest.mark.attack(54)
def test_the_guarded_bands_have_their_own_limit() -> None:
    """A channel at the lower edge of nothing: 3 532-3 537 MHz reaches below 3 530 in what is sampled."""
    band = Band(low_hz=3_532_000_000, high_hz=3_537_000_000)
    found = stretches(
        band, seen=Band(low_hz=3_519_000_000, high_hz=3_550_000_000), rule_mdbm_per_mhz=-13_000, service=SERVICE
    )
    assert found == (
        MaskStretch(low_hz=3_519_000_000, high_hz=3_530_000_000, limit_mdbm_per_mhz=-40_000),
        MaskStretch(low_hz=3_530_000_000, high_hz=3_532_000_000, limit_mdbm_per_mhz=-13_000),
        MaskStretch(low_hz=3_537_000_000, high_hz=3_547_000_000, limit_mdbm_per_mhz=-13_000),
        MaskStretch(low_hz=3_547_000_000, high_hz=3_550_000_000, limit_mdbm_per_mhz=-25_000),
    )


def test_the_strictest_of_rule_and_service_counts() -> None:
    found = stretches(
        BAND, seen=Band(low_hz=3_545_000_000, high_hz=3_575_000_000), rule_mdbm_per_mhz=-30_000, service=SERVICE
    )
    assert {s.limit_mdbm_per_mhz for s in found} == {-30_000}


@pytest.mark.attack(54)
def test_a_shortened_burst_does_not_splash() -> None:
    allowed = replace(ALLOWED, outside_mdbm_per_mhz=-30_000)
    whole = burst_of(-12.0)
    sharp, soft = whole[:30_000], shortened(whole, 30_000)
    assert len(soft) == 30_000
    assert np.array_equal(soft[:-TAPER], sharp[:-TAPER])
    assert measured(soft, allowed).outside_mdbm_per_mhz < measured(sharp, allowed).outside_mdbm_per_mhz - 10_000
    assert refusal(soft, allowed) is None


@given(st.integers(0, 200))
def test_shortening_gives_exactly_what_was_asked_and_changes_nothing(samples: int) -> None:
    whole = burst_of(-12.0)[:150]
    whole.setflags(write=False)
    assert len(shortened(whole, samples)) == min(samples, 150)


def test_refused_is_what_another_measurement_might_find_too_much() -> None:
    found = measured(iq16(tone(0.0), -10.0))
    assert verdict(found, eirp_mdbm=found.eirp_mdbm + GUARD_MDB) is None
    assert verdict(found, eirp_mdbm=found.eirp_mdbm + GUARD_MDB - 1) is Reason.POWER


@pytest.mark.feature("R8")
def test_a_burst_sent_again_is_not_measured_again_and_any_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst that differs in one sample, or is allowed something else, is another burst."""
    times: list[int] = []
    monkeypatch.setattr(waveform, "measure", lambda iq, **how: times.append(len(iq)) or measure(iq, **how))
    known = MeasuredBursts()

    def of(iq: Iq16, allowed: Allowed = ALLOWED, centre: int = CENTRE) -> Measured:
        return known.measure(iq, center_hz=centre, sample_rate_hz=RATE, allowed=allowed, calibration=CALIBRATION)

    burst = iq16(tone(1.2e6), -20.0)
    assert of(burst) == of(burst.copy()) == measured(burst.copy())
    assert len(times) == 1
    loud = burst.copy()
    loud[TOLD_BY + 1] = 16_384 * 9 // 10, 0
    assert of(loud).peak_mdbm > measured(burst.copy()).peak_mdbm
    assert len(times) == 2
    of(burst, replace(ALLOWED, max_eirp_mdbm=10_000))
    of(burst, centre=CENTRE + 1)
    of(burst[:-1])
    assert len(times) == 5


@pytest.mark.feature("R8")
def test_what_is_kept_of_a_burst_is_a_copy_and_of_the_last_few(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr(waveform, "measure", lambda iq, **how: times.append(len(iq)) or measure(iq, **how))
    known = MeasuredBursts()
    bursts = [iq16(tone(1e5 * (1 + n), 4096), -20.0) for n in range(KEPT + 1)]

    def of(iq: Iq16) -> Measured:
        return known.measure(iq, center_hz=CENTRE, sample_rate_hz=RATE, allowed=ALLOWED, calibration=CALIBRATION)

    first = of(bursts[0])
    changed = bursts[0]
    changed[1:] //= 2
    assert of(changed).eirp_mdbm < first.eirp_mdbm
    for one in [*bursts[1:], *bursts[2:]]:
        of(one)
    assert len(times) == 2 + KEPT
    of(changed)
    assert len(times) == 2 + KEPT + 1
    of(iq16(tone(1e5, KEPT_SAMPLES + 1), -20.0))
    of(iq16(tone(1e5, KEPT_SAMPLES + 1), -20.0))
    assert len(times) == 2 + KEPT + 3
