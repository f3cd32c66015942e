"""Tests that a node's long-lived objects are exempt from garbage collection, which would stall its loop."""

import gc
import threading
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest

from agent.node.daemon import Node
from radio.process import keep_what_is_loaded

pytestmark = pytest.mark.feature("R9")


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_loaded_is_looked_through_no_more(thawed: None) -> None:
    held = [[number] for number in range(1000)]
    keep_what_is_loaded()
    assert gc.get_freeze_count() > len(held)
    assert not {id(one) for one in held} & {id(one) for one in gc.get_objects()}


def test_a_node_keeps_it_once_it_is_ready_and_before_its_first_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, node = threading.Event(), MagicMock()
    node.party.damaged = None
    node.turn.side_effect = stop.set
    monkeypatch.setattr("agent.node.daemon.keep_what_is_loaded", node.kept)
    Node.run(node, stop)
    called = [name for name, *_ in node.mock_calls if name in ("events.write", "kept", "turn")]
    assert called == ["events.write", "kept", "turn"]
