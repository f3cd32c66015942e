"""Radar among pulses: trains of like pulses at a steady interval, told apart by the waveform classes of CBRS.

A train is accepted when noise alone would make one like it less than once in `CHANCE_HOURS`, when the class's waveform
explains the modulation of its pulses, when no other pulses like it are in its band, and as long as it does not last
longer than a burst of its class. A train is reported from its first pulses, because a node must stop transmitting at
once; one that goes on is withdrawn (`RadarDecision.withdrawn`). So is one whose pulses belong to a longer train of
pulses of the class's shape, whatever modulates most of those: among many symbols of data a few look like a sweep.

Source of the classes: NTIA TM-18-527 as NIST tabulates them.

Long because what makes a train one of a class, and what takes it back, is one chain of tests.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from math import exp, expm1, isfinite, log
from typing import Final

import numpy as np

from sensing.detectors.clicks import are_clicks
from sensing.detectors.decision import Decision
from sensing.detectors.grid import keeps_a_beat
from sensing.detectors.pulse import Pulse, over_traffic
from sensing.detectors.radarclasses import CLASSES, SINGLE_PRI, Inside, RadarClass
from sensing.detectors.recurrence import FEW, LEVEL_DB, PRI_SHARE, HeardTrain, Recurrence
from sensing.detectors.scattered import Scattered
from sensing.detectors.trains import (
    ALIKE_DB,
    ALIKE_HZ,
    MISSED_MAX,
    SAME_US,
    TIMING_PER_TURN_US,
    TIMING_SHARE,
    TIMING_US,
    HeardPulse,
    PulseTrain,
    alike,
    beside_step,
    level_db,
    like_sweeps,
    loudest,
    once,
    one_sweep,
    overlap,
    same_sweep,
    trains_of,
    turns_in_step,
)
from sensing.occupancy import wilson
from sensing.values import Interval

__all__ = ["CLASSES", "EITHER", "Incumbent", "RadarDecision", "RadarDetector", "Stretch", "crowd_max"]

MEMORY_US: Final = 120_000.0
PULSES_MAX: Final = 192
CELLS_PER_S_PER_HZ: Final = 2.0
"""Cells a second for each hertz of band: one of half a megahertz every microsecond."""
CHANCE_HOURS: Final = 100.0
PAIR_SNR_DB: Final = 13.0
CLOSEST_SHARE: Final = 0.85
"""Share of the shortest interval of a class: similar pulses closer to each other than this are not a radar's."""
CHECKED_MAX: Final = 5
ROOM_SHARE: Final = 0.7
"""Share of the pulses that fit in a stretch that a train must have: no background at its ends, traffic hides some."""
SLOPES_ALIKE: Final = 0.15
EVIDENCE_MAX: Final = 60.0
EVIDENCE_PLAIN: Final = 30.0
"""Evidence in nepers from which the cells of a pulse suffice: its sum in phase is then not needed."""
SWEEPS_NEPERS: Final = 11.0
"""Log of how many sweeps a pulse is compared with: 600 slopes, 5 bends, 20 lengths."""
EITHER: Final = " or "
IN_STEP_US: Final = 0.3
"""Error of a train's interval in us, for each interval between the train and another."""
AROUND_MAX: Final = 0.1
"""Most power at a train's frequency just before or after its pulses, as a mean share of theirs: a radar at 20 dB had
0.04 and less under TDD traffic, pieces of uplink control had 0.18 and more."""
TOLD_MAX: Final = 64
JITTERING_LEAST, JITTERING_SHARE = 3, 1 / 3
"""Least number of pulses out of step, and least share of those in step, that show a power supply whose interval
jitters."""


def crowd_max(*, look_us: float, pri_us: tuple[float, float]) -> int:
    """How many other like pulses may be in a look before a pair at an interval of the class stops meaning anything.

    n pulses scattered over a look of T make n(n-1)/2 pairs, each of which has an interval from a to b by chance with
    probability ((T-a)^2 - (T-b)^2) / T^2. Once half such a pair is to be expected, finding one proves nothing.
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
    """A detected radar: class, times of first and last pulse, band, and the share of pulses that fit its train.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The pulses found in samples that began at `start_ns` and lasted `length_ns`.

    A train may continue from the stretches before only where this one is `contiguous` with them: elsewhere times are
    not exact enough.
    """

    pulses: Sequence[Pulse]
    start_ns: int
    length_ns: int
    contiguous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarDecision(Decision):
    """For each of `CLASSES` the evidence of its best train, in nepers of the time noise takes to make one like it.

    `withdrawn` are trains, reported before or not, that have gone on for too long to be a radar's burst.
    """

    incumbents: tuple[Incumbent, ...]
    withdrawn: tuple[Incumbent, ...] = ()


class RadarDetector:
    """Collects pulses stretch by stretch and detects the radar trains they make."""

    def __init__(self, *, band_hz: float) -> None:
        """Args: band_hz is the width of the band that is searched, which sets how often noise makes a pulse."""
        self._band_hz = band_hz
        self._heard: deque[HeardPulse] = deque(maxlen=PULSES_MAX)
        self._base_ns = 0
        self._listened_us = 0.0
        self._recurrence = Recurrence()
        self._shapes = Recurrence()
        self._scattered = Scattered()
        self._told: deque[Incumbent] = deque(maxlen=TOLD_MAX)
        self._told_trains: deque[tuple[RadarClass, PulseTrain, Incumbent]] = deque(maxlen=TOLD_MAX)
        self._gone_on: deque[Incumbent] = deque(maxlen=TOLD_MAX)

    def decide(self, seen: Stretch) -> RadarDecision:
        """Add the pulses of a stretch; the decision has the radars that they complete."""
        self._take(seen)
        evidence = np.full(len(CLASSES), -np.inf)
        found: list[Incumbent] = []
        reached: list[tuple[int, float]] = []
        withdrawn: list[Incumbent] = []
        for index, kind in enumerate(CLASSES if seen.pulses else ()):
            trains = self._grown(kind)
            lasting = self._lasting(kind, trains, contiguous=seen.contiguous)
            # Two equal sweeps are no sparks: for a class of sweeps lone pulses prove nothing.
            asked = not seen.contiguous and kind.inside is not Inside.SWEPT
            scattered = asked and self._are_scattered(kind, trains)
            for train in () if scattered else self._best(kind, trains):
                if any(_same_place(train, one, self._base_ns) for one in (*found, *withdrawn)):
                    continue
                one = self._incumbent(kind, train)
                within = lasting is not None and _within(lasting, one)
                goes_on = self._recurrence.goes_on(_as_heard(kind, one, seen), contiguous=seen.contiguous) or within
                if goes_on or self._steps_on(kind, train) or any(_in_step(one, other) for other in self._gone_on):
                    withdrawn.append(one)
                    continue
                found.append(one)
                self._told.append(one)
                self._told_trains.append((kind, train, one))
                reached.append((index, -self._log_chance_per_s(train, kind)))
            if lasting is not None:
                withdrawn += [one for one in self._told if kind.name in one.kind and _within(lasting, one)]
        if seen.pulses:
            withdrawn += self._seen_to_go_on()
        self._gone_on.extend(withdrawn)
        if withdrawn:
            withdrawn += [one for one in self._told if any(_in_step(one, other) for other in self._gone_on)]
        # Only now is it known which trains of this stretch belong to one that goes on.
        stands = [not any(one is other for other in withdrawn) for one in found]
        for index, nepers in compress(reached, stands):
            evidence[index] = max(evidence[index], nepers)
        limit = log(3600 * CHANCE_HOURS)
        return RadarDecision(
            statistic=evidence,
            threshold=np.full(len(CLASSES), limit),
            pfa=-expm1(-seen.length_ns / 1e9 * exp(-limit)),
            incumbents=tuple(compress(found, stands)),
            withdrawn=tuple(withdrawn),
        )

    def _take(self, seen: Stretch) -> None:
        if not seen.contiguous:
            self._heard.clear()
            self._told_trains.clear()
            self._base_ns = seen.start_ns
        at_us = (seen.start_ns - self._base_ns) / 1e3
        self._listened_us = at_us + seen.length_ns / 1e3
        for one in self._heard:
            one.fresh = False
        kept = [h for h in self._heard if h.us > at_us - MEMORY_US]
        new = [HeardPulse(p, at_us + p.time_us, fresh=True) for p in seen.pulses if isfinite(p.time_us + p.snr_db)]
        self._heard = deque(once(kept, new)[-PULSES_MAX:], maxlen=PULSES_MAX)

    def _grown(self, kind: RadarClass) -> list[PulseTrain]:
        """Every train of pulses of the class's shape, the longest first."""
        fits = loudest([h for h in self._heard if h.is_shaped(kind, self._band_hz)])
        return sorted(trains_of(fits, kind), key=lambda t: -len(t.members))

    def _are_scattered(self, kind: RadarClass, trains: Sequence[PulseTrain]) -> bool:
        """Whether the longest train has few pulses and similar ones more often come alone than in a train.

        Remembers the pulses for later looks, except lone ones too weak to make a pair: noise makes such too.
        """
        if not trains:
            strong = (h for h in self._heard if h.pulse.snr_db >= PAIR_SNR_DB)
            shaped = [h for h in strong if h.is_shaped(kind, self._band_hz)]
            self._scattered.lone(kind, self._base_ns, shaped)
            return False
        members = trains[0].members
        return len(members) <= FEW and self._scattered.train(kind, self._base_ns, members)

    def _lasting(self, kind: RadarClass, trains: Sequence[PulseTrain], *, contiguous: bool) -> HeardTrain | None:
        """The longest train, believed or not, if it outlasts the class's bursts.

        None for plain pulses in contiguous samples: there only accepted trains are tested, each of which has most of
        its pulses. In short looks only some pairs of a power supply's pulses are strong enough to be accepted.
        """
        if not trains or (kind.inside is Inside.PLAIN and contiguous):
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
            few=_few(kind, len(members), contiguous=contiguous),
        )
        return heard if self._shapes.goes_on(heard, contiguous=contiguous) else None

    def _best(self, kind: RadarClass, trains: Sequence[PulseTrain]) -> list[PulseTrain]:
        """The longest convincing trains of a class, no two of which overlap in time and band."""
        best: list[PulseTrain] = []
        for train in trains:
            if not any(overlap(train, one) for one in best) and self._convincing(train, kind):
                best.append(train)
        return best

    def _needed(self, train: PulseTrain, kind: RadarClass) -> int:
        """How many pulses a train must have: more where the samples are long enough to contain a whole burst."""
        room = int(ROOM_SHARE * self._listened_us / train.pri_us)
        return max(kind.pulses_min, min(kind.pulses_whole, room))

    def _convincing(self, train: PulseTrain, kind: RadarClass) -> bool:
        snr = [h.pulse.snr_db for h in train.members]
        if len(snr) < self._needed(train, kind) or self._strays(train, kind) >= len(snr):
            return False
        pair = len(snr) == 2 and kind.inside is Inside.PLAIN
        if pair and (min(snr) < PAIR_SNR_DB or self._crowd(train) > CROWD_MAX):
            return False
        if -self._log_chance_per_s(train, kind) <= log(3600 * CHANCE_HOURS) or self._close(train, kind):
            return False
        return self._inside(train.members, kind) and not self._among_many(train, kind)

    def _inside(self, members: Sequence[HeardPulse], kind: RadarClass) -> bool:
        """Whether the class's waveform explains the strongest pulses, and one sweep is in all of them.

        For plain pulses: whether they are no clicks of another signal. For coded ones also: whether they are no pieces
        of a longer signal.
        """
        asked = sorted(members, key=lambda h: -h.pulse.snr_db)[:CHECKED_MAX]
        if kind.inside is Inside.PLAIN:
            return not are_clicks([h.pulse for h in asked])
        if kind.inside is Inside.CODED and sum(h.pulse.around for h in asked) > AROUND_MAX * len(asked):
            return False
        good = [h for h in asked if h.explained(kind)]
        if 2 * len(good) <= len(asked) or len(good) < min(2, len(asked)):
            return False
        if kind.inside is not Inside.SWEPT:
            return True
        middle = float(np.median([h.verified(kind).slope_mhz_per_us for h in good]))
        alike = [h for h in good if abs(h.verified(kind).slope_mhz_per_us - middle) <= SLOPES_ALIKE * abs(middle)]
        return 2 * len(alike) > len(asked) and len(alike) >= 2 and one_sweep(alike, kind, most=len(asked))

    def _log_chance_per_s(self, train: PulseTrain, kind: RadarClass) -> float:
        """Natural log of the rate per second at which noise alone makes a train as good as this one."""
        log_rates = [self._log_rate(h, kind) for h in train.members]
        share = min(1.0, 4 * ALIKE_HZ / self._band_hz)
        first, second, *rest = sorted(log_rates, reverse=True)
        pair = first + second + log(share * (kind.pri_us[1] - kind.pri_us[0]) * 1e-6)
        long_us = TIMING_SHARE * max(h.pulse.duration_us for h in train.members)
        slots = 2 * (TIMING_US + long_us + TIMING_PER_TURN_US * MISSED_MAX) * 2 * MISSED_MAX * 1e-6
        alone = pair + sum(r + log(share * slots) for r in rest)
        summed = max(h.pulse.train_nepers for h in train.members)
        return min(alone, -summed) if summed > 0 else alone

    def _log_rate(self, heard: HeardPulse, kind: RadarClass) -> float:
        """Natural log of the rate per second at which noise makes such a pulse, by its cells or its sum in phase."""
        pulse = heard.pulse
        evidence = max(pulse.nepers, 10 ** (pulse.snr_db / 10))
        if kind.inside is Inside.SWEPT and evidence < EVIDENCE_PLAIN and over_traffic(pulse):
            evidence = max(evidence, heard.verified(kind).nepers - SWEEPS_NEPERS)
        return log(CELLS_PER_S_PER_HZ * self._band_hz) - min(EVIDENCE_MAX, evidence)

    def _beside(self, train: PulseTrain, *, weaker_db: float) -> Iterator[HeardPulse]:
        """Other pulses in a train's band, at any time in memory, at most `weaker_db` weaker than its weakest."""
        members = set(map(id, train.members))
        first_hz = min(h.pulse.low_hz for h in train.members) - ALIKE_HZ
        last_hz = max(h.pulse.high_hz for h in train.members) + ALIKE_HZ
        weakest = min(level_db(h.pulse) for h in train.members) - weaker_db
        for h in self._heard:
            if id(h) not in members and first_hz <= h.pulse.peak_hz <= last_hz and level_db(h.pulse) > weakest:
                yield h

    def _reaching(self, train: PulseTrain) -> Iterator[HeardPulse]:
        """Other pulses any part of which lies in a train's band, with an SNR like the train's or higher.

        A sweep that never pauses is detected in pieces at different frequencies, and their strength depends on how
        much of it is taken for one pulse: neither their peak frequency nor their level is the same.
        """
        members = set(map(id, train.members))
        first_hz = min(h.pulse.low_hz for h in train.members)
        last_hz = max(h.pulse.high_hz for h in train.members)
        weakest = min(h.pulse.snr_db for h in train.members) - ALIKE_DB
        for h in self._heard:
            near = h.pulse.low_hz <= last_hz and first_hz <= h.pulse.high_hz
            if near and id(h) not in members and h.pulse.snr_db > weakest:
                yield h

    def _strays(self, train: PulseTrain, kind: RadarClass) -> int:
        """Pulses about as strong as the train's, in its band and time, that do not belong to it.

        For a train of sweeps over traffic only those of the class's shape count: fragments at the ends of a sweep are
        none.
        """
        shaped = kind.inside is Inside.SWEPT and any(over_traffic(h.pulse) for h in train.members)
        low, high = train.members[0].us, train.members[-1].us
        within = (h for h in self._beside(train, weaker_db=ALIKE_DB / 2) if low <= h.us <= high)
        return sum(not shaped or h.is_shaped(kind, self._band_hz) for h in within)

    def _steps_on(self, kind: RadarClass, train: PulseTrain) -> bool:
        """Whether pulses of any shape, in the train's band and in step, outlast a burst, or its interval jitters."""
        if self._jitters(kind, train):
            return True
        turns = max(h.pulse.train_turns for h in train.members)
        most = kind.pulses_allowed
        if turns > most or turns_in_step(train, list(self._beside(train, weaker_db=LEVEL_DB)), kind.pri_us) > most:
            return True
        return self._on_a_beat(kind, train)

    def _on_a_beat(self, kind: RadarClass, train: PulseTrain) -> bool:
        """Whether the pulses of the band, most of them too weak to detect, keep the train's period beyond a burst."""
        if kind.inside is Inside.PLAIN:
            return False
        times = np.array([h.us for h in self._beside(train, weaker_db=LEVEL_DB)])
        own = np.array([h.us for h in train.members])
        burst_us = kind.pulses_allowed * train.pri_us
        return keeps_a_beat(
            own, train.pri_us, times, shortest_us=CLOSEST_SHARE * kind.pri_us[0], burst_us=burst_us
        )  # fmt: skip

    def _jitters(self, kind: RadarClass, train: PulseTrain) -> bool:
        """Whether many pulses like those of a plain train come about an interval apart without being in step."""
        if kind.inside is not Inside.PLAIN:
            return False
        one = train.members[0].pulse
        like = [
            h
            for h in self._beside(train, weaker_db=LEVEL_DB)
            if h.is_shaped(kind, self._band_hz) and alike(one, h.pulse)
        ]
        kept, left = beside_step(train, like)
        return left >= max(JITTERING_LEAST, JITTERING_SHARE * (len(train.members) + kept))

    def _seen_to_go_on(self) -> list[Incumbent]:
        """Radars reported before whose trains, with later pulses, outlast a burst; their trains are forgotten."""
        going = [
            told
            for told in self._told_trains
            if self._steps_on(told[0], told[1]) or any(_too_long_together(told[0], told[2], one) for one in self._told)
        ]
        self._told_trains = deque((told for told in self._told_trains if told not in going), maxlen=TOLD_MAX)
        return [one for _, _, one in going]

    def _among_many(self, train: PulseTrain, kind: RadarClass) -> bool:
        """Whether more pulses like the train's than a burst of its class has do not belong to the train."""
        if kind.inside is Inside.PLAIN:
            return False
        others = list(self._beside(train, weaker_db=ALIKE_DB))
        shaped = (h for h in others if h.is_shaped(kind, self._band_hz))
        like = sum(alike(train.members[0].pulse, h.pulse) for h in shaped)
        return max(like, like_sweeps(train, self._reaching(train))) > kind.pulses_allowed

    def _crowd(self, train: PulseTrain) -> int:
        """Number of other pulses in a train's band, at any time in memory, not much weaker: bursty traffic has many."""
        return sum(1 for _ in self._beside(train, weaker_db=ALIKE_DB))

    def _close(self, train: PulseTrain, kind: RadarClass) -> bool:
        """Whether half the pulses have a similar one nearer in time than any radar of the class sends them."""
        least = CLOSEST_SHARE * kind.pri_us[0]
        others = list(self._beside(train, weaker_db=ALIKE_DB))
        like = [h for h in others if h.is_shaped(kind, self._band_hz)]

        def crowded(one: HeardPulse) -> bool:
            near = any(abs(one.us - o.us) < least and alike(one.pulse, o.pulse) for o in like)
            return near or any(abs(one.us - o.us) < least and same_sweep(one.pulse, o.pulse) for o in others)

        return 2 * sum(map(crowded, train.members)) >= len(train.members)

    def _fits_too(self, members: tuple[HeardPulse, ...], kind: RadarClass) -> bool:
        """Whether a train fits another class too, with at least half of its pulses and as many as that class needs."""
        fit = [h for h in members if h.is_shaped(kind, self._band_hz)]
        return len(fit) >= max(kind.pulses_min, len(members) / 2) and self._inside(fit, kind)

    def _incumbent(self, kind: RadarClass, train: PulseTrain) -> Incumbent:
        members, strays = train.members, self._strays(train, kind)
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
    """Whether a reported radar is a part of a train that goes on: in its band, about as strong, not long before it."""
    near = one.low_hz < lasting.high_hz + ALIKE_HZ and lasting.low_hz < one.high_hz + ALIKE_HZ
    return near and abs(one.snr_db - lasting.snr_db) <= LEVEL_DB and lasting.first_ns - one.end_ns < MEMORY_US * 1e3


def _in_step(one: Incumbent, other: Incumbent) -> bool:
    """Whether two trains come from one emitter, at any frequency: of one class, with equal interval and phase."""
    if one is other or one.kind != other.kind or abs(one.pri_us - other.pri_us) > PRI_SHARE * other.pri_us:
        return False
    apart_us = min((one.start_ns - end for end in (other.start_ns, other.end_ns)), key=abs) / 1e3
    turns = round(apart_us / other.pri_us)
    allowed = SAME_US + IN_STEP_US * abs(turns)
    return allowed < other.pri_us / 8 and abs(apart_us - turns * other.pri_us) <= allowed


def _too_long_together(kind: RadarClass, one: Incumbent, other: Incumbent) -> bool:
    """Whether two trains, in step and in one band, are one that outlasts a burst and was too weak between them."""
    near = one.low_hz < other.high_hz + ALIKE_HZ and other.low_hz < one.high_hz + ALIKE_HZ
    if not near or abs(one.snr_db - other.snr_db) > LEVEL_DB or not _in_step(one, other):
        return False
    lasted_us = (max(one.end_ns, other.end_ns) - min(one.start_ns, other.start_ns)) / 1e3
    return lasted_us > kind.pulses_allowed * one.pri_us


def _as_heard(kind: RadarClass, one: Incumbent, seen: Stretch) -> HeardTrain:
    return HeardTrain(
        kind=kind,
        first_ns=one.start_ns,
        last_ns=one.end_ns,
        low_hz=one.low_hz,
        high_hz=one.high_hz,
        snr_db=one.snr_db,
        pri_us=one.pri_us,
        few=_few(kind, one.pulses, contiguous=seen.contiguous),
    )


def _few(kind: RadarClass, pulses: int, *, contiguous: bool) -> bool:
    """Whether a train of plain pulses in a short look has too few to show whether its interval jitters."""
    return kind.inside is Inside.PLAIN and not contiguous and pulses <= FEW


def _same_place(train: PulseTrain, one: Incumbent, base_ns: int) -> bool:
    low, high = base_ns + train.members[0].us * 1e3, base_ns + train.members[-1].us * 1e3
    near = any(h.pulse.low_hz <= one.high_hz and one.low_hz <= h.pulse.high_hz for h in train.members)
    return near and low <= one.end_ns and one.start_ns <= high
