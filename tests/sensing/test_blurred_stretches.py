"""Weak pulses that only longer stretches find: the interval does not count the pauses between them as certain use."""

import numpy as np
import pytest

from tests.sensing.real import NOISE, noise, states, surveyed

pytestmark = pytest.mark.feature("E1")
RATE = 1e6


def weak_pulses(seed: int, *, level_db: float) -> tuple[np.ndarray, float]:
    """A carrier keyed on for 0.5 ms with pauses of 1 or 2 ms, in two messages; and the share of the time it is on."""
    rng, gate = np.random.default_rng(seed), np.zeros(300_000, np.float32)
    for start in (10_000, 95_000):
        at = start
        for pause in rng.integers(1, 3, 37):
            gate[at : at + 500] = 1
            at += 500 + 1000 * int(pause)
    carrier = np.exp(2j * np.pi * 0.13 * np.arange(len(gate))) * gate * NOISE * 10 ** (level_db / 20)
    return noise(rng, len(gate)) + carrier.astype(np.complex64), float(gate.mean())


@pytest.mark.parametrize("seed", range(6))
def test_the_pauses_of_weak_pulses_are_no_certain_use(seed: int) -> None:
    z, share = weak_pulses(seed, level_db=-5)
    _, report = surveyed(z, RATE)
    channel = report.channels[0]
    assert states(report) == ["busy"]
    assert 0.3 * share < channel.occupancy.low < share + 0.03
    assert channel.occupancy.high > share - 0.03


def test_a_weak_signal_that_stays_on_is_certain_use() -> None:
    rng = np.random.default_rng(9)
    z, on = noise(rng, 400_000), slice(100_000, 340_000)
    z[on] += noise(rng, 240_000, NOISE * 10 ** (-4 / 20))
    channel = surveyed(z, RATE, span=0.5)[1].channels[0]
    assert channel.occupancy.low > 0.35
