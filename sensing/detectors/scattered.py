"""Tells pulses scattered at random, whose pairs match a radar's interval by chance, from a radar's train.

A node hears a radar's burst in a look or two, and so little of it fits there that a pair of pulses has to do. A burst
leaves a pulse alone in a look only where the look begins or ends in it; sparks, transponders and the like do so most of
the time. So a few pulses are told of only where lone ones like them were not heard more often than trains like them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sensing.detectors.radarclasses import RadarClass
from sensing.detectors.recurrence import FORGET_NS, LEVEL_DB, NEAR_HZ
from sensing.detectors.trains import HeardPulse

LONE_MIN: Final = 3
"""Number of lone pulses within `FORGET_NS` that is no accident: bursts of a rotating radar leave fewer."""
KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class _Heard:
    kind: RadarClass
    at_ns: int
    middle_hz: float
    snr_db: float
    train: bool


def _said(kind: RadarClass, at_ns: int, pulses: Sequence[HeardPulse], *, train: bool) -> _Heard:
    middle_hz = float(np.median([(h.pulse.low_hz + h.pulse.high_hz) / 2 for h in pulses]))
    return _Heard(kind, at_ns, middle_hz, float(np.median([h.pulse.snr_db for h in pulses])), train)


class Scattered:
    """Remembers, look by look, pulses of a class's shape that made a train of the class, and those that did not."""

    def __init__(self) -> None:
        """Start with no pulses."""
        self._heard: deque[_Heard] = deque(maxlen=KEPT)

    def lone(self, kind: RadarClass, at_ns: int, pulses: Sequence[HeardPulse]) -> None:
        """Add a look's pulses of the class's shape, of which no two are a train of the class."""
        self._heard.extend(_said(kind, at_ns, [one], train=False) for one in pulses)

    def train(self, kind: RadarClass, at_ns: int, members: Sequence[HeardPulse]) -> bool:
        """Add a train of a few pulses; returns whether lone pulses like them come more often than such trains."""
        it = _said(kind, at_ns, members, train=True)
        self._heard.append(it)
        like = [
            one
            for one in self._heard
            if one.kind is kind
            and at_ns - one.at_ns < FORGET_NS
            and abs(one.middle_hz - it.middle_hz) <= NEAR_HZ
            and abs(one.snr_db - it.snr_db) <= LEVEL_DB
        ]
        trains = sum(one.train for one in like)
        return len(like) - trains >= max(LONE_MIN, trains + 1)
