"""Tells whether a train of pulses ends as a radar's burst does, or goes on: joins trains across stretches and looks."""

from dataclasses import dataclass, replace
from typing import Final

from sensing.detectors.radarclasses import RadarClass

QUIET_NS: Final = 70_000_000
"""Silence in ns that ends a train: three looks at a shared band, which come every 20 ms or so."""
TURNS_APART: Final = 6.0
"""Intervals without a pulse that end a train in samples without a gap."""
FORGET_NS: Final = 10_000_000_000
PRI_SHARE: Final = 0.01
JITTER_SHARE: Final = 0.1
FEW: Final = 3
"""Most pulses of a train, in a look with room for no more, whose interval may jitter."""
LEVEL_DB: Final = 6.0
NEAR_HZ: Final = 1.5e6


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardTrain:
    """A detected train: its class, time, band, level and interval.

    `few` if it had so few pulses, in a look with gaps around it, that the next one's interval may be another.
    """

    kind: RadarClass
    first_ns: int
    last_ns: int
    low_hz: float
    high_hz: float
    snr_db: float
    pri_us: float
    few: bool = False


class Recurrence:
    """Joins trains from stretch to stretch into emitters, and tells which emitters outlast a burst."""

    def __init__(self) -> None:
        self._emitters: list[HeardTrain] = []

    def goes_on(self, heard: HeardTrain, *, contiguous: bool) -> bool:
        """Add a train; returns True once its emitter has gone on for longer than its class's longest burst."""
        self._emitters = [one for one in self._emitters if heard.last_ns - one.last_ns < FORGET_NS]
        gap_ns = round(TURNS_APART * heard.pri_us * 1e3) if contiguous else QUIET_NS
        for index, one in enumerate(self._emitters):
            lasting = outlasts(one)
            if _alike(one, heard) and heard.first_ns - one.last_ns <= (FORGET_NS if lasting else gap_ns):
                joined = replace(
                    one, first_ns=min(one.first_ns, heard.first_ns), last_ns=max(one.last_ns, heard.last_ns)
                )
                self._emitters[index] = joined
                return outlasts(joined)
        self._emitters.append(heard)
        return outlasts(heard)


def outlasts(heard: HeardTrain) -> bool:
    """Whether a train lasts longer than a burst of its class may."""
    return heard.last_ns - heard.first_ns > heard.kind.pulses_allowed * heard.pri_us * 1e3


def _alike(one: HeardTrain, other: HeardTrain) -> bool:
    return (
        one.kind is other.kind
        and one.low_hz < other.high_hz + NEAR_HZ
        and other.low_hz < one.high_hz + NEAR_HZ
        and abs(one.snr_db - other.snr_db) <= LEVEL_DB
        and abs(one.pri_us - other.pri_us) <= (JITTER_SHARE if one.few and other.few else PRI_SHARE) * one.pri_us
    )
