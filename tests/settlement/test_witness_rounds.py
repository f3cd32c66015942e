"""Rounds of witnesses, line by line: whose line counts, who is asked again, what is sent, and what is forgotten."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.chain import bodies
from settlement.chain.admission import Admitted, prove
from settlement.chain.checkpoint import Head, cosign, open_note, origin_of, sign_head
from settlement.chain.codec import encode
from settlement.chain.keys import SigningKey
from settlement.chain.records import Attestation, Frame, sign_record
from settlement.chain.scope import Band
from settlement.core.reasons import Reason
from settlement.pair.transmit import RESEND_NS
from settlement.state.messages import Message, decode_message
from settlement.state.step import REPLY
from settlement.state.witness import LINES, NEIGHBOUR, WAITING, Asked, Witness, behind
from tests.settlement.test_witness import greet, own_checkpoint, stock_line
from tests.settlement.world import LOWER, NETWORK, NS, RULE, UPPER, World, fix, seed, trio

pytestmark = [pytest.mark.feature("G11"), pytest.mark.attack(35)]
QUORUM = 2


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    assert greet(made) == []
    made.offer()
    made.carry(0.1)
    return made


def waits(world: World, user: str, at_s: float, band: Band = LOWER, ahead_s: float = 2.0) -> bytes:
    """A settlement whose CONFIRM waits: its checkpoints lie where the holder left them. Its id."""
    sid = world.request(user, at_s, band, at_s + ahead_s, at_s + ahead_s + 6)
    for sender, to in ((user, "holder"), ("holder", user), (user, "holder")):
        asked = [one for one in world.members[sender].outgoing if one.to == world.members[to].hash]
        world.members[sender].outgoing = [one for one in world.members[sender].outgoing if one not in asked]
        for one in asked:
            assert world.give(sender, to, one.data, at_s) is None
    return sid


def said(world: World, name: str, to: str, typ: str) -> list[bytes]:
    """Records of a type that a member left for another."""
    found = []
    for one in world.members[name].outgoing:
        message = decode_message(one.data)
        assert isinstance(message, Message)
        if one.to == world.members[to].hash and typ.encode() in message.record[:400]:
            found.append(message.record)
    return found


def line_by(world: World, author: str, note: str, seq: int, signed_by: str | None = None) -> bytes:
    """A cosignature of an author's, its line by whom it likes, as a message."""
    holder, other = world.members["holder"], world.members[signed_by or author]
    head = open_note(note, holder.key.public)
    assert isinstance(head, Head)
    line = cosign(
        head, name=origin_of(NETWORK, other.key.public), key=other.key, time_s=fix(1.0).time.earliest_ns // NS
    )
    frame = Frame(
        network=NETWORK, author=world.members[author].hash, seq=seq, previous=bytes(32),
        attestation=Attestation.of(fix(1.0)),
    )  # fmt: skip
    record = sign_record(world.members[author].key, frame, bodies.Cosignature(note=note, line=line))
    return Message(record=record).encoded()


def note_that_waits(world: World) -> str:
    party = world.members["holder"].party
    with party.step(fix(1.0)) as step:
        current = party.witness._round(step)
    assert current is not None
    return current.note


def test_a_line_counts_for_whoever_signed_it_and_for_nobody_else(world: World) -> None:
    sid = waits(world, "alice", 1.0)
    note, party = note_that_waits(world), world.members["holder"].party
    for number, signer in enumerate(("alice", "holder")):
        refusal = world.give("bob", "holder", line_by(world, "bob", note, 7000 + number, signer), 1.0)
        assert refusal is not None
        assert refusal.reason is Reason.UNWITNESSED
    assert party.lineage.items(LINES) == []
    assert party.holder.pairs[sid].decision is not None
    assert world.give("bob", "holder", line_by(world, "bob", note, 7010), 1.0) is None
    assert len(party.lineage.items(LINES)) == 1


def test_nobody_is_asked_again_before_a_round_is_late(world: World) -> None:
    waits(world, "alice", 1.0)
    holder = world.members["holder"]
    for at_s, again in ((1.0, 0), (1.0 + RESEND_NS / NS / 2, 0), (1.1 + RESEND_NS / NS, 1)):
        holder.outgoing.clear()
        world.do("holder", at_s, holder.party.tick)
        assert len(said(world, "holder", "alice", "checkpoint")) == again, at_s


@pytest.mark.parametrize("answered", ["alice", "bob"])
def test_a_late_round_asks_those_again_who_have_not_answered_and_rests(world: World, answered: str) -> None:
    waits(world, "alice", 1.0)
    note, holder = note_that_waits(world), world.members["holder"]
    other = "bob" if answered == "alice" else "alice"
    (first,) = said(world, "holder", other, "checkpoint")
    assert world.give(answered, "holder", line_by(world, answered, note, 7000), 1.0) is None
    late_s = 1.1 + RESEND_NS / NS
    for at_s, again in ((late_s, [first]), (late_s + 0.1, [])):
        holder.outgoing.clear()
        world.do("holder", at_s, holder.party.tick)
        assert said(world, "holder", other, "checkpoint") == again
        assert said(world, "holder", answered, "checkpoint") == []


def test_a_late_round_asks_whoever_was_asked_for_another_head_for_this_one(world: World) -> None:
    waits(world, "alice", 1.0)
    head, holder = open_note(note_that_waits(world), world.members["holder"].key.public), world.members["holder"]
    assert isinstance(head, Head)
    bob = world.members["bob"].hash
    older = encode(Asked(cosigned=0, record=b"older", size=head.size - 1))
    world.do("holder", 1.0, lambda step: step.put(NEIGHBOUR, bob, older))
    holder.outgoing.clear()
    world.do("holder", 1.1 + RESEND_NS / NS, holder.party.tick)
    (asked,) = said(world, "holder", "bob", "checkpoint")
    found = prove(asked, holder.party.registry)
    assert isinstance(found, Admitted)
    assert open_note(found.record.body.note, holder.key.public) == head
    holder.outgoing.clear()
    world.do("holder", 1.2 + 2 * RESEND_NS / NS, holder.party.tick)
    assert said(world, "holder", "bob", "checkpoint") == [asked], "and then by the same bytes"


def test_a_log_of_nobody_known_has_no_witness_here(world: World) -> None:
    stranger = sign_head(Head(origin="bandpact/test-net/nobody", size=5, root=seed("x")), world.members["bob"].key)
    holder = world.members["holder"]
    line = cosign(
        Head(origin="bandpact/test-net/nobody", size=5, root=seed("x")),
        name=origin_of(NETWORK, world.members["bob"].key.public), key=world.members["bob"].key, time_s=1,
    )  # fmt: skip
    frame = replace(world.frame("bob", seq=7000))
    raw = sign_record(world.members["bob"].key, frame, bodies.Cosignature(note=stranger, line=line))
    refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.UNKNOWN_AUTHOR, "witness.owner")
    assert refusal.measured == "bandpact/test-net/nobody"
    assert holder.party.lineage.items(LINES) == []


def test_a_witness_that_is_behind_is_asked_for_the_head_that_waits(world: World) -> None:
    waits(world, "alice", 1.0)
    old = note_that_waits(world)
    world.carry(1.0)
    waits(world, "alice", 1.1, UPPER)
    middle = open_note(note_that_waits(world), world.members["holder"].key.public)
    world.carry(1.1)
    waits(world, "bob", 1.2, ahead_s=20.0)
    world.members["holder"].outgoing.clear()
    newest = open_note(note_that_waits(world), world.members["holder"].key.public)
    late = line_by(world, "alice", old, 8000)
    assert world.give("alice", "holder", late, 1.3) is None, "a line under an older head is true, too"
    (asked,) = said(world, "holder", "alice", "checkpoint")
    found = prove(asked, world.members["holder"].party.registry)
    assert isinstance(found, Admitted)
    head = open_note(found.record.body.note, world.members["holder"].key.public)
    assert isinstance(head, Head)
    assert isinstance(newest, Head)
    assert isinstance(middle, Head)
    assert head.size == newest.size
    assert found.record.body.old_size == middle.size, "it goes on from the newest that this witness has cosigned"


def test_lines_under_heads_that_are_over_are_forgotten(world: World) -> None:
    party = world.members["holder"].party
    sizes = []
    for at_s, band in ((1.0, LOWER), (1.1, UPPER)):
        waits(world, "alice", at_s, band)
        head = open_note(note_that_waits(world), world.members["holder"].key.public)
        assert isinstance(head, Head)
        sizes.append(head.size)
        world.carry(at_s)
    assert {int.from_bytes(key[:8], "big") for key, _ in party.lineage.items(LINES)} == {sizes[-1]}


def test_a_confirm_that_came_after_a_round_began_waits_for_the_next(tmp_path: Path) -> None:
    """Whichever of the two is looked at first: their order is by their hashes."""
    orders = set()
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        world = trio(tmp_path / str(number), rule=replace(RULE, witness_quorum=QUORUM))
        greet(world)
        world.offer()
        world.carry(0.1)
        first, second = waits(world, "alice", 1.0 + number / 100), waits(world, "bob", 1.2, UPPER)
        party = world.members["holder"].party
        names = [name for name, _ in party.lineage.items(WAITING)]
        decisions = [party.holder.pairs[sid].decision for sid in (first, second)]
        assert sorted(names) == sorted(one for one in decisions if one is not None)
        orders.add(names[0] == decisions[0])
        note = note_that_waits(world)
        for seq, name in ((7000, "alice"), (7001, "bob")):
            assert world.give(name, "holder", line_by(world, name, note, seq), 1.2) is None
        assert [name for name, _ in party.lineage.items(WAITING)] == [decisions[1]]
        assert note_that_waits(world) != note, "and a round for what still waits has begun"
        accept = party.holder.pairs[first].accept
        assert accept is not None
        answer = decode_message(party.lineage.get(REPLY, accept) or b"")
        assert isinstance(answer, Message)
        assert answer.proof is not None, "whoever sends its ACCEPT again gets the proven CONFIRM"
        for member in world.members.values():
            member.party.lineage.close()
    assert orders == {True, False}


def test_a_fork_is_told_of_by_its_name_and_whose_it_is(world: World) -> None:
    holder = world.members["holder"]
    for number, name in enumerate("ab"):
        head = Head(origin=holder.party.lineage.origin, size=50, root=seed(name))
        raw = own_checkpoint(world, "holder", note=sign_head(head, holder.key), seq=6000 + number)
        world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
    told = [one for one in world.members["bob"].notices if one.name == "fork"]
    assert [one.fields for one in told] == [{"author": "holder"}]


def test_a_head_that_a_witness_heard_of_is_held_against_what_was_seen(world: World) -> None:
    holder = world.members["holder"]
    notes = []
    for name in ("alice", "bob"):
        head = Head(origin=holder.party.lineage.origin, size=50, root=seed(name))
        notes.append(sign_head(head, holder.key))
    raw = own_checkpoint(world, "holder", note=notes[0], seq=6000)
    assert world.give("holder", "alice", Message(record=raw).encoded(), 1.0) is None
    refusal = world.give("bob", "alice", line_by(world, "bob", notes[1], 7000), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.FORK, "witness.heard")
    assert (refusal.measured, refusal.required) == (seed("bob").hex(), "the root seen before at 50")


def test_a_head_seen_elsewhere_is_part_of_this_log_or_stops_it(world: World) -> None:
    party = world.members["holder"].party

    def judged(size: int, root: bytes) -> tuple[Reason, str, str, str] | None:
        with party.step(fix(1.0)) as step:
            found = behind(step, Head(origin=party.lineage.origin, size=size, root=root))
        return None if found is None else (found.reason, found.clause, found.measured, found.required)

    size = party.lineage.size
    here = party.lineage.root_at(size)
    assert judged(size, here) is None, "the very head of this log"
    halt = Reason.HALT_BEHIND_WITNESS
    longer = halt, "witness.size", f"{size} entries here", f"a neighbour saw {size + 1} entries"
    assert judged(size + 1, here) == longer
    assert judged(size, seed("x")) == (halt, "witness.root", here.hex(), f"the root a neighbour saw at {size}")


def test_nobody_has_the_head_of_anothers_log_cosigned(world: World) -> None:
    holder, bob = world.members["holder"].party.lineage.origin, world.members["bob"]
    note = sign_head(Head(origin=holder, size=50, root=seed("a")), bob.key)
    raw = own_checkpoint(world, "bob", note=note, seq=6000)
    refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.PROOF, "witness.origin")
    assert (refusal.measured, refusal.required) == (holder, bob.party.lineage.origin)


def test_a_head_that_was_cosigned_is_cosigned_again(world: World) -> None:
    """A log that did not grow is asked about again where the line was lost."""
    holder = world.members["holder"]
    note = sign_head(Head(origin=holder.party.lineage.origin, size=50, root=seed("a")), holder.key)
    for seq, old_size in ((6000, 0), (6001, 50)):
        raw = own_checkpoint(world, "holder", note=note, seq=seq, old_size=old_size)
        assert world.give("holder", "bob", Message(record=raw).encoded(), 1.0) is None


def test_one_head_in_two_notes_is_no_fork(world: World) -> None:
    holder, bob = world.members["holder"], world.members["bob"].party
    head = Head(origin=holder.party.lineage.origin, size=50, root=seed("a"))
    note = sign_head(head, holder.key)
    raw = own_checkpoint(world, "holder", note=note, seq=6000)
    assert world.give("holder", "bob", Message(record=raw).encoded(), 1.0) is None
    with bob.step(fix(1.0)) as step:
        again = note + stock_line(note)
        assert bob.witness._other_root(step, holder.hash, head, again) is None
        assert bob.witness._other_root(step, holder.hash, replace(head, root=seed("b")), again) == note


def test_a_neighbour_that_answered_late_is_asked_in_its_turn_again(world: World) -> None:
    waits(world, "alice", 1.0)
    note, party = note_that_waits(world), world.members["holder"].party
    alice = world.members["alice"].hash
    party.witness._order.let_wait(alice)
    assert world.give("alice", "holder", line_by(world, "alice", note, 7000), 1.0) is None
    assert alice not in party.witness._order._late


def test_the_second_of_two_witnesses_over_http_counts_as_the_first(world: World) -> None:
    keys = [SigningKey.from_seed(seed(name)) for name in ("s1", "s2")]
    stock = tuple(bodies.StockWitness(name=f"w.example/{n}", key=key.public) for n, key in enumerate(keys))
    waits(world, "alice", 1.0)
    party = world.members["holder"].party
    watching = Witness(me=party.identity.credential, registry=party.registry, quorum=9, stock=stock)
    size, note = watching.waiting(party.lineage) or (0, "")
    line = stock_line(note, keys[1], "w.example/1")
    assert world.do("holder", 1.1, lambda step: watching.take_stock(step, size, [line]))
    assert [key[8:] for key, _ in party.lineage.items(LINES)] == [keys[1].public]
    world.carry(1.1)
    assert watching.waiting(party.lineage) is None, "nothing waits any more"
