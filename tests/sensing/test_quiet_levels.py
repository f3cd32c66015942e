"""What the compiled loops of the floor and of the raw samples find is what plain NumPy, written out, finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensing.samples import PROBE_SAMPLES, inspect
from sensing.specials import gammainccinv
from sensing.theory import truncated_mean
from sensing.tracker import CUT_PFA, START_SHARE, STEPS_MAX, QuietLevels

pytestmark = pytest.mark.feature("S1")
SHAPES = np.array([4.0, 9.0, 30.0, 90.0])


def plainly(blocks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Level, number and relative variance of the quiet blocks, by the whole array at every step."""
    cuts = np.array([gammainccinv(k, CUT_PFA) / k for k in SHAPES])
    bias = np.array([truncated_mean(shape=k, threshold=c) for k, c in zip(SHAPES, cuts, strict=True)])
    ordered, columns = np.sort(blocks, axis=0), np.arange(len(SHAPES))
    sums, squares = ordered.cumsum(axis=0), (ordered**2).cumsum(axis=0)
    count = np.full(len(SHAPES), max(1, int(START_SHARE * len(blocks))))
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
