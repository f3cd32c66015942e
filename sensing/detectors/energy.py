"""Energy detection with the noise estimated from idle cells beside the channel."""

from dataclasses import dataclass

import numpy as np

from sensing.detectors.decision import Cells, Decision
from sensing.theory import f_threshold, hann_sum_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyDetector:
    """Energy detector: mean power of a channel over that of idle cells, a ratio that is F distributed in noise.

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
