"""Which pulses count when a train of sweeps is judged, and what is measured of a sweep and of what lies beside it."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.bench.impostors import unit_noise
from sensing.detectors.intrapulse import NOTHING, Compressed, Wave, swept_samples
from sensing.detectors.pulse import Pulse
from sensing.detectors.radar import RadarDetector
from sensing.detectors.radarclasses import CLASSES
from sensing.detectors.sweepchecks import Swept, hold_one_sweep, left_of_traffic, swept_pulse
from sensing.detectors.trains import HeardPulse, one_sweep

pytestmark = pytest.mark.feature("E3")
RATE = 20_000_000
LONG_US, BESIDE_US = 15.0, 25.0
KIND = next(kind for kind in CLASSES if kind.name == "Q3N#2")
Cplx = NDArray[np.complexfloating]


def told(share: float = 0.9, mhz: float = 4.0, *, bend: float = 0.0, tone_hz: float = 0.0) -> Compressed:
    """What compressing found: a sweep over so many MHz."""
    return Compressed(
        share=share, slope_mhz_per_us=mhz / LONG_US, bend=bend, nepers=50.0, tone_hz=tone_hz, length_us=LONG_US
    )


def heard(sweep: Compressed, wave: Wave | None = None) -> HeardPulse:
    pulse = Pulse(
        time_us=0.0, duration_us=LONG_US, low_hz=-2e6, high_hz=2e6, peak_hz=0.0, instant_hz=1e6, snr_db=20.0,
        slope_mhz_per_us=sweep.slope_mhz_per_us, nepers=sweep.nepers, wave=wave,
    )  # fmt: skip
    return HeardPulse(pulse=pulse, us=0.0, fresh=True, inside={KIND.name: sweep})


def is_swept(sweeps: Sequence[Compressed]) -> bool:
    """Whether a train of such pulses, whose samples were not kept, is one of sweeps."""
    return RadarDetector(band_hz=RATE)._inside([heard(one) for one in sweeps], KIND)


def test_a_pulse_is_explained_by_its_share_and_by_how_far_its_sweep_goes() -> None:
    assert heard(told()).explained(KIND)
    assert not heard(told(share=KIND.share_min - 0.01)).explained(KIND)
    assert not heard(told(mhz=KIND.sweep_mhz - 0.01)).explained(KIND)
    assert heard(told(mhz=-KIND.sweep_mhz - 0.01)).explained(KIND), "downwards as well"
    assert heard(Compressed(share=1.0, slope_mhz_per_us=0.2)).explained(KIND), "nothing was compressed"


def test_more_than_half_of_the_pulses_are_explained() -> None:
    good, bad = told(), told(share=0.1)
    assert is_swept([good, good, good, bad])
    assert not is_swept([good, good, bad, bad])
    assert not is_swept([good, bad])


def test_more_than_half_of_the_pulses_sweep_equally_fast() -> None:
    assert is_swept([told(), told(), told(), told(mhz=9.0)])
    assert not is_swept([told(), told(), told(mhz=9.0), told(mhz=14.0)])
    assert not is_swept([told(mhz=4.0), told(mhz=9.0)])


def test_one_pulse_is_no_train_of_sweeps() -> None:
    assert not is_swept([told()])
    assert not one_sweep([heard(told())], KIND, most=1)


def test_most_of_all_that_were_asked_hold_one_sweep() -> None:
    pulses = [heard(told()), heard(told())]
    assert one_sweep(pulses, KIND, most=3)
    assert not one_sweep(pulses, KIND, most=4)


def wave_of(samples: Cplx, *, under: NDArray[np.float32] | None = None) -> Wave:
    """A wave with its pulse BESIDE_US from the first sample."""
    first = round(BESIDE_US * RATE / 1e6)
    return Wave(
        iq=samples.astype(np.complex64), rate_hz=RATE, first=first, last=first + round(LONG_US * RATE / 1e6),
        under=np.zeros(0, np.float32) if under is None else under,
    )  # fmt: skip


def put_in(samples: Cplx, sweep: Compressed, *, strength: float = 1.0) -> Cplx:
    own = strength * swept_samples(sweep, RATE)
    samples[round(BESIDE_US * RATE / 1e6) :][: len(own)] += own
    return samples


def silence() -> Cplx:
    return np.zeros(round((LONG_US + 2 * BESIDE_US) * RATE / 1e6), np.complex128)


def over_noise(seed: int, sweep: Compressed, *, strength: float = 3.0) -> Wave:
    noise = unit_noise(np.random.default_rng(seed), len(silence()))
    return wave_of(put_in(noise, sweep, strength=strength))


def as_swept(wave: Wave, sweep: Compressed) -> Swept:
    found = swept_pulse(wave, sweep)
    assert found is not None
    return found


def test_samples_of_a_sweep_are_of_power_one_and_move_as_far_as_it_says() -> None:
    samples = swept_samples(told(mhz=4.0, tone_hz=1e6), RATE)
    assert len(samples) == round(LONG_US * RATE / 1e6)
    assert np.abs(samples) == pytest.approx(1.0)
    at_hz = np.diff(np.unwrap(np.angle(samples))) * RATE / (2 * np.pi)
    assert (at_hz[0], at_hz[-1]) == (pytest.approx(-1e6, abs=2e4), pytest.approx(3e6, abs=2e4))


def test_a_bent_sweep_goes_slower_in_its_middle() -> None:
    straight, bent = (
        np.diff(np.unwrap(np.angle(swept_samples(told(bend=bend), RATE)))) * RATE / (2 * np.pi) for bend in (0.0, 0.55)
    )
    assert (bent[0], bent[-1]) == (pytest.approx(straight[0], abs=3e4), pytest.approx(straight[-1], abs=3e4))
    quarter = len(bent) // 4
    assert abs(bent[quarter]) < 0.8 * abs(straight[quarter])


def test_without_samples_or_a_sweep_there_is_nothing_to_compare() -> None:
    assert swept_pulse(None, told()) is None
    assert swept_pulse(wave_of(silence()), NOTHING) is None
    assert swept_pulse(wave_of(silence()), told()) is not None


def test_a_pulse_that_tells_its_sweep_badly_is_held_to_the_other_ones() -> None:
    whole, cut = told(), told(mhz=9.0)
    a, b = as_swept(over_noise(1, whole), whole), as_swept(over_noise(2, whole), cut)
    assert hold_one_sweep(a, b)
    assert hold_one_sweep(b, a)
    other = as_swept(over_noise(3, cut), cut)
    assert not hold_one_sweep(a, other)


def test_what_is_steadily_strong_beside_the_sweeps_does_not_make_two_of_them_alike() -> None:
    """A carrier lies where each of the sweeps ends: it has most of the energy that either of them explains."""
    straight, bent = told(mhz=4.0), told(mhz=9.0)
    under = np.where(np.arange(64) == 32 + 5, 900.0, 1.0).astype(np.float32)
    carrier = 20 * np.exp(2j * np.pi * 5 / 64 * np.arange(len(silence())))
    a, b = (
        as_swept(
            wave_of(
                put_in(unit_noise(np.random.default_rng(seed), len(silence())) + carrier, one, strength=3.0),
                under=under,
            ),
            one,
        )
        for seed, one in ((4, straight), (5, bent))
    )
    assert not hold_one_sweep(a, b)


def test_a_sweep_leaves_nothing_in_its_place_but_what_it_lies_over() -> None:
    left, beside = left_of_traffic(as_swept(wave_of(put_in(silence(), told(), strength=5.0)), told()))
    assert left == pytest.approx(0.0, abs=0.5)
    assert beside == pytest.approx(0.0, abs=0.1)


def test_only_what_lies_in_a_sweeps_band_is_measured() -> None:
    """A carrier 8 MHz off that stops where the pulse begins is none of its traffic."""
    sweep, samples = told(), silence() + unit_noise(np.random.default_rng(6), len(silence()))
    off = 20 * np.exp(2j * np.pi * 8e6 / RATE * np.arange(len(samples)))
    within = slice(round((BESIDE_US - 1) * RATE / 1e6), round((BESIDE_US + LONG_US + 1) * RATE / 1e6))
    off[within] = 0
    left, beside = left_of_traffic(as_swept(wave_of(put_in(samples + off, sweep, strength=3.0)), sweep))
    assert left > 0.5 * beside


def test_a_sweep_at_the_edge_of_the_received_band_is_measured_on_both_its_sides() -> None:
    sweep = told(tone_hz=9.5e6)
    left, _ = left_of_traffic(as_swept(wave_of(put_in(silence(), sweep)), sweep))
    assert left < 0.1


@pytest.mark.parametrize("before", [True, False])
def test_traffic_on_one_side_of_a_pulse_counts_in_full(before: bool) -> None:
    sweep, samples = told(), silence()
    middle = round((BESIDE_US + LONG_US / 2) * RATE / 1e6)
    side = slice(0, middle) if before else slice(middle, None)
    samples[side] = 4 * unit_noise(np.random.default_rng(7), len(samples))[side]
    _, beside = left_of_traffic(as_swept(wave_of(put_in(samples, sweep, strength=30.0)), sweep))
    assert beside > 1.0


def test_a_pulse_that_fills_its_samples_has_nothing_beside_it() -> None:
    own = swept_samples(told(), RATE)
    wave = Wave(iq=own.astype(np.complex64), rate_hz=RATE, first=0, last=len(own), under=np.zeros(0, np.float32))
    assert left_of_traffic(as_swept(wave, told()))[1] == 0.0


def test_pulses_over_no_traffic_are_not_held_to_what_is_beside_them() -> None:
    """What follows a pulse at once, such as the next one of a burst, is no traffic that it lies over."""
    samples = put_in(silence(), told(), strength=3.0)
    after = round((BESIDE_US + LONG_US + 3) * RATE / 1e6)
    samples[after:] += 20 * unit_noise(np.random.default_rng(8), len(samples))[after:]
    flat = wave_of(samples, under=np.ones(16, np.float32))
    busy = wave_of(samples, under=np.where(np.abs(np.arange(16) - 8) <= 2, 16.0, 1.0).astype(np.float32))
    assert one_sweep([heard(told(), flat), heard(told(), flat)], KIND, most=2)
    assert not one_sweep([heard(told(), busy), heard(told(), busy)], KIND, most=2)


def test_the_edges_of_a_pulse_are_no_traffic_beside_it() -> None:
    """A pulse lasts a little longer than the part of it that was compressed."""
    samples, strength = silence(), 30.0
    first, last = (round(us * RATE / 1e6) for us in (BESIDE_US, BESIDE_US + LONG_US))
    edge = round(1.2 * RATE / 1e6)
    samples[first - edge : first] = strength * np.exp(-2j * np.pi * 1.9e6 / RATE * np.arange(edge))
    samples[last : last + edge] = strength * np.exp(2j * np.pi * 1.9e6 / RATE * np.arange(edge))
    _, beside = left_of_traffic(as_swept(wave_of(put_in(samples, told(), strength=strength)), told()))
    assert beside < 0.02 * strength**2
