"""Tests of postponed checks: run when due, and at once where the clock was set back."""

import pytest

from settlement.state.due import is_due

pytestmark = pytest.mark.feature("G6")
APART_NS, NEXT_NS = 60, 1000


@pytest.mark.parametrize(
    ("now_ns", "due"),
    [(NEXT_NS - APART_NS, False), (NEXT_NS - 1, False), (NEXT_NS, True), (NEXT_NS + 1, True), (10**18, True)],
)
def test_a_look_is_due_from_its_time_on(now_ns: int, due: bool) -> None:
    assert is_due(NEXT_NS, now_ns, apart_ns=APART_NS) is due


@pytest.mark.parametrize("now_ns", [0, NEXT_NS - APART_NS - 1])
def test_none_waits_longer_than_looks_are_apart_though_the_clock_was_set_back(now_ns: int) -> None:
    assert is_due(NEXT_NS, now_ns, apart_ns=APART_NS)


def test_the_first_look_is_due_at_once() -> None:
    assert is_due(0, 0, apart_ns=APART_NS)
