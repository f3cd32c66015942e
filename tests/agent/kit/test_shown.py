"""What the coordinator's commands say while they wait, and so that two people can compare it."""

from dataclasses import replace

import pytest

from agent.kit.status import Seen, time_left, unsettled_text

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


@pytest.mark.parametrize(
    ("left_ns", "said"),
    [(30 * DAY - 1, "29 d left"), (DAY, "1 d left"), (DAY - 1, "23 h left"), (HOUR - 1, "59 min left"), (0, "run out")],
)
def test_what_is_left_is_never_said_to_be_more(left_ns: int, said: str) -> None:
    assert time_left(left_ns) == said
