"""Windows in place and time: a user that moved, an author out of its area, a window too far ahead. Bytes in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies, records
from settlement.chain.codec import decode
from settlement.chain.records import Record, sign_record
from settlement.chain.scope import Area
from settlement.core.fixes import Fix
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, verify
from settlement.pair.table import HolderState, UserState
from settlement.records.conduct import grant as granting
from settlement.state.messages import Message, decode_message
from tests.settlement.enveloped import unit
from tests.settlement.world import AREA, LAT, LON, LOWER, NETWORK, NS, RULE, T0, TERMS, World, fix, offered, unbound

pytestmark = pytest.mark.feature("S3")
METRE_E7 = 90
"""A metre of latitude, a little under."""


def away(metres: int, at_s: float = 1.0, radius_mm: int = 1000) -> Fix:
    """North of the centre of the test's area, which has a radius of 20 km."""
    here = fix(at_s)
    return replace(here, position=replace(here.position, lat_e7=LAT + metres * METRE_E7, radius_mm=radius_mm))


def at(world: World, name: str, here: Fix, body: Any) -> Record:
    """A record that a member signs somewhere else."""
    with world.members[name].party.step(here) as step:
        unbound(step)
        return step.sign(body)


def granted(world: World) -> tuple[bytes, bytes]:
    """Alice's id, and the message with the GRANT that waits for her."""
    sid = world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (asked,), world.members["alice"].outgoing = world.members["alice"].outgoing, []
    assert world.give("alice", "holder", asked.data, 1.0) is None
    (grant,), world.members["holder"].outgoing = world.members["holder"].outgoing, []
    return sid, grant.data


def accept_of(world: World, sid: bytes, data: bytes) -> bodies.Accept:
    """The honest ACCEPT of a GRANT, by alice's own code."""
    assert world.give("holder", "alice", data, 1.0) is None
    world.members["alice"].outgoing = []
    pair = world.members["alice"].party.user.by_sid(sid)
    record = world.members["alice"].party.record_of((pair and pair.accept) or b"")
    assert record is not None
    body: bodies.Accept = record.body
    return body


# The area reaches 20 km: 24 km is surely beyond it, 20 km to within 40 m may be on either side.
MOVED = [(away(24_000), Reason.SPATIAL_OUTSIDE), (away(20_000, radius_mm=40_000), Reason.SPATIAL_UNDECIDED)]


@pytest.mark.parametrize(("here", "reason"), MOVED)
def test_a_user_that_left_its_area_cannot_accept_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Fix, reason: Reason
) -> None:
    """This user does not look where it is itself."""
    monkeypatch.setattr(granting, "still_here", lambda *_: None)
    world = offered(tmp_path)
    sid, grant = granted(world)
    alice = world.members["alice"].party
    with alice.step(here) as step:
        unbound(step)
        assert alice.receive(step, grant, world.members["holder"].transport) is None
    (accept,) = step.outgoing
    refusal = world.give("alice", "holder", accept.data, 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (reason, "capability.8.place")
    assert "mm" in refusal.measured
    assert "mm" in refusal.required
    world.carry(1.0)
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.ABORTED
    pair = world.members["alice"].party.user.by_sid(sid)
    assert pair is not None
    assert (pair.state, pair.ended) == (UserState.ABORTED, reason.value)


SMALL = Area(lat_e7=LAT, lon_e7=LON, radius_mm=500_000)


def small_cell(world: World) -> bytes:
    """Alice asks for a cell of 500 m around her; returns its id."""
    party = world.members["alice"].party
    offer = next(iter(party.user.offers.values()))
    window = bodies.Window(start_ns=T0 + 3 * NS, end_ns=T0 + 9 * NS)
    cell = replace(offer.body.cell, band=LOWER, area=SMALL, window=window)
    sid: bytes = world.do("alice", 1.0, lambda s: party.user.request(s, offer, cell, eirp_mdbm=20_000).sid)
    (asked,), world.members["alice"].outgoing = world.members["alice"].outgoing, []
    assert world.give("alice", "holder", asked.data, 1.0) is None
    return sid


def test_inside_the_credential_but_out_of_the_cell_is_out_of_the_cell(tmp_path: Path) -> None:
    world = offered(tmp_path)
    sid = small_cell(world)
    (grant,), world.members["holder"].outgoing = world.members["holder"].outgoing, []
    record = at(world, "alice", away(800), accept_of(world, sid, grant.data))
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SPATIAL_OUTSIDE, "accept.place")
    world.carry(1.0)
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.ABORTED


def test_a_user_that_knows_it_has_moved_does_not_accept(tmp_path: Path) -> None:
    world = offered(tmp_path)
    sid = small_cell(world)
    (grant,) = world.members["holder"].outgoing
    alice = world.members["alice"].party
    with alice.step(away(800)) as step:
        refusal = alice.receive(step, grant.data, world.members["holder"].transport)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SPATIAL_OUTSIDE, "grant.place")
    assert step.outgoing == []
    pair = alice.user.by_sid(sid)
    assert pair is not None
    assert pair.state == UserState.REQUESTED


@pytest.mark.parametrize("metres", [0, 19_900])
def test_anywhere_surely_inside_counts(tmp_path: Path, metres: int) -> None:
    world = offered(tmp_path)
    _, grant = granted(world)
    alice = world.members["alice"].party
    with alice.step(away(metres)) as step:
        assert alice.receive(step, grant, world.members["holder"].transport) is None
    (accept,) = step.outgoing
    assert world.give("alice", "holder", accept.data, 1.0) is None


def test_an_envelope_from_outside_its_authors_area_does_not_count(tmp_path: Path) -> None:
    world = offered(tmp_path)
    record = at(world, "alice", away(24_000), unit())
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.SPATIAL_OUTSIDE, "capability.8.place")


AHEAD = replace(RULE, classes=(replace(TERMS, max_ahead_ns=10 * NS),))


@pytest.mark.parametrize(("start_s", "held"), [(10.9, True), (11.001, False), (200.0, False)])
def test_a_window_starts_no_further_ahead_than_the_class_allows(tmp_path: Path, start_s: float, held: bool) -> None:
    world = offered(tmp_path, rule=AHEAD)
    sid = world.request("alice", 1.0, LOWER, start_s, start_s + 5)
    refusals = world.carry(1.0)
    assert [(r.reason, r.clause) for r in refusals] == ([] if held else [(Reason.TERMS, "request.ahead")])
    assert (world.members["alice"].party.lineage.get("artifact", sid) is not None) is held


# -- offline -----------------------------------------------------------------------------------------------------------


def forged(world: World, artifact: Artifact, here: Fix) -> Artifact:
    """The artifact with an ACCEPT of the same words, signed elsewhere."""
    message = records.parse(artifact.accept)
    assert not isinstance(message, Refusal)
    honest = message.prove(world.members["alice"].key.public, NETWORK)
    assert isinstance(honest, Record)
    raw = sign_record(world.members["alice"].key, world.frame("alice", at=here), honest.body)
    return replace(artifact, accept=raw)


def test_an_artifact_whose_acceptance_was_signed_elsewhere_does_not_verify(tmp_path: Path) -> None:
    world = offered(tmp_path)
    artifact = decode(Artifact, world.settle(), "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(artifact, Artifact)
    for here, reason in MOVED:
        refusal = verify(forged(world, artifact, here).encoded(), network=NETWORK, anchors=world.anchors)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is reason
    assert AREA.radius_mm == 20_000_000


def test_a_message_says_what_it_carries(tmp_path: Path) -> None:
    world = offered(tmp_path)
    _, data = granted(world)
    message = decode_message(data)
    assert isinstance(message, Message)
    assert message.beside is None, "a class without envelopes sends none"
