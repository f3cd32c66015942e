"""Sweeps of Q3N#2 under traffic: one that is found tells of the others, and the end of one of the rest of it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.bench.impostors import IMPOSTORS, codes, impostor
from agent.bench.radartrial import Beside, radar_found
from sensing.detectors.intrapulse import Compressed, Wave, swept
from sensing.detectors.likesweeps import LIKE, KnownSweep, like_sweeps
from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import RadarDetector, Stretch
from sim.waveforms.radar import RadarClassName

pytestmark = pytest.mark.feature("E3")
RATE = 30_720_000
OUTSIDE, EVIDENCE, FELLOWS = (15, 24, 48, 65, 69, 138), (22, 34, 45), (2, 9, 90, 105, 164)
"""Bursts that hide in one way: half outside the channel; found, but not surely; one pulse of them found."""


def _burst(seed: int, beside: Beside, which: int) -> np.random.Generator:
    kind = list(RadarClassName).index(RadarClassName.Q3N2)
    return np.random.default_rng([seed, kind, list(Beside).index(beside), which])


def _noise(rng: np.random.Generator, samples: int) -> NDArray[np.complex64]:
    return (rng.standard_normal(2 * samples, dtype=np.float32) * np.float32(np.sqrt(0.5))).view(np.complex64)


def _sweep(*, length_us: float, slope_mhz_per_us: float, centre_hz: float) -> NDArray[np.complex128]:
    n = round(length_us * RATE / 1e6)
    t = (np.arange(n) - (n - 1) / 2) / RATE
    return np.exp(2j * np.pi * (centre_hz * t + slope_mhz_per_us * 1e12 * t**2 / 2))


@pytest.mark.parametrize(
    ("seed", "which"),
    [(11, one) for one in (*OUTSIDE[:3], *EVIDENCE)] + [(12, one) for one in (*OUTSIDE[3:], *FELLOWS)],
)
def test_a_burst_that_hid_in_traffic_that_never_stops_is_heard(seed: int, which: int) -> None:
    rng = _burst(seed, Beside.ALWAYS_ON, which)
    assert radar_found(rng, RadarClassName.Q3N2, snr_db=20, beside=Beside.ALWAYS_ON)


@pytest.mark.parametrize("which", [19, 37, 51, 52])
def test_a_burst_whose_pulses_meet_traffic_on_and_off_is_heard(which: int) -> None:
    """Strays of the traffic's edges, levels 9 dB apart by their strongest cells, a slope that was told badly."""
    rng = _burst(11, Beside.TDD, which)
    assert radar_found(rng, RadarClassName.Q3N2, snr_db=20, beside=Beside.TDD)


@pytest.mark.parametrize("beside", [Beside.ALWAYS_ON, Beside.TDD], ids=lambda one: one.name)
def test_traffic_alone_is_no_radar(beside: Beside) -> None:
    rng = np.random.default_rng(21)
    assert not any(radar_found(rng, RadarClassName.Q3N2, snr_db=-40, beside=beside) for _ in range(12))


def test_weak_packets_over_nothing_are_judged_as_strictly_as_before() -> None:
    """Sums in phase, slopes with more room and fewer strays made two of these a sweep."""
    name, rate = "BLE, short packets", 10_000_000
    seed = 11 + 1000 * list(IMPOSTORS).index(name) + 114
    iq = codes(impostor(np.random.default_rng([seed, 0]), name, rate_hz=rate, seconds=0.4, snr_db=2))
    finder, detector = PulseFinder(sample_rate_hz=rate, full_scale=2048), RadarDetector(band_hz=rate)
    step = rate // 50
    for start in range(0, len(iq), step):
        pulses = finder.find(iq[start : start + step], contiguous=start > 0)
        at_ns = round(start / rate * 1e9)
        seen = Stretch(pulses=pulses, start_ns=at_ns, length_ns=20_000_000, contiguous=start > 0)
        assert not detector.decide(seen).incumbents


def test_pulses_like_one_that_is_known_are_found_where_they_are_and_nowhere_else() -> None:
    rng = np.random.default_rng(3)
    iq = _noise(rng, RATE // 200)
    one = _sweep(length_us=15, slope_mhz_per_us=0.3, centre_hz=2e6)
    for at_us, amplitude in ((1000, 0.4), (1800, 0.4), (2600, 0.56)):
        at = round(at_us * RATE / 1e6)
        iq[at : at + len(one)] += amplitude * one.astype(np.complex64)
    inside = Compressed(share=0.8, slope_mhz_per_us=0.3, tone_hz=2e6, length_us=15)
    sweep = KnownSweep(time_us=1007.0, inside=inside, under=np.zeros(0, np.float32))
    found = sorted(like_sweeps(sweep, iq, rate_hz=RATE, from_us=0.0)[1], key=lambda one: one.time_us)
    assert [one.time_us for one in found] == pytest.approx([1807, 2607], abs=0.6)
    assert [one.stronger_db for one in found] == pytest.approx([0, 3], abs=1.5)
    assert all(LIKE < one.nepers < 200 for one in found)
    assert like_sweeps(sweep, _noise(rng, RATE // 200), rate_hz=RATE, from_us=0.0)[1] == []


def test_a_sweeps_own_level_is_told_whatever_it_lies_over() -> None:
    rng = np.random.default_rng(4)
    beside = round(25 * RATE / 1e6)
    one = np.pad(_sweep(length_us=14, slope_mhz_per_us=0.35, centre_hz=0.0), beside)
    levels = []
    for over in (1.0, 3.0):
        iq = (one + over * _noise(rng, len(one))).astype(np.complex64)
        wave = Wave(iq=iq, rate_hz=RATE, first=beside, last=len(one) - beside, under=np.zeros(0, np.float32))
        told = swept(wave, centre_hz=0.0, slope_mhz_per_us=0.33, width_hz=5e6)
        levels.append(told.level_db)
        assert told.nepers == pytest.approx(14 * RATE / 1e6 / over**2, rel=0.35)
    assert levels == pytest.approx([0, 0], abs=1.5)


@pytest.mark.parametrize("seed", range(6))
def test_a_click_beside_a_busy_channel_stays_a_click(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = RATE // 100
    spectrum = np.fft.fft(_noise(rng, samples))
    busy = np.abs(np.fft.fftfreq(samples, 1 / RATE)) < 4.5e6
    iq = np.fft.ifft(spectrum * busy).astype(np.complex64) * np.float32(4) + _noise(rng, samples)
    at = round(5e-3 * RATE)
    length = round(1.5e-6 * RATE)
    iq[at : at + length] += 2 * np.exp(2j * np.pi * 5.7e6 / RATE * np.arange(length)).astype(np.complex64)
    codes = np.rint(10 * iq.view(np.float32)).astype(np.int16).reshape(-1, 2)
    heard = [p for p in PulseFinder(sample_rate_hz=RATE, full_scale=2048).find(codes) if abs(p.time_us - 5001) < 12]
    assert heard
    assert all(p.duration_us < 5 for p in heard)
