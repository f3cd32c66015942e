"""A train of sweeps is a radar's if all its pulses hold one sweep, which goes far enough and stands on its traffic."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.bench.impostors import IMPOSTORS, codes, impostor, survey_for, unit_noise
from sensing.detectors.intrapulse import Wave, bent_phase, swept
from sensing.detectors.pulse import Pulse
from sensing.detectors.radar import RadarDetector, Stretch
from sensing.detectors.sweepchecks import LEFT_MIN, hold_one_sweep, left_of_traffic, swept_pulse
from tests.sensing import lightcell as cell
from tests.sensing.degraded import degraded

pytestmark = pytest.mark.feature("E3")
RATE = 20_000_000
LONG_US, BESIDE_US = 15.0, 25.0
QUIET, BUSY = 1.0, 16.0
Cplx = NDArray[np.complexfloating]


def _sweep(mhz: float, bend: float = 0.0) -> Cplx:
    n = round(LONG_US * RATE / 1e6)
    u = np.linspace(-1, 1, n)
    return np.exp(2j * np.pi * mhz * LONG_US / 4 * bent_phase(u, bend))


def _traffic(rng: np.random.Generator, samples: int, *, over: float) -> Cplx:
    """Noise of unit power, and traffic `over` times as strong in the middle quarter of the band."""
    spectrum = np.fft.fft(unit_noise(rng, samples))
    busy = np.abs(np.fft.fftfreq(samples)) < 1 / 8
    return unit_noise(rng, samples) + np.fft.ifft(spectrum * busy) * np.sqrt(over)


def _pulse(z: Cplx, at_us: float, mhz: float, *, under: NDArray[np.float32]) -> Pulse:
    first = round(BESIDE_US * RATE / 1e6)
    last = first + round(LONG_US * RATE / 1e6)
    wave = Wave(iq=z.astype(np.complex64), rate_hz=RATE, first=first, last=last, under=under)
    half = mhz / 2 * 1e6
    return Pulse(
        time_us=at_us, duration_us=LONG_US, low_hz=min(-half, -0.5e6), high_hz=max(half, 0.5e6), peak_hz=0.0,
        instant_hz=1e6, snr_db=15.0, slope_mhz_per_us=max(mhz, 0.4) / LONG_US, nepers=60.0, wave=wave,
    )  # fmt: skip


def _radars(*pulses: Pulse) -> list[str]:
    seen = Stretch(pulses=pulses, start_ns=0, length_ns=4_000_000)
    return [one.kind for one in RadarDetector(band_hz=RATE).decide(seen).incumbents]


def _over_noise(rng: np.random.Generator, sweep: Cplx) -> Cplx:
    z = unit_noise(rng, len(sweep) + 2 * round(BESIDE_US * RATE / 1e6))
    z[round(BESIDE_US * RATE / 1e6) :][: len(sweep)] += 2 * sweep
    return z


NO_TRAFFIC = np.ones(16, np.float32)
TRAFFIC = np.where(np.abs(np.arange(16) - 8) <= 2, BUSY, QUIET).astype(np.float32)


def test_two_pulses_with_one_sweep_are_a_radar_and_with_two_sweeps_are_none() -> None:
    rng = np.random.default_rng(1)
    straight, bent = (
        [_pulse(_over_noise(rng, _sweep(4, bend)), at, 4, under=NO_TRAFFIC) for at in (500.0, 1500.0)]
        for bend in (0.0, 0.55)
    )
    assert _radars(*straight) == ["Q3N#2"]
    assert _radars(*bent) == ["Q3N#2"]
    assert _radars(straight[0], bent[1]) == []


@pytest.mark.parametrize(("mhz", "held"), [(0.0, False), (0.5, False), (1.2, True)])
def test_what_hardly_moves_is_a_carrier_and_no_sweep(mhz: float, held: bool) -> None:
    rng = np.random.default_rng(2)
    pulses = [_pulse(_over_noise(rng, _sweep(mhz)), at, mhz, under=NO_TRAFFIC) for at in (500.0, 1500.0)]
    assert bool(_radars(*pulses)) is held


def _on_traffic(rng: np.random.Generator, amplitude: float = 4.0) -> Cplx:
    z = _traffic(rng, round((LONG_US + 2 * BESIDE_US) * RATE / 1e6), over=BUSY)
    z[round(BESIDE_US * RATE / 1e6) :][: round(LONG_US * RATE / 1e6)] += amplitude * _sweep(4)
    return z


def _instead_of_traffic(rng: np.random.Generator) -> Cplx:
    z = _traffic(rng, round((LONG_US + 2 * BESIDE_US) * RATE / 1e6), over=BUSY)
    within = slice(round(BESIDE_US * RATE / 1e6), round((BESIDE_US + LONG_US) * RATE / 1e6))
    z[within] = unit_noise(rng, round(LONG_US * RATE / 1e6)) + 4 * _sweep(4)
    return z


@pytest.mark.parametrize(("make", "held"), [(_on_traffic, True), (_instead_of_traffic, False)])
def test_a_sweep_that_stands_in_the_place_of_traffic_is_a_reference_symbol(
    make: Callable[[np.random.Generator], Cplx], held: bool
) -> None:
    rng = np.random.default_rng(3)
    pulses = [_pulse(make(rng), at, 4, under=TRAFFIC) for at in (500.0, 1500.0)]
    assert bool(_radars(*pulses)) is held
    for one in pulses:
        assert one.wave is not None
        inside = swept(one.wave, centre_hz=0.0, slope_mhz_per_us=4 / LONG_US, width_hz=4e6)
        told = swept_pulse(one.wave, inside)
        assert told is not None
        assert hold_one_sweep(told, told)
        left, beside = left_of_traffic(told)
        assert (left > LEFT_MIN * beside) is held


def _side_by_side(rng: np.random.Generator, *, sweeps: int) -> Cplx:
    """Sweeps of 4 MHz at once, 4 MHz from one to the next."""
    n = round(LONG_US * RATE / 1e6)
    turns = 4e6 / RATE * np.arange(n)
    return _over_noise(rng, np.sum([_sweep(4) * np.exp(2j * np.pi * turns * one) for one in range(sweeps)], axis=0))


@pytest.mark.parametrize(("sweeps", "held"), [(1, True), (2, False), (3, False)])
def test_sweeps_side_by_side_are_a_reference_symbol(sweeps: int, held: bool) -> None:
    """A Zadoff-Chu sequence of root 3 is three sweeps at once, each a third of its band from the next."""
    rng = np.random.default_rng(4)
    pulses = [_pulse(_side_by_side(rng, sweeps=sweeps), at, 4, under=NO_TRAFFIC) for at in (500.0, 1500.0)]
    assert bool(_radars(*pulses)) is held


def test_each_of_two_sweeps_stands_on_its_traffic() -> None:
    """What is left of one may not be counted for the other: its neighbours' data may be louder than both."""
    rng = np.random.default_rng(3)
    on = _pulse(_on_traffic(rng), 500.0, 4, under=TRAFFIC)
    instead = _pulse(_instead_of_traffic(rng), 1500.0, 4, under=TRAFFIC)
    third = _pulse(_on_traffic(rng), 2500.0, 4, under=TRAFFIC)
    assert _radars(on, instead) == []
    assert _radars(on, instead, third) == ["Q3N#2"]


@pytest.mark.parametrize(("amplitude", "held"), [(4.0, True), (1.0, False)])
@pytest.mark.parametrize("seed", [2, 4])
def test_two_weak_sweeps_over_traffic_are_chance(seed: int, amplitude: float, held: bool) -> None:
    """Of some 500,000 sweeps that are tried some explain the traffic alone as well."""
    rng = np.random.default_rng(seed)
    pulses = [_pulse(_on_traffic(rng, amplitude), at, 4, under=TRAFFIC) for at in (500.0, 1500.0)]
    assert bool(_radars(*pulses)) is held


DRAWN = (28, 77, 92, 96)


@pytest.mark.parametrize("seed", DRAWN)
def test_a_cell_with_little_to_do_is_no_radar_through_a_poor_receiver(seed: int) -> None:
    """Draws that were a Q3N#2 of two pulses."""
    rng = np.random.default_rng(seed)
    rate = int(rng.choice([7_680_000, 10_000_000, 15_360_000]))
    signal = cell.generate(
        rng, sample_rate_hz=rate, samples=rate // 10, mu=int(rng.integers(0, 3)),
        blocks=int(rng.choice([6, 11, 24, 51])), load=float(rng.choice([0.05, 0.2, 0.5])),
        pattern=str(rng.choice(["DDDSU", "DSUUU", "DDSUU", "DDDDDDDDSU"])),
    )  # fmt: skip
    iq = degraded(rng, signal, rate_hz=rate, density_db=rng.uniform(0, 25))
    assert _surveyed(iq, rate) == []


@pytest.mark.parametrize("which", [0, 2, 8])
def test_keyed_carriers_near_the_noise_are_no_radar(which: int) -> None:
    """Draws of which two elements of 50 us, cut by noise, were a sweep of 0.2 MHz each: a Q3N#2."""
    name, rate = "on-off keying, 50 us", 10_000_000
    seed = 7 * which + 125 + 1000 * list(IMPOSTORS).index(name)
    z = impostor(np.random.default_rng([seed, 0]), name, rate_hz=rate, seconds=0.4, snr_db=2)
    assert _surveyed(codes(z), rate) == []


def _surveyed(iq: NDArray[np.int16], rate: int) -> list[str]:
    survey, step = survey_for(rate), rate // 50
    for start in range(0, len(iq), step):
        survey.feed(iq[start : start + step], start_ns=round(start / rate * 1e9))
    return [one.kind for one in survey.report(round(len(iq) / rate * 1e9)).incumbents]
