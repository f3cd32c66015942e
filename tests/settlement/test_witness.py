"""Neighbours cosign each other's log heads; forks, restored and edited logs are found and proven."""

import base64
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import cbor2
import pytest

from agent.node.stockwitnesses import StockAsking
from agent.node.stockwitnesses import StockLines as Asked
from agent.witness import server as witnessing
from settlement.chain import bodies, merkle
from settlement.chain.checkpoint import (
    Cosigned,
    Head,
    check_cosignature,
    cosign,
    open_note,
    origin_of,
    sign_head,
)
from settlement.chain.keys import SigningKey
from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Attestation, Frame, Record, sign_record
from settlement.core.reasons import Reason, Refusal
from settlement.formats.vkey import LOG, VerifierKey
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.transmit import RESEND_NS
from settlement.state.messages import Message
from settlement.state.step import HaltedError
from settlement.state.witness import PROOFS_EACH, behind
from tests.agent.realparts import until
from tests.settlement.formats.test_tlogwitness import serving
from tests.settlement.world import LOWER, NETWORK, NS, RULE, UPPER, World, fix, seed, trio

QUORUM = 2


def greet(world: World, *names: str) -> list[Refusal]:
    """Have members ask their neighbours for their heads, as at start."""
    for name in names or tuple(world.members):
        world.do(name, -6.0, world.members[name].party.hello)
    return world.carry(-6.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    assert greet(world) == []
    return world


def witnessed_artifact(world: World) -> bytes:
    return world.settle()


def own_checkpoint(world: World, owner: str, **changes: Any) -> bytes:
    """A checkpoint record of `owner` over whatever head and proof the test wants."""
    member = world.members[owner]
    last = member.party.lineage.author_last(member.hash)
    number = 1000 if last is None else last[0] + 1000
    note = changes.pop("note", None) or sign_head(member.party.lineage.head(), member.key)
    frame = Frame(
        network=NETWORK,
        author=member.hash,
        seq=changes.pop("seq", number),
        previous=bytes(32),
        attestation=Attestation.of(fix(1.0)),
    )
    body = bodies.Checkpoint(note=note, old_size=changes.pop("old_size", 0), proof=changes.pop("proof", ()))
    return sign_record(member.key, frame, body)


def entries(world: World, name: str) -> list[Leaf]:
    found = [decode_leaf(body) for body in world.members[name].party.lineage.bodies()]
    return [leaf for leaf in found if isinstance(leaf, Leaf)]


def evidence(world: World, name: str) -> list[bodies.Evidence]:
    party = world.members[name].party
    records = [party.record_of(leaf.subject) for leaf in entries(world, name) if leaf.admitted]
    return [r.body for r in records if isinstance(r, Record) and r.typ == "evidence"]


@pytest.mark.feature("G11")
def test_a_settlement_carries_the_lines_of_its_witnesses(world: World) -> None:
    artifact = witnessed_artifact(world)
    permit = verify(artifact, network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
    note = cbor2.loads(artifact)[8][4]
    assert note.count("\u2014") == 1 + QUORUM
    for name in ("alice", "bob"):
        key = world.members[name].key
        checked = check_cosignature(note, name=origin_of(NETWORK, key.public), public=key.public)
        assert checked == Cosigned(name=origin_of(NETWORK, key.public), time_s=fix(1.0).time.earliest_ns // NS)


def stripped(artifact: bytes, **proof: Any) -> bytes:
    loaded = cbor2.loads(artifact)
    keys = {"checkpoint": 4, "witnesses": 5}
    return cbor2.dumps({**loaded, 8: {**loaded[8], **{keys[k]: v for k, v in proof.items()}}})


@pytest.mark.attack(35)
def test_a_checkpoint_without_the_cosignatures_the_rule_asks_for(world: World) -> None:
    artifact = witnessed_artifact(world)
    note, chains = cbor2.loads(artifact)[8][4], cbor2.loads(artifact)[8][5]
    *_, last = note.splitlines(keepends=True)
    one = note.removesuffix(last)
    cases = (
        stripped(artifact, checkpoint=one, witnesses=chains[:1]),
        stripped(artifact, checkpoint=one),
        stripped(artifact, witnesses=chains[:1]),
        stripped(artifact, checkpoint=one + one.splitlines(keepends=True)[-1], witnesses=[chains[0], chains[0]]),
        stripped(artifact, witnesses=[chains[0], chains[0]]),
    )
    for case in cases:
        refusal = verify(case, network=NETWORK, anchors=world.anchors)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.UNWITNESSED


def test_every_changed_byte_of_a_witnessed_artifact_is_refused(world: World) -> None:
    artifact = witnessed_artifact(world)
    start = artifact.index(b"bandpact/test-net/")
    for at in range(start, len(artifact), 13):
        changed = artifact[:at] + bytes([artifact[at] ^ 0x04]) + artifact[at + 1 :]
        assert isinstance(verify(changed, network=NETWORK, anchors=world.anchors), Refusal), at


def test_the_holder_is_no_witness_of_its_own_log(tmp_path: Path) -> None:
    world = trio(tmp_path)
    artifact = world.settle()
    holder = world.members["holder"]
    note = cbor2.loads(artifact)[8][4]
    head = open_note(note, holder.key.public)
    assert isinstance(head, Head)
    line = cosign(
        head, name=origin_of(NETWORK, holder.key.public), key=holder.key, time_s=fix(1).time.earliest_ns // NS
    )
    case = stripped(artifact, checkpoint=note + line, witnesses=[{1: list(world.chains["holder"])}])
    refusal = verify(case, network=NETWORK, anchors=world.anchors)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNWITNESSED


def test_lost_cosignatures_are_asked_for_again_and_the_settlement_completes(world: World) -> None:
    world.offer()
    world.carry(0.1)
    sid = world.request("alice", 1.0, LOWER, 2.0, 12.0)
    holder, alice = world.members["holder"], world.members["alice"]
    for _ in range(2):
        for member, to in ((alice, "holder"), (holder, "alice")):
            waiting, member.outgoing = member.outgoing, []
            for message in waiting:
                world.give(member.name, to, message.data, 1.0)
    for member in world.members.values():
        member.outgoing = []  # every question to a witness is lost
    assert alice.party.lineage.get("artifact", sid) is None
    later_s = 1.0 + 2 * RESEND_NS / NS
    world.do("holder", later_s, holder.party.tick)
    assert {r.reason for r in world.carry(later_s)} <= {Reason.REPLAY}
    assert alice.party.lineage.get("artifact", sid) is not None


def test_two_settlements_one_after_the_other_prove_consistency(world: World) -> None:
    world.settle()
    world.request("bob", 1.2, UPPER, 2.0, 9.0)
    assert world.carry(1.2) == []
    (pair,) = world.members["bob"].party.user.pairs.values()
    artifact = world.members["bob"].party.lineage.get("artifact", pair.sid)
    assert artifact is not None
    assert isinstance(verify(artifact, network=NETWORK, anchors=world.anchors), VerifiedPermit)


# -- witness rules -------------------------------------------------------------------------------------------------


@pytest.mark.attack(32)
def test_two_heads_of_one_size_are_a_fork_and_both_are_kept_as_proof(world: World) -> None:
    world.settle()
    holder = world.members["holder"]
    size = holder.party.lineage.size
    notes = [sign_head(Head(origin=holder.party.lineage.origin, size=size, root=seed(x)), holder.key) for x in "ab"]
    seen = world.members["bob"].party.lineage
    old = cbor2.loads(seen.items("seen")[0][1])[1]
    first = own_checkpoint(world, "holder", old_size=old, proof=holder.party.lineage.consistency(old, size))
    assert world.give("holder", "bob", Message(record=first).encoded(), 1.0) is None
    for number, note in enumerate(notes):
        raw = own_checkpoint(world, "holder", note=note, old_size=size, seq=5000 + number)
        refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
        assert refusal is not None
        assert refusal.reason is Reason.FORK
    kept = evidence(world, "bob")
    assert [e.reason for e in kept] == ["FORK", "FORK"]
    heads = [open_note(e.decode(), holder.key.public) for e in (kept[0].first, kept[0].second)]
    assert all(isinstance(h, Head) for h in heads)
    assert heads[0] != heads[1]


@pytest.mark.attack(32)
def test_a_split_view_is_found_when_witnesses_compare(world: World) -> None:
    """The holder shows bob one head and alice another of the same size: the second cosignature proves it."""
    holder = world.members["holder"]
    origin = holder.party.lineage.origin
    for number, name in enumerate(("bob", "alice")):
        note = sign_head(Head(origin=origin, size=50, root=seed(name)), holder.key)
        raw = own_checkpoint(world, "holder", note=note, seq=6000 + number)
        assert world.give("holder", name, Message(record=raw).encoded(), 1.0) is None
    refusals = world.carry(1.0)
    assert Reason.FORK in {r.reason for r in refusals}
    for name in ("alice", "bob"):  # the one who found it told the other
        assert {e.reason for e in evidence(world, name)} == {"FORK"}


@pytest.mark.attack(32)
def test_a_head_heard_of_from_another_witness_is_held_against_the_first_that_comes(world: World) -> None:
    """Bob has cosigned nothing of the holder's yet; what alice told him is enough to know two heads of one size."""
    holder = world.members["holder"]
    for number, name in enumerate(("alice", "bob")):
        head = Head(origin=holder.party.lineage.origin, size=50, root=seed(name))
        raw = own_checkpoint(world, "holder", note=sign_head(head, holder.key), seq=6000 + number)
        refusal = world.give("holder", name, Message(record=raw).encoded(), 1.0)
        if name == "alice":
            assert refusal is None
            world.carry(1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.FORK, "witness.same_size")
    assert (refusal.measured, refusal.required) == (seed("bob").hex(), "the root seen before at 50")


@pytest.mark.attack(65)
def test_a_node_signs_so_many_proofs_against_one_author_and_no_more(world: World) -> None:
    holder = world.members["holder"]
    for number in range(PROOFS_EACH + 3):
        head = Head(origin=holder.party.lineage.origin, size=50, root=seed(str(number)))
        raw = own_checkpoint(world, "holder", note=sign_head(head, holder.key), seq=6000 + number)
        refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
        assert (refusal is None) is (number == 0)
    assert len(evidence(world, "bob")) == PROOFS_EACH


@pytest.mark.attack(33)
def test_a_first_head_comes_without_proof_and_a_later_one_is_no_shorter(world: World) -> None:
    holder = world.members["holder"]
    origin = holder.party.lineage.origin

    def given(size: int, seq: int, **changes: Any) -> tuple[Reason, str, str, str] | None:
        note = sign_head(Head(origin=origin, size=size, root=seed(str(size))), holder.key)
        raw = own_checkpoint(world, "holder", note=note, seq=seq, **changes)
        refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
        return None if refusal is None else (refusal.reason, refusal.clause, refusal.measured, refusal.required)

    assert given(50, 6000, proof=(bytes(32),)) == (Reason.PROOF, "witness.first", "1", "no proof from size 0")
    assert given(50, 6001) is None
    assert given(49, 6002, old_size=50) == (Reason.OUT_OF_ORDER, "witness.old_size", "50 to 49", "from 50")
    assert given(51, 6003, old_size=49) == (Reason.OUT_OF_ORDER, "witness.old_size", "49 to 51", "from 50")


@pytest.mark.attack(32)
def test_a_head_that_does_not_extend_the_last_is_a_fork(world: World) -> None:
    world.settle()
    holder = world.members["holder"]
    log = holder.party.lineage
    old = cbor2.loads(world.members["bob"].party.lineage.items("seen")[0][1])[1]
    note = sign_head(Head(origin=log.origin, size=log.size + 3, root=seed("x")), holder.key)
    tree: dict[tuple[int, int], bytes] = {}
    for index in range(log.size + 3):
        for level, at, value in merkle.new_nodes(index, bytes([index % 251]) * 32, lambda lv, i: tree[lv, i]):
            tree[level, at] = value
    proof = merkle.consistency_proof(old, log.size + 3, lambda lv, i: tree[lv, i])
    raw = own_checkpoint(world, "holder", note=note, old_size=old, proof=proof)
    refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is Reason.FORK
    assert len(evidence(world, "bob")) == 1
    world.carry(1.0)
    assert [e.reason for e in evidence(world, "alice")] == ["FORK"]


@pytest.mark.attack(33)
@pytest.mark.parametrize("proof", [(), (bytes(32),) * 40], ids=["too short", "too long"])
def test_a_consistency_proof_of_wrong_length(world: World, proof: tuple[bytes, ...]) -> None:
    world.settle()
    log = world.members["holder"].party.lineage
    old = cbor2.loads(world.members["bob"].party.lineage.items("seen")[0][1])[1]
    assert old < log.size
    raw = own_checkpoint(world, "holder", old_size=old, proof=proof)
    refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.reason is Reason.PROOF
    assert evidence(world, "bob") == []


def test_a_wrong_old_size_is_answered_with_what_was_cosigned(world: World) -> None:
    world.settle()
    raw = own_checkpoint(world, "holder", old_size=1)
    refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
    assert refusal is not None
    assert refusal.clause == "witness.old_size"
    (answer,) = world.members["bob"].outgoing
    assert answer.to == world.members["holder"].hash


def test_a_head_of_anothers_log_is_not_cosigned(world: World) -> None:
    note = sign_head(Head(origin=origin_of(NETWORK, world.root_key.public), size=1, root=seed("x")), world.root_key)
    mine = world.members["holder"].key
    foreign = sign_head(Head(origin="bandpact/test-net/00", size=1, root=seed("x")), mine)
    reasons = []
    for number, one in enumerate((note, foreign)):
        raw = own_checkpoint(world, "holder", note=one, seq=7000 + number)
        refusal = world.give("holder", "bob", Message(record=raw).encoded(), 1.0)
        reasons.append(refusal.reason if refusal else None)
    assert reasons == [Reason.KEY, Reason.PROOF]


def test_the_same_question_gets_the_same_cosignature(world: World) -> None:
    raw = own_checkpoint(world, "holder")
    assert world.give("holder", "bob", Message(record=raw).encoded(), 1.0) is None
    first = world.members["bob"].outgoing[-1]
    world.members["bob"].outgoing = []
    again = world.give("holder", "bob", Message(record=raw).encoded(), 1.1)
    assert again is not None
    assert again.reason is Reason.REPLAY
    assert world.members["bob"].outgoing == [first]


# -- start ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(31)
def test_a_restored_log_halts_before_it_signs(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    greet(world)
    log = world.members["holder"].party.lineage
    log._db.execute("VACUUM INTO ?", (str(tmp_path / "old.db"),))
    world.settle()
    log.close()
    shutil.copy(tmp_path / "old.db", tmp_path / "holder.db")
    world.members["holder"] = world.member_again("holder")
    refusals = greet(world, "holder")
    assert {r.reason for r in refusals} == {Reason.HALT_BEHIND_WITNESS}
    size = world.members["holder"].party.lineage.size
    with pytest.raises(HaltedError, match="HALT_BEHIND_WITNESS"):
        world.offer(2.0)
    assert world.members["holder"].party.lineage.size == size


@pytest.mark.attack(31)
def test_a_clone_that_went_another_way_halts(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    greet(world)
    world.settle()
    holder = world.members["holder"]
    other = replace(holder.party.lineage.head(), root=seed("elsewhere"))
    with holder.party.step(fix(2)) as step:
        refusal = behind(step, other)
    assert refusal is not None
    assert refusal.reason is Reason.HALT_BEHIND_WITNESS


def test_nothing_is_signed_before_the_neighbours_spoke(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    with pytest.raises(HaltedError, match="neighbours"):
        world.offer()
    assert greet(world) == []
    world.offer()


def test_an_honest_restart_goes_on(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM))
    greet(world)
    world.settle()
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    assert greet(world, "holder") == []
    world.offer(2.0)
    assert world.carry(2.0) == []


EDITS = {
    "bytes": "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT), 'a', 'b') AS BLOB) WHERE idx = 4",
    "verdict column": "UPDATE leaf SET admitted = 1 - admitted WHERE idx = 4",
    "subject column": "UPDATE leaf SET subject = zeroblob(32) WHERE idx = 4",
    "gone": "DELETE FROM leaf WHERE idx = 3",
    "tail gone": "DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)",
    "node": "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 1",
    "node gone": "DELETE FROM node WHERE level = 2 AND idx = 0",
    "checkpoint": "UPDATE checkpoint SET note = replace(replace(replace(note, 'A', 'B'), 'Q', 'R'), 'Z', 'Y')",
}


@pytest.mark.attack(50)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_leaf_edited_in_the_database_is_found_at_start(tmp_path: Path, edit: str) -> None:
    world = trio(tmp_path)
    world.settle()
    holder = world.members["holder"]
    path = holder.party.lineage.path
    assert holder.party.lineage.verify(holder.key.public) is None
    holder.party.lineage.close()
    db = apsw.Connection(str(path))
    db.execute(edit)
    db.close()
    world.members["holder"] = again = world.member_again("holder")
    assert again.party.halted is not None
    assert again.party.halted.reason in (Reason.ENTRY_MISMATCH, Reason.SIGNATURE, Reason.MALFORMED, Reason.KEY)
    with pytest.raises(HaltedError):
        world.offer(2.0)


# -- the form ------------------------------------------------------------------------------------------------------


def test_cosignature_lines_are_bound_to_head_name_key_and_time() -> None:
    owner, witness = SigningKey.from_seed(seed("o")), SigningKey.from_seed(seed("w"))
    head = Head(origin="bandpact/n/1", size=3, root=seed("r"))
    note = sign_head(head, owner)
    line = cosign(head, name="bandpact/n/2", key=witness, time_s=7)
    assert check_cosignature(note + line, name="bandpact/n/2", public=witness.public) == Cosigned(
        name="bandpact/n/2", time_s=7
    )
    assert isinstance(open_note(note + line, owner.public), Head)
    other = sign_head(replace(head, size=4), owner)
    wrong = check_cosignature(other + line, name="bandpact/n/2", public=witness.public)
    assert isinstance(wrong, Refusal)
    assert wrong.reason is Reason.SIGNATURE
    for name, public in (("bandpact/n/3", witness.public), ("bandpact/n/2", owner.public)):
        missing = check_cosignature(note + line, name=name, public=public)
        assert isinstance(missing, Refusal)
        assert missing.reason is Reason.UNWITNESSED


# -- witnesses over HTTP -------------------------------------------------------------------------------------------

STOCK_KEY = SigningKey.from_seed(seed("stock"))
STOCK = bodies.StockWitness(name="witness.example/w1", key=STOCK_KEY.public)


@pytest.fixture
def watched(tmp_path: Path) -> World:
    """A world whose rule asks for both neighbours and one witness over HTTP."""
    world = trio(tmp_path, rule=replace(RULE, witness_quorum=QUORUM + 1, stock_witnesses=(STOCK,)))
    assert greet(world) == []
    return world


def stock_line(note: str, key: SigningKey = STOCK_KEY, name: str = STOCK.name) -> str:
    body = note.partition("\n\n")[0].split("\n")
    head = Head(origin=body[0], size=int(body[1]), root=base64.b64decode(body[2]))
    return cosign(head, name=name, key=key, time_s=fix(1.0).time.earliest_ns // NS)


@pytest.mark.feature("X2")
def test_a_witness_over_http_that_the_rule_names_counts_and_no_other_does(watched: World) -> None:
    watched.offer()
    watched.carry(0.1)
    sid = watched.request("alice", 1.0, LOWER, 2.0, 12.0)
    assert watched.carry(1.0) == []
    holder, alice = watched.members["holder"].party, watched.members["alice"].party
    assert alice.lineage.get("artifact", sid) is None, "one witness is missing"
    waiting = holder.witness.waiting(holder.lineage)
    assert waiting is not None
    size, note = waiting
    stranger = stock_line(note, SigningKey.from_seed(seed("stranger")))
    for wrong in (
        stranger,
        stock_line(note, name="witness.example/w2"),
        "\u2014 witness.example/w1 AAAA\n",
        "",
        "\x00",
    ):
        assert not watched.do("holder", 1.1, lambda step, wrong=wrong: holder.witness.take_stock(step, size, [wrong]))
    assert not watched.do("holder", 1.1, lambda step: holder.witness.take_stock(step, size - 1, [stock_line(note)]))
    assert watched.do("holder", 1.2, lambda step: holder.witness.take_stock(step, size, [stock_line(note)]))
    watched.carry(1.2)
    artifact = alice.lineage.get("artifact", sid)
    assert artifact is not None
    assert isinstance(verify(artifact, network=NETWORK, anchors=watched.anchors), VerifiedPermit)
    proof = cbor2.loads(artifact)[8]
    crowded = verify(stripped(artifact, checkpoint=proof[4] + stranger), network=NETWORK, anchors=watched.anchors)
    assert isinstance(crowded, Refusal)
    assert crowded.clause == "artifact.lines", "a line that nobody vouches for stands under no checkpoint"
    without = proof[4].replace(stock_line(note), "")
    for case in (stripped(artifact, checkpoint=without), stripped(artifact, checkpoint=without + stranger)):
        refusal = verify(case, network=NETWORK, anchors=watched.anchors)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.UNWITNESSED


@pytest.mark.feature("X2")
def test_a_nodes_asker_gets_lines_from_a_real_witness_also_from_where_it_was(watched: World, tmp_path: Path) -> None:
    holder = watched.members["holder"].party
    folder = tmp_path / "w"
    witnessing.make(folder, STOCK.name)
    (folder / witnessing.KEY).write_text(seed("stock").hex())
    log = VerifierKey(name=holder.lineage.origin, kind=LOG, public=watched.members["holder"].key.public)
    (folder / witnessing.LOGS).write_text(log.text() + "\n")
    with serving(folder) as port:
        watched.offer()
        watched.carry(0.1)
        for at_s, band in ((1.0, LOWER), (1.5, UPPER)):
            fresh = StockAsking({STOCK.name: f"http://127.0.0.1:{port}"}, log.public)
            sid = watched.request("alice", at_s, band, 2.0, 9.0)
            watched.carry(at_s)
            found: list[Asked] = []
            assert until(lambda: bool(found.extend(fresh.turn(holder.witness, holder.lineage)) or found), 60)  # noqa: B023
            fresh.close()
            for one in found:
                take = partial(holder.witness.take_stock, size=one.size, lines=one.lines)
                assert watched.do("holder", at_s + 0.1, take)
            watched.carry(at_s + 0.1)
            artifact = watched.members["alice"].party.lineage.get("artifact", sid)
            assert artifact is not None
            assert isinstance(verify(artifact, network=NETWORK, anchors=watched.anchors), VerifiedPermit)
