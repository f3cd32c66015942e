"""Derives a channel's state and occupancy from the decisions on its blocks."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.flags import VOIDING, SampleFlag
from sensing.longrun import long_run_occupancy
from sensing.occupancy import DetectorRates, SampleGaps, channel_occupancy, correct_for_detector, outage_widened
from sensing.orderstats import between
from sensing.probability import binomial_sf
from sensing.results import Anchor, ChannelState
from sensing.rhythm import Period, find_period, valley_db
from sensing.values import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BURSTY_DB: Final = 6.0
"""Spread of a channel's block levels, dB, above which it is used in bursts."""
FREE_HIGH_MAX: Final = 0.5
"""Upper bound of the occupancy from which a channel is not called free, however little was seen in it."""
DOUBT: Final = 5e-4
"""Probability that noise alone makes a channel busy by the number of its blocks over the threshold."""
RATE_SLACK: Final = (3.0, 1e-3)
"""Factor and addend to the design false-alarm rate that allow for a slightly wrong floor."""
STRONG_DB: Final = 6.0
STRONG_SHARE: Final = 0.3
UNSEEN_LOW: Final = 0.01
"""Occupancy above which a channel is busy, times the share of the time that was not seen."""
UNSEEN_MOST: Final = 0.5
SURE_BLOCKS: Final = 2
"""Number of certain blocks that make a channel busy, where less than UNSEEN_MOST of the time was not seen."""
BLURRED_SD: Final = 1.64
BLURRED_MOST: Final = 0.75
IDLE_BLOCKS_LEAST: Final = 32
"""Least number of idle blocks to compare with. A longer stretch is over its threshold as a whole: blocks between the
bursts in it whose mean energy exceeds that of idle blocks by less than BLURRED_SD deviations are not surely busy; they
lower the occupancy's lower bound by a share of BLURRED_MOST at most."""
NOTHING_KNOWN: Final = 0.99
"""Width from which the interval of a channel says nothing of its occupancy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksSeen:
    """The decisions on the blocks of one channel, shape (blocks,), and their faults.

    `over_db` is how far over its threshold the loudest test was, `whole_db` the energy of the whole channel; `lasting`
    are blocks in longer stretches over theirs; `anchored` those whose floor has an anchor, `clipped`
    those overdriven, `risen` those of pieces in which a part of the channel rose a little; in `carried` ones a steady
    signal is present all the time at that gain setting. `times_s` are their instants and `spacing` the gaps between
    these, where there are `gaps` wider than `step_s`. Over `sure_db` one block leaves no doubt. `unseen` is the share
    of the time of which nothing is known.
    """

    over_db: Floats
    whole_db: Floats
    lasting: Bools
    anchored: Bools
    clipped: Bools
    risen: Bools
    times_s: Floats
    gaps: bool
    spacing: SampleGaps | None
    step_s: float
    pfa: float
    sure_db: float
    unseen: float
    steady: bool
    carried: Bools
    doubtful: bool
    anchor: Anchor
    flags: SampleFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelVerdict:
    """State and occupancy of a channel; `cut_db`: how far over the threshold the cut between idle and busy is."""

    state: ChannelState
    occupancy: Interval
    long_run: Interval
    cut_db: float
    period: Period | None
    bursty: bool
    anchor: Anchor


UNSEEN: Final = Interval(value=float("nan"), low=0.0, high=1.0)


def judge(seen: BlocksSeen) -> ChannelVerdict:
    """Derive a channel's state and occupancy."""
    blocks = len(seen.over_db)
    if blocks == 0:
        return ChannelVerdict(
            state=ChannelState.UNKNOWN, occupancy=UNSEEN, long_run=UNSEEN, cut_db=0.0, period=None, bursty=False,
            anchor=Anchor.NONE,
        )  # fmt: skip
    sensitive = (seen.over_db > 0) | seen.lasting
    cut_db = max(valley_db(seen.over_db), valley_db(seen.whole_db))
    busy = (seen.over_db > cut_db) | (seen.lasting & (cut_db == 0))
    used = _significant(seen, sensitive)
    if seen.carried.any() and not used:
        busy = sensitive = sensitive | seen.carried
        used = True
    times = seen.times_s if seen.gaps else None
    pfa = seen.pfa if cut_db == 0.0 else 0.0
    occupancy = _sampled(seen, busy, pfa=pfa)
    long_run = long_run_occupancy(busy if used else np.zeros(blocks, np.bool_), step_s=seen.step_s, times_s=times)
    occupancy, long_run = (_widened(one, seen, sensitive, used=used, cut=busy) for one in (occupancy, long_run))
    state = _state(seen, occupancy, used=used)
    if state is ChannelState.UNKNOWN and occupancy.high - occupancy.low >= NOTHING_KNOWN:
        occupancy = long_run = UNSEEN
    return ChannelVerdict(
        state=state,
        occupancy=occupancy,
        long_run=long_run,
        cut_db=cut_db,
        period=None if seen.gaps else find_period(seen.whole_db, step_s=seen.step_s),
        bursty=between(seen.whole_db, 0.05, 0.95) > BURSTY_DB,
        anchor=seen.anchor,
    )


def _sampled(seen: BlocksSeen, busy: Bools, *, pfa: float) -> Interval:
    """The share of busy blocks less false alarms: from none of them to as many as the design allows.

    Blocks that leave no doubt are no false alarms.
    """
    most = channel_occupancy(busy, times_s=seen.spacing)
    if pfa == 0.0:
        return most
    share = correct_for_detector(most, DetectorRates(pfa=pfa))
    value = max(share.value, float((busy & (seen.over_db > seen.sure_db)).mean()))
    return replace(share, value=value, high=max(share.high, most.high))


def _significant(seen: BlocksSeen, busy: Bools) -> bool:
    """Whether more, or stronger, blocks were over the threshold than noise explains."""
    if bool(seen.lasting.any()) or bool((seen.over_db > seen.sure_db).any()):
        return True
    rate = min(0.5, RATE_SLACK[0] * seen.pfa + RATE_SLACK[1])
    return binomial_sf(int(busy.sum()) - 1, len(busy), rate) < DOUBT


def _widened(one: Interval, seen: BlocksSeen, sensitive: Bools, *, used: bool, cut: Bools) -> Interval:
    """The interval widened by every doubt other than sampling."""
    low, high = one.low if used else 0.0, one.high
    low *= 1 - _blurred(seen, cut)
    strong = float((seen.over_db > STRONG_DB).mean())
    weak = float(sensitive.mean())
    if strong > STRONG_SHARE * weak:
        low = max(0.0, low - max(0.0, float(cut.mean()) - strong))
    high = max(high, min(1.0, high + max(0.0, weak - float(cut.mean()))))
    high = min(1.0, high + float(((~seen.anchored | seen.clipped | seen.risen) & ~cut).mean()))
    if seen.steady or seen.doubtful:
        high = 1.0
    wide = outage_widened(replace(one, low=min(low, one.value), high=max(high, one.value)), unseen_share=seen.unseen)
    return replace(wide, high=1.0) if seen.flags & VOIDING & ~SampleFlag.CLIPPED else wide


def _blurred(seen: BlocksSeen, busy: Bools) -> float:
    """The share of busy blocks found only by a longer stretch, without more energy than idle blocks."""
    only = busy & seen.lasting & ~(seen.over_db > 0)
    idle = ~busy & ~seen.lasting
    if not only.any() or int(idle.sum()) < IDLE_BLOCKS_LEAST:
        return 0.0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], only, [False])).astype(np.int8)))
    firsts, lengths = edges[::2], edges[1::2] - edges[::2]
    shows = np.zeros(len(firsts), np.bool_)
    for level_db in (seen.over_db, seen.whole_db):
        level = 10 ** (level_db / 10)
        means = np.add.reduceat(np.where(only, level, 0.0), firsts) / lengths
        shows |= means > level[idle].mean() + BLURRED_SD * level[idle].std() / np.sqrt(lengths)
    return min(BLURRED_MOST, float(lengths[~shows].sum()) / int(busy.sum()))


def _state(seen: BlocksSeen, occupancy: Interval, *, used: bool) -> ChannelState:
    sure = int((seen.over_db > seen.sure_db).sum()) >= SURE_BLOCKS
    if used and (occupancy.low > UNSEEN_LOW * seen.unseen or (sure and seen.unseen < UNSEEN_MOST)):
        return ChannelState.BUSY
    doubted = sure or seen.flags & VOIDING or seen.anchor is Anchor.NONE or seen.steady or seen.doubtful
    if doubted or occupancy.high >= FREE_HIGH_MAX:
        return ChannelState.UNKNOWN
    return ChannelState.FREE
