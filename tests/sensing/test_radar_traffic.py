"""Radars under traffic: an always-on or TDD signal 12 dB over the noise in their place, a neighbour 40 dB over it."""

import numpy as np
import pytest

from agent.bench.radartrial import Beside, radar_found
from sensing.detectors.pulses import PulseFinder
from sim.waveforms.radar import RadarClassName

pytestmark = pytest.mark.feature("E3")
EACH = 3


@pytest.mark.parametrize("beside", [Beside.TDD, Beside.ALWAYS_ON, Beside.NEIGHBOUR], ids=lambda one: one.name)
@pytest.mark.parametrize("radar_class", list(RadarClassName))
def test_is_found_at_twenty_decibels(radar_class: RadarClassName, beside: Beside) -> None:
    rng = np.random.default_rng(list(RadarClassName).index(radar_class))
    found = [radar_found(rng, radar_class, snr_db=20, beside=beside) for _ in range(EACH)]
    assert sum(bool(kinds) for kinds in found) >= EACH - 1


@pytest.mark.parametrize("radar_class", [RadarClassName.Q3N2, RadarClassName.Q3N3])
def test_a_bent_sweep_is_found(radar_class: RadarClassName) -> None:
    rng = np.random.default_rng(5)
    assert all(radar_found(rng, radar_class, snr_db=20, bend=0.4) for _ in range(2))


def test_two_radars_at_one_time_are_both_found() -> None:
    from agent.bench.radartrial import FULL_SCALE, RATE, coincident

    finder = PulseFinder(sample_rate_hz=RATE, full_scale=FULL_SCALE)
    pulses = finder.find(coincident(np.random.default_rng(8), offsets_hz=(-8e6, 6e6), snr_db=20))
    strong = [p for p in pulses if p.snr_db > 15]
    for at_hz in (-8e6, 6e6):
        assert sum(p.low_hz < at_hz < p.high_hz for p in strong) >= 15
