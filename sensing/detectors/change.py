"""When did it start, when did it stop: CUSUM on channel energies, with a bound on how often it fires in vain."""

from dataclasses import dataclass
from enum import Enum
from math import log


class Change(Enum):
    """What was found to have happened."""

    APPEARED = "appeared"
    VACATED = "vacated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A change, the sample at which it most likely happened, and the one at which that was clear."""

    change: Change
    onset: int
    decided: int


class ChangeDetector:
    """Page's test between idle and occupied, either way, on energies that are gamma variables of known shape.

    While idle it looks for a rise of at least `snr`; once occupied, for the way back. The mean time between false
    alarms is at least exp(h) samples for a threshold h (Lorden), so h = ln(`samples_between_false_alarms`).
    """

    def __init__(self, *, noise: float, shape: float, snr: float, samples_between_false_alarms: float) -> None:
        """Args: noise is the mean energy when idle; snr is linear, the least rise worth finding."""
        self._noise, self._shape, self._ratio = noise, shape, 1 + snr
        self._threshold = log(samples_between_false_alarms)
        self._sum, self._onset, self._count = 0.0, 0, 0
        self.occupied = False

    def step(self, energy: float) -> Found | None:
        """Take one energy; returns a change once it is certain enough."""
        gain = self._likelihood_ratio(energy) * (-1 if self.occupied else 1)
        if self._sum <= 0:
            self._sum, self._onset = 0.0, self._count
        self._sum += gain
        self._count += 1
        if self._sum < self._threshold:
            return None
        self.occupied = not self.occupied
        self._sum = 0.0
        change = Change.APPEARED if self.occupied else Change.VACATED
        return Found(change=change, onset=self._onset, decided=self._count - 1)

    def _likelihood_ratio(self, energy: float) -> float:
        """Log likelihood of occupied over idle: shape * (x (1 - 1/r) - ln r) with x in noise units."""
        x = energy / self._noise
        return self._shape * (x * (1 - 1 / self._ratio) - log(self._ratio))
