"""Radar among pulses: trains of like pulses at a steady interval, told apart by the waveform classes of CBRS.

Source of the classes: NTIA TM-18-527 as NIST tabulates them; see `CLASSES`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.pulses import Pulse
from sensing.occupancy import wilson
from sensing.values import Interval

MEMORY_NS: Final = 120_000_000
PULSES_MAX: Final = 128
TIMING_US: Final = 2.0
ALIKE_DB: Final = 3.0
PAIR_SNR_DB: Final = 15.0
PRI_US_MIN, PRI_US_MAX = 300.0, 3500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarClass:
    """The ranges that make a train one of a class; tolerances for measurement are already in them."""

    name: str
    duration_us: tuple[float, float]
    width_hz: tuple[float, float]
    pri_us: tuple[float, float]


CLASSES: Final = (RadarClass(name="P0N#1", duration_us=(0.0, 4.0), width_hz=(0.0, 4.5e6), pri_us=(880.0, 1140.0)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A radar that was heard: class, first and last pulse, band, and the share of pulses that fit its train."""

    kind: str
    start_ns: int
    end_ns: int
    low_hz: float
    high_hz: float
    snr_db: float
    pulses: int
    pri_us: float
    confidence: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    pulse: Pulse
    ns: float
    look: int


class RadarDetector:
    """Collects pulses look by look and says which trains they make."""

    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque(maxlen=PULSES_MAX)
        self._look = 0

    def add(self, pulses: Sequence[Pulse], *, start_ns: int) -> tuple[Incumbent, ...]:
        """Take the pulses of one look that began at `start_ns`; returns the radars its pulses complete."""
        self._look += 1
        while self._heard and self._heard[0].ns < start_ns - MEMORY_NS:
            self._heard.popleft()
        fresh = [_Heard(pulse=p, ns=start_ns + p.time_us * 1e3, look=self._look) for p in pulses]
        self._heard.extend(fresh)
        found = (self._train(kind, fresh) for kind in CLASSES)
        return tuple(one for one in found if one is not None)

    def _train(self, kind: RadarClass, fresh: list[_Heard]) -> Incumbent | None:
        fits = [h for h in self._heard if _in_class(h.pulse, kind)]
        if not fresh or len(fits) < 2:
            return None
        comb = _best_comb(fits, kind)
        if comb is None or all(h.look != self._look for h in comb.members):
            return None
        if not _convincing(comb, self._strays(comb)):
            return None
        return _incumbent(kind, comb, self._strays(comb))

    def _strays(self, comb: "_Comb") -> int:
        """Pulses as strong as the train's, in its band and looks, that do not belong to it."""
        looks = {h.look for h in comb.members}
        members = {id(h) for h in comb.members}
        weakest = min(h.pulse.snr_db for h in comb.members) - ALIKE_DB
        return sum(1 for h in self._heard if h.look in looks and id(h) not in members and h.pulse.snr_db > weakest)


@dataclass(frozen=True, slots=True)
class _Comb:
    members: tuple[_Heard, ...]
    pri_us: float


def _in_class(pulse: Pulse, kind: RadarClass) -> bool:
    width = pulse.high_hz - pulse.low_hz
    return (
        kind.duration_us[0] <= pulse.duration_us <= kind.duration_us[1]
        and kind.width_hz[0] <= width <= kind.width_hz[1]
    )


def _best_comb(fits: list[_Heard], kind: RadarClass) -> _Comb | None:
    """The largest set of like pulses on a common interval; times are compared within a look, intervals across looks."""
    times = np.array([h.ns / 1e3 for h in fits]) if fits else np.zeros(0)
    times = times - times[0]
    peak = np.array([h.pulse.peak_hz for h in fits])
    snr = np.array([h.pulse.snr_db for h in fits])
    best: _Comb | None = None
    for i in range(len(fits)):
        alike = (np.abs(peak - peak[i]) < 1.5e6) & (np.abs(snr - snr[i]) < ALIKE_DB)
        for j in np.flatnonzero(alike & (times > times[i])):
            pri = times[j] - times[i]
            if not kind.pri_us[0] <= pri <= kind.pri_us[1]:
                continue
            on = np.flatnonzero(alike & _on_comb(times - times[i], pri))
            if best is None or len(on) > len(best.members):
                best = _Comb(tuple(fits[int(k)] for k in on), float(pri))
    return best


def _on_comb(offset_us: NDArray[np.float64], pri_us: float) -> NDArray[np.bool_]:
    turns = np.round(offset_us / pri_us)
    slack = TIMING_US * (1 + np.abs(turns))
    on: NDArray[np.bool_] = np.abs(offset_us - turns * pri_us) <= np.minimum(slack, 0.05 * pri_us)
    return on


def _convincing(comb: _Comb, strays: int) -> bool:
    count = len(comb.members)
    if strays >= count:
        return False
    if count >= 3:
        return True
    return strays == 0 and min(h.pulse.snr_db for h in comb.members) >= PAIR_SNR_DB


def _incumbent(kind: RadarClass, comb: _Comb, strays: int) -> Incumbent:
    members = comb.members
    times = [h.ns for h in members]
    return Incumbent(
        kind=kind.name,
        start_ns=round(min(times)),
        end_ns=round(max(times)),
        low_hz=float(np.median([h.pulse.low_hz for h in members])),
        high_hz=float(np.median([h.pulse.high_hz for h in members])),
        snr_db=float(np.median([h.pulse.snr_db for h in members])),
        pulses=len(members),
        pri_us=comb.pri_us,
        confidence=wilson(successes=len(members), trials=len(members) + strays),
    )
