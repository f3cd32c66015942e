"""Trains of pulses: how far they go on, and what a train found by its sum alone must pass."""

import numpy as np
import pytest

from sensing.detectors.pulse import Pulse
from sensing.detectors.radar import RadarDetector, Stretch
from sensing.detectors.trainchecks import CHANCE, Course, falters, pulses_are_long, reach, repeats, surprise
from sensing.detectors.trains import HeardPulse, PulseTrain, beside_step, turns_in_step
from sensing.detectors.weakkernels import SCALE

pytestmark = pytest.mark.feature("E3")
PRI = (325.0, 3420.0)


def heard(us: float, *, duration_us: float = 20.0) -> HeardPulse:
    pulse = Pulse(
        time_us=us, duration_us=duration_us, low_hz=-1e6, high_hz=1e6, peak_hz=0.0, instant_hz=1e6, snr_db=20,
        slope_mhz_per_us=0.0,
    )  # fmt: skip
    return HeardPulse(pulse, us, fresh=True)


def noise(seed: int, frames: int, bins: int = 1) -> np.ndarray:
    """Cells of noise: exponential powers over their mean, as bytes."""
    cells = np.random.default_rng(seed).exponential(size=(frames, bins)) * SCALE
    return np.minimum(cells, 255).astype(np.uint8)


def test_pulses_of_any_shape_in_step_before_and_after_make_a_train_longer() -> None:
    own = (heard(5000.0), heard(6000.0))
    others = [heard(1000.0 * k, duration_us=35) for k in (*range(1, 5), *range(7, 16))]
    assert turns_in_step(PulseTrain(own, 1000.0), others, PRI) == 14


def test_a_symbol_cut_short_does_not_hide_the_steps() -> None:
    own = (heard(5013.0, duration_us=7), heard(5991.0, duration_us=8))
    others = [heard(1000.0 * k, duration_us=35) for k in (*range(1, 5), *range(7, 16))]
    assert turns_in_step(PulseTrain(own, 978.0), others, PRI) >= 13


def test_pulses_out_of_step_leave_a_train_as_it_is() -> None:
    own = (heard(5000.0), heard(6000.0), heard(7000.0))
    others = [heard(at) for at in (1310.0, 2460.0, 3720.0, 8290.0, 9480.0, 11650.0)]
    assert turns_in_step(PulseTrain(own, 1000.0), others, PRI) == 2


def test_pulses_that_take_a_trains_turns_without_its_step_are_counted() -> None:
    own = PulseTrain(tuple(heard(1000.0 * k) for k in (10, 11, 13, 14)), 1000.0)
    jittering = [heard(1000.0 * k + 9 * (k % 2 or -1)) for k in (6, 7, 9, 12, 15, 17)]
    kept, left = beside_step(own, jittering)
    assert kept + left == 6
    assert left >= 4
    assert beside_step(own, [heard(1000.0 * k, duration_us=1) for k in (8, 9, 12, 15, 16)]) == (5, 0)
    assert beside_step(own, [heard(at) for at in (4500.0, 8400.0, 12400.0, 16600.0)]) == (0, 0)


def test_places_that_stay_empty_make_no_train() -> None:
    own = (heard(5000.0), heard(6000.0))
    others = [heard(5000.0 + 2000.0 * k) for k in range(1, 12)]
    assert turns_in_step(PulseTrain(own, 1000.0), others, (900.0, 1100.0)) == 1


def test_a_train_is_followed_beyond_the_part_that_was_found_and_ends_where_it_ends() -> None:
    cells = noise(1, 60_000)[:, 0]
    places = np.rint(700 + 1000.02 * np.arange(5, 50)).astype(int)
    cells[places] = 5 * SCALE
    longer = reach(cells, Course(phase=700, pri=1000, first=20, last=30))
    assert (longer.first, longer.last) == (5, 49)
    assert longer.pri == pytest.approx(1000.02, abs=0.011)


def test_noise_makes_a_train_longer_as_rarely_as_it_says() -> None:
    trials = 100
    longer = 0
    for seed in range(trials):
        course = Course(phase=700, pri=1000, first=20, last=30)
        whole = reach(noise(seed, 60_000)[:, 0], course)
        longer += whole != course
    # Two sides, 21 courses, and an end that is chosen among up to thirty places: many of them nearly the same.
    assert longer <= trials * CHANCE * 2 * 21 * 30 / 4


def test_a_carrier_that_falters_at_the_pulses_makes_them_clicks() -> None:
    cells = noise(2, 40_000, 16)
    cells[:, 3] = np.clip(np.random.default_rng(3).normal(SCALE, 0.8, 40_000), 1, 255).astype(np.uint8)
    at = np.arange(1000, 39_000, 1000)
    levels = np.ones(16, np.float32)
    levels[3] = 1000
    assert not falters(cells, at, band=(9, 10), levels=levels, pulse=4.0)
    cells[at, 3] = 3
    assert falters(cells, at, band=(9, 10), levels=levels, pulse=4.0)
    assert not falters(cells, at, band=(9, 10), levels=levels, pulse=4000.0), "pulses stronger than the carrier"


def test_a_strong_pulse_that_shakes_a_carrier_a_little_stays_a_pulse() -> None:
    cells = noise(4, 40_000, 16)
    cells[:, 3] = 20
    at = np.arange(1000, 39_000, 1000)
    cells[at, 3] = 18
    levels = np.ones(16, np.float32)
    levels[3] = 1000
    assert not falters(cells, at, band=(9, 10), levels=levels, pulse=200.0)


def test_a_train_means_as_much_as_its_cells_are_rare() -> None:
    frames = np.arange(1000.0, 30_000.0, 1000.0)
    quiet = noise(5, 40_000)[:, 0]
    quiet[frames.astype(int)] = 8 * SCALE
    busy = quiet.copy()
    busy[np.random.default_rng(6).integers(0, 40_000, 400)] = 12 * SCALE
    in_quiet, in_busy = (surprise(c, frames, np.bincount(c, minlength=256)) for c in (quiet, busy))
    assert in_quiet == pytest.approx(8 * len(frames), rel=0.1)
    assert in_busy < 0.65 * in_quiet


def test_a_train_between_the_pulses_makes_the_period_a_shorter_one() -> None:
    cells = noise(7, 40_000)[:, 0]
    frames = np.arange(1000.0, 38_000.0, 1000.0)
    cells[frames.astype(int)] = 6 * SCALE
    assert not repeats(cells, frames, 1000.0)
    cells[frames.astype(int) + 400] = 6 * SCALE
    assert repeats(cells, frames, 1000.0)


def train(first_ms: float, count: int) -> tuple[Pulse, ...]:
    """Pulses of P0N#1, 20 dB over the noise, each millisecond."""
    return tuple(
        Pulse(
            time_us=1000 * (first_ms + k), duration_us=1.5, low_hz=0.5e6, high_hz=1.5e6, peak_hz=1e6, instant_hz=1e6,
            snr_db=20, slope_mhz_per_us=0.0, nepers=100.0, level_db=-30.0, span=0.1,
        )
        for k in range(count)
    )  # fmt: skip


def test_two_trains_in_step_that_together_outlast_a_burst_are_taken_back() -> None:
    detector = RadarDetector(band_hz=10e6)
    first = detector.decide(Stretch(pulses=train(0.5, 18), start_ns=0, length_ns=20_000_000))
    assert [one.kind for one in first.incumbents] == ["P0N#1"]
    silent = detector.decide(Stretch(pulses=(), start_ns=20_000_000, length_ns=20_000_000, contiguous=True))
    assert silent.incumbents == silent.withdrawn == ()
    later = detector.decide(
        Stretch(pulses=train(0.5, 18), start_ns=40_000_000, length_ns=20_000_000, contiguous=True)
    )  # fmt: skip
    assert {(one.start_ns, one.end_ns) for one in later.withdrawn} >= {(500_000, 17_500_000), (40_500_000, 57_500_000)}


def test_two_trains_out_of_step_stay_two_radars() -> None:
    detector = RadarDetector(band_hz=10e6)
    detector.decide(Stretch(pulses=train(0.5, 18), start_ns=0, length_ns=20_000_000))
    detector.decide(Stretch(pulses=(), start_ns=20_000_000, length_ns=20_000_000, contiguous=True))
    later = detector.decide(
        Stretch(pulses=train(0.8, 18), start_ns=40_000_000, length_ns=20_000_000, contiguous=True)
    )  # fmt: skip
    assert len(later.incumbents) == 1
    assert later.withdrawn == ()


@pytest.mark.parametrize("traffic", [False, True])
def test_the_sum_over_all_places_tells_long_pulses_from_short_ones(traffic: bool) -> None:
    """Of twelve weak pulses, each with its strongest frame at the place: eighteen frames long, and one frame."""
    rng = np.random.default_rng(5)
    frames = 700.0 + 1000.3 * np.arange(12)
    power = rng.exponential(1.0, 14_000)
    if traffic:
        power *= np.repeat(rng.choice([0.7, 1.6], 140), 100)
    long = power.copy()
    for at in np.rint(frames).astype(int):
        long[at - 5 : at + 13] += rng.exponential(1.6, 18)
    cells, longer = (np.minimum(255, one * SCALE).astype(np.uint8) for one in (power, long))
    for at in np.rint(frames).astype(int):
        cells[at] = longer[at] = round(5 * SCALE)
    assert pulses_are_long(longer, frames, 1000.3)
    assert not pulses_are_long(cells, frames, 1000.3)
    assert not pulses_are_long(longer[:3000], frames[:2], 1000.3), "two places tell nothing"
