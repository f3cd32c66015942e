"""Partial fills: checks that the parts of a wish do not overlap, and computes what is left of it. Pure.

Every holder grants in its own area, and the user is in all of these areas. In frequency and time each part is a
rectangle, and the rest is a set of rectangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from settlement.chain.scope import Band, Cell, Window
from settlement.core.reasons import Reason, Refusal, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledWish:
    """How far a wish is filled: the sizes asked and filled, in Hz x ns, and the cells that are left."""

    asked_hz_ns: int
    filled_hz_ns: int
    residual: tuple[Cell, ...]

    def __str__(self) -> str:
        left = ", ".join(f"{cell.band}" for cell in self.residual) or "nothing"
        return f"{self.filled_hz_ns} of {self.asked_hz_ns} Hz ns filled, left {left}"


def size_hz_ns(cell: Cell) -> int:
    """Return bandwidth times duration of a cell, in Hz x ns."""
    return (cell.band.high_hz - cell.band.low_hz) * (cell.window.end_ns - cell.window.start_ns)


def judge_parts(whole: Cell, parts: Sequence[Cell]) -> Refusal | None:
    """Refuse a part outside the band, window or area asked (TERMS), and parts that overlap (OVERLAP).

    Of the area a part needs to share only some place.
    """
    for part in parts:
        inside = whole.band.holds(part.band) and whole.window.holds(part.window) and whole.area.overlaps(part.area)
        if not inside:
            return refuse(Reason.TERMS, "fill.inside", part.band, f"inside what was asked, {whole.band}")
    for one, other in combinations(parts, 2):
        if one.overlaps(other):
            return refuse(Reason.OVERLAP, "fill.overlap", f"{one.band} and {other.band}", "parts that share nothing")
    return None


def unfilled(whole: Cell, parts: Sequence[Cell]) -> FilledWish:
    """Return what is left of a wish without its parts; parts and rest add up to what was asked."""
    left = [whole]
    for part in parts:
        left = [piece for cell in left for piece in _without(cell, part)]
    left = _joined(left)
    asked_hz_ns = size_hz_ns(whole)
    return FilledWish(
        asked_hz_ns=asked_hz_ns,
        filled_hz_ns=asked_hz_ns - sum(size_hz_ns(cell) for cell in left),
        residual=tuple(left),
    )


def _without(cell: Cell, part: Cell) -> list[Cell]:
    """Return a cell without a part, as at most four rectangles of frequency and time."""
    if not (cell.band.overlaps(part.band) and cell.window.overlaps(part.window)):
        return [cell]
    low_hz, high_hz = max(cell.band.low_hz, part.band.low_hz), min(cell.band.high_hz, part.band.high_hz)
    begin_ns = max(cell.window.start_ns, part.window.start_ns)
    end_ns = min(cell.window.end_ns, part.window.end_ns)
    inner = replace(cell.band, low_hz=low_hz, high_hz=high_hz)
    pieces = [
        (replace(cell.band, high_hz=low_hz), cell.window),
        (replace(cell.band, low_hz=high_hz), cell.window),
        (inner, Window(start_ns=cell.window.start_ns, end_ns=begin_ns)),
        (inner, Window(start_ns=end_ns, end_ns=cell.window.end_ns)),
    ]
    whole = [(b, w) for b, w in pieces if b.low_hz < b.high_hz and w.start_ns < w.end_ns]
    return [replace(cell, band=band, window=window) for band, window in whole]


def _joined(cells: list[Cell]) -> list[Cell]:
    """Join adjacent pieces of one window, in order of frequency and time."""
    found: list[Cell] = []
    for cell in sorted(cells, key=lambda c: (c.window.start_ns, c.window.end_ns, c.band.low_hz)):
        last = found[-1] if found else None
        if last is not None and last.window == cell.window and last.band.high_hz == cell.band.low_hz:
            found[-1] = replace(last, band=replace(last.band, high_hz=cell.band.high_hz))
        else:
            found.append(cell)
    return found


def next_part(left: Sequence[Cell], offered: Band, raster_hz: int) -> Band | None:
    """Return the widest band that is both left and offered, with edges on the raster; the lowest of equal ones."""
    runs = []
    for cell in left:
        low_hz = -(-max(cell.band.low_hz, offered.low_hz) // raster_hz) * raster_hz
        high_hz = min(cell.band.high_hz, offered.high_hz) // raster_hz * raster_hz
        if low_hz < high_hz:
            runs.append(replace(cell.band, low_hz=low_hz, high_hz=high_hz))
    return min(runs, key=lambda run: (run.low_hz - run.high_hz, run.low_hz), default=None)
