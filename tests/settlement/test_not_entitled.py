"""A message that this node's own credential does not entitle it to answer as asked is refused, logged and answered."""

from pathlib import Path

import pytest

from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Record, Unproven, digest, parse
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.table import UserState
from settlement.state.messages import Message, decode_message
from settlement.state.step import REPLY, HaltedError
from tests.settlement.world import LOWER, World, offered

pytestmark = pytest.mark.feature("G4")
CLAUSE = "own.capability.6"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A holder that may sign everything but a GRANT."""
    made = offered(tmp_path)
    holder = made.members["holder"].party
    entitled = holder.entitled

    def but_no_grant(record: Record) -> Refusal | None:
        if record.typ == "grant":
            return refuse(Reason.SCOPE, "capability.6", "grant", "offer, observe")
        return entitled(record)

    monkeypatch.setattr(holder, "entitled", but_no_grant)
    return made


def request(world: World) -> tuple[bytes, bytes]:
    """A REQUEST of alice's that the holder has not heard: the message, and the name of its record."""
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    (sent,) = world.members["alice"].outgoing
    world.members["alice"].outgoing = []
    message = decode_message(sent.data)
    assert isinstance(message, Message)
    return sent.data, digest(message.record)


def entries(world: World) -> list[Leaf]:
    leaves = [decode_leaf(body) for body in world.members["holder"].party.lineage.bodies()]
    return [leaf for leaf in leaves if isinstance(leaf, Leaf)]


def sent_types(world: World) -> list[str]:
    found = []
    for outgoing in world.members["holder"].outgoing:
        message = decode_message(outgoing.data)
        assert isinstance(message, Message)
        unproven = parse(message.record)
        assert isinstance(unproven, Unproven)
        found.append(unproven.typ)
    return found


def test_its_refusal_is_logged_under_the_clause_of_this_nodes_own_and_its_author_is_told(world: World) -> None:
    message, name = request(world)
    logged = len(entries(world))
    refusal = world.give("alice", "holder", message, 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SCOPE, CLAUSE)
    holder = world.members["holder"]
    first, *others = entries(world)[logged:]
    assert (first.subject, first.admitted, first.clause, first.reason) == (name, 0, CLAUSE, Reason.SCOPE.value)
    assert first.record is not None, "its author had signed it"
    assert first.peer == world.members["alice"].hash
    assert [one.admitted for one in others] == [1], "the verdict, and no GRANT"
    assert sent_types(world) == ["verdict"]
    assert not holder.party.holder.pairs
    assert holder.party.faults == 0
    assert [one.name for one in holder.notices] == ["not signed"]
    assert len(holder.party.lineage.items(REPLY)) == 1, "the same bytes get the same answer"
    world.carry(1.0)
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.state == UserState.REFUSED


def test_whoever_passes_another_ones_message_on_is_not_answered(world: World) -> None:
    message, name = request(world)
    logged, holder = len(entries(world)), world.members["holder"].party
    refusal = refuse(Reason.SCOPE, CLAUSE, "grant", "offer, observe")
    bob = world.members["bob"].transport
    world.do("holder", 1.0, lambda step: holder._not_entitled(step, message, refusal, bob))
    assert [(one.subject, one.clause) for one in entries(world)[logged:]] == [(name, CLAUSE)]
    assert not world.members["holder"].outgoing


def test_where_the_answer_fails_the_message_is_a_fault_and_nothing_of_the_answer_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, name = request(world)
    holder = world.members["holder"].party
    logged = len(entries(world))

    def fails(*_: object) -> None:
        raise KeyError("nobody foresaw it")

    monkeypatch.setattr(holder, "_answer", fails)
    refusal = world.give("alice", "holder", message, 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.FAULT, "party.receive")
    assert [(one.admitted, one.reason) for one in entries(world)[logged:]] == [(0, Reason.FAULT.value)]
    assert all(one.subject != name for one in entries(world)[logged:])
    assert holder.faults == 1
    assert not world.members["holder"].outgoing


def test_a_duty_that_failed_is_done_once_more_though_there_is_nothing_to_do_it_for(tmp_path: Path) -> None:
    """Or its pause, which grows with each failure, would be there still when there is something again."""
    world = offered(tmp_path)
    holder, done = world.members["holder"].party, list[float]()

    def fails() -> None:
        raise KeyError("nobody foresaw it")

    def tried(at_s: float) -> None:
        world.do("holder", at_s, lambda step: holder._if_any(step, "test", (), lambda: done.append(at_s)))

    world.do("holder", 2.0, lambda step: holder._if_any(step, "test", (), fails))
    assert holder.faults == 0, "it was not done at all"
    world.do("holder", 2.0, lambda step: holder._if_any(step, "test", (b"one",), fails))
    assert holder.faults == 1
    for at_s in (2.5, 4.0, 6.0):
        tried(at_s)
    assert done == [4.0], "after its pause, and once"


def test_nothing_is_answered_by_a_halted_node(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node must not go on from is no refusal of one message."""
    message, _ = request(world)
    holder = world.members["holder"].party

    def halts(*_: object) -> None:
        raise HaltedError(refuse(Reason.HALT_BEHIND_WITNESS, "witness.start", "0 neighbours", "1"))

    monkeypatch.setattr(holder, "_answer", halts)
    with pytest.raises(HaltedError):
        world.give("alice", "holder", message, 1.0)
    assert holder.faults == 0
