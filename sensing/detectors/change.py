"""When did it start, when did it stop: CUSUM and GLR on channel energies, with a bound on how often they fire in vain.

CUSUM is told the least rise worth finding and is cheap; GLR finds the rise by itself, over a window of recent samples.
Both are `ChangeDetector`s: while idle they look for a rise, once occupied for the way back. A series goes on from call
to call; an energy that is no number is passed over.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from enum import Enum
from math import isfinite, log

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.decision import Decision


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Decision):
    """The evidence for a change after each energy, in nepers, and the changes it came to."""

    found: tuple[Found, ...]


class ChangeDetector(ABC):
    """Follows one channel's energy, a gamma variable of known shape, from sample to sample."""

    def __init__(self, *, threshold: float, pfa: float) -> None:
        """Args: threshold in nepers; pfa is the chance that an idle sample fires."""
        self._threshold, self._pfa = threshold, pfa
        self._count = 0
        self.occupied = False

    def decide(self, seen: NDArray[np.floating]) -> Changes:
        """Take energies in order, shape (n,)."""
        statistic = np.full(len(seen), np.nan)
        found = []
        for index, energy in enumerate(np.asarray(seen, np.float64).tolist()):
            self._count += 1
            if isfinite(energy):
                statistic[index], onset = self._weigh(energy)
                if statistic[index] > self._threshold:
                    self.occupied = not self.occupied
                    self._turned(onset)
                    change = Change.APPEARED if self.occupied else Change.VACATED
                    found.append(Found(change=change, onset=onset, decided=self._count - 1))
        return Changes(
            statistic=statistic,
            threshold=np.full(len(seen), self._threshold),
            pfa=self._pfa,
            found=tuple(found),
        )

    @abstractmethod
    def _weigh(self, energy: float) -> tuple[float, int]:
        """Take one energy; evidence of a change by now, and the number of the sample at which it most likely began."""

    @abstractmethod
    def _turned(self, onset: int) -> None:
        """Begin to look the other way."""


class Cusum(ChangeDetector):
    """Page's test between idle and occupied, either way.

    The mean time between false alarms is at least exp(h) samples for a threshold h (Lorden), so
    h = ln(`samples_between_false_alarms`).
    """

    def __init__(self, *, noise: float, shape: float, snr: float, samples_between_false_alarms: float) -> None:
        """Args: noise is the mean energy when idle; snr is linear, the least rise worth finding."""
        super().__init__(threshold=log(samples_between_false_alarms), pfa=1 / samples_between_false_alarms)
        self._noise, self._shape, self._ratio = noise, shape, 1 + snr
        self._sum, self._onset = 0.0, 0

    def _weigh(self, energy: float) -> tuple[float, int]:
        if self._sum <= 0:
            self._sum, self._onset = 0.0, self._count - 1
        self._sum += self._likelihood_ratio(energy) * (-1 if self.occupied else 1)
        return self._sum, self._onset

    def _turned(self, onset: int) -> None:  # noqa: ARG002 - the evidence starts afresh wherever it began
        self._sum = 0.0

    def _likelihood_ratio(self, energy: float) -> float:
        """Log likelihood of occupied over idle: shape * (x (1 - 1/r) - ln r) with x in noise units."""
        x = energy / self._noise
        return self._shape * (x * (1 - 1 / self._ratio) - log(self._ratio))


class Glr(ChangeDetector):
    """Generalised likelihood ratio over the onset and the level of what changed, within the last `window` samples.

    Occupied, its level is the mean since the onset, so a fall is told from however strong the signal was. The threshold
    ln(`window` * `samples_between_false_alarms`) bounds by the union over onsets the chance that one sample fires.
    Source: Basseville and Nikiforov, "Detection of Abrupt Changes", 2.4.3; Lai's window-limited form.
    """

    def __init__(self, *, noise: float, shape: float, samples_between_false_alarms: float, window: int = 64) -> None:
        """Args: noise is the mean energy when idle; window is the longest wait for a weak change, in samples."""
        super().__init__(threshold=log(window * samples_between_false_alarms), pfa=1 / samples_between_false_alarms)
        self._noise, self._shape = noise, shape
        self._recent: deque[tuple[int, float]] = deque(maxlen=window)
        self._level, self._level_samples = 1.0, 0

    def _weigh(self, energy: float) -> tuple[float, int]:
        self._recent.append((self._count - 1, energy / self._noise))
        ratios, _ = self._evidence()
        best = int(ratios.argmax())
        if ratios[best] <= self._threshold:
            self._follow(energy / self._noise)
        return float(ratios[best]), self._recent[-1 - best][0]

    def _turned(self, onset: int) -> None:
        since = [x for number, x in self._recent if number >= onset]
        self._level, self._level_samples = (float(np.mean(since)), len(since)) if self.occupied else (1.0, 0)
        self._recent.clear()

    def _evidence(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log likelihood ratio of a change 1, 2, ... samples ago to the mean since then, and that mean."""
        latest = np.fromiter((x for _, x in reversed(self._recent)), np.float64, len(self._recent))
        lengths = np.arange(1, len(latest) + 1)
        means: NDArray[np.float64] = np.maximum(np.cumsum(latest) / lengths, 1e-12)
        if self.occupied:
            gain = np.where(means < self._level, self._gain(means, self._level) - self._gain(means, 1.0), 0.0)
        else:
            gain = np.where(means > 1, self._gain(means, 1.0), 0.0)
        return np.asarray(lengths * gain, np.float64), means

    def _gain(self, means: NDArray[np.float64], level: float) -> NDArray[np.float64]:
        """What each sample tells for its mean against `level`: shape * (m/l - 1 - ln(m/l))."""
        over = means / level
        return np.asarray(self._shape * (over - 1 - np.log(over)), np.float64)

    def _follow(self, x: float) -> None:
        """While occupied, learn the level of what is there; slowly enough not to follow it down before it is found."""
        if not self.occupied:
            return
        self._level_samples = min(self._level_samples + 1, 8 * (self._recent.maxlen or 1))
        self._level += (x - self._level) / self._level_samples
