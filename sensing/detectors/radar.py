"""Radar among pulses: trains of like pulses at a steady interval, told apart by the waveform classes of CBRS.

A train is believed when noise alone would make one like it less than once in `CHANCE_HOURS`, when the class's waveform
explains what is inside its pulses, when it stands alone in its band, and as long as it has not gone on for longer than
a burst of its class does. A train is told of from its first pulses, because a node must fall silent at once; one that
goes on is taken back (`RadarDecision.withdrawn`). So is one whose pulses belong to a longer train of pulses of the
class's shape, whatever is inside most of those: among many symbols of data a few look like a sweep.

Source of the classes: NTIA TM-18-527 as NIST tabulates them.

Long because what makes a train one of a class, and what takes it back, is one chain of tests.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import exp, expm1, isfinite, log
from typing import Final

import numpy as np

from sensing.detectors.decision import Decision
from sensing.detectors.intrapulse import Compressed
from sensing.detectors.pulses import Pulse
from sensing.detectors.radarclasses import CLASSES, SINGLE_PRI, Inside, RadarClass, in_class, verify
from sensing.detectors.recurrence import LEVEL_DB, PRI_SHARE, HeardTrain, Recurrence
from sensing.occupancy import wilson
from sensing.values import Interval

__all__ = ["CLASSES", "EITHER", "Incumbent", "RadarDecision", "RadarDetector", "Stretch", "crowd_max"]

MEMORY_US: Final = 120_000.0
PULSES_MAX: Final = 192
FITS_MAX: Final = 96
CELLS_PER_S_PER_HZ: Final = 2.0
"""Cells a second for each hertz of band: one of half a megahertz every microsecond."""
CHANCE_HOURS: Final = 100.0
TIMING_US: Final = 0.8
TIMING_PER_TURN_US: Final = 0.4
TIMING_SHARE: Final = 0.08
"""Of a pulse's duration: the middle of a long pulse is known less well."""
MISSED_MAX: Final = 3
ALIKE_DB: Final = 4.0
ALIKE_HZ: Final = 1.5e6
PAIR_SNR_DB: Final = 13.0
CLOSEST_SHARE: Final = 0.85
"""Of the shortest interval of a class: like pulses closer than this to a train's own are not a radar's."""
CHECKED_MAX: Final = 5
ROOM_SHARE: Final = 0.7
"""Of the pulses a stretch has room for that a train must have: its ends are background, traffic hides some."""
SLOPES_ALIKE: Final = 0.15
EVIDENCE_MAX: Final = 60.0
EITHER: Final = " or "
SAME_US: Final = 6.0
SAME_SWEEP: Final = 3.0
IN_STEP_US: Final = 0.3
"""How far a train's interval may be off, for each turn between it and another."""
TOLD_MAX: Final = 64


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


CROWD_MAX: Final = crowd_max(look_us=2000.0, pri_us=SINGLE_PRI)
"""In a look that is just long enough for two pulses of P0N#1, the class that short bursts of traffic resemble: an
unloaded cell's reference symbols come in such pairs."""


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


@dataclass(slots=True, eq=False)
class _Heard:
    pulse: Pulse
    us: float
    fresh: bool
    inside: dict[str, Compressed] = field(default_factory=dict)

    def verified(self, kind: RadarClass) -> Compressed:
        """What the class's waveform explains of the pulse, asked once."""
        if kind.name not in self.inside:
            self.inside[kind.name] = verify(self.pulse, kind)
        return self.inside[kind.name]


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
    """For each of `CLASSES` the evidence of its best train, in nepers of the time noise takes to make one like it.

    `withdrawn` are trains told of before, or not, that have gone on for too long to be a radar's burst.
    """

    incumbents: tuple[Incumbent, ...]
    withdrawn: tuple[Incumbent, ...] = ()


class RadarDetector:
    """Collects pulses stretch by stretch and says which trains they make."""

    def __init__(self, *, band_hz: float) -> None:
        """Args: band_hz is the width of the band that is searched, which sets how often noise makes a pulse."""
        self._band_hz = band_hz
        self._heard: deque[_Heard] = deque(maxlen=PULSES_MAX)
        self._base_ns = 0
        self._listened_us = 0.0
        self._recurrence = Recurrence()
        self._shapes = Recurrence()
        self._told: deque[Incumbent] = deque(maxlen=TOLD_MAX)
        self._gone_on: deque[Incumbent] = deque(maxlen=TOLD_MAX)

    def decide(self, seen: Stretch) -> RadarDecision:
        """Take the pulses of a stretch; says which radars they complete."""
        self._take(seen)
        evidence = np.full(len(CLASSES), -np.inf)
        found: list[Incumbent] = []
        withdrawn: list[Incumbent] = []
        for index, kind in enumerate(CLASSES if seen.pulses else ()):
            trains = self._grown(kind)
            lasting = self._lasting(kind, trains, contiguous=seen.contiguous)
            for train in self._best(kind, trains):
                if any(_same_place(train, one, self._base_ns) for one in (*found, *withdrawn)):
                    continue
                one = self._incumbent(kind, train)
                within = lasting is not None and _within(lasting, one)
                goes_on = self._recurrence.goes_on(_as_heard(kind, one), contiguous=seen.contiguous) or within
                if goes_on or any(_in_step(one, other) for other in self._gone_on):
                    withdrawn.append(one)
                    continue
                found.append(one)
                self._told.append(one)
                evidence[index] = max(evidence[index], -self._log_chance_per_s(train, kind))
            if lasting is not None:
                withdrawn += [one for one in self._told if kind.name in one.kind and _within(lasting, one)]
        self._gone_on.extend(withdrawn)
        if withdrawn:
            withdrawn += [one for one in self._told if any(_in_step(one, other) for other in self._gone_on)]
        limit = log(3600 * CHANCE_HOURS)
        return RadarDecision(
            statistic=evidence,
            threshold=np.full(len(CLASSES), limit),
            pfa=-expm1(-seen.length_ns / 1e9 * exp(-limit)),
            incumbents=tuple(found),
            withdrawn=tuple(withdrawn),
        )

    def _take(self, seen: Stretch) -> None:
        if not seen.contiguous:
            self._heard.clear()
            self._base_ns = seen.start_ns
        at_us = (seen.start_ns - self._base_ns) / 1e3
        self._listened_us = at_us + seen.length_ns / 1e3
        for one in self._heard:
            one.fresh = False
        kept = [h for h in self._heard if h.us > at_us - MEMORY_US]
        new = [_Heard(p, at_us + p.time_us, fresh=True) for p in seen.pulses if isfinite(p.time_us + p.snr_db)]
        self._heard = deque(_once(kept, new)[-PULSES_MAX:], maxlen=PULSES_MAX)

    def _grown(self, kind: RadarClass) -> list[_Train]:
        """Every train of pulses of the class's shape, the longest first."""
        fits = _loudest([h for h in self._heard if in_class(h.pulse, kind, self._band_hz)])
        return sorted(_trains(fits, kind), key=lambda t: -len(t.members))

    def _lasting(self, kind: RadarClass, trains: Sequence[_Train], *, contiguous: bool) -> HeardTrain | None:
        """The longest train, if its pulses have a waveform to be asked for and it outlasts the class's bursts."""
        if kind.inside is Inside.PLAIN or not trains:
            return None
        members = trains[0].members
        heard = HeardTrain(
            kind=kind,
            first_ns=self._base_ns + round(members[0].us * 1e3),
            last_ns=self._base_ns + round(members[-1].us * 1e3),
            low_hz=float(np.median([h.pulse.low_hz for h in members])),
            high_hz=float(np.median([h.pulse.high_hz for h in members])),
            snr_db=float(np.median([h.pulse.snr_db for h in members])),
            pri_us=trains[0].pri_us,
        )
        return heard if self._shapes.goes_on(heard, contiguous=contiguous) else None

    def _best(self, kind: RadarClass, trains: Sequence[_Train]) -> list[_Train]:
        """The longest convincing trains of a class, no two in one place at one time."""
        best: list[_Train] = []
        for train in trains:
            if not any(_overlap(train, one) for one in best) and self._convincing(train, kind):
                best.append(train)
        return best

    def _needed(self, train: _Train, kind: RadarClass) -> int:
        """How many pulses a train must have: more where what was listened to has room for a burst."""
        room = int(ROOM_SHARE * self._listened_us / train.pri_us)
        return max(kind.pulses_min, min(kind.pulses_whole, room))

    def _convincing(self, train: _Train, kind: RadarClass) -> bool:
        snr = [h.pulse.snr_db for h in train.members]
        if len(snr) < self._needed(train, kind) or self._strays(train) >= len(snr):
            return False
        pair = len(snr) == 2 and kind.inside is Inside.PLAIN
        if pair and (min(snr) < PAIR_SNR_DB or self._crowd(train) > CROWD_MAX):
            return False
        if -self._log_chance_per_s(train, kind) <= log(3600 * CHANCE_HOURS) or self._close(train, kind):
            return False
        return self._inside(train.members, kind)

    def _inside(self, members: Sequence[_Heard], kind: RadarClass) -> bool:
        """Whether the class's waveform explains the strongest pulses, and sweeps are alike."""
        if kind.inside is Inside.PLAIN:
            return True
        asked = sorted(members, key=lambda h: -h.pulse.snr_db)[:CHECKED_MAX]
        told = [h.verified(kind) for h in asked]
        good = [one for one in told if one.share >= kind.share_min]
        if 2 * len(good) <= len(told) or len(good) < min(2, len(told)):
            return False
        if kind.inside is not Inside.SWEPT:
            return True
        slopes = np.array([one.slope_mhz_per_us for one in good])
        middle = float(np.median(slopes))
        alike = np.abs(slopes - middle) <= SLOPES_ALIKE * abs(middle)
        return bool(2 * np.count_nonzero(alike) > len(told) and np.count_nonzero(alike) >= 2)

    def _log_chance_per_s(self, train: _Train, kind: RadarClass) -> float:
        """Log of how often a second noise alone makes a train as good as this one."""
        log_rates = [self._log_rate(h.pulse) for h in train.members]
        share = min(1.0, 4 * ALIKE_HZ / self._band_hz)
        first, second, *rest = sorted(log_rates, reverse=True)
        pair = first + second + log(share * (kind.pri_us[1] - kind.pri_us[0]) * 1e-6)
        long_us = TIMING_SHARE * max(h.pulse.duration_us for h in train.members)
        slots = 2 * (TIMING_US + long_us + TIMING_PER_TURN_US * MISSED_MAX) * 2 * MISSED_MAX * 1e-6
        alone = pair + sum(r + log(share * slots) for r in rest)
        summed = max(h.pulse.train_nepers for h in train.members)
        return min(alone, -summed) if summed > 0 else alone

    def _log_rate(self, pulse: Pulse) -> float:
        """Log of how often a second noise makes a pulse this conspicuous."""
        evidence = max(pulse.nepers, 10 ** (pulse.snr_db / 10))
        return log(CELLS_PER_S_PER_HZ * self._band_hz) - min(EVIDENCE_MAX, evidence)

    def _beside(self, train: _Train, *, weaker_db: float) -> Iterator[_Heard]:
        """Other pulses in a train's band, at any time in memory, at most so much weaker."""
        members = set(map(id, train.members))
        first_hz = min(h.pulse.low_hz for h in train.members) - ALIKE_HZ
        last_hz = max(h.pulse.high_hz for h in train.members) + ALIKE_HZ
        weakest = min(_level_db(h.pulse) for h in train.members) - weaker_db
        for h in self._heard:
            if id(h) not in members and first_hz <= h.pulse.peak_hz <= last_hz and _level_db(h.pulse) > weakest:
                yield h

    def _strays(self, train: _Train) -> int:
        """Pulses about as strong as the train's, in its band and time, that do not belong to it."""
        low, high = train.members[0].us, train.members[-1].us
        return sum(low <= h.us <= high for h in self._beside(train, weaker_db=ALIKE_DB / 2))

    def _crowd(self, train: _Train) -> int:
        """Other pulses in a train's band, at any time in memory, not much weaker: what bursty traffic is made of."""
        return sum(1 for _ in self._beside(train, weaker_db=ALIKE_DB))

    def _close(self, train: _Train, kind: RadarClass) -> bool:
        """Whether half the pulses have a like one nearer than any radar of the class sends them."""
        least = CLOSEST_SHARE * kind.pri_us[0]
        others = list(self._beside(train, weaker_db=ALIKE_DB))
        like = [h for h in others if in_class(h.pulse, kind, self._band_hz)]

        def crowded(one: _Heard) -> bool:
            near = any(abs(one.us - o.us) < least and _alike(one.pulse, o.pulse) for o in like)
            return near or any(abs(one.us - o.us) < least and _same_sweep(one.pulse, o.pulse) for o in others)

        return 2 * sum(map(crowded, train.members)) >= len(train.members)

    def _fits_too(self, members: tuple[_Heard, ...], kind: RadarClass) -> bool:
        """Whether a train of one class could as well be another's: as many pulses as that needs, and most of them."""
        fit = [h for h in members if in_class(h.pulse, kind, self._band_hz)]
        return len(fit) >= max(kind.pulses_min, len(members) / 2) and self._inside(fit, kind)

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


def _within(lasting: HeardTrain, one: Incumbent) -> bool:
    """Whether a radar that was told of is a part of what goes on: in its band, about as strong, not long before."""
    near = one.low_hz < lasting.high_hz + ALIKE_HZ and lasting.low_hz < one.high_hz + ALIKE_HZ
    return near and abs(one.snr_db - lasting.snr_db) <= LEVEL_DB and lasting.first_ns - one.end_ns < MEMORY_US * 1e3


def _in_step(one: Incumbent, other: Incumbent) -> bool:
    """Whether two trains are one emitter's in two parts of the band: of a class, at one interval and in one phase."""
    if one is other or one.kind != other.kind or abs(one.pri_us - other.pri_us) > PRI_SHARE * other.pri_us:
        return False
    apart_us = min((one.start_ns - end for end in (other.start_ns, other.end_ns)), key=abs) / 1e3
    turns = round(apart_us / other.pri_us)
    allowed = SAME_US + IN_STEP_US * abs(turns)
    return allowed < other.pri_us / 8 and abs(apart_us - turns * other.pri_us) <= allowed


def _as_heard(kind: RadarClass, one: Incumbent) -> HeardTrain:
    return HeardTrain(
        kind=kind,
        first_ns=one.start_ns,
        last_ns=one.end_ns,
        low_hz=one.low_hz,
        high_hz=one.high_hz,
        snr_db=one.snr_db,
        pri_us=one.pri_us,
    )


def _once(kept: list[_Heard], new: list[_Heard]) -> list[_Heard]:
    """All of them in the order of time, each pulse once.

    A train that only its sum tells of comes again with every stretch it goes on in: of its pulses the surest finding
    stays, unless one was found alone.
    """
    strong = [h for h in (*kept, *new) if not h.pulse.train_nepers]
    chosen: list[_Heard] = []
    weak = sorted((h for h in (*new, *kept) if h.pulse.train_nepers), key=lambda h: -h.pulse.train_nepers)
    for one in weak:
        if not any(_again(one, other) for other in (*strong, *chosen)):
            chosen.append(one)
    return sorted([*strong, *chosen], key=lambda h: h.us)


def _loudest(fits: list[_Heard]) -> list[_Heard]:
    """The strongest `FITS_MAX`, in the order of time: a band full of pulses must not keep a node busy."""
    if len(fits) <= FITS_MAX:
        return fits
    return sorted(sorted(fits, key=lambda h: -_level_db(h.pulse))[:FITS_MAX], key=lambda h: h.us)


def _again(one: _Heard, other: _Heard) -> bool:
    """Whether two findings of a pulse are the same: at one time in one band, or nearly."""
    a, b = one.pulse, other.pulse
    if abs(one.us - other.us) > SAME_US + max(0.0, max(a.duration_us, b.duration_us) / 2 - 2):
        return False
    return a.low_hz <= b.high_hz + ALIKE_HZ and b.low_hz <= a.high_hz + ALIKE_HZ


def _trains(fits: list[_Heard], kind: RadarClass) -> Iterator[_Train]:
    """Every train that a fresh pulse is part of, grown from each pair of like pulses at an interval of the class."""
    for j, late in enumerate(fits):
        for early in fits[:j]:
            if kind.pri_us[0] <= late.us - early.us <= kind.pri_us[1] and _alike(early.pulse, late.pulse):
                train = _grow(early, late, fits[j + 1 :])
                if any(h.fresh for h in train.members):
                    yield train


def _alike(a: Pulse, b: Pulse) -> bool:
    wide = max(a.high_hz - a.low_hz, b.high_hz - b.low_hz)
    return (
        abs(_level_db(a) - _level_db(b)) <= ALIKE_DB
        and abs((a.low_hz + a.high_hz) - (b.low_hz + b.high_hz)) / 2 <= max(ALIKE_HZ, wide / 4)
        and abs(a.duration_us - b.duration_us) <= 2.5 + 0.3 * max(a.duration_us, b.duration_us)
    )


def _same_sweep(a: Pulse, b: Pulse) -> bool:
    """Whether two pulses may be pieces of one sweep that is repeated without a pause: one way, about as long and steep.

    Of a piece that noise cut short the slope is told badly.
    """
    slopes = sorted((abs(a.slope_mhz_per_us), abs(b.slope_mhz_per_us)))
    times = sorted((a.duration_us, b.duration_us))
    one_way = a.slope_mhz_per_us * b.slope_mhz_per_us > 0
    return one_way and slopes[1] <= SAME_SWEEP * slopes[0] and times[1] <= SAME_SWEEP * times[0]


def _level_db(pulse: Pulse) -> float:
    """How strong a pulse is, whatever it lies over."""
    return pulse.snr_db if pulse.level_db is None else pulse.level_db


def _grow(first: _Heard, second: _Heard, fits: list[_Heard]) -> _Train:
    """Follow the interval of two pulses on and on, through up to `MISSED_MAX` missing ones."""
    members, turns = [first, second], 1
    room_us = TIMING_US + TIMING_SHARE * first.pulse.duration_us
    pri = second.us - first.us
    for heard in fits:
        ahead = heard.us - members[-1].us
        steps = round(ahead / pri)
        if steps > MISSED_MAX:
            break
        if not 1 <= steps <= MISSED_MAX or not _alike(first.pulse, heard.pulse):
            continue
        if abs(ahead - steps * pri) <= room_us + TIMING_PER_TURN_US * steps:
            members.append(heard)
            turns += steps
            pri = (members[-1].us - members[0].us) / turns
    return _Train(tuple(members), pri)


def _overlap(a: _Train, b: _Train) -> bool:
    low, high = (min(h.pulse.low_hz for h in b.members), max(h.pulse.high_hz for h in b.members))
    near = any(h.pulse.low_hz <= high and low <= h.pulse.high_hz for h in a.members)
    return near and a.members[0].us <= b.members[-1].us and b.members[0].us <= a.members[-1].us


def _same_place(train: _Train, one: Incumbent, base_ns: int) -> bool:
    low, high = base_ns + train.members[0].us * 1e3, base_ns + train.members[-1].us * 1e3
    near = any(h.pulse.low_hz <= one.high_hz and one.low_hz <= h.pulse.high_hz for h in train.members)
    return near and low <= one.end_ns and one.start_ns <= high
