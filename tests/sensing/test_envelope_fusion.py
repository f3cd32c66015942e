"""Envelopes age and combine; fusion is not moved by a lying minority."""

from dataclasses import replace

import numpy as np
import pytest

from hw_profiles.calibration import Scale
from sensing.envelope import (
    CompositeEnvelope,
    MeasuredQuantity,
    NotAllocatable,
    UnitEnvelope,
    claims_too_much,
    composite_envelope,
    place_envelope,
)
from sensing.flags import SampleFlag
from sensing.fusion import NodeReport, NothingToFuse, fuse
from sensing.survey import Survey, SurveyReport, SurveySettings
from sensing.values import Channel, Interval

NS = 1_000_000_000


def report(seed: int = 1) -> SurveyReport:
    settings = SurveySettings(
        center_hz=1e9, sample_rate_hz=2e6, full_scale=2048, fft_size=64,
        channels=(Channel(low_hz=1e9 - 0.9e6, high_hz=1e9 + 0.9e6),),
        calibration=Scale(offset_db=-60.0, sd_db=0.5),
    )  # fmt: skip
    survey = Survey(settings)
    rng = np.random.default_rng(seed)
    survey.feed(np.rint(rng.standard_normal((100_000, 2)) * 20).astype(np.int16), start_ns=0)
    return survey.report(0)


def quantity(value: float, unit: str) -> MeasuredQuantity:
    return MeasuredQuantity(
        value=value, low=value * 0.9, high=value * 1.1, unit=unit, measured_ns=0, valid_until_ns=100 * NS
    )


UNIT = UnitEnvelope(
    low_hz=0.9e9, high_hz=1.0e9, bandwidth=quantity(20e6, "Hz"), eirp=quantity(20.0, "dBm"),
    clock_bound=quantity(1e6, "ns"), position_error=quantity(5.0, "m"),
)  # fmt: skip


@pytest.mark.feature("E5")
def test_composite_is_what_both_allow() -> None:
    place = place_envelope(report(), 0, measured_ns=0, valid_until_ns=10 * NS)
    both = composite_envelope(place, UNIT, now_ns=NS, incumbent_probability_max=0.9)
    assert isinstance(both, CompositeEnvelope)
    assert (both.channel.low_hz, both.channel.high_hz) == (1e9 - 0.9e6, 1e9)
    assert both.usable_bandwidth.value == pytest.approx(0.9e6)
    assert both.valid_until_ns == 10 * NS
    assert 0 < both.confidence < 0.95


@pytest.mark.feature("E5")
def test_nothing_is_allocatable_unsensed_untunable_or_under_a_radar() -> None:
    place = place_envelope(report(), 0, measured_ns=0, valid_until_ns=10 * NS)
    late = composite_envelope(place, UNIT, now_ns=11 * NS)
    far = composite_envelope(place, replace(UNIT, low_hz=2e9, high_hz=3e9), now_ns=NS)
    radar = replace(place, incumbent_probability=quantity(0.9, "ratio"))
    heard = composite_envelope(radar, UNIT, now_ns=NS)
    reasons = [one.reason for one in (late, far, heard) if isinstance(one, NotAllocatable)]
    assert reasons == ["NOT_SENSED", "TUNING", "INCUMBENT"]


@pytest.mark.feature("E6")
def test_confidence_fades_and_the_interval_opens_with_age() -> None:
    fresh = quantity(10.0, "dB")
    ages = [fresh.confidence(t * NS) for t in (0, 30, 60, 99, 100)]
    assert ages == sorted(ages, reverse=True)
    assert (ages[0], ages[-1]) == (0.95, 0.0)
    old = fresh.aged(50 * NS)
    assert old.low < fresh.low
    assert old.high > fresh.high
    assert fresh.aged(100 * NS).high == float("inf")
    assert replace(fresh, flags=SampleFlag.CLIPPED).confidence(0) == 0.0


@pytest.mark.attack(55)
def test_confidence_below_the_own_sensitivity_limit_is_too_much() -> None:
    place = place_envelope(report(), 0, measured_ns=0, valid_until_ns=10 * NS)
    limit = place.sensitivity_limit.value
    assert claims_too_much(place, level_dbm=limit - 1, confidence=0.9)
    assert not claims_too_much(place, level_dbm=limit + 1, confidence=0.9)


def told(node: str, value: float, half: float = 0.04, **trust: float) -> NodeReport:
    return NodeReport(node=node, value=Interval(value=value, low=value - half, high=value + half), **trust)


HONEST = (told("a", 0.30), told("b", 0.32), told("c", 0.29))


@pytest.mark.feature("E7")
@pytest.mark.attack(56)
@pytest.mark.parametrize("lie", [0.0, 0.1, 0.45, 0.6, 1.0])
@pytest.mark.parametrize("half", [1e-6, 0.04, 0.3])
@pytest.mark.parametrize("authority", [1.0, 10.0])
def test_one_liar_among_four_does_not_move_the_result_beyond_its_interval(
    lie: float, half: float, authority: float
) -> None:
    honest = fuse(HONEST).value
    fused = fuse([*HONEST, told("liar", lie, half, authority=authority)])
    assert fused.decided
    assert honest.low <= fused.value.value <= honest.high
    assert fused.value.low <= honest.value <= fused.value.high


@pytest.mark.feature("E7")
def test_fused_interval_covers_and_is_narrower_than_one_node() -> None:
    rng = np.random.default_rng(3)
    covered, trials, width = 0, 600, 0.0
    for _ in range(trials):
        nodes = [told(str(i), float(rng.normal(0.3, 0.04 / 1.96))) for i in range(5)]
        value = fuse(nodes).value
        covered += value.low <= 0.3 <= value.high
        width += (value.high - value.low) / trials
    assert 0.92 < covered / trials <= 0.995
    assert width < 0.08


@pytest.mark.feature("E7")
def test_more_authority_and_reliability_weigh_more_up_to_a_cap() -> None:
    fused = fuse([told("a", 0.30, authority=1.0), told("b", 0.31, authority=0.2), told("c", 0.30, reliability=0.2)])
    assert fused.weights["a"] > fused.weights["b"]
    assert max(fused.weights.values()) <= 0.41


def test_no_majority_is_undecided_and_nothing_is_refused() -> None:
    split = fuse([told("a", 0.1), told("b", 0.5), told("c", 0.9)])
    assert not split.decided
    assert split.value.low <= 0.1 <= 0.9 <= split.value.high
    with pytest.raises(NothingToFuse):
        fuse([])


@pytest.mark.feature("E7")
def test_a_report_of_no_weight_counts_for_nothing_and_breaks_nothing() -> None:
    fused = fuse((told("a", 0.30), told("b", 0.32), told("c", 0.9, authority=0.0)))
    assert fused.decided
    assert fused.weights["c"] == 0.0
    assert 0.29 < fused.value.value < 0.33


@pytest.mark.attack(57)
@pytest.mark.parametrize(
    "worthless",
    [
        Interval(value=0.9, low=0.8, high=1.0, level=0.0),
        Interval(value=0.9, low=0.8, high=1.0, level=1.0),
        Interval(value=float("nan"), low=0.8, high=1.0),
        Interval(value=0.9, low=float("-inf"), high=float("inf")),
        Interval(value=0.9, low=1.0, high=0.8),
    ],
)
def test_a_report_that_is_no_interval_weighs_nothing(worthless: Interval) -> None:
    odd = NodeReport(node="odd", value=worthless)
    assert fuse([*HONEST, odd]).value == fuse(HONEST).value
    with pytest.raises(NothingToFuse):
        fuse([odd])
