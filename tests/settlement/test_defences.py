"""One defence at a time: what only that one stops, so that none can go and leave its row of the attack table green."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
import zmq

from settlement.chain import codec, cose, merkle, records
from settlement.chain.admission import author_inside, confidence, prove, timeless
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Attestation, aad, sign_record
from settlement.chain.scan import MAX_DEPTH, MAX_RECORD_BYTES, scan
from settlement.chain.scope import Area
from settlement.core.fixes import PositionSource, TimeSource
from settlement.core.reasons import Reason, Refusal
from settlement.mesh import Arrived, TransportKey
from settlement.state.messages import MESSAGE_LIMIT, Message, decode_message
from tests.settlement.test_mesh import Net, Raw
from tests.settlement.world import LAT, LON, NETWORK, NS, RULE, T0, World, fix, offered


@pytest.fixture
def world(tmp_path: Path) -> World:
    return offered(tmp_path)


def reason(found: object) -> Reason | None:
    return found.reason if isinstance(found, Refusal) else None


# -- row 5: depth and size, before anything is allocated ---------------------------------------------------------------


@pytest.fixture
def nothing_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(data: bytes) -> Any:
        raise AssertionError(f"{len(data)} bytes were parsed that should have been refused before")

    for module in (codec.cbor2, cose.cbor2, records.cbor2):
        monkeypatch.setattr(module, "loads", loads)


def padded(size: int) -> bytes:
    """A well-formed COSE_Sign1 of exactly that size, whose payload alone is within every limit."""
    protected, payload = cbor2.dumps({1: -8}), cbor2.dumps(bytes(MAX_RECORD_BYTES - 3))
    assert len(payload) == MAX_RECORD_BYTES
    head = b"\xd2\x84" + cbor2.dumps(protected) + b"\xa0" + b"\x5a" + len(payload).to_bytes(4, "big") + payload
    return head + cbor2.dumps(bytes(size - len(head) - 3))


@pytest.mark.attack(5)
@pytest.mark.usefixtures("nothing_is_parsed")
def test_a_record_one_byte_too_large_is_refused_by_its_size_alone() -> None:
    data = padded(MAX_RECORD_BYTES + 400)
    assert len(data) == MAX_RECORD_BYTES + 400
    found = cose.parse(data)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.TOO_LARGE, "cose.size")


@pytest.mark.attack(5)
@pytest.mark.usefixtures("nothing_is_parsed")
@pytest.mark.parametrize("limit", [MAX_RECORD_BYTES, MESSAGE_LIMIT])
def test_an_item_one_byte_too_large_is_refused_and_one_at_the_limit_is_not(limit: int) -> None:
    item = b"\x9a" + (limit - 5).to_bytes(4, "big")  # an array: its head takes five bytes, each item one
    if limit - 5 < 1 << 16:
        item = b"\x99" + (limit - 3).to_bytes(2, "big")
    fits = item + bytes(limit - len(item))
    over = item[:-1] + bytes([item[-1] + 1]) + bytes(limit - len(item) + 1)
    assert scan(fits, limit=limit) is None
    found = scan(over, limit=limit)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.TOO_LARGE, "cbor.size")
    assert reason(decode_message(bytes(MESSAGE_LIMIT + 1))) is Reason.TOO_LARGE


@pytest.mark.attack(5)
@pytest.mark.usefixtures("nothing_is_parsed")
@pytest.mark.parametrize("shell", [b"\x81", b"\xa1\x00"], ids=["arrays", "maps"])
def test_one_level_too_deep_is_refused_where_it_begins(shell: bytes) -> None:
    assert scan(shell * MAX_DEPTH + b"\x00") is None
    found = scan(shell * (MAX_DEPTH + 1) + b"\x00")
    assert isinstance(found, Refusal)
    assert (found.reason, found.clause) == (Reason.TOO_LARGE, "cbor.depth")
    assert found.measured == f"at byte {len(shell) * MAX_DEPTH}", "not a byte further"
    deep = decode_message(shell * 20_000 + b"\x00")
    assert reason(deep) is Reason.TOO_LARGE


@pytest.mark.attack(5)
def test_what_is_announced_and_not_there_costs_no_memory_and_no_time() -> None:
    """An array and a map that announce as many items as there are bytes, or more, are refused at their head."""
    for head, behind in ((b"\x99\xff\xff", 0xFFFE), (b"\xb9\x80\x00", 0xFFFF)):
        data = head + bytes(behind)
        found = scan(data, limit=1 << 20)
        assert isinstance(found, Refusal)
        assert (found.reason, found.clause) == (Reason.MALFORMED, "cbor.truncated")
        assert found.measured == "at byte 0"
    tracemalloc.start()
    try:
        for bomb in (b"\x5b" + b"\xff" * 8, b"\x9b" + b"\xff" * 8, b"\xbb" + b"\x7f" * 8):
            assert reason(scan(bomb)) is Reason.MALFORMED
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()


# -- row 12: another network -------------------------------------------------------------------------------------------


def signed_in(world: World, network: str, says: str, body: Any = None) -> bytes:
    """An honest REQUEST whose payload says it is of one network, signed for another."""
    frame, key = replace(world.frame(), network=says), world.members["alice"].key
    payload = {**codec.to_map(frame), 6: codec.to_map(body or world.asked())}
    fields: dict[int, object] = {cose.KID: key.kid, cose.TYP: "bandpact/request"}
    return cose.sign(key, codec.dumped(payload), aad(network), fields)


@pytest.mark.attack(12)
def test_the_network_is_in_what_is_signed_and_in_what_is_said(world: World) -> None:
    registry = world.members["holder"].party.registry
    assert reason(prove(signed_in(world, NETWORK, NETWORK), registry)) is None


@pytest.mark.attack(12)
def test_bytes_signed_for_another_network_do_not_verify_whatever_they_say(world: World) -> None:
    refusal = world.give("alice", "holder", Message(record=signed_in(world, "other-net", NETWORK)).encoded(), 1.0)
    assert reason(refusal) is Reason.SIGNATURE


@pytest.mark.attack(12)
def test_bytes_that_say_another_network_are_refused_whatever_they_were_signed_for(world: World) -> None:
    body = world.asked()
    for network in (NETWORK, "other-net"):
        raw = signed_in(world, network, "other-net", body)
        assert reason(world.give("alice", "holder", Message(record=raw).encoded(), 1.0)) is Reason.DOMAIN


# -- row 33: proofs of wrong length, index at or beyond the size, size 0 -----------------------------------------------


def a_tree(size: int) -> tuple[list[bytes], merkle.NodeReader]:
    nodes: dict[tuple[int, int], bytes] = {}
    leaves = [merkle.leaf_hash(bytes([n])) for n in range(size)]
    for index, leaf in enumerate(leaves):
        for level, at, value in merkle.new_nodes(index, leaf, lambda lv, i: nodes[lv, i]):
            nodes[level, at] = value
    return leaves, lambda level, index: nodes[level, index]


def inclusion(
    index: int, size: int, proof: tuple[bytes, ...], *, leaf: bytes, root: bytes
) -> tuple[Reason, str] | None:
    found = merkle.verify_inclusion(leaf, index, size, proof, root)
    return None if found is None else (found.reason, found.clause)


@pytest.mark.attack(33)
def test_each_way_in_which_an_inclusion_proof_can_be_none() -> None:
    leaves, read = a_tree(7)
    for index in range(7):
        proof, root = merkle.inclusion_proof(index, 7, read), merkle.root(7, read)
        leaf = leaves[index]
        assert inclusion(index, 7, proof, leaf=leaf, root=root) is None
        longer, shorter = (*proof, bytes(32)), proof[:-1]
        assert inclusion(index, 7, longer, leaf=leaf, root=root) == (Reason.PROOF, "merkle.length")
        assert inclusion(index, 7, shorter, leaf=leaf, root=root) == (Reason.PROOF, "merkle.length")
        odd = (proof[0] + b"\x00", *proof[1:])
        assert inclusion(index, 7, odd, leaf=leaf, root=root) == (Reason.PROOF, "merkle.hash")
        assert inclusion(index + 7, 7, proof, leaf=leaf, root=root) == (Reason.PROOF, "merkle.index")
    # Without the bound on the index these would hold: the only leaf of a tree is its root.
    for index in (1, 2, 1 << 62):
        assert inclusion(index, 1, (), leaf=leaves[0], root=leaves[0]) == (Reason.PROOF, "merkle.index")
    assert inclusion(-1, 1, (), leaf=leaves[0], root=leaves[0]) == (Reason.PROOF, "merkle.index")
    assert inclusion(0, 0, (), leaf=leaves[0], root=leaves[0]) == (Reason.PROOF, "merkle.index")
    # A proof that is too long by what folds to the root all the same.
    two = merkle.node_hash(leaves[0], leaves[1])
    assert inclusion(0, 1, (leaves[1],), leaf=leaves[0], root=two) == (Reason.PROOF, "merkle.length")
    # One that is too short: an inner node is given out for the root.
    assert inclusion(0, 4, (leaves[1],), leaf=leaves[0], root=two) == (Reason.PROOF, "merkle.length")


@pytest.mark.attack(33)
def test_each_way_in_which_a_consistency_proof_can_be_none() -> None:
    _, read = a_tree(8)

    def judged(
        old: int, new: int, proof: tuple[bytes, ...], old_root: bytes, new_root: bytes
    ) -> tuple[Reason, str] | None:
        found = merkle.verify_consistency(old, new, old_root, new_root, proof)
        return None if found is None else (found.reason, found.clause)

    for old in range(1, 8):
        first, second = merkle.root(old, read), merkle.root(8, read)
        proof = merkle.consistency_proof(old, 8, read)
        assert judged(old, 8, proof, first, second) is None
        assert judged(old, 8, (*proof, bytes(32)), first, second) == (Reason.PROOF, "merkle.length")
        assert judged(old, 8, proof[:-1], first, second) == (Reason.PROOF, "merkle.length")
        assert judged(old, 8, (proof[0][:-1], *proof[1:]), first, second) == (Reason.PROOF, "merkle.hash")
        assert judged(8, old, proof, second, first) == (Reason.PROOF, "merkle.size")
    only = merkle.root(1, read)
    assert judged(0, 1, (), only, only) == (Reason.PROOF, "merkle.size")
    assert judged(0, 0, (), only, only) == (Reason.PROOF, "merkle.size")
    assert judged(3, 8, (), only, only) == (Reason.PROOF, "merkle.length")
    assert judged(8, 8, (only,), only, only) == (Reason.FORK, "merkle.same_size")


# -- row 39: what a source cannot know ---------------------------------------------------------------------------------


@pytest.mark.attack(39)
def test_a_place_claimed_finer_than_its_source_is_floored_where_it_is_used(world: World) -> None:
    """30 cm inside the edge by a receiver that claims a millimetre: undecided; by a surveyed point: inside."""
    edge = Area(lat_e7=LAT, lon_e7=LON, radius_mm=300)
    claimed = replace(Attestation.of(fix(1.0)), radius_mm=1)
    for source, expected in ((PositionSource.GPS, Reason.SPATIAL_UNDECIDED), (PositionSource.SURVEYED, None)):
        assert reason(author_inside(replace(claimed, position_source=source), edge, "x")) is expected


@pytest.mark.attack(39)
def test_a_time_claimed_finer_than_its_source_is_floored_where_it_is_used(world: World) -> None:
    """Signed within 10 ns of the credential's end by a clock whose class is good to a microsecond: undecided."""
    rule = replace(RULE, time_sources=(TimeSource.CHRONY, TimeSource.SIMULATED))
    in_force = replace(world.members["holder"].party.rule, rule=rule)
    at_ns = T0 + 3600 * NS - 10
    exact, body = replace(Attestation.of(fix(1.0)), earliest_ns=at_ns, latest_ns=at_ns), world.asked()
    for source, expected in ((TimeSource.CHRONY, Reason.TIME_UNDECIDED), (TimeSource.SIMULATED, None)):
        frame = replace(world.frame(), attestation=replace(exact, time_source=source))
        admitted = prove(sign_record(world.members["alice"].key, frame, body), world.members["holder"].party.registry)
        assert not isinstance(admitted, Refusal)
        assert reason(timeless(admitted, in_force)) is expected
    assert confidence(exact, rule) is None


# -- row 45: a routing id is nobody ------------------------------------------------------------------------------------


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    yield made
    for mesh in made.meshes:
        mesh.close()


@pytest.mark.attack(45)
def test_a_name_that_is_taken_cannot_be_taken_over(net: Net) -> None:
    """The victim is heard before the thief knocks, and after it."""
    server_key, victims, thiefs = (TransportKey.generate() for _ in range(3))
    server = net.mesh(key=server_key)
    victim = Raw(server, server_key, victims, b"the name")
    arrived: list[Arrived] = []
    victim.socket.send(b"one")
    assert net.until(lambda: arrived.extend(server.receive()) or arrived)
    thief = Raw(server, server_key, thiefs, b"the name")
    thief.socket.send(b"mine")
    known = TransportKey.generate()
    honest = Raw(server, server_key, known, b"another")
    for number in range(20):
        victim.socket.send(b"two %d" % number)
        honest.socket.send(b"here")
    assert net.until(lambda: arrived.extend(server.receive()) or len(arrived) >= 41)
    by_key = {key: [a.data for a in arrived if a.transport_key == key.public] for key in (victims, thiefs, known)}
    assert by_key[victims] == [b"one", *(b"two %d" % n for n in range(20))]
    assert by_key[thiefs] == []
    assert by_key[known] == [b"here"] * 20
    for one in (victim, thief, honest):
        assert isinstance(one.socket, zmq.Socket)
        one.close()


@pytest.mark.attack(45)
@pytest.mark.attack(17)
def test_whoever_speaks_under_anothers_name_speaks_for_itself(world: World) -> None:
    """A captured record sent over the thief's own connection: refused, and logged as what the thief sent."""
    raw = sign_record(world.members["alice"].key, world.frame(), world.asked())
    refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.0)
    assert reason(refusal) is Reason.TRANSPORT_BINDING
    log = world.members["holder"].party.lineage
    leaf = decode_leaf(log.leaf_body(log.size - 1))
    assert not isinstance(leaf, Refusal)
    assert leaf.peer == world.members["bob"].hash
    assert reason(world.give("alice", "holder", Message(record=raw).encoded(), 1.0)) is None, "and its author is heard"
