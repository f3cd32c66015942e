"""A survey's list of detected radars: detections of one radar are joined, trains that last too long withdrawn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sensing.detectors.radar import EITHER, Incumbent
from sensing.values import Channel

MERGE_NS: Final = 2_000_000_000


class IncumbentLog:
    """Keeps the detections. In a band where no incumbent can be, a train is reported as a pulse train only."""

    def __init__(self, bands: Sequence[Channel] | None) -> None:
        """Args: bands in which an incumbent can be, in Hz; None for any."""
        self._bands = bands
        self._incumbents: list[Incumbent] = []
        self._trains: list[Incumbent] = []

    @property
    def incumbents(self) -> tuple[Incumbent, ...]:
        """Detected radars in a band where an incumbent can be."""
        return tuple(self._incumbents)

    @property
    def pulse_trains(self) -> tuple[Incumbent, ...]:
        """Radar-like trains in bands without incumbents, and trains that lasted longer than a radar's."""
        return tuple(self._trains)

    def take(self, found: Sequence[Incumbent], withdrawn: Sequence[Incumbent]) -> tuple[Incumbent, ...]:
        """Add a look's detections, frequencies in Hz; returns those of `found` that are incumbents."""
        for one in withdrawn:
            self._incumbents = [known for known in self._incumbents if not _one(known, one)]
            self._trains = _joined(self._trains, one)
        held = tuple(one for one in found if self._can_be(one))
        for one in found:
            if self._can_be(one):
                self._incumbents = _joined(self._incumbents, one)
            else:
                self._trains = _joined(self._trains, one)
        return held

    def _can_be(self, one: Incumbent) -> bool:
        return self._bands is None or any(b.low_hz < one.high_hz and one.low_hz < b.high_hz for b in self._bands)


def _one(known: Incumbent, other: Incumbent) -> bool:
    """Whether two detections are one emitter's: a class in common, overlapping bands, close in time."""
    near = other.low_hz < known.high_hz and known.low_hz < other.high_hz
    alike = set(known.kind.split(EITHER)) & set(other.kind.split(EITHER))
    return bool(alike) and near and other.start_ns - known.end_ns < MERGE_NS


def _joined(known: list[Incumbent], one: Incumbent) -> list[Incumbent]:
    for i, other in enumerate(known):
        if _one(other, one):
            better = one if one.pulses >= other.pulses else other
            whole = replace(better, start_ns=min(one.start_ns, other.start_ns), end_ns=max(one.end_ns, other.end_ns))
            return [*known[:i], whole, *known[i + 1 :]]
    return [*known, one]
