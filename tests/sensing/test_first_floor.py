"""The first floor of a receiver: from few blocks, while its gain still rises, and beside samples that say nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensing.layout import short_look_bins
from sensing.onset import rising_blocks
from sensing.results import ChannelState, SurveyReport
from sensing.samples import CONSTANT_ENVELOPE, inspect
from sensing.silence import LONG_RUN, silent_spans
from sensing.survey import Survey, SurveySettings
from sensing.tracker import FloorTracker, QuietLevels
from sensing.values import Channel
from tests.sensing.real import CENTER, noise, states, surveyed

pytestmark = pytest.mark.feature("E1")
Pairs = NDArray[np.int16]


def node(iq: Pairs, rate: float) -> SurveyReport:
    """Survey one channel of nine tenths of the band in a node's looks, with a node's transform."""
    channels = (Channel(low_hz=CENTER - 0.45 * rate, high_hz=CENTER + 0.45 * rate),)
    survey = Survey(
        SurveySettings(
            center_hz=CENTER, sample_rate_hz=rate, full_scale=2048, channels=channels,
            fft_size=short_look_bins(rate, channels), radar=False,
        )
    )  # fmt: skip
    step, length = round(0.02 * rate), round(2.25e-3 * rate)
    for start in range(0, len(iq), step):
        survey.feed(iq[start : start + length], start_ns=round(start / rate * 1e9))
    return survey.report(round(len(iq) / rate * 1e9))


def white(seed: int, samples: int) -> Pairs:
    """White noise of 20 steps."""
    return (np.random.default_rng(seed).standard_normal((samples, 2)) * 20).round().astype(np.int16)


def test_quiet_blocks_are_not_the_one_lowest_of_seventeen() -> None:
    shapes = np.full(20_000, 3.4)
    power = np.random.default_rng(1).gamma(shapes, 1 / shapes, size=(17, len(shapes)))
    assert (QuietLevels(shapes)(power).idle < 8).mean() < 1e-3


def test_a_fall_of_the_quietest_tenth_alone_is_no_drift() -> None:
    groups, sd_db, rng = 52, 0.62, np.random.default_rng(2)
    every = np.ones(groups, np.bool_)
    tracker = FloorTracker(np.full(groups, 3.4), channels=(np.arange(groups),), compared=every, order=np.arange(groups))
    limit = np.full(groups, 5 * sd_db)
    rises = [rng.normal(0.0, 1.3 * sd_db, groups) for _ in range(1500)]
    least = [tracker._least(None, rise, limit) for rise in rises]
    assert np.mean([fall < -chance for fall, chance in least]) < 0.005
    fell = [tracker._least(None, rise - 1.0, limit)[0] for rise in rises]
    assert np.mean(fell) == pytest.approx(-1.2, abs=0.1)


@pytest.mark.parametrize("rate", [2e6, 4e6])
def test_white_noise_in_short_looks_of_a_slow_node_is_not_busy(rate: float) -> None:
    found = [node(white(seed, round(0.3 * rate)), rate).channels[0].state for seed in range(40)]
    assert found.count(ChannelState.BUSY) == 0


@pytest.mark.parametrize(("rate", "ramp_s", "as_node"), [(4e6, 0.004, False), (4e6, 0.004, True), (250e3, 0.02, False)])
def test_a_gain_that_rises_as_listening_begins_is_no_quiet_time(rate: float, ramp_s: float, as_node: bool) -> None:
    rng = np.random.default_rng(5)
    z, ramp = noise(rng, round(0.4 * rate)), round(ramp_s * rate)
    z[:ramp] *= np.linspace(0.1, 1, ramp, dtype=np.float32) ** 2
    _, report = surveyed(z, rate, channels=3, node=as_node)
    assert "busy" not in states(report)
    assert all(one.occupancy.low == 0 for one in report.channels)


def test_a_signal_narrower_than_the_band_that_begins_is_no_rising_gain() -> None:
    rng, shapes, at = np.random.default_rng(6), np.full(40, 12.0), (np.arange(40) + 0.5) / 40 - 0.5
    power = rng.gamma(shapes, 1 / shapes, size=(200, 40))
    begins, rises, bursts = power.copy(), power.copy(), power.copy()
    begins[30:, 4:36] *= 100
    rises[:30] /= 100
    bursts[:30] /= 100
    bursts[90:110] /= 100
    assert rising_blocks(begins, shapes, at, most=250) == 0
    gated = rises.copy()
    gated[60:90] /= 100
    gated[120:150] /= 100
    assert rising_blocks(gated, shapes, at, most=250) == 0
    assert rising_blocks(bursts, shapes, at, most=250) == 0
    assert rising_blocks(power, shapes, at, most=250) == 0
    assert rising_blocks(rises, shapes, at, most=250) in (30, 31)
    assert rising_blocks(rises, shapes, at, most=20) == 0
    settles = rises.copy()
    settles[1], settles[:30, 16:24] = power[1], power[:30, 16:24]
    settles[20:24, 8:12] *= 1e4
    assert rising_blocks(settles, shapes, at, most=250) in (30, 31)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_look_that_is_mostly_silent_keeps_the_offset_of_the_rest(seed: int) -> None:
    rate = 2e6
    iq = white(seed, round(0.3 * rate)) // 8 + np.array([6, 3], np.int16)
    iq[120_000:123_500] = 0
    assert node(iq, rate).channels[0].state is not ChannelState.BUSY


def test_a_long_run_of_the_lowest_value_is_silence_and_a_short_one_is_not() -> None:
    iq = white(3, 20_000)
    iq[5000 : 5000 + LONG_RUN + 1], iq[9000:9100] = -2048, -2048
    assert silent_spans(iq, full_scale=2048) == [(5000, 5000 + LONG_RUN + 1)]


@pytest.mark.parametrize("steps", [0.25, 0.35, 0.4])
def test_noise_of_less_than_a_step_halfway_between_two_codes_has_no_constant_envelope(steps: float) -> None:
    fine = np.random.default_rng(8).standard_normal((20_000, 2)) * steps
    iq = (2 * np.floor(fine) + 1).astype(np.int16)
    assert inspect(iq, full_scale=255).envelope_kurtosis > CONSTANT_ENVELOPE
    tone = np.exp(2j * np.pi * 0.0137 * np.arange(20_000)) * 20
    loud = (2 * np.floor(np.column_stack((tone.real, tone.imag))) + 1).astype(np.int16)
    assert inspect(loud, full_scale=255).envelope_kurtosis < CONSTANT_ENVELOPE
