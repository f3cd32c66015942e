"""Separates the noise floor of a band over frequency from steady signals that stand on it.

A receiver's own noise is smooth over frequency: tilts, domes, the roll-off of its filter. A rise that is narrower than
a fifth of the band, or that ends sharply with the floor going on beside it, is a signal, even if it never stops.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensing.orderstats import middle, quantile

Floats = NDArray[np.float64]

OPENING: Final = 0.2
"""Share of the band: a rise narrower than this is not the floor's."""
NARROW: Final = 0.08
"""Share of the band: a rise narrower than this is no filter ripple; a wider one is none from `TALL_DB` on."""
TALL_DB: Final = 6.0
BUMP_DB: Final = 1.0
SURE: Final = 5.0
EDGE_DB: Final = 1.2
EDGE_SHARE: Final = 0.8
"""Share of a plateau's depth that must fall within two groups for its edge to be sharp."""
BESIDE_GROUPS: Final = 3
BESIDE_DB: Final = 1.0
FILTER_WIDTH: Final = (0.55, 0.85)
"""Share of the band that a receiver's filter passes: least and most."""
NARROW_FILTER: Final = 0.25
"""Least width, as a share of the band, of a deep plateau that may be the filter of a receiver that oversamples."""
FILTER_CENTRED: Final = 0.04
SIGNAL_DEPTH_DB: Final = 10.0
FILTER_DEPTH_DB: Final = 35.0
"""Depths in dB: a plateau less deep is a signal over a floor; a deeper one, centred, a filter."""
DEEP_DB: Final = 25.0
"""Height in dB of a passband, or a signal, from which its leakage and sloping edges are seen beside it."""
HIDDEN_DB: Final = 1.5
KNOWN_WIDTH: Final = 0.1
SHAPED_DB: Final = 2.0
SHAPED_DEVIATIONS: Final = 4.0
GRADUAL: Final = 0.45
"""Largest share of a receiver floor's total variation that lies within two groups."""
SKIRT_DB: Final = 10.0
EVEN_GROUPS: Final = 3
LEDGE_DB: Final = 0.5
"""A level step of that many dB, not explained by the slopes on both sides, is not the receiver's."""
LEDGE_LEVEL: Final = 0.35
"""Largest slope on the upper side of a ledge, as a share of its step, over as many groups as the step takes."""
LEDGE_GROUPS: Final = 2
"""Number of groups on each side of a step that show the slope there."""
LEDGE_OUTSIDE: Final = 0.2
"""The same share for the lower side, which the end of a filter would not leave level."""
LEDGE_SIGNAL_DB: Final = 3.5
"""A ledge higher than a filter's ripple is a signal's if the filter's own fall lies beyond the floor beside it."""
BEYOND_DB: Final = 6.0


class Plateau(Enum):
    """The interpretation of a wide part of the band with sharp ends."""

    NONE = "none"
    FILTER = "filter"
    SIGNAL = "signal"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The floor of each group in dB, the groups surely above it all the time, and those that may be.

    `skirts` lie beyond a filter's passband, or beside a signal that is as high; `filtered` where what lies between is
    as wide as a receiver's filter. `filled` are those of a wide signal, `steady` those of a narrow one.

    `shaped` when the floor has the shape of a receiver's filter, unlike flat noise from a generator.
    """

    floor_db: Floats
    filled: NDArray[np.bool_]
    steady: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    plateau: Plateau
    shaped: bool
    skirts: NDArray[np.bool_]
    filtered: bool


def floor_shape(
    level_db: Floats,
    sd_db: Floats,
    at: Floats,
    *,
    passband: float | None,
    even: NDArray[np.bool_] | None = None,
    hidden_db: float = -np.inf,
) -> Shape:
    """Separate the floor from signals that stand on it.

    Args: level_db and sd_db: level of each group and its standard uncertainty; at: its frequency, -0.5 to 0.5 of the
        sample rate; passband: analogue bandwidth as a share of the rate, None where it is not known; even: groups whose
        power varies less than noise can: three of them side by side are a signal of constant envelope; hidden_db: level
        of the converter's quantisation noise, which hides how deep a floor falls.
    """
    order = np.argsort(at, kind="stable")
    x, level, sd = at[order], level_db[order], sd_db[order]
    smooth = _opened(level, x) if len(x) > 2 else level
    skirts, filtered = _skirts(smooth, x)
    steady, broad = _bumps(level - smooth, (level - smooth > BUMP_DB + SURE * sd) & ~skirts, x)
    floor = np.where(steady, smooth, level)
    plateau, inside = _plateau(smooth, x, middle(sd), passband, hidden_db)
    filled = inside if plateau is Plateau.SIGNAL else np.zeros(len(x), np.bool_)
    high_ledges, low_ledges = _ledges(level, sd, hidden_db)
    if plateau is Plateau.NONE:
        filled = filled | high_ledges
    if even is not None:
        filled = filled | _runs(even[order])
    if filled.any() and not filled.all():
        floor = np.where(filled, np.minimum(np.interp(x, x[~filled], smooth[~filled]), floor), floor)
    near = smooth[np.abs(x) < 0.45]
    uneven = float(np.ptp(near)) if len(near) > 2 else 0.0
    bent = uneven > SHAPED_DB + SHAPED_DEVIATIONS * middle(sd)
    bent = bent and (filtered or float(np.abs(near[2:] - near[:-2]).max()) < GRADUAL * uneven)
    doubtful = broad | inside if plateau is Plateau.EITHER else broad
    if plateau is Plateau.NONE:
        doubtful = doubtful | (low_ledges & ~filled)
    back = np.argsort(order, kind="stable")
    return Shape(
        floor_db=floor[back], filled=filled[back], steady=steady[back], doubtful=doubtful[back], plateau=plateau,
        shaped=not filled.any() and (plateau is Plateau.FILTER or (bent and plateau is Plateau.NONE)),
        skirts=skirts[back], filtered=filtered,
    )  # fmt: skip


def _runs(even: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Runs of three or more such groups, gaps of one closed: a single group may be a line of the receiver's own."""
    closed = even | (np.append(even[1:], False) & np.append(False, even[:-1]))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], closed, [False])).astype(np.int8)))
    found = np.zeros(len(even), np.bool_)
    for first, last in edges.reshape(-1, 2):
        found[first:last] = last - first >= EVEN_GROUPS
    return found


def _skirts(smooth: Floats, x: Floats) -> tuple[NDArray[np.bool_], bool]:
    """The parts beyond a filter's passband, on both sides symmetrically; and whether they are most of the band.

    Where less is, only what lies so deep that it holds little but leak and sloping edges: of a filter, or of a signal.
    """
    top = quantile(smooth, 0.8)
    low = smooth < top - SKIRT_DB
    first, last = int(np.argmin(low)), len(x) - 1 - int(np.argmin(low[::-1]))
    nothing = np.zeros(len(x), np.bool_)
    if low.all() or not first or last == len(x) - 1:
        return nothing, False
    if abs(float(x[last] + x[first])) / 2 > FILTER_CENTRED:
        return nothing, False
    outside = np.concatenate((smooth[:first], smooth[last + 1 :]))
    filtered = float(x[last] - x[first]) >= FILTER_WIDTH[0] - 0.05
    if not filtered and top - float(np.median(outside)) < DEEP_DB:
        return nothing, False
    nothing[:first] = nothing[last + 1 :] = True
    return nothing, filtered


def _bumps(rise: Floats, over: NDArray[np.bool_], x: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of the rises over the smooth floor, those surely no filter ripple, and the others."""
    steady, broad = np.zeros(len(x), np.bool_), np.zeros(len(x), np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], over, [False])).astype(np.int8)))
    widths = np.gradient(x) if len(x) > 1 else x
    for first, last in edges.reshape(-1, 2):
        tall = float(rise[first:last].max())
        wide = float(widths[first:last][rise[first:last] > tall / 2].sum())
        (steady if wide <= NARROW or tall >= TALL_DB else broad)[first:last] = True
    return steady, broad


def _ledges(level: Floats, sd: Floats, hidden_db: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Signals that are always on: the level steps sharply, with the noise floor beside the step.

    Returns: the groups of those that are higher than a ripple, and of the lower ones. A step is sharp where the slopes
    beside it do not explain it. One end is enough where the other lies beyond the band.
    """
    count, reach = len(level), LEDGE_GROUPS
    high, low = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    if count < 4 * reach:
        return high, low
    at = np.arange(reach + 1, count - reach - 1)
    rise = level[at + 1] - level[at - 1]
    before, after = level[at - 1] - level[at - 1 - reach], level[at + 1 + reach] - level[at + 1]
    upper, lower = np.where(rise > 0, after, before), np.where(rise > 0, before, after)
    step, chance = np.abs(rise), SURE * sd[at]
    sharp = step - np.maximum(np.abs(upper), np.abs(lower)) > np.maximum(LEDGE_DB, 2 * chance)
    sharp &= (np.abs(upper) < LEDGE_LEVEL * step + chance) & (np.abs(lower) < LEDGE_OUTSIDE * step + chance)
    sharp &= step < FILTER_DEPTH_DB
    edges = [(int(at[run].mean()), float(rise[run][np.abs(rise[run]).argmax()])) for run in _joined(sharp)]
    seen_db = hidden_db + HIDDEN_DB
    for number, (place, up) in enumerate(edges):
        if up > 0:
            falls = [(where, -other) for where, other in edges[number + 1 :] if other < 0]
            end, fall = falls[0] if falls else (count, 0.0)
            low_side, high_side = level[:place], level[min(end + 1, count - 1) :]
            beside = min(float(low_side[-1]), float(high_side[0]))
            falls_on = max(float(low_side.min() - low_side[-1]), float(high_side.min() - high_side[0])) < -BEYOND_DB
            told = high if min(up, fall) > LEDGE_SIGNAL_DB and falls_on and beside > seen_db else low
            told[place : end + 1] |= beside > seen_db or up <= SIGNAL_DEPTH_DB
        elif not any(other > 0 for _, other in edges[:number]):
            low[: place + 1] |= float(level[place + 1]) > seen_db or -up <= SIGNAL_DEPTH_DB
    return high, low & ~high


def _joined(sharp: NDArray[np.bool_]) -> list[slice]:
    """Runs of True, as slices."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], sharp, [False])).astype(np.int8)))
    return [slice(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _opened(level: Floats, x: Floats) -> Floats:
    """Morphological opening: the level without rises narrower than `OPENING`.

    A single group that lies below both its neighbours is a notch of the receiver or chance and is filled first.
    """
    inner = np.minimum(level[:-2], level[2:])
    level = np.concatenate((level[:1], np.maximum(level[1:-1], inner), level[-1:]))
    count = np.arange(len(level))
    reach = (OPENING + middle(np.diff(x))) / 2
    near = (np.abs(x[:, None] - x[None, :]) <= reach) | (np.abs(count[:, None] - count[None, :]) <= 1)
    eroded = np.where(near, level[None, :], np.inf).min(axis=1)
    return np.asarray(np.where(near, eroded[None, :], -np.inf).max(axis=1), np.float64)


def _plateau(
    smooth: Floats, x: Floats, sd: float, passband: float | None, hidden_db: float
) -> tuple[Plateau, NDArray[np.bool_]]:
    nothing = np.zeros(len(x), np.bool_)
    top, low = quantile(smooth, 0.8), float(smooth.min())
    if top - low < EDGE_DB + SURE * sd or len(x) < 2 * BESIDE_GROUPS:
        return Plateau.NONE, nothing
    inside = smooth > top - min(3.0, (top - low) / 2)
    first, last = int(np.argmax(inside)), len(x) - 1 - int(np.argmax(inside[::-1]))
    inside = nothing.copy()
    inside[first : last + 1] = True
    left = _edge(smooth[: first + 2][::-1], top, sd) if first else None
    right = _edge(smooth[last - 1 :], top, sd) if last < len(x) - 1 else None
    found = [edge for edge in (left, right) if edge is not None]
    if not found or not all(sharp for _, sharp, _ in found):
        return Plateau.NONE, nothing
    depth = min(edge[0] for edge in found)
    if not all(level is True for _, _, level in found):
        unclear = depth >= SIGNAL_DEPTH_DB and not any(level is False for _, _, level in found)
        return (Plateau.EITHER, inside) if unclear else (Plateau.NONE, nothing)
    step = middle(np.diff(x))
    width, centre = float(x[last] - x[first]) + step, float(x[last] + x[first]) / 2
    judged = _judged(width, centre, depth, one_sided=len(found) == 1, passband=passband)
    hidden = top - depth < hidden_db + HIDDEN_DB and len(found) == 2
    if judged is Plateau.SIGNAL and hidden and width >= NARROW_FILTER and abs(centre) <= FILTER_CENTRED:
        return Plateau.EITHER, inside
    return judged, inside


def _edge(outwards: Floats, top: float, sd: float) -> tuple[float, bool, bool | None]:
    """From the plateau outwards, its last two groups first: depth of the fall, whether sharp, whether level beyond.

    The last is None where too little lies beyond to tell.
    """
    beyond = outwards[2:]
    depth = top - middle(beyond)
    steps = outwards[:-2] - beyond
    sharp = depth >= EDGE_DB and float(steps[:3].max()) >= EDGE_SHARE * depth
    rest = beyond[1:]
    if len(rest) < BESIDE_GROUPS - 1:
        return depth, sharp, None
    return depth, sharp, float(np.ptp(rest)) < BESIDE_DB + SURE * sd + 0.1 * max(0.0, depth - SIGNAL_DEPTH_DB)


def _judged(width: float, centre: float, depth_db: float, *, one_sided: bool, passband: float | None) -> Plateau:
    if passband is not None and passband < 0.95:
        same = abs(width - passband) <= KNOWN_WIDTH and abs(centre) <= FILTER_CENTRED
        if same:
            return Plateau.FILTER if depth_db >= SIGNAL_DEPTH_DB else Plateau.EITHER
        return Plateau.SIGNAL if width < passband else Plateau.EITHER
    if one_sided or abs(centre) > FILTER_CENTRED or width < NARROW_FILTER or depth_db < SIGNAL_DEPTH_DB:
        return Plateau.SIGNAL
    if width < FILTER_WIDTH[0] and depth_db < FILTER_DEPTH_DB:
        return Plateau.SIGNAL
    if depth_db >= FILTER_DEPTH_DB and FILTER_WIDTH[0] <= width <= FILTER_WIDTH[1]:
        return Plateau.FILTER
    return Plateau.EITHER
