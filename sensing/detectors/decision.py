"""What every detector is: something that looks at what it was made for and decides against a threshold."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Test statistic and threshold, both of the shape of the cells that were decided on."""

    statistic: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where the statistic is above its threshold."""
        above: NDArray[np.bool_] = self.statistic > self.threshold
        return above


class Detector(Protocol[Seen_contra]):
    """Decides on one kind of input; the false-alarm rate it was designed for holds in noise."""

    def decide(self, seen: Seen_contra) -> Decision:
        """Compare; never changes its input."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Averaged powers: `power` of shape (..., bins) under test, `reference` of shape (..., cells) known to be idle."""

    power: NDArray[np.floating]
    reference: NDArray[np.floating]
