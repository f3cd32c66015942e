"""Envelopes in the loop: bytes in, verdict out. What no envelope allows is neither offered, granted nor accepted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.codec import decode
from settlement.chain.keys import SigningKey
from settlement.chain.records import Record, parse, sign_record
from settlement.chain.scope import Area, Band
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, VerifiedPermit, verify
from settlement.pair.bounds import OwnFaultError
from settlement.pair.envelopes import confidence_ppm, intersect
from settlement.pair.table import HolderState, UserState
from settlement.state.messages import Message, decode_message
from settlement.state.step import Step
from tests.settlement.enveloped import (
    ENVELOPED,
    channel,
    declaration,
    describe,
    enveloped,
    observe,
    offer,
    place,
    unit,
)
from tests.settlement.world import BAND, LAT, LON, LOWER, NETWORK, NS, T0, UPPER, World, fix, offered, seed, trio

pytestmark = pytest.mark.feature("E5")
HOLDER_PUBLIC = SigningKey.from_seed(seed("holder")).public


def settled(world: World, at_s: float = 1.0) -> tuple[bytes, list[Refusal]]:
    sid = world.request("alice", at_s, LOWER, at_s + 1, at_s + 9)
    return sid, world.carry(at_s)


def artifact_of(world: World, sid: bytes) -> Artifact:
    raw = world.members["alice"].party.lineage.get("artifact", sid)
    assert raw is not None
    found = decode(Artifact, raw, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(found, Artifact)
    return found


def refused(world: World) -> tuple[str, str]:
    """Reason and clause that the user's only settlement was refused with, as its holder signed them."""
    (notice,) = [n for n in world.members["alice"].notices if n.name == "refused"]
    return notice.fields["reason"], notice.fields["clause"]


# -- the whole way -------------------------------------------------------------------------------------------------


def test_a_settlement_rests_on_the_composite_of_place_and_unit(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    sid, refusals = settled(world)
    assert refusals == []
    artifact = artifact_of(world, sid)
    permit = verify(artifact.encoded(), network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit), permit
    alice = world.members["alice"].party
    (pair,) = alice.user.pairs.values()
    grant = alice.record_of(pair.grant or b"")
    composite = alice.record_of(grant.body.composite) if grant else None
    assert composite is not None
    body: bodies.Envelope = composite.body
    assert [(c.band, c.state) for c in body.channels] == [(LOWER, "free")]
    assert (body.max_eirp_mdbm, body.width_hz_max, len(body.parts or ())) == (25_000, 10_000_000, 2)
    assert body.valid_until_ns == T0 + 60 * NS


def test_the_envelopes_outlive_a_restart_of_either_side(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    for name in ("holder", "alice"):
        world.members[name].party.lineage.close()
        world.members[name] = world.member_again(name)
    sid, refusals = settled(world)
    assert refusals == []
    assert artifact_of(world, sid).envelopes is not None


def test_without_the_class_asking_nothing_needs_an_envelope(tmp_path: Path) -> None:
    world = offered(tmp_path)
    sid, refusals = settled(world)
    assert refusals == []
    assert artifact_of(world, sid).envelopes is None


# -- the offer -------------------------------------------------------------------------------------------------------

NORTH = Area(lat_e7=LAT + 900_000, lon_e7=LON, radius_mm=5_000_000)
# An envelope that is over does not even enter.
OUT_OF_DATE = (Reason.ENVELOPE, "offer.envelope")
OFFERS: list[tuple[str, bodies.Envelope, dict[str, Any], str]] = [
    ("busy", place(channels=(channel(LOWER), channel(UPPER, "busy"))), {}, "envelope.place.channel"),
    ("gap", place(channels=(channel(LOWER),)), {}, "envelope.place.channel"),
    ("loud", place(max_eirp_mdbm=29_999), {}, "envelope.place.eirp"),
    ("over", place(valid_until_ns=T0 + 1), {}, "envelope.place.valid"),
    ("elsewhere", place(), {"cell": NORTH}, "envelope.place"),
]


@pytest.mark.parametrize(("body", "changes", "clause"), [o[1:] for o in OFFERS], ids=[o[0] for o in OFFERS])
def test_an_offer_beyond_its_envelope_is_the_holders_own_fault_and_refused_by_users(
    tmp_path: Path, body: bodies.Envelope, changes: dict[str, Any], clause: str
) -> None:
    world = trio(tmp_path, rule=ENVELOPED)
    record = observe(world, body)
    if "cell" in changes:
        cell = declaration(world, None).cell
        changes = {"cell": replace(cell, area=changes["cell"])}
    with pytest.raises(OwnFaultError, match=clause):
        offer(world, record, **changes)
    party = world.members["holder"].party
    assert party.holder.offers == {}

    forced = world.do("holder", 0.0, lambda step: step.sign(declaration(world, record.digest, **changes)))
    refusal = world.give("holder", "alice", Message(record=forced.raw, beside=(record.raw,)).encoded(), 0.0)
    assert refusal is not None
    wanted = {"envelope.place": (Reason.SPATIAL_OUTSIDE, clause), "envelope.place.valid": OUT_OF_DATE}
    assert (refusal.reason, refusal.clause) == wanted.get(clause, (Reason.ENVELOPE, clause))
    assert world.members["alice"].party.user.offers == {}


@pytest.mark.parametrize("case", ["none", "unknown", "another's", "a unit's"])
def test_an_offer_names_a_place_envelope_of_its_author_that_came_with_it(tmp_path: Path, case: str) -> None:
    world = trio(tmp_path, rule=ENVELOPED)
    mine = observe(world, place())
    party = world.members["holder"].party
    others: Record = world.do("bob", 0.0, lambda step: step.sign(place()))
    units: Record = world.do("holder", 0.0, lambda step: party.bounds.describe(step, unit()))
    assert world.give("bob", "alice", Message(record=others.raw).encoded(), 0.0) is None
    named = {"none": None, "unknown": mine.digest, "another's": others.digest, "a unit's": units.digest}[case]
    forced = world.do("holder", 0.0, lambda step: step.sign(declaration(world, named)))
    refusal = world.give("holder", "alice", Message(record=forced.raw, beside=(units.raw,)).encoded(), 0.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.ENVELOPE, "offer.envelope")
    with pytest.raises(OwnFaultError):
        world.do("holder", 0.0, lambda step: party.holder.declare(step, declaration(world, units.digest)))


# -- the request -----------------------------------------------------------------------------------------------------

RAISED = channel(Band(low_hz=LOWER.low_hz + 1, high_hz=BAND.high_hz), "able")
UNITS: list[tuple[str, dict[str, Any], str]] = [
    ("cannot tune", {"channels": (channel(UPPER, "able"),)}, "envelope.unit.channel"),
    ("one Hz short", {"channels": (RAISED,)}, "envelope.unit.channel"),
    ("too weak", {"max_eirp_mdbm": 19_999}, "envelope.unit.eirp"),
    ("too narrow", {"width_hz_max": 9_999_999}, "envelope.unit.width"),
]


@pytest.mark.parametrize(("changes", "clause"), [u[1:] for u in UNITS], ids=[u[0] for u in UNITS])
def test_what_the_radio_cannot_do_is_not_granted(tmp_path: Path, changes: dict[str, Any], clause: str) -> None:
    world = enveloped(tmp_path, **changes)
    _, refusals = settled(world)
    assert [(r.reason, r.clause) for r in refusals] == [(Reason.ENVELOPE, clause)]
    assert refused(world) == ("ENVELOPE", clause)
    assert world.members["holder"].party.holder.pairs == {}


def test_a_request_without_a_unit_envelope_is_not_granted(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=ENVELOPED)
    offer(world, observe(world, place()))
    world.carry(0.1)
    settled(world)
    assert refused(world) == ("ENVELOPE", "request.envelope")


def test_what_the_place_no_longer_allows_is_not_granted_though_it_was_offered(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    observe(world, place(0.5, channels=(channel(LOWER, "busy"),), incumbents=("radar",)), 0.5)
    settled(world)
    assert refused(world) == ("ENVELOPE", "envelope.composite.channel")


def test_a_newer_word_about_one_channel_leaves_the_other_as_it_was(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    observe(world, place(0.5, channels=(channel(LOWER, "busy"),)), 0.5)
    sid = world.request("alice", 1.0, UPPER, 2.0, 9.0)
    assert world.carry(1.0) == []
    assert artifact_of(world, sid).envelopes is not None


@pytest.mark.feature("E6")
def test_confidence_fades_until_nothing_is_granted_on_it(tmp_path: Path) -> None:
    body = place()
    assert confidence_ppm(body, T0 - 5) == confidence_ppm(body, T0) == 950_000
    assert confidence_ppm(body, T0 + 30 * NS) == 475_000
    assert confidence_ppm(body, T0 + 60 * NS - 1) == 0 == confidence_ppm(body, T0 + 60 * NS)
    world = enveloped(tmp_path)
    sid, refusals = settled(world, at_s=30.0)
    assert refusals == []
    assert artifact_of(world, sid).envelopes is not None
    world.request("bob", 36.0, UPPER, 37.0, 39.0)
    assert [(r.reason, r.clause) for r in world.carry(36.0)] == [(Reason.CONFIDENCE, "envelope.composite.age")]


# -- the grant, as a user judges it ----------------------------------------------------------------------------------

Forge = Callable[[World, bodies.Grant, bodies.Envelope], tuple[bodies.Grant, tuple[Record, ...]]]


def _signed(world: World, name: str, body: Any, at_s: float = 1.0) -> Record:
    record: Record = world.do(name, at_s, lambda step: step.sign(body))
    return record


def _no_composite(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    return replace(grant, composite=None), ()


def _not_sent(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    made = _signed(world, "holder", composite)
    return replace(grant, composite=made.digest), ()


def _louder(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    made = _signed(world, "holder", replace(composite, max_eirp_mdbm=30_000))
    return replace(grant, composite=made.digest), (made,)


def _longer(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    made = _signed(world, "holder", replace(composite, valid_until_ns=composite.valid_until_ns + 1))
    return replace(grant, composite=made.digest), (made,)


def _no_parts(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    made = _signed(world, "holder", replace(composite, parts=None))
    return replace(grant, composite=made.digest), (made,)


def _not_its_unit(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    other = _signed(world, "holder", unit())
    assert composite.parts is not None
    made = _signed(world, "holder", replace(composite, parts=(other.digest, *composite.parts[1:])))
    return replace(grant, composite=made.digest), (other, made)


def _a_place(world: World, grant: bodies.Grant, composite: bodies.Envelope) -> tuple[bodies.Grant, Any]:
    made = _signed(world, "holder", place(1.0))
    return replace(grant, composite=made.digest), (made,)


FORGED: list[tuple[Forge, str]] = [
    (_no_composite, "grant.composite"),
    (_not_sent, "grant.composite"),
    (_louder, "grant.composite"),
    (_longer, "grant.composite"),
    (_no_parts, "grant.parts"),
    (_not_its_unit, "grant.parts"),
    (_a_place, "grant.composite"),
]


@pytest.mark.parametrize(("forge", "clause"), FORGED, ids=[f[0].__name__ for f in FORGED])
def test_a_user_accepts_only_inside_a_composite_it_can_make_itself(tmp_path: Path, forge: Forge, clause: str) -> None:
    world = enveloped(tmp_path)
    world.request("alice", 1.0, LOWER, 2.0, 9.0)
    alice, holder = world.members["alice"], world.members["holder"]
    (asked,), alice.outgoing = alice.outgoing, []
    assert world.give("alice", "holder", asked.data, 1.0) is None
    (answer,), holder.outgoing = holder.outgoing, []
    message = decode_message(answer.data)
    assert isinstance(message, Message)
    grant, composite = (_body(raw) for raw in (message.record, (message.beside or ())[0]))
    assert isinstance(grant, bodies.Grant)
    assert isinstance(composite, bodies.Envelope)
    forged, besides = forge(world, grant, composite)
    record = _signed(world, "holder", forged)
    places = tuple(raw for raw in (message.beside or ())[1:])
    data = Message(record=record.raw, beside=(*(b.raw for b in besides), *places)).encoded()
    refusal = world.give("holder", "alice", data, 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.ENVELOPE, clause)
    (pair,) = alice.party.user.pairs.values()
    assert pair.state == UserState.REQUESTED
    assert world.give("holder", "alice", answer.data, 1.0) is None, "the honest one still counts"


def _body(raw: bytes) -> Any:
    unproven = parse(raw)
    assert not isinstance(unproven, Refusal)
    record = unproven.prove(HOLDER_PUBLIC, NETWORK)
    assert isinstance(record, Record)
    return record.body


@pytest.mark.parametrize("named", [None, True])
def test_an_acceptance_names_the_unit_it_was_granted_to(tmp_path: Path, named: bool | None) -> None:
    world = enveloped(tmp_path)
    sid = world.request("alice", 1.0, LOWER, 2.0, 9.0)
    for sender, to in (("alice", "holder"), ("holder", "alice")):
        (message,), world.members[sender].outgoing = world.members[sender].outgoing, []
        assert world.give(sender, to, message.data, 1.0) is None
    (accept,), world.members["alice"].outgoing = world.members["alice"].outgoing, []
    held = decode_message(accept.data)
    assert isinstance(held, Message)
    unproven = parse(held.record)
    assert not isinstance(unproven, Refusal)
    honest = unproven.prove(world.members["alice"].key.public, NETWORK)
    assert isinstance(honest, Record)
    other = describe(world, "alice", unit(max_eirp_mdbm=30_000), 1.0)
    record = _signed(world, "alice", replace(honest.body, envelope=named and other.digest))
    refusal = world.give("alice", "holder", Message(record=record.raw).encoded(), 1.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.ENVELOPE, "accept.envelope")
    world.carry(1.0)
    assert world.members["holder"].party.holder.pairs[sid].state == HolderState.ABORTED


# -- offline ---------------------------------------------------------------------------------------------------------


def test_an_artifact_without_its_envelopes_or_with_others_does_not_verify(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    sid, _ = settled(world)
    whole = artifact_of(world, sid)
    composite, own_unit, *places = whole.envelopes or ()
    frame = world.frame("alice", seq=901, at=fix(0.5))
    stronger = sign_record(world.members["alice"].key, frame, unit(max_eirp_mdbm=30_000))
    changed = bytearray(own_unit)
    changed[-1] ^= 1
    for envelopes, reason in (
        (None, Reason.ENVELOPE),
        ((composite,), Reason.ENVELOPE),
        ((composite, own_unit), Reason.ENVELOPE),
        ((own_unit, *places), Reason.ENVELOPE),
        ((composite, stronger, *places), Reason.ENVELOPE),
        ((composite, bytes(changed), *places), Reason.SIGNATURE),
        ((composite, own_unit, *places, whole.grant), Reason.TYPE),
    ):
        refusal = verify(replace(whole, envelopes=envelopes).encoded(), network=NETWORK, anchors=world.anchors)
        assert isinstance(refusal, Refusal), envelopes
        assert refusal.reason is reason


@pytest.mark.parametrize("named", [False, True])
def test_an_artifact_whose_acceptance_names_another_unit_does_not_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """The pair colludes: the holder confirms an ACCEPT of another unit than the composite's, or of none."""
    world = enveloped(tmp_path)
    sid = world.request("alice", 1.0, LOWER, 2.0, 9.0)
    alice, holder = world.members["alice"], world.members["holder"]
    (asked,), alice.outgoing = alice.outgoing, []
    assert world.give("alice", "holder", asked.data, 1.0) is None
    (answer,), holder.outgoing = holder.outgoing, []
    other = describe(world, "alice", unit(max_eirp_mdbm=30_000), 1.0)
    honestly = Step.sign

    def lying(self: Step, body: Any) -> Record:
        changed = replace(body, envelope=other.digest if named else None) if isinstance(body, bodies.Accept) else body
        return honestly(self, changed)

    monkeypatch.setattr(Step, "sign", lying)
    assert world.give("holder", "alice", answer.data, 1.0) is None
    pair = holder.party.holder.pairs[sid]
    holder.party.holder.pairs[sid] = holder.party.holder.busy[sid] = replace(pair, unit=other.digest if named else None)
    assert world.carry(1.0) == []
    refusal = verify(artifact_of(world, sid).encoded(), network=NETWORK, anchors=world.anchors)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.ENVELOPE, "artifact.accept")


# -- beside ----------------------------------------------------------------------------------------------------------


def test_only_envelopes_travel_beside_a_record_and_each_is_judged_once(tmp_path: Path) -> None:
    world = enveloped(tmp_path)
    holder = world.members["holder"].party
    stray = world.do("alice", 1.0, lambda step: step.sign(world.asked()))
    fresh = _signed(world, "alice", unit())
    before = holder.lineage.size
    data = Message(record=b"\x00", beside=(stray.raw, fresh.raw, fresh.raw)).encoded()
    refusal = world.give("alice", "holder", data, 1.0)
    assert refusal is not None
    assert holder.lineage.size == before + 2, "the envelope once, and the garbage"
    assert holder.holder.pairs == {}
    assert holder.lineage.seen(fresh.digest)
    assert not holder.lineage.seen(stray.digest)
    assert world.give("alice", "holder", data, 1.0) is not None
    assert holder.lineage.size == before + 3


@pytest.mark.attack(44)
def test_an_envelope_counts_as_long_as_it_says_and_no_longer(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=ENVELOPED)
    early = _signed(world, "alice", unit(valid_until_ns=T0 + 20 * NS), 0.0)
    late = _signed(world, "alice", unit(valid_until_ns=T0 + 20 * NS), 0.0)
    assert world.give("alice", "holder", Message(record=early.raw).encoded(), 19.0) is None
    refusal = world.give("alice", "holder", Message(record=late.raw).encoded(), 20.0)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.STALE, "confidence.10.valid")


def test_the_composite_takes_the_newest_word_on_each_frequency(tmp_path: Path) -> None:
    world = trio(tmp_path, rule=ENVELOPED)
    cell = declaration(world, None).cell
    middle = Band(low_hz=LOWER.high_hz - 5_000_000, high_hz=LOWER.high_hz + 5_000_000)
    old, new = observe(world, place()), observe(world, place(1.0, channels=(channel(middle, "busy"),)), 1.0)
    able = describe(world, "alice", unit())
    body = intersect(cell, able, (old, new), T0 + 2 * NS)
    assert [(c.band.low_hz - BAND.low_hz, c.state) for c in body.channels] == [
        (0, "free"),
        (5_000_000, "busy"),
        (10_000_000, "busy"),
        (15_000_000, "free"),
    ]
    assert body == intersect(cell, able, (old, new), T0 + 2 * NS)
    assert body.observed.start_ns == T0 - NS
