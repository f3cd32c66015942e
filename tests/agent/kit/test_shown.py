"""What the coordinator's commands say while they wait, and so that two people can compare it."""

import time
from dataclasses import replace

import pytest

from agent.kit.status import Seen, time_left, unsettled_text
from agent.service.snapshot import gate_now
from tests.agent.page.nodes import told

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def seen(node: str, **changes: object) -> Seen:
    base = Seen(node=node, role="user", joined=True, reachable=True, gate="LOCKED", clock="trusted",
                status_list="1, 30 d left", settlements=0, bad=(), answer=None)  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_whoever_waits_is_told_for_whom() -> None:
    waits = [seen("alice"), seen("bob", reachable=False), seen("carol", reachable=False, joined=False)]
    done = [seen("dave", settlements=1), seen("holder", role="holder")]
    assert unsettled_text([*waits, *done]) == "alice has settled nothing yet, bob: no answer, carol: not joined"
    assert unsettled_text(done) == ""


def test_a_user_that_settled_before_its_radio_came_up_is_waited_for() -> None:
    """`kit status --until-settled` ended with 3 where an agent had settled before its warden had the radio."""
    gate, _ = gate_now(told(gate=None), time.monotonic_ns())
    begun = seen("alice", settlements=1, gate=f"{gate} treat as ON: the radio does not answer yet")
    assert unsettled_text([begun]) == "alice has settled, its radio does not answer yet"
    assert unsettled_text([replace(begun, gate="ARMED SETTLED")]) == ""


@pytest.mark.parametrize(
    ("left_ns", "said"),
    [(30 * DAY - 1, "29 d left"), (DAY, "1 d left"), (DAY - 1, "23 h left"), (HOUR - 1, "59 min left"), (0, "run out")],
)
def test_what_is_left_is_never_said_to_be_more(left_ns: int, said: str) -> None:
    assert time_left(left_ns) == said
