"""Tests that a loop's longest turn counts for one to two spans, then no more."""

from hypothesis import given
from hypothesis import strategies as st

from radio.pace import SPAN_NS, Pace


def test_the_longest_turn_is_remembered_and_forgotten() -> None:
    pace = Pace()
    assert pace.worst_ns == 0
    pace.turn(0, 3)
    pace.turn(10, 90)
    pace.turn(100, 110)
    assert pace.worst_ns == 80
    pace.turn(SPAN_NS + 100, SPAN_NS + 104)
    assert pace.worst_ns == 80
    pace.turn(2 * SPAN_NS + 200, 2 * SPAN_NS + 205)
    assert pace.worst_ns == 5


@given(st.lists(st.integers(min_value=0, max_value=SPAN_NS // 4), min_size=1, max_size=60))
def test_no_turn_of_the_last_span_is_longer(lengths: list[int]) -> None:
    pace, at_ns, turns = Pace(), 0, []
    for length in lengths:
        pace.turn(at_ns, at_ns + length)
        at_ns += length
        turns.append((at_ns, length))
        assert pace.worst_ns >= max(length for end_ns, length in turns if at_ns - end_ns < SPAN_NS)
