"""Pulses at no interval in a node's short looks: sparks are no radar, and one whose beam sweeps past is told of."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.bench.impostors import FULL_SCALE, codes, unit_noise
from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import RadarDetector, Stretch
from sensing.detectors.radarclasses import CLASSES
from sensing.detectors.recurrence import FORGET_NS, LEVEL_DB, NEAR_HZ
from sensing.detectors.scattered import LONE_MIN, Scattered
from sensing.detectors.trains import HeardPulse

pytestmark = pytest.mark.feature("E3")
RATE_HZ, LOOK, EVERY_NS = 10_000_000, 22_500, 20_000_000
AMPLITUDE = np.float32(np.sqrt(10**2.0 * 1e6 / RATE_HZ))
P0N1, P0N2 = (next(one for one in CLASSES if one.name == name) for name in ("P0N#1", "P0N#2"))


def heard(at_us: float = 0.0, *, low_hz: float = 0.0, snr_db: float = 20.0) -> HeardPulse:
    pulse = SimpleNamespace(low_hz=low_hz, high_hz=low_hz + 1e6, snr_db=snr_db)
    return cast("HeardPulse", SimpleNamespace(us=at_us, pulse=pulse))


def remembering(lone: int, trains: int = 0, **like: float) -> Scattered:
    made = Scattered()
    for _ in range(trains):
        made.train(P0N1, 0, [heard(), heard(1000.0)])
    for _ in range(lone):
        made.lone(P0N1, 0, [heard(**like)])
    return made


@pytest.mark.parametrize(
    ("made", "at_ns", "scattered"),
    [
        (remembering(LONE_MIN), 1, True),
        (remembering(LONE_MIN - 1), 1, False),
        (remembering(LONE_MIN + 1, trains=3), 1, False),
        (remembering(LONE_MIN + 2, trains=3), 1, True),
        (remembering(LONE_MIN), FORGET_NS, False),
        (remembering(LONE_MIN, low_hz=NEAR_HZ + 1), 1, False),
        (remembering(LONE_MIN, snr_db=20 + LEVEL_DB + 0.1), 1, False),
    ],
    ids=["lone ones", "fewer", "as many trains", "fewer trains", "long ago", "elsewhere", "of another level"],
)
def test_a_few_pulses_are_of_many_where_lone_ones_like_them_come_more_often(
    made: Scattered, at_ns: int, scattered: bool
) -> None:
    assert made.train(P0N1, at_ns, [heard(), heard(1000.0)]) is scattered


def test_lone_pulses_of_one_class_say_nothing_of_another() -> None:
    assert remembering(LONE_MIN).train(P0N2, 1, [heard(), heard(1000.0)]) is False


def sparks(rng: np.random.Generator, *, a_second: float) -> NDArray[np.complex64]:
    """Pulses of a microsecond that come independently of each other, in one look."""
    z, at = np.zeros(LOOK, np.float32), 0.0
    while (at := at + 40e-6 * RATE_HZ + rng.exponential(RATE_HZ / a_second)) < LOOK - 10:
        z[int(at) : int(at) + 10] = AMPLITUDE
    return z * np.exp(0.1j * np.pi * np.arange(LOOK)).astype(np.complex64)


def listened(looks: list[NDArray[np.complex64]], rng: np.random.Generator) -> set[int]:
    """In which looks a radar was told of."""
    finder, detector = PulseFinder(sample_rate_hz=RATE_HZ, full_scale=FULL_SCALE), RadarDetector(band_hz=RATE_HZ)
    told: set[int] = set()
    for number, z in enumerate(looks):
        pulses = finder.find(codes(z + unit_noise(rng, LOOK)))
        seen = Stretch(pulses=pulses, start_ns=number * EVERY_NS, length_ns=LOOK * 100)
        told |= {number} if detector.decide(seen).incumbents else set()
    return told


def test_sparks_are_no_radar() -> None:
    """Three in ten looks hold one of them; a pair at the interval of P0N#1 comes about once a second."""
    told = {}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        looks = [sparks(rng, a_second=300.0) for _ in range(100)]
        told[seed] = listened(looks, rng)
    assert sum(map(bool, told.values())) == 0, told


def test_a_radar_whose_beam_sweeps_past_is_told_of_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    looks = [np.zeros(LOOK, np.complex64) for _ in range(500)]
    swept = range(30, 500, 40)
    for number in swept:  # a burst of 30 ms or so: two looks, and now and then the edge of a third
        first = rng.uniform(-0.03, 0.0) * RATE_HZ
        for n in (number, number + 1):
            for pulse in range(30):
                at = int(first + pulse * 1e-3 * RATE_HZ - (n - number) * 0.02 * RATE_HZ)
                if 0 <= at < LOOK - 10:
                    looks[n][at : at + 10] = AMPLITUDE
    with_memory = listened(looks, np.random.default_rng(6))
    monkeypatch.setattr(Scattered, "train", lambda *_: False)
    assert with_memory == listened(looks, np.random.default_rng(6))
    assert len({number // 40 for number in with_memory}) >= len(swept) - 3


@pytest.mark.parametrize("pri_us", [1700, 1900])
def test_a_radar_with_sweeps_is_told_of_though_most_looks_hold_one_pulse_of_it(
    pri_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look of 2.25 ms holds two pulses of such a burst now and then, and one of them else: they are no sparks."""
    rng, looks, length = np.random.default_rng(0), dict[int, NDArray[np.complex64]](), RATE_HZ * 20 // 1_000_000
    t_us = (np.arange(length) - length / 2) / RATE_HZ * 1e6
    sweep = (AMPLITUDE * np.exp(1j * np.pi * 0.15 * t_us**2)).astype(np.complex64)  # 3 MHz in 20 us
    for begin in range(0, 1000, 40):  # a beam that comes round every 0.8 s: eight pulses each time
        first = int(rng.uniform(0, 0.02) * RATE_HZ)
        for pulse in range(8):
            number, at = divmod(first + pulse * pri_us * RATE_HZ // 1_000_000, RATE_HZ // 50)
            if at < LOOK - length:
                looks.setdefault(begin + number, np.zeros(LOOK, np.complex64))[at : at + length] = sweep
    with_memory = listened(list(looks.values()), np.random.default_rng(1))
    monkeypatch.setattr(Scattered, "train", lambda *_: False)
    assert with_memory == listened(list(looks.values()), np.random.default_rng(1))
    assert with_memory


@pytest.mark.parametrize(
    ("contiguous", "pulses", "told"), [(True, 2, True), (False, 18, True), (False, 2, False)],
    ids=["without a gap", "many in one look", "a pair in one look"],
)  # fmt: skip
def test_only_a_few_pulses_in_a_look_by_itself_are_asked_for_lone_ones(
    contiguous: bool, pulses: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scattered, "train", lambda *_: True)
    rng, length = np.random.default_rng(7), pulses * RATE_HZ // 1000 + 2000
    finder, detector = PulseFinder(sample_rate_hz=RATE_HZ, full_scale=FULL_SCALE), RadarDetector(band_hz=RATE_HZ)
    z = np.zeros(length, np.complex64)
    for pulse in range(pulses):
        z[1000 + pulse * RATE_HZ // 1000 :][:10] = AMPLITUDE
    found = finder.find(codes(z + unit_noise(rng, length)))
    seen = Stretch(pulses=found, start_ns=0, length_ns=length * 100, contiguous=contiguous)
    assert bool(detector.decide(seen).incumbents) is told
