"""Receivers of eight bits and few samples a look: steps of the converter are no limiter, and no floor is below them."""

import numpy as np
import pytest
from scipy import signal

from sensing.flags import SampleFlag
from sensing.samples import converter_noise, inspect
from sensing.survey import Survey, SurveyReport, SurveySettings
from sensing.values import Channel
from tests.sensing.real import CENTER, band_noise, noise, shaped, states, surveyed

RATE = 2_048_000
FULL_SCALE = 255.0
"""Of 8-bit offset binary in half codes, which come in steps of two."""


def eight_bits(z: np.ndarray) -> np.ndarray:
    rails = z.astype(np.complex64).view(np.float32)
    codes = np.clip(np.rint(rails + 127.5), 0, 255).astype(np.int16)
    return (2 * codes - 255).reshape(-1, 2)


def filtered(rng: np.random.Generator, samples: int, codes: float, cut: float) -> np.ndarray:
    return np.asarray(signal.lfilter(signal.firwin(65, cut), 1, noise(rng, samples, codes)))


def sensed(iq: np.ndarray, rate: float) -> SurveyReport:
    whole = Channel(low_hz=CENTER - 0.45 * rate, high_hz=CENTER + 0.45 * rate)
    survey = Survey(
        SurveySettings(
            center_hz=CENTER, sample_rate_hz=rate, full_scale=FULL_SCALE, channels=(whole,), fft_size=64, radar=False,
        )
    )  # fmt: skip
    step = round(0.02 * rate)
    for start in range(0, len(iq), step):
        survey.feed(iq[start : start + step], start_ns=round(start / rate * 1e9))
    return survey.report(round(len(iq) / rate * 1e9))


@pytest.mark.feature("E4")
@pytest.mark.parametrize("shift", [1, 2, 256])
def test_noise_in_coarse_steps_is_not_clipped(shift: int) -> None:
    codes = np.rint(np.random.default_rng(1).normal(0, 3, (5000, 2))).astype(np.int16)
    found = inspect((codes * shift).astype(np.int16), full_scale=128.0 * shift)
    assert SampleFlag.CLIPPED not in found.flags
    limited = np.clip(np.rint(np.random.default_rng(1).normal(0, 40, (5000, 2))), -20, 20).astype(np.int16)
    assert SampleFlag.CLIPPED in inspect((limited * shift).astype(np.int16), full_scale=128.0 * shift).flags


def test_the_converters_noise_is_that_of_its_steps() -> None:
    z = noise(np.random.default_rng(1), 20_000, 20.0)
    iq = eight_bits(z)
    assert converter_noise(iq, full_scale=FULL_SCALE) == pytest.approx(2 * (2 / 255) ** 2 / 12)
    floats = (iq[:, 0] + 1j * iq[:, 1]).astype(np.complex64) / np.float32(255)
    assert converter_noise(floats, full_scale=1.0) == pytest.approx(2 * (2 / 255) ** 2 / 12, rel=1e-3)
    assert converter_noise(z, full_scale=1.0) == 0.0


@pytest.mark.feature("E4")
@pytest.mark.parametrize("step_db", [6.0, 10.0])
def test_a_step_of_gain_is_seen_though_the_converter_hides_the_skirts(step_db: float) -> None:
    z = filtered(np.random.default_rng(4), 800_000, 2.0, 0.65)
    z[160_000:] *= 10 ** (step_db / 20)
    report = sensed(eight_bits(z), RATE)
    assert SampleFlag.GAIN_STEP in report.flags
    assert states(report) != ["busy"]
    assert not report.channels[0].occupancy.value >= 0.02


@pytest.mark.feature("E2")
@pytest.mark.parametrize("seed", [2, 25])
def test_a_filter_that_falls_below_the_converters_steps_is_no_signal(seed: int) -> None:
    z = filtered(np.random.default_rng(seed), 300_000, 0.6, 0.7) + 0.4
    channel = sensed(eight_bits(z), 250e3).channels[0]
    assert channel.state.value != "busy" or channel.occupancy.value < 0.1
    assert channel.occupancy.low < 0.03


@pytest.mark.feature("E2")
@pytest.mark.parametrize("cut", [None, 0.72])
def test_looks_of_eight_blocks_teach_together(cut: float | None) -> None:
    found = []
    for seed in range(10):
        z = noise(np.random.default_rng(seed), 250_000)
        if cut:
            z = signal.lfilter(signal.firwin(65, cut), 1, z).astype(np.complex64)
        found += states(surveyed(z, 250e3, node=True)[1])
    assert found == ["free" if cut else "unknown"] * 10


@pytest.mark.feature("E2")
@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize(("depth_db", "turns"), [(1.0, 7), (0.8, 20), (1.5, 5)])
def test_ripple_of_a_filter_is_nobodys_and_no_contrast(channels: int, depth_db: float, turns: int) -> None:
    z = shaped(np.random.default_rng(3), 600_000, lambda f: depth_db * np.cos(2 * np.pi * f * turns))
    assert set(states(surveyed(z, 30.72e6, channels=channels)[1])) == {"unknown"}


@pytest.mark.feature("E2")
def test_a_filter_of_half_the_rate_is_not_busy() -> None:
    z = signal.lfilter(signal.firwin(129, 0.5), 1, noise(np.random.default_rng(3), 900_000)).astype(np.complex64)
    assert states(surveyed(z, 30.72e6)[1]) == ["unknown"]


@pytest.mark.feature("E4")
def test_what_stands_at_one_setting_of_the_gain_is_not_held_against_another() -> None:
    rng = np.random.default_rng(5)
    z = noise(rng, 2_000_000)
    z[1_000_000:] = (z[1_000_000:] + band_noise(rng, 1_000_000, width=0.1, level_db=10, at=0.2)) * np.float32(2)
    _, report = surveyed(z, 2e6)
    assert SampleFlag.GAIN_STEP in report.flags
    assert report.channels[0].occupancy.value == pytest.approx(0.5, abs=0.05)
    assert report.channels[0].occupancy.low < 0.53


@pytest.mark.feature("E4")
def test_noise_beneath_the_converters_step_is_nothing_heard() -> None:
    z = noise(np.random.default_rng(6), 400_000, 0.25)
    report = sensed(eight_bits(z), RATE)
    assert SampleFlag.BELOW_QUANTISATION in report.flags
    assert states(report) == ["unknown"], "two codes have a constant envelope, and are nobody's carrier"
    limited = sensed(eight_bits((200 * (np.sign(z.real) + 1j * np.sign(z.imag))).astype(np.complex64)), RATE)
    assert SampleFlag.BELOW_QUANTISATION not in limited.flags
