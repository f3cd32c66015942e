"""What a node asks its directories and hands them, hour by hour: none that is down or forgets holds up another."""

import threading
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.node import directories
from agent.node.directories import ASK_NS, PUBLISH_AGAIN_NS, REFRESH_NS, Directories
from settlement.market.directory import OFFERS, DirectoryQuery


class Offering:
    """A node's offers, its directories by name, and the thread that speaks to these, which some keep for 3 s."""

    def __init__(self, offers: int, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.offers, self.now_ns, self.busy_ns = [bytes([number]) for number in range(offers)], 0, 0
        self.down, self.slow = set[str](), set[str]()
        self.asked: dict[str, list[int]] = {name: [] for name in names}
        self.put: dict[str, list[tuple[int, bytes]]] = {name: [] for name in names}
        monkeypatch.setattr(directories, "entry_of", lambda _, name: name)
        monkeypatch.setattr(directories, "started", lambda *_: None)
        self.one = Directories(names, (OFFERS,), ask=self._asked, put=self._put)

    def _spoken(self, name: str) -> str:
        self.busy_ns = max(self.now_ns, self.busy_ns) + (3 * ASK_NS if name in self.down | self.slow else 0)
        return f"{name}: down" if name in self.down else ""

    def _asked(self, name: str, _: DirectoryQuery) -> Any:
        self.asked[name].append(self.now_ns)
        return self._spoken(name) or ()

    def _put(self, name: str, entry: Any) -> str:
        self.put[name].append((self.now_ns, entry))
        return self._spoken(name)

    def go_on(self, seconds: int) -> None:
        party = cast("Any", SimpleNamespace(holder=SimpleNamespace(offers=self.offers)))
        for _ in range(4 * seconds):
            self.now_ns += ASK_NS // 4
            self.one.turn(party, (), self.now_ns)
            while self.now_ns >= self.busy_ns and not self.one._jobs.empty():
                job = self.one._jobs.get_nowait()
                assert job is not None
                job()
            while not self.one._answers.empty():
                self.one._answers.get_nowait()


@pytest.mark.feature("A8")
def test_an_offer_that_no_longer_stands_is_owed_to_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Offering(1, ["a"], monkeypatch)
    monkeypatch.setattr(node, "_spoken", lambda _: "")
    node.one._put = lambda name, entry: node._put(name, entry) or "not taken"
    node.go_on(1)
    assert len(node.put["a"]) == 1
    node.offers.clear()
    node.go_on(3600)
    assert len(node.put["a"]) == 1


@pytest.mark.feature("A8")
def test_a_directory_that_is_down_keeps_no_other_waiting_however_many_offers_it_is_owed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forty offers that it did not take filled the one queue: the other was asked eleven times in an hour."""
    node = Offering(40, ["down", "up"], monkeypatch)
    node.down.add("down")
    node.go_on(3600)
    asked_ns = node.asked["up"]
    assert max(after - before for before, after in pairwise(asked_ns)) <= 10 * ASK_NS
    assert len(asked_ns) > 3000
    assert {entry for at_ns, entry in node.put["up"] if at_ns < 60 * ASK_NS} == set(node.offers)
    assert not node.put["down"], "one that answers no question is handed nothing"
    assert node.one._jobs.qsize() <= 2


@pytest.mark.feature("A8")
def test_a_slow_directory_is_visited_once_at_a_time_and_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Offering(40, ["slow", "up"], monkeypatch)
    node.slow.add("slow")
    for _ in range(3600):
        node.go_on(1)
        assert node.one._jobs.qsize() <= 2
    assert max(after - before for before, after in pairwise(node.asked["up"])) < 40 * ASK_NS


@pytest.mark.feature("A8")
@pytest.mark.parametrize("seen_to_be_down", [True, False])
def test_a_directory_that_was_started_again_gets_what_it_had_before(
    monkeypatch: pytest.MonkeyPatch, seen_to_be_down: bool
) -> None:
    """It forgets everything when it ends; a node knew that it had handed its offers over, and kept them."""
    node = Offering(3, ["a"], monkeypatch)
    node.go_on(60)
    assert sorted(entry for _, entry in node.put["a"]) == node.offers
    if seen_to_be_down:
        node.down.add("a")
        node.go_on(60)
        node.down.clear()
    node.put["a"].clear()
    node.go_on(2 * PUBLISH_AGAIN_NS // ASK_NS if seen_to_be_down else REFRESH_NS // ASK_NS)
    assert sorted(entry for _, entry in node.put["a"]) == node.offers


@pytest.mark.feature("A8")
def test_a_directory_that_answers_now_and_then_is_handed_each_offer_once_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Offering(20, ["a"], monkeypatch)
    for _ in range(600):
        node.go_on(3)
        node.down ^= {"a"}
    assert len(node.put["a"]) <= 30 * 20


@pytest.mark.feature("R11")
def test_a_directory_is_asked_once_the_host_starts_threads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    node, threads = Offering(0, ["a"], monkeypatch), iter([None] * 10 + [threading.current_thread()])
    monkeypatch.setattr(directories, "started", lambda *_: next(threads))
    party = cast("Any", SimpleNamespace(holder=SimpleNamespace(offers=[])))
    for at_ns in range(100):
        node.one.turn(party, (), at_ns)
    assert node.one._thread is threading.current_thread()
    assert node.one._jobs.qsize() == 1
