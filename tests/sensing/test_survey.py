"""A survey says busy, free or unknown for the right reason, and never free when it cannot tell."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hw_profiles.calibration import Scale
from sensing.flags import SampleFlag, names
from sensing.layout import ChannelOutside
from sensing.survey import Anchor, ChannelState, Survey, SurveyReport, SurveySettings
from sensing.values import Channel

RATE = 2_000_000
CENTER = 1_000_000_000
N = 400_000
LOOK = 40_000
CALIBRATED = Scale(offset_db=-60.0, sd_db=0.5)


def settings(**changes: object) -> SurveySettings:
    values: dict[str, object] = {
        "center_hz": CENTER,
        "sample_rate_hz": RATE,
        "full_scale": 2048,
        "bandwidth_hz": 1.8e6,
        "channels": (Channel(low_hz=CENTER - 0.9e6, high_hz=CENTER + 0.9e6),),
        "fft_size": 64,
    }
    return SurveySettings(**(values | changes))  # type: ignore[arg-type]


def noise(seed: int = 1) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(N) + 1j * rng.standard_normal(N)


def ints(z: NDArray[np.complex128]) -> NDArray[np.int16]:
    return np.clip(np.rint(np.stack([z.real, z.imag], axis=1)), -2048, 2047).astype(np.int16)


def floats(z: NDArray[np.complex128]) -> NDArray[np.complex64]:
    return z.astype(np.complex64)


def surveyed(iq: np.ndarray, *, flags: SampleFlag = SampleFlag.NONE, **changes: object) -> SurveyReport:
    full_scale = 2048 if iq.dtype == np.int16 else 1.0
    survey = Survey(settings(**({"full_scale": full_scale} | changes)))
    iq.flags.writeable = False
    for start in range(0, len(iq), LOOK):
        survey.feed(iq[start : start + LOOK], start_ns=round(start / RATE * 1e9), flags=flags)
    return survey.report(round(len(iq) / RATE * 1e9))


@pytest.mark.feature("E1")
def test_noise_is_free_where_it_is_known_to_be_noise_and_its_floor_is_right() -> None:
    truth = 10 * np.log10(2 * 400 / 2048**2 / RATE)
    bare = surveyed(ints(noise() * 20))
    assert bare.channels[0].state is ChannelState.UNKNOWN, "a signal that fills the band would look the same"
    assert np.isnan(bare.channels[0].occupancy.value)
    assert (bare.channels[0].occupancy.low, bare.channels[0].occupancy.high) == (0.0, 1.0)
    assert bare.channels[0].noise_floor.unit == "dBFS/Hz"
    assert bare.channels[0].noise_floor.value == pytest.approx(truth, abs=0.1)
    assert names(bare.flags) == ("UNCALIBRATED",)
    assert not bare.overload
    known = surveyed(ints(noise() * 20), calibration=CALIBRATED).channels[0]
    assert known.state is ChannelState.FREE
    assert known.anchor is Anchor.CALIBRATION
    assert known.occupancy.value == 0.0


@pytest.mark.feature("E1")
def test_bursts_are_counted_and_the_floor_is_what_lies_between_them() -> None:
    gate = (np.arange(N) // 4000) % 2
    report = surveyed(ints(noise() * 20 * (1 + 9 * gate)))
    channel = report.channels[0]
    assert channel.state is ChannelState.BUSY
    assert channel.occupancy.low <= 0.5 <= channel.occupancy.high
    assert channel.bursty
    assert channel.period is not None
    assert channel.period.seconds == pytest.approx(4e-3, rel=0.05)
    assert channel.noise_floor.value == pytest.approx(10 * np.log10(800 / 2048**2 / RATE), abs=0.3)


def limited(z: NDArray[np.complex128], limit: float) -> NDArray[np.complex128]:
    return np.clip(z.real, -limit, limit) + 1j * np.clip(z.imag, -limit, limit)


def constant_envelope() -> NDArray[np.complex128]:
    return 0.5 * np.exp(1j * np.cumsum(np.random.default_rng(4).uniform(-np.pi, np.pi, N)))


@pytest.mark.feature("E4")
@pytest.mark.parametrize(
    ("iq", "flag"),
    [
        (ints(noise() * 3000), SampleFlag.CLIPPED),
        (
            floats(np.clip(noise().real * 0.3, -0.5, 0.5) + 1j * np.clip(noise().imag * 0.3, -0.5, 0.5)),
            SampleFlag.CLIPPED,
        ),
        (np.full((N, 2), 100, np.int16), SampleFlag.DC_SPIKE),
        (np.full(N, 0.1 + 0.1j, np.complex64), SampleFlag.DC_SPIKE),
        (np.zeros((N, 2), np.int16), SampleFlag.BELOW_QUANTISATION),
        (np.zeros(N, np.complex64), SampleFlag.BELOW_QUANTISATION),
        (ints(noise() * 0.2), SampleFlag.BELOW_QUANTISATION),
        (floats(np.where(np.arange(N) == 5, np.nan, noise() * 0.01)), SampleFlag.NON_FINITE),
        (np.full(N, np.nan, np.complex64), SampleFlag.NON_FINITE),
        (floats(constant_envelope()), SampleFlag.FULL_BAND),
        (floats(noise() * 0.25), SampleFlag.FULL_BAND),
    ],
)
def test_what_cannot_be_told_is_flagged_and_never_free(iq: np.ndarray, flag: SampleFlag) -> None:
    report = surveyed(iq)
    assert flag in report.flags
    assert report.channels[0].state is not ChannelState.FREE
    assert report.channels[0].occupancy.high == 1.0


@pytest.mark.feature("E4")
@pytest.mark.parametrize("flag", [SampleFlag.OWN_TX, SampleFlag.STALE])
def test_own_and_stale_samples_are_not_counted(flag: SampleFlag) -> None:
    report = surveyed(ints(noise() * 20), flags=flag)
    assert report.blocks == 0
    assert np.isnan(report.channels[0].occupancy.value)
    assert report.channels[0].state is ChannelState.UNKNOWN


@pytest.mark.feature("E4")
def test_gaps_widen_and_image_and_offset_are_named() -> None:
    gaps = surveyed(ints(noise() * 20), flags=SampleFlag.GAP)
    assert gaps.channels[0].state is ChannelState.UNKNOWN
    tone = noise() * 20 + 400 * np.exp(2j * np.pi * 0.15 * np.arange(N))
    assert SampleFlag.IQ_IMAGE in surveyed(ints(tone + 0.1 * np.conj(tone))).flags
    offset = surveyed(ints(noise() * 20 + 300), calibration=CALIBRATED)
    assert SampleFlag.DC_SPIKE in offset.flags
    assert offset.channels[0].state is ChannelState.FREE


def test_a_step_of_gain_starts_the_floor_afresh() -> None:
    survey = Survey(settings())
    survey.feed(ints(noise() * 5)[:LOOK], start_ns=0)
    after = survey.feed(ints(noise() * 50)[:LOOK], start_ns=20_000_000, flags=SampleFlag.GAIN_STEP)
    assert after.noise_floor.value == pytest.approx(10 * np.log10(2 * 2500 / 2048**2 / RATE), abs=0.2)
    assert after.channels[0].busy is None, "nothing shows yet that this is no signal that fills the band"


@pytest.mark.feature("E2")
@pytest.mark.parametrize("steps", [(20, 40), (40, 20)])
def test_floor_follows_a_step_either_way(steps: tuple[int, int]) -> None:
    survey = Survey(settings(radar=False))
    z = noise()[:4000]
    for index in range(150):
        survey.feed(ints(z * steps[index >= 70]), start_ns=index * 2_000_000)
    truth = 10 * np.log10(2 * steps[1] ** 2 / 2048**2 / RATE)
    assert survey.report(0).channels[0].noise_floor.value == pytest.approx(truth, abs=1.0)


def test_a_burst_that_fills_looks_does_not_become_the_floor() -> None:
    survey = Survey(settings(radar=False))
    z = noise()[:4000]
    for index in range(40):
        survey.feed(ints(z * (20 if index < 5 else 300)), start_ns=index * 2_000_000)
    channel = survey.report(0).channels[0]
    assert channel.noise_floor.value == pytest.approx(10 * np.log10(800 / 2048**2 / RATE), abs=0.5)
    assert channel.occupancy.low <= 35 / 40 <= channel.occupancy.high


@pytest.mark.feature("E2")
def test_false_alarms_of_a_block_are_as_designed_when_the_band_is_flat() -> None:
    survey = Survey(settings(flatness_db=0.0, radar=False, pfa=1e-2))
    rng = np.random.default_rng(12)
    fired = blocks = 0
    for index in range(40):
        z = rng.standard_normal(LOOK) + 1j * rng.standard_normal(LOOK)
        look = survey.feed(ints(z * 20), start_ns=index * 20_000_000)
        if index >= 8:
            fired += round(look.channels[0].busy_fraction * 208)
            blocks += 208
    assert 0.5e-2 < fired / blocks < 1.6e-2


def test_calibration_makes_levels_absolute() -> None:
    report = surveyed(ints(noise() * 20), calibration=Scale(offset_db=-30.0, sd_db=0.5))
    level = report.channels[0].noise_floor
    assert level.unit == "dBm/Hz"
    assert level.sd > 0.5
    assert report.channels[0].sensitivity_limit.unit == "dBm"
    assert SampleFlag.UNCALIBRATED not in report.flags


def test_a_channel_outside_the_band_is_refused() -> None:
    with pytest.raises(ChannelOutside, match="choose a channel inside it"):
        Survey(settings(channels=(Channel(low_hz=CENTER, high_hz=CENTER + 5e6),)))


def test_sensitivity_limit_is_never_below_the_snr_wall() -> None:
    channel = surveyed(ints(noise() * 20)).channels[0]
    total = channel.noise_floor.value + 10 * np.log10(1.8e6)
    assert channel.sensitivity_limit.value >= total - 3.3 - 0.1


@pytest.mark.feature("E5")
def test_looks_left_apart_do_not_speak_of_their_channel() -> None:
    lower, upper = (Channel(low_hz=CENTER + d, high_hz=CENTER + d + 0.4e6) for d in (-0.8e6, 0.2e6))
    survey = Survey(settings(channels=(lower, upper)))
    quiet, tone = noise() * 20, np.exp(2j * np.pi * -0.6e6 / RATE * np.arange(N)) * 400
    for start in range(0, N, LOOK):
        iq = quiet[start : start + LOOK] + (tone[start : start + LOOK] if start < N // 2 else 0)
        survey.feed(ints(iq), start_ns=round(start / RATE * 1e9))
    half_ns, end_ns = round(N / 2 / RATE * 1e9), round(N / RATE * 1e9)

    def states(**apart: tuple[int, int]) -> list[ChannelState]:
        spans = {lower: [apart["lower"]]} if "lower" in apart else {}
        return [c.state for c in survey.report(end_ns, apart=spans).channels]

    assert states() == [ChannelState.BUSY, ChannelState.FREE]
    assert states(lower=(0, half_ns)) == [ChannelState.FREE, ChannelState.FREE]
    assert states(lower=(half_ns, end_ns)) == [ChannelState.BUSY, ChannelState.FREE]
    assert states(lower=(0, end_ns)) == [ChannelState.UNKNOWN, ChannelState.FREE], "nothing left is not free"
