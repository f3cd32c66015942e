"""Radar classes against the table of the shared sensing reference, at every corner, slice by slice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.waveforms.radar import RANGES, Radar, RadarClassName, corners, draw, pulse_times, render

pytestmark = pytest.mark.feature("E3")

ALL_CORNERS = [radar for kind in RadarClassName for radar in corners(kind)]


def name(radar: Radar) -> str:
    sizes = f"{radar.pulse_s * 1e6:g}us-{radar.chirp_hz / 1e6:g}MHz-{radar.pulses_per_s:g}Hz-{radar.pulses_per_burst}"
    return f"{radar.radar_class.value}-{sizes}"


def test_the_table_is_the_regulators() -> None:
    table = {
        "P0N#1": ((0.5, 2.5), (0, 0), (900, 1100), (15, 40)),
        "P0N#2": ((13, 52), (0, 0), (300, 3000), (5, 20)),
        "Q3N#1": ((3, 5), (50, 100), (300, 3000), (8, 24)),
        "Q3N#2": ((10, 30), (1, 10), (300, 3000), (2, 8)),
        "Q3N#3": ((50, 100), (50, 100), (300, 3000), (8, 24)),
    }
    for kind in RadarClassName:
        spans = RANGES[kind]
        found = [
            (span.low * scale, span.high * scale)
            for span, scale in (
                (spans.pulse_s, 1e6),
                (spans.chirp_hz, 1e-6),
                (spans.pulses_per_s, 1),
                (spans.pulses_per_burst, 1),
            )
        ]
        assert np.allclose(found, table[kind.value])
    assert len(ALL_CORNERS) == 8 + 8 + 16 * 3


@pytest.mark.parametrize("radar", ALL_CORNERS, ids=name)
def test_pulses_of_every_corner_come_on_time_and_last_as_long(radar: Radar) -> None:
    rate = 2_000_000
    first_burst = render(radar, sample_rate_hz=rate, start=0, samples=round(0.1 * rate))
    times = pulse_times(radar, start_s=0, stop_s=0.1)
    assert len(times) == radar.pulses_per_burst
    if radar.chirp_hz < rate:
        on = np.abs(first_burst)
        energy_s = float(np.sum(on**2)) / rate / radar.pulses_per_burst
        assert energy_s == pytest.approx(radar.pulse_s, rel=0.02, abs=0.6 / rate)
    gaps = np.diff([at for at, _, _ in times])
    assert np.allclose(gaps, 1 / radar.pulses_per_s)
    assert not render(radar, sample_rate_hz=rate, start=round(radar.burst_s * rate) + 2, samples=1000).any()
    again = pulse_times(radar, start_s=1.0, stop_s=1.1)
    assert [at - 1 for at, _, _ in again] == pytest.approx([at for at, _, _ in times])
    assert {burst for _, burst, _ in again} == {1}


@pytest.mark.parametrize("kind", list(RadarClassName))
def test_one_pulse_seen_closely(kind: RadarClassName) -> None:
    radar = draw(np.random.default_rng(3), kind)
    rate = 250_000_000
    pulse = render(radar, sample_rate_hz=rate, start=-50, samples=round(radar.pulse_s * rate) + 100)
    on = np.abs(pulse)
    assert on.max() == pytest.approx(1, abs=1e-6)
    assert float(np.sum(on)) / rate == pytest.approx(radar.pulse_s, rel=0.01)
    inner = pulse[60 : 40 + round(radar.pulse_s * rate)].astype(np.complex128)
    turn_hz = np.angle(inner[1:] * np.conj(inner[:-1])) / (2 * np.pi) * rate
    if radar.chirp_hz:
        assert turn_hz[-1] - turn_hz[0] == pytest.approx(radar.chirp_hz, rel=0.1)
        assert np.all(np.diff(turn_hz) > -1e4)
    elif RANGES[kind].phase_coded:
        flips = np.flatnonzero(np.abs(turn_hz) > rate / 4) + 61
        chip = radar.pulse_s / 4 * rate
        assert (flips - 50) / chip == pytest.approx([2, 3], abs=0.02)
    else:
        assert np.abs(turn_hz).max() < 1e4


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(list(RadarClassName)),
    burst=st.integers(0, 100_000),
    into=st.integers(-100, 20_000),
    count=st.integers(1, 4000),
)
def test_any_slice_is_the_same_whatever_is_rendered_with_it(
    seed: int, kind: RadarClassName, burst: int, into: int, count: int
) -> None:
    radar = draw(np.random.default_rng(seed), kind)
    rate = 10_000_000
    start = burst * rate + into
    whole = render(radar, sample_rate_hz=rate, start=start - 777, samples=count + 1554)
    assert np.array_equal(render(radar, sample_rate_hz=rate, start=start, samples=count), whole[777 : 777 + count])


@given(st.integers(0, 2**32), st.sampled_from(list(RadarClassName)))
def test_drawn_radars_are_inside_their_class(seed: int, kind: RadarClassName) -> None:
    radar = draw(np.random.default_rng(seed), kind)
    assert RANGES[kind].pulse_s.holds(radar.pulse_s)
    assert radar.burst_s <= 0.085
    assert draw(np.random.default_rng(seed), kind) == radar


@pytest.mark.parametrize(
    ("changed", "value"),
    [("pulse_s", 3e-6), ("chirp_hz", 1e6), ("pulses_per_s", 800), ("pulses_per_burst", 41), ("burst_interval_s", 0.01)],
)
def test_parameters_outside_the_class_are_refused(changed: str, value: float) -> None:
    good = {
        "radar_class": RadarClassName.P0N1,
        "pulse_s": 1e-6,
        "chirp_hz": 0.0,
        "pulses_per_s": 1000.0,
        "pulses_per_burst": 20,
    }
    Radar(**good)
    with pytest.raises(ValueError, match=changed):
        Radar(**{**good, changed: value})


def test_magnetron_pulses_have_random_phases_and_coded_ones_keep_theirs() -> None:
    def phases(radar: Radar) -> np.ndarray:
        rate = 20_000_000
        return np.array(
            [
                np.angle(render(radar, sample_rate_hz=rate, start=round((at + radar.pulse_s / 8) * rate), samples=1)[0])
                for at, _, _ in pulse_times(radar, start_s=0, stop_s=0.1)
            ]
        )

    loose = phases(
        Radar(radar_class=RadarClassName.P0N1, pulse_s=1e-6, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=40)
    )
    assert abs(np.mean(np.exp(1j * loose))) < 0.5  # 40 random phasors: 3 sigma is 0.47
    kept = phases(
        Radar(radar_class=RadarClassName.P0N2, pulse_s=2e-5, chirp_hz=0, pulses_per_s=1000, pulses_per_burst=20)
    )
    assert np.ptp(kept) < 1e-6
