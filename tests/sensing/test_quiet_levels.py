"""What the compiled loops of the floor and of the raw samples find is what plain NumPy, written out, finds."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sensing.floorkernels import mark_channels, rises, teach
from sensing.samples import PROBE_SAMPLES, inspect
from sensing.specials import gammainccinv
from sensing.theory import truncated_mean
from sensing.tracker import CUT_PFA, START_AVERAGES, START_MOST, START_SHARE, STEPS_MAX, QuietLevels

pytestmark = pytest.mark.feature("S1")
SHAPES = np.array([4.0, 9.0, 30.0, 90.0])


def plainly(blocks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Level, number and relative variance of the quiet blocks, by the whole array at every step."""
    cuts = np.array([gammainccinv(k, CUT_PFA) / k for k in SHAPES])
    bias = np.array([truncated_mean(shape=k, threshold=c) for k, c in zip(SHAPES, cuts, strict=True)])
    ordered, columns = np.sort(blocks, axis=0), np.arange(len(SHAPES))
    sums, squares = ordered.cumsum(axis=0), (ordered**2).cumsum(axis=0)
    least, share = np.ceil(START_AVERAGES / SHAPES).astype(int), max(1, int(START_SHARE * len(blocks)))
    count = np.maximum(share, np.minimum(least, int(START_MOST * len(blocks))))
    level = sums[count - 1, columns] / count
    for _ in range(STEPS_MAX):
        grown = np.maximum(count, np.count_nonzero(ordered <= cuts * level, axis=0))
        level = sums[grown - 1, columns] / grown / bias
        if np.array_equal(grown, count):
            break
        count = grown
    mean = sums[count - 1, columns] / count
    return level, count, squares[count - 1, columns] / count / mean**2 - 1


@pytest.mark.parametrize("blocks", [1, 9, 22, 64])
@pytest.mark.parametrize("busy", [0.0, 0.3, 0.9])
def test_quiet_blocks_of_every_group(blocks: int, busy: float) -> None:
    rng = np.random.default_rng(blocks)
    power = rng.gamma(SHAPES, 1 / SHAPES, size=(blocks, len(SHAPES)))
    power[rng.random(power.shape) < busy] *= 5
    found, (level, count, spread) = QuietLevels(SHAPES)(power), plainly(power)
    assert found.level == pytest.approx(level)
    assert found.idle.tolist() == count.tolist()
    assert found.spread == pytest.approx(np.maximum(spread, 1e-9), abs=1e-12)


@pytest.mark.parametrize("length", [64, 1000, 3 * PROBE_SAMPLES + 7])
@pytest.mark.parametrize("kind", [np.int16, np.complex64])
def test_powers_and_kurtosis_of_raw_samples(length: int, kind: type) -> None:
    rng = np.random.default_rng(length)
    iq = rng.normal((30, -12), (200, 260), size=(length, 2)).astype(np.int16)
    given = iq if kind is np.int16 else iq.astype(np.float32).view(np.complex64)[:, 0]
    some = iq[:: max(1, length // PROBE_SAMPLES)][:PROBE_SAMPLES] / 2048
    i, q = (some - some.mean(axis=0)).T
    power = np.mean(i * i + q * q)
    found = inspect(given, full_scale=2048.0)
    assert found.power == pytest.approx(power)
    assert found.dc_power == pytest.approx((some.mean(axis=0) ** 2).sum())
    assert found.envelope_kurtosis == pytest.approx(np.mean((i * i + q * q) ** 2) / power**2)


def test_what_is_quieter_twice_or_alike_moves_the_floor_group_by_group() -> None:
    """Piece after piece at random: levels, numbers and spreads as plain masks over all groups have them."""
    rng, groups = np.random.default_rng(31), 60
    level, cells, spread = rng.gamma(9, 1 / 9, groups), rng.uniform(10, 7000, groups), rng.gamma(9, 1e-3, groups)
    plain, sank = [level.copy(), cells.copy(), spread.copy()], np.zeros(groups, np.bool_)
    before = sank.copy()
    lowered = averaged = 0
    for _ in range(20):
        seen, idle, wide = rng.gamma(9, 1 / 9, groups), rng.integers(2, 30, groups) * 1.0, rng.gamma(9, 1e-3, groups)
        shapes, risen = rng.uniform(5, 90, groups), rng.random(groups) < 0.2
        rise, limit = np.empty(groups), np.empty(groups)
        rises(seen, idle, level, cells, spread, shapes, 0.2, 0.35, 5.0, rise, limit)
        sd = np.sqrt((1 / idle + 1 / cells) * np.maximum(1 / shapes, spread))
        np.testing.assert_allclose(rise, 10 * np.log10(seen / level) - 0.2, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(limit, np.maximum(0.35, 5.0 * 4.343 * sd), rtol=1e-12)
        limit *= 0.3
        teach(level, cells, spread, sank, seen, idle, wide, rise, limit, risen, 8.0, 6400.0)
        sinks = (rise < -limit) & (idle >= 8.0)
        lower, alike = sinks & before, (np.abs(rise) <= limit) & ~risen
        before = sinks
        for one, value in zip(plain, (seen, idle, wide), strict=True):
            one[lower] = value[lower]
        known = np.minimum(plain[1][alike], 6400.0)
        total = known + idle[alike]
        plain[0][alike] = (plain[0][alike] * known + seen[alike] * idle[alike]) / total
        plain[2][alike] = (plain[2][alike] * known + wide[alike] * idle[alike]) / total
        plain[1][alike] = total
        for one, other in zip((level, cells, spread), plain, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        np.testing.assert_array_equal(sank, sinks)
        lowered, averaged = lowered + int(lower.sum()), averaged + int(alike.sum())
    assert lowered > 20
    assert averaged > 20


def test_a_channel_has_risen_where_the_mean_of_its_groups_has() -> None:
    rng = np.random.default_rng(32)
    members, starts = rng.permutation(40)[:30], np.array([0, 1, 5, 12, 30])
    marked = 0
    for _ in range(40):
        over, limit, found = rng.normal(0.1, 0.5, 40), rng.uniform(0.2, 2.0, 40), np.zeros(40, np.bool_)
        mark_channels(over, limit, members, starts, 0.25, found)
        expected = np.zeros(40, np.bool_)
        for first, last in pairwise(starts.tolist()):
            some = members[first:last]
            expected[some] = over[some].mean() > max(0.25, limit[some].mean() / np.sqrt(last - first))
        np.testing.assert_array_equal(found, expected)
        marked += int(found.sum())
    assert 0 < marked < 40 * 30
