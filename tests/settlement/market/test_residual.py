"""Partial fill: parts share nothing, and what is filled and what is left are together what was asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.chain.scope import Area, Band, Cell, Window
from settlement.core.reasons import Reason, Refusal
from settlement.market.residual import judge_parts, next_part, size_hz_ns, unfilled

AREA = Area(lat_e7=0, lon_e7=0, radius_mm=1000)


def cell(low: int, high: int, start: int = 0, end: int = 10) -> Cell:
    return Cell(band=Band(low_hz=low, high_hz=high), area=AREA, window=Window(start_ns=start, end_ns=end))


WHOLE = cell(0, 30)


@pytest.mark.feature("A3")
def test_what_three_holders_leave_is_recorded_exactly() -> None:
    left = unfilled(WHOLE, [cell(0, 10), cell(20, 30, 0, 5)])
    assert left.residual == (cell(10, 20), cell(20, 30, 5, 10))
    assert (left.asked_hz_ns, left.filled_hz_ns) == (300, 150)


@pytest.mark.feature("A3")
@pytest.mark.attack(52)
def test_parts_that_overlap_are_refused() -> None:
    assert judge_parts(WHOLE, [cell(0, 10), cell(10, 20)]) is None
    refusal = judge_parts(WHOLE, [cell(0, 10), cell(9, 20)])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.OVERLAP
    beyond = judge_parts(WHOLE, [cell(20, 31)])
    assert beyond is not None
    assert beyond.reason is Reason.TERMS


PIECES = st.tuples(st.integers(0, 29), st.integers(1, 30), st.integers(0, 9), st.integers(1, 10)).map(
    lambda p: cell(p[0], max(p[0] + 1, p[1]), p[2], max(p[2] + 1, p[3]))
)


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=6))
def test_filled_and_left_add_up_to_what_was_asked(parts: list[Cell]) -> None:
    """Held against a count of every Hz and ns by itself."""
    left = unfilled(WHOLE, parts)
    covered = {
        (hz, ns)
        for part in parts
        for hz in range(part.band.low_hz, part.band.high_hz)
        for ns in range(part.window.start_ns, part.window.end_ns)
    }
    assert left.filled_hz_ns == len(covered)
    assert left.filled_hz_ns + sum(map(size_hz_ns, left.residual)) == left.asked_hz_ns
    assert judge_parts(WHOLE, left.residual) is None
    assert not any(piece.overlaps(part) for piece in left.residual for part in parts)


def test_the_next_part_lies_on_the_raster() -> None:
    assert next_part([cell(3, 28)], Band(low_hz=0, high_hz=30), 5) == Band(low_hz=5, high_hz=25)
    assert next_part([cell(3, 4)], Band(low_hz=0, high_hz=30), 5) is None
    assert next_part([cell(0, 5), cell(15, 30)], Band(low_hz=0, high_hz=25), 5) == Band(low_hz=15, high_hz=25)
