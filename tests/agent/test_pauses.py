"""Tests that pauses of the host are detected, and reported where the gate's lead time is shorter."""

import threading

import pytest

from agent.doctor import pauses as watching
from agent.doctor.checks import OK, WARN, pauses


@pytest.mark.feature("U2")
@pytest.mark.parametrize(
    ("worst_ms", "state", "said"),
    [(2, OK, "2.0 ms in 5.0 s"), (15, OK, "15 ms ahead"), (104, WARN, "104.0 ms in 5.0 s")],
)
def test_a_pause_longer_than_the_gate_closes_ahead_is_a_warning(worst_ms: int, state: str, said: str) -> None:
    found = pauses(worst_ms * 10**6, 5 * 10**9, lead_ns=15 * 10**6)
    assert (found.state, said in found.found) == (state, True), found
    assert ("quota" in found.mend) == (state == WARN)


def test_a_host_that_was_hardly_watched_is_not_said_to_stand_well() -> None:
    assert pauses(0, 0, lead_ns=15 * 10**6).found == "not watched: the clock was known at once"
    assert pauses(20 * 10**6, 10**7, lead_ns=15 * 10**6).state == WARN


def test_a_watch_that_wakes_late_says_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of the test's own: the third sleep takes 80 ms more than was asked."""
    now_ns, slept, enough = [0], [0], threading.Event()

    def sleep(seconds: float) -> None:
        slept[0] += 1
        now_ns[0] += round(seconds * 1e9) + (80_000_000 if slept[0] == 3 else 0)
        if slept[0] >= 5:
            enough.set()

    monkeypatch.setattr(watching, "before_others", lambda: "ordinary")
    with watching.PauseWatch(sleep=sleep, monotonic_ns=lambda: now_ns[0]) as watch:
        assert enough.wait(10)
    assert watch.worst_ns == 80_000_000
    assert watch.watched_ns >= 90_000_000
