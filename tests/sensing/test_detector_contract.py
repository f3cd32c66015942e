"""One contract, every detector: its rate in noise, inputs left alone, nothing and no numbers to decide on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sensing.detectors.channel import ChannelCells
from sensing.detectors.decision import Cells, Decision, Detector
from sensing.detectors.energy import EnergyDetector
from sensing.detectors.pulses import PulseFinder
from sensing.detectors.radar import CLASSES, RadarDetector, Stretch
from sensing.detectors.registry import DECIDERS

PFA = 1e-2
RATE = 10_000_000
LOOK = 200_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """How one detector is made and fed.

    `noise` gives so many decisions' worth of input, `arrays` lists what of it the detector may not change, `spoil` puts
    a value that is no number into the first cell. `share` is how far below design the rate may lie and how far above.
    """

    make: Callable[[], Detector[Any]]
    noise: Callable[[np.random.Generator, int], Any]
    arrays: Callable[[Any], list[NDArray[Any]]]
    spoil: Callable[[Any], Any]
    short: Any
    trials: int
    share: tuple[float, float] = (1.0, 1.0)


def cells(rng: np.random.Generator, trials: int, *, averages: int) -> Cells:
    return Cells(
        power=rng.gamma(averages, 1 / averages, (trials, 8)), reference=rng.gamma(averages, 1 / averages, (trials, 32))
    )


def channel_cells(rng: np.random.Generator, trials: int) -> ChannelCells:
    known = np.full(8, 16.0 * 400)
    return ChannelCells(
        power=rng.gamma(16, 1 / 16, (trials, 8)), floor=rng.gamma(known, 1 / known), bins=np.ones(8),
        shapes=np.full(8, 16.0), reference=known, least=np.ones(8),
    )  # fmt: skip


def stretch(rng: np.random.Generator, looks: int) -> Stretch:
    finder = PulseFinder(sample_rate_hz=RATE, full_scale=2048)
    iq = np.rint(rng.standard_normal((looks * LOOK, 2)) * 10).astype(np.int16)
    return Stretch(pulses=finder.find(iq), start_ns=0, length_ns=round(len(iq) / RATE * 1e9))


def spoilt(values: NDArray[Any]) -> NDArray[Any]:
    changed = values.copy()
    changed.flat[0] = np.nan
    return changed


def spoilt_pulses(seen: Stretch) -> Stretch:
    first, *rest = seen.pulses
    return replace(seen, pulses=(replace(first, snr_db=float("nan"), time_us=float("nan")), *rest))


OF_CELLS = {
    "arrays": lambda seen: [seen.power, seen.reference],
    "spoil": lambda seen: replace(seen, power=spoilt(seen.power)),
}
NO_CELLS = Cells(power=np.zeros((0, 8)), reference=np.zeros((0, 32)))

CASES = {
    "energy": Case(
        make=lambda: EnergyDetector(averages=16, pfa=PFA),
        noise=partial(cells, averages=16), short=NO_CELLS, trials=50_000, **OF_CELLS,
    ),
    **{
        name: Case(
        make=partial(decider, pfa=PFA),
        noise=channel_cells, short=replace(channel_cells(np.random.default_rng(0), 1), power=np.zeros((0, 8))),
        arrays=lambda seen: [seen.power, seen.floor],
        spoil=lambda seen: replace(seen, power=spoilt(seen.power)), trials=50_000, share=(0.8, 1.0),
        )
        for name, decider in DECIDERS.items()
    },
    "radar": Case(
        make=lambda: RadarDetector(band_hz=RATE),
        noise=stretch, short=Stretch(pulses=(), start_ns=0, length_ns=0), arrays=lambda seen: [], spoil=spoilt_pulses,
        trials=20, share=(0.0, 1.0),
    ),
}  # fmt: skip

every_detector = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def fired(decision: Decision, case: Case) -> int:
    """Cells over their threshold; of a change detector, only those that said something appeared."""
    found = getattr(decision, "found", None)
    return int(decision.present.sum()) if found is None else sum(one.change.value == "appeared" for one in found)


@pytest.mark.feature("E2")
@pytest.mark.feature("E3")
@every_detector
def test_in_noise_the_rate_is_the_one_it_was_designed_for(case: Case) -> None:
    decision = case.make().decide(case.noise(np.random.default_rng(9), case.trials))
    trials = decision.statistic.size
    lowest = stats.binom.ppf(0.0005, trials, case.share[0] * decision.pfa)
    highest = stats.binom.ppf(0.9995, trials, case.share[1] * decision.pfa)
    assert trials >= (len(CLASSES) if "incumbents" in dir(decision) else case.trials)
    assert lowest <= fired(decision, case) <= highest


@every_detector
def test_read_only_input_is_taken_and_left_as_it_was(case: Case) -> None:
    seen = case.noise(np.random.default_rng(1), 20)
    before = [one.copy() for one in case.arrays(seen)]
    for one in case.arrays(seen):
        one.flags.writeable = False
    decision = case.make().decide(seen)
    assert decision.statistic.shape == decision.threshold.shape == decision.present.shape
    assert decision.known.any()
    for one, other in zip(case.arrays(seen), before, strict=True):
        np.testing.assert_array_equal(one, other)


@every_detector
def test_nothing_and_too_little_are_decided_as_not_present(case: Case) -> None:
    decision = case.make().decide(case.short)
    assert not decision.present.any()
    assert 0 <= decision.pfa <= PFA


@every_detector
def test_what_is_no_number_is_unknown_and_spoils_nothing_else(case: Case) -> None:
    seen = case.noise(np.random.default_rng(3), 20)
    sound, spoiled = case.make().decide(seen), case.make().decide(case.spoil(seen))
    assert not spoiled.present.flat[0]
    if case.arrays(seen):
        assert not spoiled.known.flat[0]
    np.testing.assert_array_equal(spoiled.known.flat[1:], sound.known.flat[1:])
    np.testing.assert_array_equal(spoiled.present.flat[1:], sound.present.flat[1:])
