"""Tests that a REQUEST is compared with all overlapping settlements in time, and with no others."""

import random
from dataclasses import replace
from typing import Any, cast
from unittest import mock

import pytest

from settlement.chain.scope import Window
from settlement.pair.bytime import ByTime
from settlement.pair.holderpairs import HolderPairs
from settlement.pair.table import HolderState
from tests.settlement.test_deadlines import LEASE_NS, Kept, holder_pair

pytestmark = pytest.mark.feature("S1")


def some_window(chosen: random.Random) -> Window:
    """Short and long ones, now and then an empty one, or one that ends before it begins."""
    start = chosen.randrange(1, 5000)
    return Window(start_ns=start, end_ns=max(0, start + chosen.choice([-7, 0, 1, 3, 60, 64, 1000])))


def test_windows_that_touch_are_those_a_search_through_all_would_find() -> None:
    chosen = random.Random(11)
    by_time, wanted = ByTime(), cast("dict[bytes, Window]", {})
    for _ in range(6000):
        key = chosen.randrange(200).to_bytes(2, "big")
        match chosen.randrange(6):
            case 0 if key in wanted:
                by_time.drop(key)
                del wanted[key]
            case 1 | 2:
                asked = some_window(chosen)
                assert by_time.touching(asked) == [one for one, held in wanted.items() if asked.overlaps(held)]
            case _:
                wanted[key] = some_window(chosen)
                by_time.put(key, wanted[key])
    for key in wanted:
        by_time.drop(key)
    assert not by_time._steps
    assert not by_time._places


def test_of_ten_thousand_windows_few_are_looked_at() -> None:
    by_time = ByTime()
    for number in range(10_000):
        by_time.put(number.to_bytes(2, "big"), Window(start_ns=number * 10, end_ns=number * 10 + 10))
    by_time.put(b"long", Window(start_ns=0, end_ns=10**15))
    with mock.patch.object(Window, "overlaps", autospec=True, side_effect=Window.overlaps) as looks:
        assert by_time.touching(Window(start_ns=50_000, end_ns=50_010)) == [(5000).to_bytes(2, "big"), b"long"]
        assert looks.call_count < 10


def test_a_holder_counts_a_users_settlements_as_they_move_and_end() -> None:
    chosen = random.Random(12)
    pairs, users = HolderPairs([], lambda _commodity: LEASE_NS), [bytes([n]) * 32 for n in range(3)]
    for turn in range(3000):
        now_ns = turn * 40
        made = replace(holder_pair(chosen, chosen.randrange(120)), user=chosen.choice(users))
        held = pairs.busy.get(made.sid)
        pairs.save(cast("Any", Kept(now_ns)), made if held is None else replace(made, user=held.user))
        if turn % 7 == 0:
            pairs.sweep(cast("Any", Kept(now_ns)))
        for user in users:
            theirs = [pair for pair in pairs.busy.values() if pair.user == user]
            aborted = sum(1 for pair in theirs if pair.state == HolderState.ABORTED)
            assert pairs.of_user(user) == (sum(1 for pair in theirs if pair.live), aborted)
        asked = Window(start_ns=now_ns, end_ns=now_ns + 500)
        assert pairs.busy_in(asked) == [pair for pair in pairs.busy.values() if asked.overlaps(pair.cell.window)]


def test_a_holder_that_starts_again_counts_what_it_stored() -> None:
    chosen = random.Random(13)
    kept: dict[bytes, bytes] = {}
    pairs = HolderPairs([], lambda _commodity: LEASE_NS)
    work = cast("Any", Kept(0))
    work.put = lambda _kind, key, value: kept.__setitem__(key, value)
    for number in range(60):
        pairs.save(work, holder_pair(chosen, number))
    again = HolderPairs(kept.values(), lambda _commodity: LEASE_NS)
    assert again.of_user(bytes(32)) == pairs.of_user(bytes(32))
    assert again.busy_in(Window(start_ns=0, end_ns=10**6)) == list(again.busy.values())
