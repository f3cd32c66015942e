"""Builds trains of similar pulses at a steady interval from pairs of pulses, and measures how long they go on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sensing.detectors.intrapulse import Compressed
from sensing.detectors.pulse import Pulse, over_traffic
from sensing.detectors.radarclasses import Inside, RadarClass, in_class, verify
from sensing.detectors.sweepchecks import (
    LEFT_MIN,
    NEPERS_MIN,
    Swept,
    hold_one_sweep,
    left_of_traffic,
    stands_for_itself,
    swept_pulse,
)

FITS_MAX: Final = 96
TIMING_US: Final = 0.8
TIMING_PER_TURN_US: Final = 0.4
TIMING_SHARE: Final = 0.08
"""Timing error as a share of a pulse's duration: the middle of a long pulse is less exact."""
MISSED_MAX: Final = 3
ALIKE_DB: Final = 4.0
ALIKE_HZ: Final = 1.5e6
SAME_SWEEP: Final = 3.0
AS_STEEP: Final = 1.15
SAME_US: Final = 6.0
STEP_US: Final = 2.5
CUT_SHARE: Final = 0.25
"""Shift of a pulse's middle, as a share of its duration, where only one half of it was detected."""
STEPS_MISSED_MAX: Final = 2
STARTS_MAX: Final = 3
STEEP: Final = 0.1
"""Slope in MHz/us below which a pulse may be a symbol of data."""
NEXT_SHARE: Final = 0.1
"""Largest error, as a share of the interval, of the next pulse of a power supply whose interval jitters."""
FULL_SHARE: Final = 0.6
"""Least share of its intervals in which a train that goes on must have a pulse."""


@dataclass(slots=True, eq=False)
class HeardPulse:
    """A pulse with its time `us` since the stretches became contiguous; `fresh` if from the newest stretch."""

    pulse: Pulse
    us: float
    fresh: bool
    inside: dict[str, Compressed] = field(default_factory=dict)
    shaped: dict[str, bool] = field(default_factory=dict)

    def is_shaped(self, kind: RadarClass, band_hz: float) -> bool:
        """Whether the pulse's shape fits the class in a band that wide; computed once."""
        if kind.name not in self.shaped:
            self.shaped[kind.name] = in_class(self.pulse, kind, band_hz)
        return self.shaped[kind.name]

    def verified(self, kind: RadarClass) -> Compressed:
        """The class's waveform compressed with the pulse; computed once."""
        if kind.name not in self.inside:
            self.inside[kind.name] = verify(self.pulse, kind)
        return self.inside[kind.name]

    def explained(self, kind: RadarClass) -> bool:
        """Whether the class's waveform explains the pulse, with a frequency sweep as large as the class's."""
        told = self.verified(kind)
        moved_mhz = abs(told.slope_mhz_per_us) * told.length_us
        return told.share >= kind.share_min and (not told.length_us or moved_mhz >= kind.sweep_mhz)

    def as_swept(self, kind: RadarClass) -> Swept | None:
        """The pulse's samples with its best sweep, None where it has none."""
        return swept_pulse(self.pulse.wave, self.verified(kind))


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Two or more pulses in time order, `pri_us` apart or a few times that."""

    members: tuple[HeardPulse, ...]
    pri_us: float


def once(kept: list[HeardPulse], new: list[HeardPulse]) -> list[HeardPulse]:
    """Merge the pulses kept and the new ones in time order, each pulse once.

    A train detected by its sum alone is detected again in every stretch that it goes on in: of several detections of a
    pulse the one with the most `train_nepers` is kept, or the one detected singly.
    """
    strong = [h for h in (*kept, *new) if not h.pulse.train_nepers]
    chosen: list[HeardPulse] = []
    weak = sorted((h for h in (*new, *kept) if h.pulse.train_nepers), key=lambda h: -h.pulse.train_nepers)
    for one in weak:
        if not any(again(one, other) for other in (*strong, *chosen)):
            chosen.append(one)
    return sorted([*strong, *chosen], key=lambda h: h.us)


def loudest(fits: list[HeardPulse]) -> list[HeardPulse]:
    """The strongest `FITS_MAX` pulses, in time order: a limit on the work in a band full of pulses."""
    if len(fits) <= FITS_MAX:
        return fits
    return sorted(sorted(fits, key=lambda h: -level_db(h.pulse))[:FITS_MAX], key=lambda h: h.us)


def again(one: HeardPulse, other: HeardPulse) -> bool:
    """Whether two detections are the same pulse: at one time in one band, or nearly."""
    a, b = one.pulse, other.pulse
    if abs(one.us - other.us) > SAME_US + max(0.0, max(a.duration_us, b.duration_us) / 2 - 2):
        return False
    return a.low_hz <= b.high_hz + ALIKE_HZ and b.low_hz <= a.high_hz + ALIKE_HZ


def trains_of(fits: list[HeardPulse], kind: RadarClass) -> Iterator[PulseTrain]:
    """Every train that a fresh pulse is part of, grown from each pair of like pulses at an interval of the class."""
    if not any(h.fresh for h in fits):
        return
    for j, late in enumerate(fits):
        for early in fits[:j]:
            if kind.pri_us[0] <= late.us - early.us <= kind.pri_us[1] and alike_in(kind, early, late):
                train = grow(kind, early, late, fits[j + 1 :])
                if any(h.fresh for h in train.members):
                    yield train


def alike(a: Pulse, b: Pulse) -> bool:
    """Whether two pulses are similar in level, duration and frequency."""
    return abs(level_db(a) - level_db(b)) <= ALIKE_DB and _alike_but_in_level(a, b)


def alike_in(kind: RadarClass, a: HeardPulse, b: HeardPulse) -> bool:
    """Whether two pulses of a class's shape are similar.

    The level of a sweep over traffic is that of its sum in phase, because traffic changes its strongest cell.
    """
    if alike(a.pulse, b.pulse):
        return True
    over = over_traffic(a.pulse) or over_traffic(b.pulse)
    if kind.inside is not Inside.SWEPT or not over or not _alike_but_in_level(a.pulse, b.pulse):
        return False
    one, other = a.verified(kind), b.verified(kind)
    return min(one.share, other.share) >= kind.share_min and abs(one.level_db - other.level_db) <= ALIKE_DB


def _alike_but_in_level(a: Pulse, b: Pulse) -> bool:
    wide = max(a.high_hz - a.low_hz, b.high_hz - b.low_hz)
    return abs((a.low_hz + a.high_hz) - (b.low_hz + b.high_hz)) / 2 <= max(ALIKE_HZ, wide / 4) and abs(
        a.duration_us - b.duration_us
    ) <= 2.5 + 0.3 * max(a.duration_us, b.duration_us)


def same_sweep(a: Pulse, b: Pulse) -> bool:
    """Whether two pulses may be parts of one sweep repeated without pause: same direction, similar length and slope.

    The slope of a piece that noise cut short is measured badly.
    """
    slopes = sorted((abs(a.slope_mhz_per_us), abs(b.slope_mhz_per_us)))
    times = sorted((a.duration_us, b.duration_us))
    one_way = a.slope_mhz_per_us * b.slope_mhz_per_us > 0
    return one_way and slopes[1] <= SAME_SWEEP * slopes[0] and times[1] <= SAME_SWEEP * times[0]


def one_sweep(pulses: Sequence[HeardPulse], kind: RadarClass, *, most: int) -> bool:
    """Whether more than half of `most` pulses contain one sweep, each of them alone, with the traffic going on beneath.

    Over traffic their sweeps must also have NEPERS_MIN of evidence together.
    """
    surest = max(pulses, key=lambda h: h.verified(kind).nepers)
    its = surest.as_swept(kind)
    swept = [(h, h.as_swept(kind)) for h in pulses]
    like = [(h, one) for h, one in swept if h is surest or its is None or one is None or hold_one_sweep(its, one)]
    held = [h for h, one in like if one is None or stands_for_itself(one, over=over_traffic(h.pulse))]
    if 2 * len(held) <= most or len(held) < 2:
        return False
    if all(over_traffic(h.pulse) for h in held) and sum(h.verified(kind).nepers for h in held) < NEPERS_MIN:
        return False
    over = [one for h, one in swept if one is not None and over_traffic(h.pulse)]
    left, beside = (sum(powers) for powers in zip(*map(left_of_traffic, over), strict=True)) if over else (1.0, 1.0)
    return left >= LEFT_MIN * beside


def like_sweeps(train: PulseTrain, others: Iterable[HeardPulse]) -> int:
    """How many other pulses are sweeps like the train's; more than a burst has are pieces of one sweep without pause.

    0 for a train that sweeps slower than STEEP.
    """
    one = train.members[0].pulse
    if abs(one.slope_mhz_per_us) < STEEP:
        return 0
    return sum(same_sweep(one, h.pulse) or _as_steep(one, h.pulse) for h in others)


def _as_steep(a: Pulse, b: Pulse) -> bool:
    """Whether two pulses sweep in one direction at a similar rate, whatever part of the sweep each is."""
    slopes = sorted((abs(a.slope_mhz_per_us), abs(b.slope_mhz_per_us)))
    return a.slope_mhz_per_us * b.slope_mhz_per_us > 0 and slopes[1] <= AS_STEEP * slopes[0]


def level_db(pulse: Pulse) -> float:
    """A pulse's level in dB: its own where it was measured apart from what it lies over, else its SNR."""
    return pulse.snr_db if pulse.level_db is None else pulse.level_db


def grow(kind: RadarClass, first: HeardPulse, second: HeardPulse, fits: list[HeardPulse]) -> PulseTrain:
    """Extend a train from two pulses by their interval, over up to `MISSED_MAX` missing ones."""
    members, turns = [first, second], 1
    room_us = TIMING_US + TIMING_SHARE * first.pulse.duration_us
    pri = second.us - first.us
    for heard in fits:
        ahead = heard.us - members[-1].us
        steps = round(ahead / pri)
        if steps > MISSED_MAX:
            break
        if not 1 <= steps <= MISSED_MAX or not alike_in(kind, first, heard):
            continue
        if abs(ahead - steps * pri) <= room_us + TIMING_PER_TURN_US * steps:
            members.append(heard)
            turns += steps
            pri = (members[-1].us - members[0].us) / turns
    return PulseTrain(tuple(members), pri)


def overlap(a: PulseTrain, b: PulseTrain) -> bool:
    """Whether two trains overlap in time and band."""
    low, high = (min(h.pulse.low_hz for h in b.members), max(h.pulse.high_hz for h in b.members))
    near = any(h.pulse.low_hz <= high and low <= h.pulse.high_hz for h in a.members)
    return near and a.members[0].us <= b.members[-1].us and b.members[0].us <= a.members[-1].us


def turns_in_step(train: PulseTrain, others: Sequence[HeardPulse], pri_us: tuple[float, float]) -> int:
    """Number of intervals from the first to the last pulse in step with a train, whatever the pulses' shape.

    Args: others are the pulses of the train's band in the order of time; pri_us is the range of the class. Data of
        uplink control now and then looks like a sweep; the symbols before and after it say that it is none. Of a symbol
        that noise cut short the middle is off, so steps are counted from each of its neighbours too.
    """
    most = _turns(train.members[0], train.members[-1], train.pri_us, len(train.members), others)
    for one in train.members[:STARTS_MAX]:
        for other in others:
            apart = abs(other.us - one.us)
            if pri_us[0] <= apart <= pri_us[1]:
                early, late = (one, other) if one.us < other.us else (other, one)
                most = max(most, _turns(early, late, apart, 2, others))
    return most


def beside_step(train: PulseTrain, others: Sequence[HeardPulse]) -> tuple[int, int]:
    """Number of similar pulses at a train's intervals that are in step with it, and that are out of step.

    A radar's interval is the same all through a burst. Where it jitters by some microseconds a few pulses of many are
    in step by chance, and the others come about an interval apart, before and after them.

    Args: others are the like pulses of the train's band that do not belong to it, in the order of time.
    """
    near_us = NEXT_SHARE * train.pri_us
    counts = [0, 0]

    def count(off_us: float, steps: int, heard: HeardPulse) -> bool:
        room_us = TIMING_US + TIMING_SHARE * heard.pulse.duration_us + TIMING_PER_TURN_US * steps
        counts[off_us > room_us] += off_us <= near_us
        return off_us <= near_us

    first, last = train.members[0], train.members[-1]
    for heard in others:
        if first.us < heard.us < last.us:
            apart = abs(heard.us - min(train.members, key=lambda one: abs(one.us - heard.us)).us)
            steps = round(apart / train.pri_us)
            if steps:
                count(abs(apart - steps * train.pri_us), steps, heard)
    for edge, way, line in ((last, 1, others), (first, -1, others[::-1])):
        edge_us = edge.us
        for heard in line:
            ahead = way * (heard.us - edge_us)
            steps = round(ahead / train.pri_us)
            if steps > STEPS_MISSED_MAX:
                break
            if steps >= 1 and count(abs(ahead - steps * train.pri_us), steps, heard):
                edge_us = heard.us
    return counts[0], counts[1]


def _turns(first: HeardPulse, last: HeardPulse, pri: float, pulses: int, others: Sequence[HeardPulse]) -> int:
    """Intervals from the first to the last pulse in step with these two; just theirs if most places are empty."""
    alone = turns = round((last.us - first.us) / pri)
    for way, line in ((1, others), (-1, others[::-1])):
        edge, begun = (last, first) if way > 0 else (first, last)
        for heard in line:
            ahead = way * (heard.us - edge.us)
            steps = round(ahead / pri)
            if steps > STEPS_MISSED_MAX:
                break
            room_us = STEP_US + CUT_SHARE * (heard.pulse.duration_us + edge.pulse.duration_us)
            if steps >= 1 and abs(ahead - steps * pri) <= room_us:
                turns, pulses, edge = turns + steps, pulses + 1, heard
                passed_us = abs(edge.us - begun.us)
                pri = passed_us / round(passed_us / pri)
    return turns if pulses > FULL_SHARE * turns else alone
