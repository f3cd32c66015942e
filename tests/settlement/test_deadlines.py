"""A tick looks at what is due, not at everything that is open; and at nothing too late."""

import random
from dataclasses import replace
from typing import Any, cast

import pytest

from settlement.chain.scope import Cell, Window
from settlement.core.fixes import TimeFix, TimeSource
from settlement.pair.deadlines import Deadlines
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.table import HolderState, UserState
from settlement.pair.userpairs import WAITING, UserPair, UserPairs
from tests.settlement.world import AREA, LOWER

pytestmark = pytest.mark.feature("S1")
LEASE_NS = 4_000


def at(latest_ns: int) -> TimeFix:
    return TimeFix(earliest_ns=latest_ns - 5, latest_ns=latest_ns, source=TimeSource.SIMULATED, trusted=True)


def test_deadlines_say_what_a_search_through_all_of_them_would() -> None:
    chosen = random.Random(4)
    deadlines, wanted = Deadlines(), cast("dict[bytes, int]", {})
    now = 0
    for _ in range(5000):
        key = bytes([chosen.randrange(40)])
        match chosen.randrange(8):
            case 0:
                deadlines.forget(key)
                wanted.pop(key, None)
            case 1 | 2:
                now += chosen.randrange(20)
                assert sorted(deadlines.due(now)) == sorted(one for one, when in wanted.items() if when <= now)
            case _:
                when = max(0, now + chosen.randrange(-10, 60))
                deadlines.set(key, when)
                wanted[key] = when
    assert len(deadlines._heap) <= 64 + 4 * 40 + 1
    deadlines.look_at_all()
    assert sorted(deadlines.due(0)) == sorted(wanted)


def holder_pair(chosen: random.Random, number: int) -> HolderPair:
    def some() -> int:
        return chosen.randrange(1, 100_000)

    start = some()
    return HolderPair(
        sid=number.to_bytes(32, "big"),
        state=chosen.choice(list(HolderState)),
        user=bytes(32),
        request=bytes(32),
        grant=bytes(32),
        cell=Cell(band=LOWER, area=AREA, window=Window(start_ns=start, end_ns=start + some())),
        commodity="cbrs",
        accept_by_ns=some(),
        challenge=bytes(32),
        fence=1,
        busy_until_ns=some(),
        transmit_until_ns=chosen.choice([None, some()]),
        renewals=0,
        notice=chosen.choice([None, b"notice"]),
        noticed_ns=chosen.choice([None, some()]),
        notice_since_ns=chosen.choice([None, some()]),
        confirm_by_ns=chosen.choice([None, some()]),
        tier=2,
    )


def test_time_does_nothing_to_a_holders_settlement_before_it_is_due() -> None:
    chosen = random.Random(5)
    for number in range(4000):
        pair = holder_pair(chosen, number)
        due_ns = pair.due_ns(LEASE_NS)
        now = at(due_ns - 1)
        held_ns = pair.transmit_until_ns or 0
        happening = (
            pair.state == HolderState.SUSPENDED,
            pair.state == HolderState.RESERVED and now.after(pair.accept_by_ns),
            pair.state == HolderState.COORDINATING and not now.before(pair.confirm_by_ns or 0),
            pair.state == HolderState.COORDINATING and now.after(pair.said_again_ns()),
            pair.notice is not None and now.after(pair.said_again_ns()),
            pair.state == HolderState.CONFIRMED and now.after(pair.cell.window.end_ns),
            pair.state == HolderState.CONFIRMED
            and held_ns < pair.cell.window.end_ns
            and now.latest_ns + LEASE_NS // 2 >= held_ns,
            pair.done(now),
        )
        assert not any(happening) or due_ns <= 0, (pair, happening)


def test_a_lease_that_reaches_to_the_end_of_the_window_is_not_looked_at_before_that() -> None:
    """Nothing can be made longer then: a tick in between had looked at it each time, for nothing."""
    pair = holder_pair(random.Random(1), 1)
    end_ns = pair.cell.window.end_ns
    last = replace(pair, state=HolderState.CONFIRMED, notice=None, busy_until_ns=end_ns, transmit_until_ns=end_ns)
    assert last.due_ns(LEASE_NS) == end_ns
    assert replace(last, transmit_until_ns=end_ns - 1).due_ns(LEASE_NS) == end_ns - 1 - LEASE_NS // 2


def user_pair(chosen: random.Random, number: int) -> UserPair:
    def some() -> int:
        return chosen.randrange(1, 100_000)

    start = some()
    return UserPair(
        request=number.to_bytes(32, "big"),
        state=chosen.choice(list(UserState)),
        holder=bytes(32),
        sid=number.to_bytes(32, "big"),
        cell=Cell(band=LOWER, area=AREA, window=Window(start_ns=start, end_ns=start + some())),
        asked_ns=some(),
        sent_ns=some(),
        give_up_ns=some(),
        last=chosen.choice([b"", b"last"]),
        renewals=0,
        fence=1,
        since_ns=chosen.choice([None, some()]),
    )


def test_time_does_nothing_to_a_users_settlement_before_it_is_due() -> None:
    chosen = random.Random(6)
    for number in range(4000):
        pair = user_pair(chosen, number)
        now = at(pair.due_ns() - 1)
        happening = (
            pair.state == UserState.REQUESTED and now.after(pair.give_up_ns),
            pair.state in WAITING and now.after(pair.said_again_ns()),
            pair.in_force and not now.before(pair.cell.window.end_ns),
            pair.state == UserState.ENDED and bool(pair.last) and now.after(pair.said_again_ns()),
            pair.done(now),
        )
        assert not any(happening), (pair, happening)


class Kept:
    """What a settlement is stored in, for those who look at nothing else."""

    def __init__(self, latest_ns: int) -> None:
        self.now = cast("Any", type("Now", (), {"time": at(latest_ns)})())

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Nothing is asked of it here."""

    def drop(self, kind: str, key: bytes) -> None:
        """Nothing is asked of it here."""


def test_a_thousand_open_settlements_are_not_looked_at_until_one_is_due() -> None:
    chosen = random.Random(7)
    pairs = HolderPairs([], lambda _commodity: LEASE_NS)
    window = Window(start_ns=0, end_ns=10_000_000)
    for number in range(1000):
        made = holder_pair(chosen, number)
        pairs.save(
            cast("Any", Kept(0)),
            replace(
                made,
                state=HolderState.CONFIRMED,
                cell=replace(made.cell, window=window),
                transmit_until_ns=50_000 + number,
                notice=None,
            ),
        )
    assert pairs.due(at(40_000)) == []
    (first,) = pairs.due(at(50_000 - LEASE_NS // 2))
    assert first.transmit_until_ns == 50_000
    pairs.save(cast("Any", Kept(48_000)), replace(first, transmit_until_ns=90_000))
    assert pairs.due(at(50_000 - LEASE_NS // 2)) == []
    pairs.ruled()
    assert len(pairs.due(at(0))) == 1000, "under another rule everything is looked at once"


def test_what_was_stored_is_due_after_a_restart() -> None:
    chosen = random.Random(8)
    stored: list[bytes] = []

    class Storing(Kept):
        def put(self, kind: str, key: bytes, value: bytes) -> None:
            stored.append(value)

    users = UserPairs([])
    for number in range(50):
        users.save(cast("Any", Storing(0)), user_pair(chosen, number))
    again = UserPairs(stored)
    for latest_ns in (10, 1_000, 50_000, 10**9, 10**11):
        assert {p.request for p in again.due(at(latest_ns))} == {p.request for p in users.due(at(latest_ns))}
    assert list(again.unheard) == list(users.unheard)
