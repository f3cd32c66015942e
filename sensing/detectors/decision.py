"""The interface of every detector: it takes measurements and returns a test statistic with its threshold."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Test statistic and threshold of a detector, both of the shape of the cells decided on.

    `pfa` is the chance, at most, that noise alone takes one of these cells over its threshold.
    """

    statistic: NDArray[np.float64]
    threshold: NDArray[np.float64]
    pfa: float

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where the statistic is above its threshold."""
        above: NDArray[np.bool_] = self.statistic > self.threshold
        return above

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there was a value to decide on: a cell that is neither present nor known is not thereby absent."""
        number: NDArray[np.bool_] = ~(np.isnan(self.statistic) | np.isnan(self.threshold))
        return number


class Detector(Protocol[Seen_contra]):
    """A detector of one kind of input.

    In noise no more than the decision's `pfa` of its cells are present. The input is never changed, may be read-only,
    may be empty; a value that is no number leaves its own cell unknown and the others alone.
    """

    def decide(self, seen: Seen_contra) -> Decision:
        """Decide on each cell of `seen`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Averaged powers: `power` of shape (..., bins) under test, `reference` of shape (..., cells) known to be idle."""

    power: NDArray[np.floating]
    reference: NDArray[np.floating]
