"""The search for straight paths finds what summing each path by itself finds, and tells the same of it."""

import numpy as np
import pytest

from sensing.detectors.pathkernels import PATH, SHALLOW, STEEP_DELAYS, STRIDE, path_hits, steep_places
from sensing.detectors.pulsekernels import BLOCK

pytestmark = pytest.mark.feature("E4")


def shallow_sums(w: np.ndarray) -> np.ndarray:
    """Of one block (BLOCK, bins): the sum from every bin along every rise; cells beyond the band count as nothing."""
    bins = w.shape[1]
    padded = np.pad(w, ((0, 0), (BLOCK, BLOCK)))
    sums = []
    for rise in SHALLOW:
        rows = [padded[i, BLOCK + round(i * int(rise) / (BLOCK - 1)) :][:bins] for i in range(BLOCK)]
        sums.append(np.sum(rows, axis=0, dtype=np.float64))
    return np.array(sums)


def steep_sums(w: np.ndarray) -> np.ndarray:
    """Of two blocks (2 * BLOCK, bins): the sum over PATH bins from every group of PATH along every delay."""
    found = []
    for first in range(0, w.shape[1] - PATH * STRIDE + 1, PATH):
        for delay in STEEP_DELAYS:
            late = np.rint(np.arange(PATH) * abs(int(delay)) / (PATH - 1)).astype(int)
            at = first + STRIDE * (np.arange(PATH) if delay >= 0 else PATH - 1 - np.arange(PATH))
            found += [float(w[late + t, at].sum(dtype=np.float64)) for t in range(BLOCK)]
    return np.array(found)


@pytest.mark.parametrize("bins", [8, 16, 32, 64, 128])
@pytest.mark.parametrize("mean", [2.0, 2.6, 3.2])
def test_a_path_is_found_where_its_cells_sum_to_more_than_the_limit(bins: int, mean: float) -> None:
    rng = np.random.default_rng(bins)
    blocks = 60
    power = rng.exponential(1.0, (blocks * BLOCK, bins)).astype(np.float32)
    background = np.full((blocks, bins), np.float32(0.8))
    background[[0, 20, 21, 59]] = np.inf
    limit = np.float32(mean * PATH)
    hits, heights = np.empty((4096, 2), np.int64), np.empty(4096)
    count = path_hits(
        power, background, np.zeros(blocks, np.float32), np.float32(0.01), limit, SHALLOW, steep_places(STEEP_DELAYS),
        hits, heights,
    )  # fmt: skip
    expected: dict[int, list[float]] = {}
    for block in range(blocks - 1):
        if not np.isfinite(background[block : block + 2, 0]).all():
            continue
        cells = power[block * BLOCK : (block + 2) * BLOCK] / np.float32(0.8)
        sums = shallow_sums(cells[:BLOCK]), steep_sums(cells)
        best = [float(one.max()) / PATH for one in sums if one.size and one.max() > limit]
        if best:
            expected[block] = best
    found: dict[int, list[float]] = {}
    for (block, bin_), height in zip(hits[:count].tolist(), heights[:count].tolist(), strict=True):
        assert 0 <= bin_ < bins
        found.setdefault(block, []).append(height)
    assert expected or bins == 8 or mean > 2.5, "nothing to find: the test would hold of anything"
    assert found.keys() == expected.keys()
    for block, best in expected.items():
        assert found[block] == pytest.approx(best, rel=1e-5), block


@pytest.mark.parametrize("which", [*range(len(SHALLOW)), *range(100, 100 + len(STEEP_DELAYS))])
def test_every_path_alone_is_found(which: int) -> None:
    """A single path of cells over nothing at all, in every direction, at every place it can begin."""
    bins, limit = 64, np.float32(3.7 * PATH)
    places = steep_places(STEEP_DELAYS)
    background = np.ones((2, bins), np.float32)
    hits, heights = np.empty((16, 2), np.int64), np.empty(16)
    for begin in range(bins):
        power = np.zeros((2 * BLOCK, bins), np.float32)
        if which < 100:
            rise = int(SHALLOW[which])
            at = begin + np.array([round(i * rise / (BLOCK - 1)) for i in range(BLOCK)])
            frames = np.arange(BLOCK)
        else:
            delay = int(STEEP_DELAYS[which - 100])
            if begin % PATH or begin > bins - PATH * STRIDE:
                continue
            frames = np.rint(np.arange(PATH) * abs(delay) / (PATH - 1)).astype(int) + begin // PATH % BLOCK
            at = begin + STRIDE * (np.arange(PATH) if delay >= 0 else PATH - 1 - np.arange(PATH))
        if at.min() < 0 or at.max() >= bins:
            continue
        power[frames, at] = 3.8
        count = path_hits(
            power, background, np.zeros(2, np.float32), np.float32(0), limit, SHALLOW, places, hits, heights
        )
        assert count >= 1, (which, begin)
        assert heights[0] == pytest.approx(3.8, rel=1e-5)
