"""Floors as real receivers have them: filters, domes, tilts, gains that step, samples that say nothing."""

import numpy as np
import pytest
from scipy import signal
from scipy.stats import binom

from agent.bench.floortrial import false_alarms
from agent.bench.systems import SYSTEMS
from agent.bench.systemtrial import HeardAs, cells, survey_of
from hw_profiles.calibration import Scale
from sensing.flags import SampleFlag
from sensing.layout import short_look_bins
from sensing.results import ChannelState
from sensing.survey import Anchor, Survey, SurveySettings
from sensing.values import Channel
from tests.sensing.real import NOISE, band_noise, holds, noise, shaped, states, surveyed

RATE = 2e6
KNOWN = Scale(offset_db=-60.0, sd_db=0.5)
FLOORS = {
    "dome": lambda rng, n: shaped(rng, n, lambda f: -4 * (2 * f) ** 2),
    "cosine dome": lambda rng, n: shaped(rng, n, lambda f: -2 * (1 - np.cos(2 * np.pi * f))),
    "tilt": lambda rng, n: shaped(rng, n, lambda f: 3 * f),
    "sharp filter": lambda rng, n: signal.lfilter(signal.firwin(129, 0.72), 1, noise(rng, n)).astype(np.complex64),
    "narrow filter": lambda rng, n: signal.lfilter(signal.firwin(129, 0.6), 1, noise(rng, n)).astype(np.complex64),
    "soft filter": lambda rng, n: signal.lfilter(*signal.butter(6, 0.72), noise(rng, n)).astype(np.complex64),
}


def tone(samples: int, at: float, amplitude: float) -> np.ndarray:
    return (amplitude * np.exp(2j * np.pi * at * np.arange(samples))).astype(np.complex64)


@pytest.mark.feature("E2")
@pytest.mark.parametrize(("channels", "node"), [(2, False), (1, True), (2, True), (4, True)])
def test_a_channel_that_was_seen_to_fill_stays_busy_however_long(channels: int, node: bool) -> None:
    rng = np.random.default_rng(5)
    z = noise(rng, 6_000_000)
    z[2_000_000:] += band_noise(rng, 4_000_000, width=0.85, level_db=20)
    _, report = surveyed(z, RATE, channels=channels, node=node)
    for channel in report.channels:
        assert channel.state.value == "busy"
        assert channel.occupancy.value == pytest.approx(2 / 3, abs=0.03)
        assert holds(channel, 2 / 3)


@pytest.mark.feature("E2")
@pytest.mark.parametrize("kind", FLOORS)
@pytest.mark.parametrize(("rate", "channels"), [(2e6, 1), (10e6, 4)])
def test_a_floor_with_a_shape_is_free(kind: str, rate: float, channels: int) -> None:
    z = FLOORS[kind](np.random.default_rng(3), int(rate * 0.2))
    _, report = surveyed(z, rate, channels=channels)
    assert states(report) == ["free"] * channels
    assert {c.anchor for c in report.channels} <= {Anchor.RECEIVER, Anchor.TIME}


@pytest.mark.feature("E2")
@pytest.mark.parametrize("amplitude", [0.001, NOISE, 0.2])
def test_noise_that_fills_the_band_without_history_is_unknown(amplitude: float) -> None:
    z = noise(np.random.default_rng(1), 400_000, amplitude)
    _, report = surveyed(z, RATE, channels=2)
    assert states(report) == ["unknown"] * 2
    assert {c.anchor for c in report.channels} == {Anchor.NONE}
    assert all(c.occupancy.high == 1.0 for c in report.channels)


@pytest.mark.feature("E2")
@pytest.mark.parametrize(("width", "over_db"), [(0.85, 20), (0.59, 20), (0.9, 40)])
def test_a_wide_signal_that_never_stops_is_never_free(width: float, over_db: float) -> None:
    rng = np.random.default_rng(1)
    z = noise(rng, 800_000, NOISE / 10) + band_noise(rng, 800_000, width=width, level_db=over_db - 20)
    assert "free" not in states(surveyed(z, RATE, channels=2)[1])


@pytest.mark.feature("E2")
def test_calibration_tells_a_filled_band_from_noise() -> None:
    z = noise(np.random.default_rng(1), 400_000)
    density = 10 * np.log10(NOISE**2 / RATE)
    for own_db, state in ((0.0, "free"), (-10.0, "busy")):
        scale = Scale(offset_db=-30.0, sd_db=0.5, noise_dbm_hz=density - 30.0 + own_db)
        assert states(surveyed(z, RATE, channels=2, calibration=scale)[1]) == [state] * 2


@pytest.mark.feature("E2")
def test_a_short_last_look_teaches_nothing() -> None:
    z = noise(np.random.default_rng(4), 1_001_300)
    _, report = surveyed(z, 10e6, channels=9)
    assert "busy" not in states(report)
    assert all(np.isnan(c.occupancy.value) for c in report.channels), "noise alone has nothing to tell it by"
    assert states(surveyed(z, 10e6, channels=9, calibration=KNOWN)[1]) == ["free"] * 9


@pytest.mark.feature("E4")
@pytest.mark.parametrize("nothing", [0.0, np.nan])
@pytest.mark.parametrize("every", [False, True])
def test_zeros_and_what_is_no_number_say_nothing(nothing: float, every: bool) -> None:
    z = noise(np.random.default_rng(4), 800_000)
    for start in range(200_000, 800_000 if every else 200_001, 40_000):
        z[start : start + (1_000 if every else 6_000)] = nothing
    _, report = surveyed(z, RATE, channels=2, calibration=KNOWN)
    assert all(c.occupancy.low == 0 and not c.occupancy.value >= 0.005 for c in report.channels)
    assert SampleFlag.GAP in report.flags
    assert states(report) == ["free" if nothing == 0.0 else "unknown"] * 2


@pytest.mark.feature("E4")
@pytest.mark.parametrize("node", [False, True])
@pytest.mark.parametrize("step_db", [-10, -6, 6, 8, 10])
def test_a_step_of_gain_is_flagged_and_has_a_floor_of_its_own(step_db: float, node: bool) -> None:
    z = noise(np.random.default_rng(4), 2_000_000)
    z[777_000:] *= np.float32(10 ** (step_db / 20))
    _, report = surveyed(z, RATE, channels=2, node=node)
    assert SampleFlag.GAIN_STEP in report.flags
    assert states(report) == ["unknown"] * 2
    floor = 10 * np.log10(NOISE**2 / RATE) + step_db
    assert report.channels[0].noise_floor.value == pytest.approx(floor, abs=0.2)


@pytest.mark.feature("E4")
def test_compression_by_a_burst_elsewhere_is_no_new_floor() -> None:
    z = noise(np.random.default_rng(4), 1_600_000)
    for start in range(160_000, 1_600_000, 160_000):
        z[start : start + 40_000] *= np.float32(0.5)
        z[start : start + 40_000] += tone(40_000, 0.1, 0.45)
    _, report = surveyed(z, RATE, channels=4)
    assert states(report)[0] == states(report)[3] == "free"
    assert states(report)[2] == "busy"
    assert holds(report.channels[2], 0.225)


@pytest.mark.feature("E1")
def test_the_whole_of_a_long_recording_is_told() -> None:
    rng = np.random.default_rng(2)
    base, carrier = noise(rng, 400_000), tone(5_000, 0.12, 10 * NOISE / np.sqrt(10))
    survey, _ = surveyed(base[:0], 250e3)
    for number in range(3000):
        start = int(rng.integers(0, 390_000))
        z = base[start : start + 5_000]
        survey.feed(z + carrier if number < 1250 else z, start_ns=number * 20_000_000)
    report = survey.report(60_000_000_000)
    assert report.whole
    assert report.channels[0].state.value == "busy"
    assert report.channels[0].occupancy.value == pytest.approx(25 / 60, abs=0.01)


@pytest.mark.feature("E4")
def test_what_fills_the_bins_of_the_offset_is_not_called_free() -> None:
    t = np.arange(800_000) / RATE
    fm = np.exp(1j * np.cumsum(2 * np.pi * 8_000 / RATE * np.sin(2 * np.pi * 1_000 * t)))
    z = noise(np.random.default_rng(2), len(t)) + (NOISE * np.sqrt(1000 * 25e3 / RATE) * fm).astype(np.complex64)
    assert states(surveyed(z, RATE, calibration=KNOWN)[1]) == ["unknown"]
    assert states(surveyed(z, RATE, channels=3, calibration=KNOWN)[1]) == ["free", "unknown", "free"]
    offset = (noise(np.random.default_rng(2), len(t)) + 0.05).astype(np.complex64)
    assert states(surveyed(offset, RATE, calibration=KNOWN)[1]) == ["free"], "a constant offset is nobody's"


@pytest.mark.feature("E2")
@pytest.mark.parametrize("node", [False, True])
def test_a_chirp_that_never_stops_is_busy(node: bool) -> None:
    t = np.arange(2_000_000) / 10e6
    phase = np.cumsum(2 * np.pi * (((t % 20e-6) / 20e-6 - 0.5) * 8e6) / 10e6)
    z = noise(np.random.default_rng(2), len(t)) + (NOISE * 10**0.75 * np.exp(1j * phase)).astype(np.complex64)
    assert states(surveyed(z, 10e6, channels=4, node=node)[1]) == ["busy"] * 4


@pytest.mark.feature("E2")
@pytest.mark.parametrize("width", [0.45, 0.9])
def test_a_weak_signal_that_goes_on_is_found_by_its_mean(width: float) -> None:
    rng = np.random.default_rng(2)
    z = noise(rng, 2_000_000)
    z[500_000:] += band_noise(rng, 1_500_000, width=width, level_db=-4)
    _, report = surveyed(z, 10e6)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.75)


@pytest.mark.feature("E2")
@pytest.mark.parametrize("node", [False, True])
def test_a_narrow_signal_in_a_wide_channel_is_found_though_it_never_stops(node: bool) -> None:
    rng = np.random.default_rng(2)
    audio = signal.lfilter([1], [1, -0.999], rng.standard_normal(2_000_000))
    at = 2 * np.pi * 0.23 * np.arange(len(audio))
    fm = np.exp(1j * (np.cumsum(2 * np.pi * 50e3 / 10e6 * audio / audio.std()) + at))
    z = noise(rng, len(fm)) + (NOISE * 10 ** (4 / 20) * np.sqrt(0.02) * fm).astype(np.complex64)
    _, report = surveyed(z, 10e6, node=node)
    assert states(report) == ["busy"]
    assert report.channels[0].occupancy.high == 1.0


@pytest.mark.feature("E2")
@pytest.mark.parametrize("width", [0.3, 0.5])
@pytest.mark.parametrize("over_db", [10, 15, 25])
def test_a_sweep_over_the_middle_of_the_band_is_busy_and_no_receivers_filter(width: float, over_db: float) -> None:
    rate, rng = 10e6, np.random.default_rng(3)
    t = np.arange(round(20e-6 * rate)) / rate
    sweep = np.exp(1j * np.pi * width * rate * (t**2 / 20e-6 - t))
    samples = 1_000_000
    z = noise(rng, samples) + NOISE * 10 ** (over_db / 20) * np.resize(sweep, samples).astype(np.complex64)
    _, report = surveyed(z.astype(np.complex64), rate, channels=1)
    assert states(report) == ["busy"]


@pytest.mark.feature("E2")
@pytest.mark.parametrize(("rate", "slope_db"), [(1e6, -4.0), (2.4e6, -4.0), (2.4e6, 3.0)])
def test_a_gain_that_creeps_makes_nothing_busy_and_hides_nothing(rate: float, slope_db: float) -> None:
    samples = int(0.8 * rate)
    rng = np.random.default_rng(0)
    gain = (10 ** (slope_db * np.arange(samples) / rate / 20)).astype(np.float32)
    _, report = surveyed(noise(rng, samples) * gain, rate)
    assert states(report) != ["busy"]
    bursts = band_noise(rng, samples, width=0.3, level_db=15) * (np.arange(samples) % int(0.02 * rate) < 0.006 * rate)
    _, report = surveyed((noise(rng, samples) + bursts) * gain, rate)
    assert states(report) == ["busy"]
    assert holds(report.channels[0], 0.3)


@pytest.mark.feature("E2")
def test_where_a_filter_falls_steeply_within_one_group_noise_makes_no_channel_busy() -> None:
    """One bin makes all the power of such a group: in one file of 200 its quietest blocks lay 6 dB under the others."""
    found = false_alarms(1, "filter of 0.72", rate_hz=10e6, seconds=0.005, files=40)
    assert found.busy == 0
    assert found.over <= binom.isf(1e-3, found.blocks, 1e-3)


@pytest.mark.feature("E2")
def test_a_floor_of_one_lucky_block_makes_no_contrast() -> None:
    """Of seventeen blocks of four averages one may lie 12 dB under the others, and was taken for the floor."""
    anchors = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        survey = survey_of(SYSTEMS["BLE, both sides"], 2_000_000, HeardAs.NODE)
        for look in range(10):
            survey.feed(noise(rng, 4500, 10.0), start_ns=look * 20_000_000)
        anchors |= {one.anchor for one in survey.report(200_000_000).channels}
    assert anchors == {Anchor.NONE}


@pytest.mark.feature("E1")
def test_a_node_at_a_low_sample_rate_has_enough_blocks_in_a_look_to_tell_a_floor() -> None:
    wide, narrow = Channel(low_hz=0, high_hz=2e6), Channel(low_hz=0, high_hz=25e3)
    assert [short_look_bins(rate, (wide,)) for rate in (2e6, 5.2e6, 10e6, 30.72e6)] == [256, 512, 512, 1024]
    assert short_look_bins(2e6, (wide, narrow)) == 512, "five bins in each channel"
    assert short_look_bins(30.72e6, (narrow,)) == 1024
    (found,) = [
        one
        for one in cells(1, "DECT", rate_hz=2_000_000, draws=2)
        if one.heard_as is HeardAs.NODE and one.snr_db == 20.0
    ]
    assert found.states[ChannelState.BUSY] == sum(found.states.values()) > 0


@pytest.mark.feature("E2")
@pytest.mark.parametrize("stop_db", [40, 60, 80])
@pytest.mark.parametrize(("rate", "passes"), [(1e6, 0.3), (2e6, 0.3), (2e6, 0.4), (10e6, 0.3)])
def test_noise_through_a_filter_of_a_third_of_the_rate_is_not_busy(rate: float, passes: float, stop_db: int) -> None:
    """What lies far below it holds its leak and its edges, which vary more than as many bins of noise."""
    rng = np.random.default_rng([int(rate), stop_db])
    taps, beta = signal.kaiserord(stop_db, 0.16 * passes)
    response = signal.firwin(taps | 1, passes, window=("kaiser", beta))
    z = signal.fftconvolve(noise(rng, int(min(rate, 2e6))), response, mode="same").astype(np.complex64)
    low, high = 3.55e9 - 0.45 * rate, 3.55e9 + 0.45 * rate
    survey = Survey(
        SurveySettings(
            center_hz=3.55e9,
            sample_rate_hz=rate,
            full_scale=1.0,
            channels=(Channel(low_hz=low, high_hz=high),),
            radar=False,
        )
    )
    step = round(0.02 * rate)
    for start in range(0, len(z), step):
        survey.feed(z[start : start + step], start_ns=round(start / rate * 1e9))
    (channel,) = survey.report(round(len(z) / rate * 1e9)).channels
    assert channel.state is ChannelState.UNKNOWN
