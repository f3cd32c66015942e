"""A wait that fails for no fault of the program is tried again, for a bounded time, and then its end has a reason."""

import errno
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from radio import link, speakers
from radio.link import AgentBeat, Link
from radio.speakers import PATIENCE_S, REST_S, TELL_S, Speakers, WaitFailed

pytestmark = pytest.mark.feature("E1")
KERNELS_OWN = 516
"""ERESTART_RESTARTBLOCK: no program should ever see it."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that passes in rests alone."""
    at = [0.0]

    def rest(for_s: float) -> None:
        at[0] += for_s

    # In the module under test alone: threads that other tests left behind sleep by the real clock.
    monkeypatch.setattr(speakers, "time", SimpleNamespace(monotonic=lambda: at[0], sleep=rest))
    return at


class Odd:
    """A poller that fails."""

    def __init__(self, number: int, error: Callable[[int], Exception] = zmq.ZMQError) -> None:
        self.number, self.error, self.polls, self.well = number, error, 0, False

    def poll(self, _wait_ms: float = 0) -> list[tuple[Any, int]]:
        self.polls += 1
        if self.well:
            return [("somebody", zmq.POLLIN)]
        raise self.error(self.number)


def made_of(poller: Odd, tell: Callable[[str], None]) -> Speakers:
    made = Speakers(tell=tell)
    made._poller = poller  # type: ignore[assignment]
    return made


def test_a_wait_that_failed_heard_nothing_and_the_next_one_hears(now: list[float]) -> None:
    """An agent ended with a traceback after a debugger was attached and let go."""
    told: list[str] = []
    odd = Odd(KERNELS_OWN)
    one = made_of(odd, told.append)
    assert one.heard(20) == set()
    assert one.heard(20) == set()
    odd.well = True
    assert one.heard(20) == {"somebody"}
    assert told == [f"waiting for messages failed: Unknown error {KERNELS_OWN}; tried again"]
    assert now[0] == 2 * REST_S


def test_waits_that_fail_in_a_row_end_with_a_reason_after_a_bounded_time(now: list[float]) -> None:
    odd = Odd(KERNELS_OWN)
    one = made_of(odd, lambda _why: None)
    with pytest.raises(WaitFailed, match=f"failed for 5 s: Unknown error {KERNELS_OWN}; start it again"):
        deque(iter(lambda: one.heard(0), None), maxlen=0)
    assert now[0] == pytest.approx(PATIENCE_S, abs=2 * REST_S)
    assert odd.polls <= PATIENCE_S / REST_S + 2


def test_only_failures_in_a_row_count_and_those_now_and_then_are_told_of_once_a_minute(now: list[float]) -> None:
    told: list[str] = []
    odd = Odd(KERNELS_OWN)
    one = made_of(odd, told.append)
    for second in range(3600):
        odd.well = bool(second % 2)
        one.heard(0)
        now[0] += 1.0
    assert 3600 / TELL_S <= len(told) <= 3600 / TELL_S + 1


@pytest.mark.parametrize("number", [zmq.ETERM, zmq.ENOTSOCK, errno.EBADF])
def test_a_socket_that_is_gone_is_no_wait_to_try_again(now: list[float], number: int) -> None:
    with pytest.raises(zmq.ZMQError):
        made_of(Odd(number), lambda _why: None).heard(0)
    assert now == [0.0]


@pytest.mark.parametrize("others", [None, list[int]])
def test_a_warden_goes_on_after_a_wait_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: Callable[[], list[int]] | None
) -> None:
    """It ended, which needs an operator to start it again; while nothing is heard its gate shuts by itself."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    warden, agent = (Link(context, tmp_path / "link", bind=bind) for bind in (True, False))
    warden.others = others
    failing = [True]
    real_poll, real_select = zmq.Socket.poll, link.select.select

    def poll(self: Any, *given: Any) -> Any:
        if failing[0]:
            raise zmq.ZMQError(KERNELS_OWN)
        return real_poll(self, *given)

    def select(*given: Any) -> Any:
        if failing[0]:
            raise OSError(KERNELS_OWN, "Unknown error")
        return real_select(*given)

    with monkeypatch.context() as patch:
        patch.setattr(zmq.Socket, "poll", poll)
        patch.setattr(link.select, "select", select)
        assert warden.wait(1) is False
        failing[0] = False
        while not agent.send(AgentBeat(said_ns=1, listened_ns=None, incumbents_hz=[], cause_ns=None)):
            pass
        while not warden.wait(60_000):
            pass
        failing[0] = True
        patch.setattr(speakers, "PATIENCE_S", 0.0)
        while not warden.receive():
            pass
        with pytest.raises(WaitFailed):
            warden.wait(1)
    warden.close()
    agent.close()
    context.term()
