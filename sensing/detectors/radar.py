"""Radar among pulses: trains of like pulses at a steady interval, told apart by the waveform classes of CBRS.

A train is believed when noise alone would make one like it less than once in `CHANCE_HOURS`: with every pulse the rate
at which noise reaches its level, in its band, at the expected time, multiplies in. Two pulses need a further margin,
because what is not noise makes pulses too.

Source of the classes: NTIA TM-18-527 as NIST tabulates them.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, expm1, log
from typing import Final

import numpy as np

from sensing.detectors.decision import Decision
from sensing.detectors.pulses import Pulse
from sensing.occupancy import wilson
from sensing.values import Interval

MEMORY_US: Final = 120_000.0
PULSES_MAX: Final = 96
CELLS_PER_S_PER_HZ: Final = 2.0
"""Cells a second for each hertz of band: one of half a megahertz every microsecond."""
CHANCE_HOURS: Final = 30.0
TIMING_US: Final = 0.8
TIMING_PER_TURN_US: Final = 0.4
MISSED_MAX: Final = 3
ALIKE_DB: Final = 4.0
ALIKE_HZ: Final = 1.5e6
PAIR_SNR_DB: Final = 13.0


def crowd_max(*, look_us: float, pri_us: tuple[float, float]) -> int:
    """How many other like pulses may be in a look before a pair at an interval of the class stops meaning anything.

    n pulses scattered over a look make n(n-1)/2 pairs, each of which has an interval in the range by chance with
    ((T-a)^2 - (T-b)^2) / T^2. Once half such a pair is to be expected, finding one tells nothing.
    """
    low, high = (look_us - edge for edge in pri_us)
    chance = (low**2 - high**2) / look_us**2
    others = 0
    while (others + 3) * (others + 2) / 2 * chance < 0.5:
        others += 1
    return others


_SINGLE_PRI: Final = (905.0, 1116.0)
CROWD_MAX: Final = crowd_max(look_us=2000.0, pri_us=_SINGLE_PRI)
"""In a look that is just long enough for two pulses of P0N#1, the class that short bursts of traffic resemble: an
unloaded cell's reference symbols come in such pairs."""
EVIDENCE_MAX: Final = 60.0
EITHER: Final = " or "
NARROW_SHARE: Final = 0.6
"""A pulse can be called narrow only where the rest of the band is seen to be quiet beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarClass:
    """The ranges that make a train one of a class, with room for the error of measurement.

    `span` bounds the share of the received band a pulse covers, `pulses_min` is how many make a train, and a sweep
    that crosses the band at less than `slowest_hz_per_us` is another class's.
    """

    name: str
    duration_us: tuple[float, float]
    width_hz: tuple[float, float]
    pri_us: tuple[float, float]
    instant_hz: float
    slope_mhz_per_us: tuple[float, float]
    pulses_min: int
    span: tuple[float, float] = (0.0, 1.0)
    slowest_hz_per_us: float = 0.0


_ANY_PRI: Final = (325.0, 3420.0)
CLASSES: Final = (
    RadarClass(
        name="P0N#1", duration_us=(0, 4.2), width_hz=(0, 5e6), pri_us=_SINGLE_PRI, instant_hz=6e6,
        slope_mhz_per_us=(0, 99), pulses_min=2,
    ),
    RadarClass(
        name="P0N#2", duration_us=(9, 58), width_hz=(0, 4e6), pri_us=_ANY_PRI, instant_hz=3e6,
        slope_mhz_per_us=(0, 0.025), pulses_min=3,
    ),
    RadarClass(
        name="Q3N#3", duration_us=(3, 110), width_hz=(5e6, 2e8), pri_us=_ANY_PRI, instant_hz=8e6,
        slope_mhz_per_us=(0.35, 2.6), span=(0.92, 1), pulses_min=3,
    ),
    RadarClass(
        name="Q3N#2", duration_us=(6.5, 36), width_hz=(0.9e6, 13e6), pri_us=_ANY_PRI, instant_hz=4.5e6,
        slope_mhz_per_us=(0.02, 1.25), pulses_min=2,
    ),
    RadarClass(
        name="Q3N#1", duration_us=(0, 7), width_hz=(5e6, 2e8), pri_us=_ANY_PRI, instant_hz=1e9,
        slope_mhz_per_us=(0, 99), span=(0.6, 1), pulses_min=3, slowest_hz_per_us=7e6,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """A radar that was heard: class, first and last pulse, band, and the share of pulses that fit its train.

    `kind` names every class it may be, joined by `EITHER`, where the received band shows too little to tell them apart.
    """

    kind: str
    start_ns: int
    end_ns: int
    low_hz: float
    high_hz: float
    snr_db: float
    pulses: int
    pri_us: float
    confidence: Interval


@dataclass(frozen=True, slots=True)
class _Heard:
    pulse: Pulse
    us: float
    fresh: bool


@dataclass(frozen=True, slots=True)
class _Train:
    members: tuple[_Heard, ...]
    pri_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The pulses found in samples that began at `start_ns` and lasted `length_ns`.

    A train may run on from the stretches before only where those are `contiguous`: elsewhere times are not exact enough
    to count on.
    """

    pulses: Sequence[Pulse]
    start_ns: int
    length_ns: int
    contiguous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarDecision(Decision):
    """For each of `CLASSES` the evidence of its best train, in nepers of the time noise takes to make one like it."""

    incumbents: tuple[Incumbent, ...]


class RadarDetector:
    """Collects pulses stretch by stretch and says which trains they make."""

    def __init__(self, *, band_hz: float) -> None:
        """Args: band_hz is the width of the band that is searched, which sets how often noise makes a pulse."""
        self._band_hz = band_hz
        self._heard: deque[_Heard] = deque(maxlen=PULSES_MAX)
        self._base_ns = 0

    def decide(self, seen: Stretch) -> RadarDecision:
        """Take the pulses of a stretch; says which radars they complete."""
        self._take(seen)
        evidence = np.full(len(CLASSES), -np.inf)
        found: list[Incumbent] = []
        for index, kind in enumerate(CLASSES if seen.pulses else ()):
            train = self._best(kind)
            if train is not None and not any(_same_time(train, one, self._base_ns) for one in found):
                found.append(self._incumbent(kind, train))
                evidence[index] = -self._log_chance_per_s(train, kind)
        limit = log(3600 * CHANCE_HOURS)
        return RadarDecision(
            statistic=evidence,
            threshold=np.full(len(CLASSES), limit),
            pfa=-expm1(-seen.length_ns / 1e9 * exp(-limit)),
            incumbents=tuple(found),
        )

    def _take(self, seen: Stretch) -> None:
        if not seen.contiguous:
            self._heard.clear()
            self._base_ns = seen.start_ns
        at_us = (seen.start_ns - self._base_ns) / 1e3
        kept = [_Heard(h.pulse, h.us, fresh=False) for h in self._heard if h.us > at_us - MEMORY_US]
        self._heard = deque(kept, maxlen=PULSES_MAX)
        self._heard.extend(_Heard(p, at_us + p.time_us, fresh=True) for p in seen.pulses)

    def _best(self, kind: RadarClass) -> _Train | None:
        fits = [h for h in self._heard if _in_class(h.pulse, kind, self._band_hz)]
        best: _Train | None = None
        for train in _trains(fits, kind):
            larger = best is None or len(train.members) > len(best.members)
            if larger and self._convincing(train, kind):
                best = train
        return best

    def _convincing(self, train: _Train, kind: RadarClass) -> bool:
        snr = [h.pulse.snr_db for h in train.members]
        if len(snr) < kind.pulses_min or self._strays(train) >= len(snr):
            return False
        if len(snr) == 2 and (min(snr) < PAIR_SNR_DB or self._crowd(train) > CROWD_MAX):
            return False
        return -self._log_chance_per_s(train, kind) > log(3600 * CHANCE_HOURS)

    def _log_chance_per_s(self, train: _Train, kind: RadarClass) -> float:
        """Log of how often a second noise alone makes a train as good as this one."""
        log_rates = [self._log_rate(h.pulse) for h in train.members]
        share = min(1.0, 4 * ALIKE_HZ / self._band_hz)
        first, second, *rest = sorted(log_rates, reverse=True)
        pair = first + second + log(share * (kind.pri_us[1] - kind.pri_us[0]) * 1e-6)
        slots = 2 * (TIMING_US + TIMING_PER_TURN_US * MISSED_MAX) * 2 * MISSED_MAX * 1e-6
        return pair + sum(r + log(share * slots) for r in rest)

    def _log_rate(self, pulse: Pulse) -> float:
        """Log of how often a second noise reaches this level in one cell; more lit cells would make it rarer still."""
        return log(CELLS_PER_S_PER_HZ * self._band_hz) - min(EVIDENCE_MAX, 10 ** (pulse.snr_db / 10))

    def _strays(self, train: _Train) -> int:
        """Pulses about as strong as the train's, in its band and time, that do not belong to it."""
        members = {id(h) for h in train.members}
        low, high = train.members[0].us, train.members[-1].us
        first_hz = min(h.pulse.low_hz for h in train.members) - ALIKE_HZ
        last_hz = max(h.pulse.high_hz for h in train.members) + ALIKE_HZ
        weakest = min(h.pulse.snr_db for h in train.members) - ALIKE_DB / 2
        return sum(
            1
            for h in self._heard
            if low <= h.us <= high
            and first_hz <= h.pulse.peak_hz <= last_hz
            and id(h) not in members
            and h.pulse.snr_db > weakest
        )

    def _crowd(self, train: _Train) -> int:
        """Other pulses in a train's band, at any time in memory, not much weaker: what bursty traffic is made of."""
        members = {id(h) for h in train.members}
        first_hz = min(h.pulse.low_hz for h in train.members) - ALIKE_HZ
        last_hz = max(h.pulse.high_hz for h in train.members) + ALIKE_HZ
        weakest = min(h.pulse.snr_db for h in train.members) - ALIKE_DB
        return sum(
            1
            for h in self._heard
            if id(h) not in members and first_hz <= h.pulse.peak_hz <= last_hz and h.pulse.snr_db > weakest
        )

    def _fits_too(self, members: tuple[_Heard, ...], kind: RadarClass) -> bool:
        """Whether a train of one class could as well be another's: as many pulses as that needs, and most of them."""
        fit = sum(_in_class(h.pulse, kind, self._band_hz) for h in members)
        return fit >= max(kind.pulses_min, len(members) / 2)

    def _incumbent(self, kind: RadarClass, train: _Train) -> Incumbent:
        members, strays = train.members, self._strays(train)
        return Incumbent(
            kind=EITHER.join(sorted(one.name for one in CLASSES if one is kind or self._fits_too(members, one))),
            start_ns=self._base_ns + round(members[0].us * 1e3),
            end_ns=self._base_ns + round(members[-1].us * 1e3),
            low_hz=float(np.median([h.pulse.low_hz for h in members])),
            high_hz=float(np.median([h.pulse.high_hz for h in members])),
            snr_db=float(np.median([h.pulse.snr_db for h in members])),
            pulses=len(members),
            pri_us=train.pri_us,
            confidence=wilson(successes=len(members), trials=len(members) + strays),
        )


def _in_class(pulse: Pulse, kind: RadarClass, band_hz: float) -> bool:
    width = pulse.high_hz - pulse.low_hz
    widest = kind.instant_hz if kind.span[0] > 0 else min(kind.instant_hz, NARROW_SHARE * band_hz)
    longest = kind.duration_us[1]
    if kind.slowest_hz_per_us:
        longest = min(longest, width / kind.slowest_hz_per_us + 2)
    return (
        kind.duration_us[0] <= pulse.duration_us <= longest
        and kind.width_hz[0] <= width <= kind.width_hz[1]
        and pulse.instant_hz <= widest
        and kind.slope_mhz_per_us[0] <= abs(pulse.slope_mhz_per_us) <= kind.slope_mhz_per_us[1]
        and kind.span[0] * band_hz <= width <= kind.span[1] * band_hz * 1.05
    )


def _trains(fits: list[_Heard], kind: RadarClass) -> Iterator[_Train]:
    """Every train that a fresh pulse is part of, grown from each pair of like pulses at an interval of the class."""
    for j, late in enumerate(fits):
        for early in fits[:j]:
            if kind.pri_us[0] <= late.us - early.us <= kind.pri_us[1] and _alike(early.pulse, late.pulse):
                train = _grow(early, late, fits)
                if any(h.fresh for h in train.members):
                    yield train


def _alike(a: Pulse, b: Pulse) -> bool:
    wide = max(a.high_hz - a.low_hz, b.high_hz - b.low_hz)
    return (
        abs(a.snr_db - b.snr_db) <= ALIKE_DB
        and abs((a.low_hz + a.high_hz) - (b.low_hz + b.high_hz)) / 2 <= max(ALIKE_HZ, wide / 4)
        and abs(a.duration_us - b.duration_us) <= 2.5 + 0.3 * max(a.duration_us, b.duration_us)
    )


def _grow(first: _Heard, second: _Heard, fits: list[_Heard]) -> _Train:
    """Follow the interval of two pulses on and on, through up to `MISSED_MAX` missing ones."""
    members, turns = [first, second], 1
    pri = second.us - first.us
    for heard in fits:
        ahead = heard.us - members[-1].us
        steps = round(ahead / pri)
        if not 1 <= steps <= MISSED_MAX or not _alike(first.pulse, heard.pulse):
            continue
        if abs(ahead - steps * pri) <= TIMING_US + TIMING_PER_TURN_US * steps:
            members.append(heard)
            turns += steps
            pri = (members[-1].us - members[0].us) / turns
    return _Train(tuple(members), pri)


def _same_time(train: _Train, one: Incumbent, base_ns: int) -> bool:
    low, high = base_ns + train.members[0].us * 1e3, base_ns + train.members[-1].us * 1e3
    return low <= one.end_ns and one.start_ns <= high
