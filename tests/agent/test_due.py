"""Tests of the agent's event loop: it waits for input and deadlines, and urgent messages end its wait."""

import os
import select
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.node.daemon import ALIVE_NS, HELD_MAX, QUIET_NS, TICK_NS, Node
from agent.node.guard import Guard
from agent.node.warden_side import WardenSide
from radio.ports import RfState

pytestmark = pytest.mark.feature("E1")
NS = 1_000_000_000
LIMIT_NS = 200_000_000


def node(**changes: Any) -> Any:
    """As much of a node as its waiting needs, at the time 0 with nothing due for a second."""
    one = cast("Any", Node.__new__(Node))
    one._next_tick_ns = one._next_burst_ns = NS
    one._open_sid = None
    one.warden = SimpleNamespace(next_beat_ns=NS, alive=True)
    one.guard = Guard(LIMIT_NS, lambda: RfState.OFF)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def test_what_is_due_first_ends_the_wait() -> None:
    assert node()._rest_ms(0) == TICK_NS // 1_000_000, "deadlines of the settlements are asked for at least as often"
    assert node(_next_tick_ns=3_000_000)._rest_ms(0) == 3
    assert node(warden=SimpleNamespace(next_beat_ns=7_200_000))._rest_ms(0) == 8, "not before it is due"
    assert node(_next_burst_ns=2_000_000)._rest_ms(0) == 20, "no gate is open"
    assert node(_next_burst_ns=2_000_000, _open_sid=b"s")._rest_ms(0) == 2
    assert node(_next_tick_ns=-5)._rest_ms(0) == 0


def test_a_step_that_did_nothing_is_followed_by_one_at_a_deadline_or_after_a_pause() -> None:
    due: list[int | None] = [None]
    party = SimpleNamespace(next_due_ns=lambda: due[0])
    one = node(party=party, fix=lambda: SimpleNamespace(time=SimpleNamespace(latest_ns=500)))
    one._next_tick_ns, one._next_step_ns = 0, QUIET_NS
    assert not one._ticks(1), "no settlement, and the last step was a moment ago"
    assert one._next_tick_ns == 1 + TICK_NS
    due[0] = 500
    assert not one._ticks(2), "asked for a moment ago"
    assert one._ticks(1 + TICK_NS), "a settlement's deadline has come"
    due[0] = 501
    assert not one._ticks(QUIET_NS - 1)
    assert one._ticks(QUIET_NS - 1 + TICK_NS)


def test_a_node_that_may_not_sign_for_hours_takes_no_step_for_what_it_cannot_say_and_keeps_a_bounded_part() -> None:
    """It waits for its neighbours' word on its log: each turn took a step for what waited, and that only grew."""
    quiet = SimpleNamespace(heard=[], unsaid=[])
    one = node(_changes=[], _used=[], _fresh=[], _held_up=False, handing=quiet, listening=quiet)
    assert not one._has_news(listed=False)
    for number in range(10_000):
        one._keep([*one._changes, number], [*one._used, number], [*one._fresh, (0, number % 3)])
    assert one._has_news(listed=False), "once it may sign, that is said at once"
    one._held_up = True
    assert not one._has_news(listed=True)
    assert (len(one._changes), len(one._used), len(one._fresh)) == (HELD_MAX, HELD_MAX, 3)
    assert one._changes[-1] == 9999


def test_the_guards_patience_is_met_when_it_ends() -> None:
    one = node()
    one.guard.heard(0, silent_by_ns=4_000_000)
    assert one._rest_ms(0) == 5, "the millisecond after: at the end itself it may still be silenced in time"
    assert one.guard.check(4_000_000, alive=True) is None
    assert one.guard.check(5_000_000, alive=True) is RfState.OFF
    one = node()
    one.guard.heard(0, silent_by_ns=None)
    assert one._rest_ms(LIMIT_NS - 3_000_000) == 4
    assert one.guard.check(LIMIT_NS + 1, alive=True) is RfState.OFF
    assert one.guard.due_ns is None, "silenced: nothing to wait for"


def test_a_warden_that_ends_is_known_at_once() -> None:
    """The kernel's word comes through the poller; without that it is asked for every few milliseconds."""
    unregistered: list[int] = []
    one = node(_alive=True, _next_alive_ns=10 * NS, _ears=SimpleNamespace(drop=unregistered.append))
    read, write = os.pipe()
    os.close(write)
    one._warden_fd = read
    one.warden.alive = False
    one._look_at_warden(set(), NS)
    assert one._alive is True, "not asked for again yet"
    one._look_at_warden({read}, NS)
    assert one._alive is False
    assert unregistered == [read]
    assert one._warden_fd is None
    assert one._next_alive_ns < NS + ALIVE_NS, "from now on only asking tells"


def test_the_descriptor_of_a_process_is_readable_once_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        side = cast("Any", WardenSide.__new__(WardenSide))
        side._process = process
        ended = side.ended_fd()
        if ended is None:
            pytest.skip("this kernel has no pidfd_open")
        assert select.select([ended], [], [], 0)[0] == []
        assert process.stdin is not None
        process.stdin.close()
        assert select.select([ended], [], [], 60)[0] == [ended]
        os.close(ended)
    side._process = None
    assert side.ended_fd() is None
