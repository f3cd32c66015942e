"""Tracks the noise floor of each group of bins, separately for each gain setting.

The idle level in a piece of a look is the one that its quiet blocks share. A piece is compared with the known floor:

- where it is quieter, twice in a row, it becomes the floor: something was there before;
- where it is alike, it is averaged in, so that slow drifts are followed;
- where it is louder, it teaches nothing, however long that lasts: a channel that rose and did not fall is busy;
- where the whole band, its edges too, moved by one factor and stayed, the gain changed or something wider than the band
  began. The samples do not show which: a new floor is begun, and blocks on either side are not judged by the other's.

Pieces that are clipped or broken are compared with the floors and never taught from; short ones only together
(`sensing.shortlooks`).

Long because the comparison with a floor, and what a change of gain does to it, share one state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.detectors.channelkernels import level_powers
from sensing.floorkernels import mark_channels, mark_risen, quiet_levels, rises, teach
from sensing.orderstats import middle, quantile
from sensing.specials import gammainccinv
from sensing.sway import STEADY, may_sway, sway
from sensing.theory import truncated_mean

Floats = NDArray[np.float64]

START_SHARE: Final = 0.1
START_AVERAGES: Final = 12.0
"""Least independent averages in the quietest blocks, from which the floor is sought upwards: the lowest single
block of a group of few bins lies so deep now and then that none of the others agrees with it."""
START_MOST: Final = 0.25
"""Largest share of a piece's blocks that is taken for quiet at the start."""
CUT_PFA: Final = 1e-3
STEPS_MAX: Final = 40
BLOCKS_LEAST: Final = 8
"""Least blocks in a piece to learn from: the lowest of fewer is no floor."""
TAUGHT_BLOCKS: Final = 16
IDLE_SHARE: Final = 0.2
"""Share of a piece's blocks that must agree on a level for it to become the floor."""
DRIFT_LEAST_DB: Final = 0.2
DRIFT_DB: Final = 1.0
"""Change of the whole band in dB that is drift, not a step; beyond it only a slower change per piece is drift."""
FALL_CHANCE_DB: Final = 0.3
FALL_SHARED: Final = 0.7
FALL_ALIKE: Final = 2.0
"""Where chance makes more than the first, a fall of the quietest tenth by less than twice that chance is none if the
middle of the band fell by less than the second share of it: the quietest tenth of short looks lies low by itself."""
DRIFT_SLOW_DB: Final = 0.35
DRIFT_MOST_DB: Final = 6.0
"""Largest drift of one gain setting, dB: it bounds how much a signal may have grown unnoticed."""
CELLS_MAX: Final = 6400.0
"""Most idle blocks that count in a floor; older ones fade."""
DEVIATIONS: Final = 5.0
ALIKE_DB: Final = 0.35
CHANNEL_RISE_DB: Final = 0.25
STEP_DB: Final = (1.5, 12.0)
"""Least and most change of the whole band, dB, that may be a gain step; beyond it, a signal began or ended."""
STEP_DOWN_DB: Final = 15.0
ALIKE_SHARE: Final = 0.6
BELOW_SHARE: Final = 0.02
BEHIND_SHARE: Final = (0.07, 0.2)
"""Largest share of the band that may stay when the rest steps up, or down: the receiver's own lines."""
BACK_SHARE: Final = 0.3
STEP_NS: Final = 60_000_000
STEP_PIECES: Final = 4
SHOWN: Final = 10**-2.5
SHOWN_GROUPS: Final = 6
ROUNDED: Final = 2.0
STRONG_DB: Final = 25.0
"""Strength of a signal, dB, from which its piece may be compressed: a lower level in it is no new floor."""
VERSION_DB: Final = 0.03
HUMS_FOR: Final = 8
"""Pieces after one with a clear gain sway in which an unclear variation teaches nothing."""
EXCURSIONS_DOUBTED: Final = 2
"""Most rises and falls of the whole band that may be the gain's; with more of them all are taken for traffic."""
RUNS: Final = np.array([4, 8, 16], np.int64)
"""Numbers of neighbouring groups whose rises are averaged: a weak signal is wider than one group, chance is not."""
UNCERTAIN: Final = -1
POWER_OF: Final = np.power(10.0, np.arange(-32768, 32768) / 1000)
"""Linear powers of levels in hundredths of a dB, from the least 16-bit value on."""


@dataclass(slots=True)
class Piece:
    """Consecutive blocks of one look: powers in hundredths of a dB, shape (blocks, groups), and their gain setting.

    `state` is the number of a `GainState`, or `UNCERTAIN` where the level fits none; a piece too short to be compared
    alone belongs to the setting of `leader`, which stands for it and its like together. `clipped` are its overdriven
    blocks; `bound` if it holds a signal whatever its level; `drift_db` is how far the whole band, its edges too, lies
    over the floor without having stepped; `risen` are groups whose quiet blocks rose with their neighbours by more than
    chance; `decided` is for the decisions of the survey.
    """

    start_ns: int
    levels: NDArray[np.int16]
    clipped: NDArray[np.bool_]
    state: int = UNCERTAIN
    bound: bool = False
    drift_db: float = 0.0
    risen: NDArray[np.bool_] | None = None
    decided: object = None
    leader: "Piece | None" = None

    @property
    def setting(self) -> int:
        """Number of the gain setting that the piece belongs to now."""
        return self.state if self.leader is None else self.leader.state

    @property
    def drifted(self) -> float:
        """Factor by which the drift changed the piece's powers, to be divided out."""
        drift_db = self.drift_db if self.leader is None else self.leader.drift_db
        return 10 ** (-drift_db / 10)


def powers_of(pieces: Sequence[Piece], firsts: NDArray[np.int64]) -> Floats:
    """Linear power of each block and group of some pieces, one after the other, with drift removed.

    Args: firsts (pieces + 1,): the first block of each piece, then the number of blocks.
    """
    levels = np.concatenate([piece.levels for piece in pieces])
    power = np.empty(levels.shape)
    level_powers(levels, firsts, np.array([piece.drifted for piece in pieces]), POWER_OF, power)
    return power


@dataclass(slots=True)
class GainState:
    """One gain setting: floor of each group, idle blocks behind it, and the variation of an idle block.

    `taught` is False while only flagged pieces were seen at this setting. `version` counts changes worth a new look.
    `drift_db` is how far the whole band lies over `level` by now: a receiver's gain creeps; `near_db` where it was last
    seen to lie, within chance of that.
    """

    level: Floats
    cells: Floats
    spread: Floats
    taught: bool
    pieces: int = 0
    version: int = 0
    drift_db: float = 0.0
    near_db: float = 0.0
    told: Floats = field(default_factory=lambda: np.zeros(0))

    def touch(self) -> None:
        """Count a new version if the floor has moved noticeably since the last one."""
        if len(self.told) == 0 or float(np.abs(decibels(self.level / self.told)).max()) > VERSION_DB:
            self.told = self.level.copy()
            self.version += 1


@dataclass(frozen=True, slots=True)
class Quiet:
    """The quiet blocks of a piece: level, number and relative variance, each of shape (groups,)."""

    level: Floats
    idle: Floats
    spread: Floats


def decibels(ratio: Floats) -> Floats:
    """Convert power ratios to dB, at least -300."""
    return np.asarray(10 * np.log10(np.maximum(ratio, 1e-30)), np.float64)


def starts(blocks: int, least: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the blocks are taken for quiet at the start; least: how many must be, where there are as many."""
    share = max(1, int(START_SHARE * blocks))
    return np.clip(least, share, max(share, int(START_MOST * blocks)))


class QuietLevels:
    """Forward consecutive mean excision of every group's blocks at once."""

    def __init__(self, shapes: Floats) -> None:
        """Args: independent averages behind one block of each group, shape (groups,)."""
        self.shapes = shapes
        self._least = np.ceil(START_AVERAGES / shapes).astype(np.int64)
        self._cuts = np.array([gammainccinv(k, CUT_PFA) / k for k in shapes])
        self._bias = np.array(
            [truncated_mean(shape=float(k), threshold=float(c)) for k, c in zip(shapes, self._cuts, strict=True)]
        )

    def __call__(self, blocks: Floats) -> Quiet:
        """Quiet levels of blocks of shape (blocks, groups)."""
        found = np.empty((3, blocks.shape[1]))
        start = starts(len(blocks), self._least)
        quiet_levels(np.sort(blocks, axis=0), self._cuts, self._bias, start, STEPS_MAX, found)
        return Quiet(level=found[0], idle=found[1], spread=np.maximum(found[2] - 1, 1e-9))


class FloorTracker:
    """Learns floors piece by piece; `states` are the gain settings met, `current` the present one."""

    def __init__(
        self,
        shapes: Floats,
        *,
        channels: tuple[NDArray[np.intp], ...],
        compared: NDArray[np.bool_],
        order: NDArray[np.intp],
    ) -> None:
        """Args: shapes: independent averages behind one block of each group; channels: the groups of each channel.

        compared: which groups show a change of gain; order: those groups in the order of their frequencies.
        """
        self._quiet = QuietLevels(shapes)
        self._shapes, self._compared = shapes, compared
        self._order = np.array(order, np.int64)
        self._excursions: list[list[Piece]] = []
        self._swayed: float | None = None
        self._hums, self._unclear = 0, False
        self._members = np.concatenate(channels).astype(np.int64)
        self._starts = np.cumsum([0, *map(len, channels)]).astype(np.int64)
        self._pending: list[tuple[Piece, Quiet]] = []
        self._last: Piece | None = None
        self._sank = np.zeros(len(shapes), np.bool_)
        self.own_noise = 0.0
        self.states: list[GainState] = []
        self.current: int | None = None
        self.steps = 0

    def settled(self, piece: Piece) -> bool:
        """Whether no gain step can be found in a piece any more, as later pieces came."""
        leader = piece if piece.leader is None else piece.leader
        return leader is not self._last and all(leader is not one for one, _ in self._pending)

    def forget_gain(self) -> None:
        """Note a change of gain: the next pieces belong to a setting that is to be found or learned."""
        self._give_up()
        self.current = None

    def learn(self, piece: Piece, power: Floats, *, teaches: bool) -> None:
        """Learn from a piece with these block powers, and set `piece.state` to its gain setting."""
        if len(power) < BLOCKS_LEAST:
            piece.state = UNCERTAIN if self.current is None else self.current
            return
        seen = self._quiet(power)
        if self.current is None:
            self._begin(piece, seen, teaches=teaches)
            steadied = self._steadied(self.states[self.current], piece, power) if self.current is not None else power
            if self.current is not None and steadied is not power and self.states[self.current].pieces == 1:
                again = self._quiet(steadied)
                self.states[self.current] = self._fresh(again, taught=teaches, version=1)
            return
        state = self.states[self.current]
        steadied = self._steadied(state, piece, power)
        if steadied is not power:
            power = steadied
            seen = self._quiet(power)
        if teaches and not state.taught:
            self._first_taught(piece, seen)
            return
        rise, limit = self._compare(state, seen)
        shown = self._shown(state)
        moved = self._moved_alike(shown, rise, limit)
        if moved is None and self._pending and not self._is_back(rise, limit):
            piece.state = UNCERTAIN
            return
        if moved is None:
            doubted = self._give_up(piece)
            piece.state = UNCERTAIN if doubted or self._unclear else self.current
            least_db, chance_db = self._least(shown, rise, limit)
            if teaches and self._crept(state, least_db, chance_db):
                self._start(piece, seen)
                return
            piece.drift_db = self._drift(state, least_db, chance_db)
            if teaches and len(power) >= TAUGHT_BLOCKS:
                strong = bool((power.max(axis=0) > state.level * 10 ** (STRONG_DB / 10)).any())
                moved_db, state.drift_db = piece.drift_db - state.drift_db, piece.drift_db
                level = seen.level * 10 ** (-state.drift_db / 10)
                known = Quiet(level, seen.idle, seen.spread)
                risen = self._risen(rise - moved_db, limit)
                piece.risen = risen if risen.any() else None
                least = np.inf if strong else IDLE_SHARE * len(power)
                self._teach(state, known, rise - moved_db, limit, risen=risen, least=least)
            self._last = piece
            return
        self._moved(piece, seen, moved, teaches=teaches)

    # -- one setting ---------------------------------------------------------------------------------------------

    def _begin(self, piece: Piece, seen: Quiet, *, teaches: bool) -> None:
        known = self._known(seen)
        if known is None:
            self.states.append(self._fresh(seen, taught=teaches))
            known = len(self.states) - 1
        self.current = piece.state = known

    def _first_taught(self, piece: Piece, seen: Quiet) -> None:
        """Learn the first sound piece after flagged ones: where it differs, those do not count for the floor."""
        known = self._known(seen)
        if known is None:
            self.states.append(self._fresh(seen, taught=True))
            known = len(self.states) - 1
        elif not self.states[known].taught:
            self.states[known] = self._fresh(seen, taught=True, version=self.states[known].version + 1)
        self.current = piece.state = known

    @staticmethod
    def _fresh(seen: Quiet, *, taught: bool, version: int = 0) -> GainState:
        state = GainState(seen.level.copy(), seen.idle.copy(), seen.spread.copy(), taught, 1, version)
        state.touch()
        return state

    def _steadied(self, state: GainState, piece: Piece, power: Floats) -> Floats:
        """The powers of a piece without the sway of the gain, removed from its levels too; the same without sway."""
        if len(power) != len(piece.levels):
            return power
        self._unclear = False
        found = STEADY
        if (self._hums or may_sway(power)) and (shown := self._shown(state)) is not None:
            variance = np.maximum(1 / self._shapes, state.spread)
            level = state.level[shown] * 10 ** (state.drift_db / 10)
            found = sway(power[:, shown], level, variance[shown], last_db=self._swayed)
        swayed = found.course_db
        self._swayed = None if swayed is None else float(swayed[-1])
        self._unclear = swayed is None and found.varies and self._hums > 0
        self._hums = HUMS_FOR if swayed is not None else max(0, self._hums - 1)
        if swayed is None:
            return power
        piece.levels -= np.rint(100 * swayed).astype(np.int16)[:, None]
        return power * 10 ** (-swayed / 10)[:, None]

    def _compare(self, state: GainState, seen: Quiet) -> tuple[Floats, Floats]:
        """Rise of each group's quiet level over the floor, and its limit by chance, in dB."""
        rise, limit = np.empty(len(self._shapes)), np.empty(len(self._shapes))
        rises(
            seen.level, seen.idle, state.level, state.cells, state.spread, self._shapes, state.drift_db, ALIKE_DB,
            DEVIATIONS, rise, limit,
        )  # fmt: skip
        return rise, limit

    def _teach(
        self, state: GainState, seen: Quiet, rise: Floats, limit: Floats, *, risen: NDArray[np.bool_], least: float
    ) -> None:
        teach(
            state.level, state.cells, state.spread, self._sank, seen.level, seen.idle, seen.spread, rise, limit, risen,
            float(max(BLOCKS_LEAST, least)), CELLS_MAX,
        )  # fmt: skip
        state.pieces += 1
        state.touch()

    def _risen(self, rise: Floats, limit: Floats) -> NDArray[np.bool_]:
        """Which groups rose by more than chance together with their neighbours, or their channel."""
        over, found = np.minimum(rise, limit), np.zeros(len(rise), np.bool_)
        mark_channels(over, limit, self._members, self._starts, CHANNEL_RISE_DB, found)
        mark_risen(over, limit, self._order, RUNS, CHANNEL_RISE_DB, found)
        return found

    def _least(self, shown: NDArray[np.bool_] | None, rise: Floats, limit: Floats) -> tuple[float, float]:
        """The rise of the least risen tenth of the band, and its limit by chance, dB."""
        told = self._compared if shown is None else shown
        rise, limit = rise[told], limit[told]
        sd = middle(limit) / DEVIATIONS
        chance = max(DRIFT_LEAST_DB, 6 * sd / np.sqrt(len(rise)))
        most, least = middle(rise), quantile(rise, 0.1) + 1.28 * sd
        few = chance > FALL_CHANCE_DB and least < 0
        if few and most > -FALL_SHARED * chance and most - least < FALL_ALIKE * chance:
            least = min(most, 0.0)
        return min(most, least), chance

    @staticmethod
    def _drift(state: GainState, least: float, chance: float) -> float:
        """The present drift of the band: its change if small since the last piece, or small in all."""
        total = state.drift_db + least
        slow = abs(total - state.near_db) < max(DRIFT_SLOW_DB, 1.5 * chance) and abs(total) < DRIFT_MOST_DB
        if slow:
            state.near_db = total
        if not chance < abs(least):
            return state.drift_db
        if slow or (abs(total) < DRIFT_DB and abs(least) < DRIFT_DB):
            state.near_db = total
            return total
        return state.drift_db

    @staticmethod
    def _crept(state: GainState, least: float, chance: float) -> bool:
        """Whether the band has drifted as far as one gain setting may, and goes on."""
        total = state.drift_db + least
        return abs(total) >= DRIFT_MOST_DB and abs(total - state.near_db) < max(DRIFT_SLOW_DB, 1.5 * chance)

    def _start(self, piece: Piece, seen: Quiet) -> None:
        """Begin a new gain setting with this piece."""
        self.states.append(self._fresh(seen, taught=True))
        self.current = piece.state = len(self.states) - 1
        self._last = piece
        self.steps += 1

    # -- changes of gain -----------------------------------------------------------------------------------------

    def _shown(self, state: GainState) -> NDArray[np.bool_] | None:
        """Which groups show a change of gain; None where too few do."""
        least = max(SHOWN * float(np.max(state.level[self._compared])), ROUNDED * self.own_noise)
        shown = self._compared & (state.level > least)
        return None if int(shown.sum()) < min(SHOWN_GROUPS, int(self._compared.sum())) else shown

    @staticmethod
    def _moved_alike(shown: NDArray[np.bool_] | None, rise: Floats, limit: Floats) -> float | None:
        """By how many dB the whole band moved, if most of it moved by one factor and nothing was left behind.

        What lies deep below the rest, beyond the receiver's filter, need not move with the gain, nor what is no more
        than the converter's rounding (`own_noise`, power of one group as in a piece): `shown` are the others.
        """
        if shown is None:
            return None
        rise, limit = rise[shown], limit[shown]
        moved = middle(rise)
        if abs(moved) < STEP_DB[0]:
            return None
        alike = float((np.abs(rise - moved) <= limit).mean()) >= ALIKE_SHARE
        stayed = np.abs(rise) < abs(moved) / 2
        if moved > 0:
            stayed |= rise < 0
        share = BEHIND_SHARE[0 if moved > 0 else 1]
        behind = int((stayed & (np.abs(rise - moved) > limit)).sum()) > max(1.0, share * len(rise))
        return moved if alike and not behind else None

    def _known(self, seen: Quiet) -> int | None:
        """The number of a known gain setting whose floor matches all over the band; None without one."""
        for number, state in enumerate(self.states):
            rise, limit = self._compare(state, seen)
            rise, limit = rise[self._compared], limit[self._compared]
            below = int((rise < -limit).sum()) > max(1.0, BELOW_SHARE * len(rise))
            if float((np.abs(rise) <= limit).mean()) >= ALIKE_SHARE and not below:
                return number
        return None

    def _moved(self, piece: Piece, seen: Quiet, moved_db: float, *, teaches: bool) -> None:
        known = self._known(seen)
        if known is not None:
            self._give_up()
            self._doubt_last()
            self.current = piece.state = known
            self.steps += 1
            return
        if moved_db > STEP_DB[1]:
            self._give_up()
            piece.state = UNCERTAIN if self.current is None else self.current
            return
        if not teaches:
            piece.state = UNCERTAIN
            return
        if moved_db < -STEP_DOWN_DB and self.current is not None:
            self._give_up()
            piece.state = self.current
            version = self.states[self.current].version + 1
            self.states[self.current] = self._fresh(seen, taught=True, version=version)
            return
        if self._pending and not self._like_pending(seen):
            self._pending.clear()
        piece.state = UNCERTAIN
        self._pending.append((piece, seen))
        lasted = piece.start_ns - self._pending[0][0].start_ns >= STEP_NS
        if lasted and len(self._pending) >= STEP_PIECES:
            self._settle()

    def _is_back(self, rise: Floats, limit: Floats) -> bool:
        """Whether enough of the band is back where it was before a move."""
        return float((np.abs(rise) <= limit)[self._compared].mean()) >= BACK_SHARE

    def _like_pending(self, seen: Quiet) -> bool:
        before = self._pending[-1][1]
        return abs(middle(decibels(seen.level / before.level)[self._compared])) < 2 * ALIKE_DB

    def _settle(self) -> None:
        """Accept a move that lasted as a new gain setting, from the second piece on; the first may hold the step."""
        self._doubt_last()
        self._pending.pop(0)
        idle = np.sum([seen.idle for _, seen in self._pending], axis=0)
        level = np.sum([seen.level * seen.idle for _, seen in self._pending], axis=0) / idle
        spread = np.mean([seen.spread for _, seen in self._pending], axis=0)
        self.states.append(self._fresh(Quiet(level, idle, spread), taught=True))
        self.current = len(self.states) - 1
        for piece, _ in self._pending:
            piece.state = self.current
        self._pending.clear()
        self.steps += 1

    def _doubt_last(self) -> None:
        """Mark the piece before a step as uncertain: it may hold the step itself."""
        if self._last is not None:
            self._last.state = UNCERTAIN
            self._last.decided = None
        self._last = None

    def _give_up(self, back: Piece | None = None) -> bool:
        """End a move that did not last: it was a signal's, unless it is the first or second one.

        Once or twice it may have been a gain that stepped and stepped back; both steps may lie in the pieces beside the
        move, and `back` is the first piece after it. Returns whether that is in doubt: all these pieces are then
        uncertain.
        """
        moved = [piece for piece, _ in self._pending]
        self._pending.clear()
        if not moved or self.current is None:
            return False
        for piece in moved:
            piece.state = self.current
        if len(self._excursions) <= EXCURSIONS_DOUBTED:
            self._excursions.append([one for one in (self._last, *moved, back) if one is not None])
        doubted = len(self._excursions) <= EXCURSIONS_DOUBTED
        for piece in (one for some in self._excursions for one in some):
            piece.state = UNCERTAIN if doubted else self.current
            piece.decided = None
        return doubted
