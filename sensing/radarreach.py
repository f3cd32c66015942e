"""Tells which radar classes a search of given samples could have detected: the others are not found absent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MARGIN_S: Final = 0.3e-3
"""Time in s of each stretch that serves as background for the rest."""
ROUNDING: Final = 1e-9
SLOWEST_PER_S: Final[dict[str, tuple[int, float, float]]] = {
    "P0N#1": (2, 900.0, 5e6),
    "P0N#2": (3, 300.0, 1e6),
    "Q3N#1": (3, 300.0, 8e6),
    "Q3N#2": (2, 300.0, 5e6),
    "Q3N#3": (3, 300.0, 8e6),
}
"""For each class: pulses that make a train, fewest pulses a second it sends, least bandwidth to tell it, Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarReach:
    """Radar classes that would have been detected, and those that could not, with the reason.

    `searched_s` of `listened_s` could be searched; the rest was silent, no numbers, overdriven, or the receiver's own.
    In `lowered_s` of them a signal filled the whole band: there a radar must be stronger than that signal.
    """

    heard_if_there: tuple[str, ...]
    cannot_tell: tuple[str, ...]
    why: str
    searched_s: float
    listened_s: float
    lowered_s: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether all samples could be searched."""
        return self.searched_s > (1 - ROUNDING) * self.listened_s


class Searched:
    """Sums up which samples could be searched for radar, and the longest stretch of them without a gap."""

    def __init__(self) -> None:
        self.longest = self.samples = self.of = self.lowered = 0
        self._running = 0

    def take(
        self, samples: int, *, silent: Sequence[tuple[int, int]], usable: bool, joined: bool, filled: bool = False
    ) -> None:
        """Add a look.

        Args: silent: spans of its samples without information, end not included; usable: whether any of it counts;
        joined: whether no samples are missing before it; filled: whether a signal fills the whole band.
        """
        self.of += samples
        if not usable or not joined:
            self._running = 0
        if not usable:
            return
        before = self.samples
        at = 0
        for first, last in sorted(silent):
            self._add(max(0, first - at))
            self._running = 0
            at = max(at, last)
        self._add(max(0, samples - at))
        self.lowered += (self.samples - before) * filled

    def _add(self, samples: int) -> None:
        self.samples += samples
        self._running += samples
        self.longest = max(self.longest, self._running)


def radar_reach(*, band_hz: float, rate_hz: float, searched: Searched) -> RadarReach:
    """Which classes a search could detect, by the received bandwidth and its longest stretch without a gap.

    Args: band_hz what the filter lets through, at most the sample rate.
    Source: `docs/sensing.md`, Radar; a train's pulses lie at most (pulses - 1) slowest intervals apart, and one more
    passes before the first.
    """
    stretch_s = searched.longest / rate_hz
    reached: list[str] = []
    missed: list[str] = []
    narrow = short = False
    for name, (pulses, per_s, least_hz) in SLOWEST_PER_S.items():
        fits = band_hz >= least_hz
        lasts = stretch_s >= pulses / per_s + MARGIN_S
        narrow, short = narrow or not fits, short or not lasts
        (reached if fits and lasts else missed).append(name)
    reasons: list[str] = []
    if not stretch_s:
        reasons.append("no samples that could be used")
    elif short:
        reasons.append(f"{stretch_s * 1e3:.3g} ms without a gap is shorter than a train of pulses")
    if narrow and stretch_s:
        reasons.append(f"{band_hz / 1e6:.3g} MHz is too narrow for them")
    return RadarReach(
        heard_if_there=tuple(reached),
        cannot_tell=tuple(missed),
        why=" and ".join(reasons),
        searched_s=searched.samples / rate_hz,
        listened_s=searched.of / rate_hz,
        lowered_s=searched.lowered / rate_hz,
    )
