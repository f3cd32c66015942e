"""Energy detection with the noise estimated, and OS-CFAR where the reference may hold signals of its own."""

from dataclasses import dataclass

import numpy as np

from sensing.detectors.decision import Cells, Decision
from sensing.theory import f_threshold, hann_sum_shape, os_cfar_threshold, pfa_each


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyDetector:
    """Mean power of a channel over the mean power of idle cells; the ratio is F distributed in noise.

    `pfa` is per channel; `averages` independent frames are in each bin (times 0.947 for half-overlapping Hann frames);
    `correlated` if the bins were made with a Hann window, which makes neighbours alike.
    """

    averages: float
    pfa: float
    correlated: bool = False

    def decide(self, seen: Cells) -> Decision:
        """One decision for each row: shape of `seen.power` without its last axis."""
        idle = np.mean(seen.reference, axis=-1, dtype=np.float64)
        ratio = np.asarray(np.mean(seen.power, axis=-1, dtype=np.float64) / idle, np.float64)
        threshold = f_threshold(
            shape=self._shape(seen.power.shape[-1]),
            reference_shape=self._shape(seen.reference.shape[-1]),
            pfa=self.pfa,
        )
        return Decision(statistic=ratio, threshold=np.full_like(ratio, threshold), pfa=self.pfa)

    def _shape(self, bins: int) -> float:
        return self.averages * (hann_sum_shape(bins) if self.correlated else bins)


@dataclass(frozen=True, slots=True, kw_only=True)
class OsCfar:
    """Each bin of a single periodogram over the rank-th smallest of its reference cells.

    `pfa` is per channel: each of its bins is tested at the rate that makes the whole channel fire with it. `rank` in
    shares of the reference: at 0.75 a quarter of the reference may be occupied.
    """

    pfa: float
    rank: float = 0.75

    def decide(self, seen: Cells) -> Decision:
        """The largest bin of each row against its threshold: shape of `seen.power` without its last axis."""
        cells = seen.reference.shape[-1]
        rank = max(1, round(self.rank * cells))
        level = np.partition(seen.reference, rank - 1, axis=-1)[..., rank - 1].astype(np.float64)
        each = pfa_each(pfa=self.pfa, tests=seen.power.shape[-1])
        factor = os_cfar_threshold(cells=cells, rank=rank, pfa=each)
        return Decision(statistic=seen.power.max(axis=-1).astype(np.float64), threshold=level * factor, pfa=self.pfa)
