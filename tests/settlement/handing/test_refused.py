"""What does not change hands: each is refused with reason, clause, what was measured and what is required."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.node.handovers import named_party
from settlement.chain import bodies
from settlement.chain.codec import decode
from settlement.chain.credentials import Subject, issue
from settlement.chain.keys import SigningKey
from settlement.chain.records import Record, sign_record
from settlement.chain.scope import Area, Band, Window
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, verify
from settlement.pair.table import HolderState, UserState
from settlement.records.conduct.market import OFFERS_MAX
from settlement.records.handingterms import SUBLEASE, TRANSFER
from settlement.records.handover import Vacated
from settlement.state.messages import Message
from settlement.state.shares import Allowance, Share, Shares
from tests.settlement.handing.scene import MHZ, PART, Scene
from tests.settlement.test_revocation import status_list, tell
from tests.settlement.world import LAT, LON, NETWORK, NS, T0, UPPER, USER_ACTIONS, claims, fix, scope, seed

pytestmark = pytest.mark.feature("M10")
FAR = Area(lat_e7=LAT, lon_e7=LON, radius_mm=25_000_000)


def said(refusal: object, reason: Reason, clause: str) -> None:
    assert isinstance(refusal, Refusal), refusal
    assert (refusal.reason, refusal.clause) == (reason, clause), str(refusal)
    assert refusal.measured, str(refusal)
    assert refusal.required, str(refusal)


@pytest.mark.parametrize(
    ("axis", "changes", "eirp_mdbm", "reason"),
    [
        ("band", {"band": Band(low_hz=3_550 * MHZ, high_hz=3_565 * MHZ)}, 17_000, Reason.SCOPE),
        ("area", {"area": FAR}, 17_000, Reason.SCOPE),
        ("window", {"window": Window(start_ns=T0 + 10 * NS, end_ns=T0 + 61 * NS)}, 17_000, Reason.SCOPE),
        ("eirp", {}, 20_001, Reason.POWER),
    ],
)
def test_wider_than_its_lease_on_any_axis(
    tmp_path: Path, axis: str, changes: dict[str, Any], eirp_mdbm: int, reason: Reason
) -> None:
    scene = Scene(tmp_path)
    made = scene.hand_on(cell=replace(scene.cell(), **changes), eirp_mdbm=eirp_mdbm)
    said(made, reason, f"handing.{axis}")
    assert scene.world.members["alice"].outgoing == []


@pytest.mark.parametrize("kind", [TRANSFER, SUBLEASE])
def test_of_a_lease_that_is_over(tmp_path: Path, kind: str) -> None:
    scene = Scene(tmp_path)
    alice = scene.party("alice")
    scene.world.do("alice", 3.0, lambda step: alice.user.relinquish(step, scene.lease, "done"))
    said(scene.hand_on(kind=kind, at_s=4.0), Reason.EXPIRED, "handing.ended")


def test_to_a_party_that_may_not_use_spectrum(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    said(scene.hand_on(to="watcher"), Reason.SCOPE, "handing.to")


def test_to_a_party_whose_credential_does_not_hold_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    weak = scene.world.credential("dave", ("request", "observe"), bands=(UPPER,))
    scene.world.chains["dave"] = (scene.world.root, weak)
    scene.party("alice").registry.admit(weak)
    scene.world.members["dave"] = scene.world.member("dave")
    said(scene.hand_on(to="dave"), Reason.SCOPE, "terms.user.band")


def test_twice(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert isinstance(scene.hand_on(kind=TRANSFER), Record)
    said(scene.hand_on(to="carol", kind=TRANSFER, at_s=3.1), Reason.CONFLICT, "handing.twice")


@pytest.mark.attack(65)
@pytest.mark.attack(66)
def test_one_user_hands_a_node_few_leases_and_pays_for_each(tmp_path: Path) -> None:
    """Each is a whole artifact, kept at the node that it names until its window is over."""
    scene = Scene(tmp_path)
    first = scene.hand_on()
    assert isinstance(first, Record)
    assert scene.world.carry(3.0) == []
    alice, bob = scene.world.members["alice"], scene.party("bob")
    refused = []
    for number in range(2 * OFFERS_MAX):
        frame = replace(scene.world.frame("alice", at=fix(3.1 + number / 1000)), seq=5000 + number)
        raw = sign_record(alice.key, frame, replace(first.body, price=number % 7))
        refused.append(scene.world.give("alice", "bob", Message(record=raw).encoded(), 3.2))
    assert sum(1 for one in bob.user.offers.values() if one.holder == alice.hash) == OFFERS_MAX
    said(refused[-1], Reason.BUDGET, "handing.held")


@pytest.mark.attack(66)
def test_a_lease_handed_to_a_node_costs_its_authors_share(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.party("bob").shares = Shares(allowance=Allowance(log=Share(per_s=1, burst=1000)))
    first = scene.hand_on()
    assert isinstance(first, Record)
    assert scene.world.carry(3.0) == []
    frame = replace(scene.world.frame("alice", at=fix(3.2)), seq=5000)
    raw = sign_record(scene.world.members["alice"].key, frame, first.body)
    said(scene.world.give("alice", "bob", Message(record=raw).encoded(), 3.3), Reason.BUDGET, "share.log")


def test_two_parts_that_share_nothing_are_no_conflict(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert isinstance(scene.hand_on(), Record)
    other = scene.cell(Band(low_hz=3_555 * MHZ, high_hz=3_560 * MHZ))
    assert isinstance(scene.hand_on(to="carol", cell=other), Record)


def test_deeper_than_the_rule_lets_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, depth=1)
    sid = scene.settle()
    said(scene.hand_on(5.0, by="bob", to="carol", sid=sid, kind=TRANSFER), Reason.DEPTH, "handing.depth")


def test_a_second_link_verifies_back_to_the_licence(tmp_path: Path) -> None:
    scene = Scene(tmp_path, depth=2)
    first = scene.settle()
    second = scene.settle(6.0, by="bob", to="carol", sid=first, kind=TRANSFER)
    permit = verify(scene.artifact(second, "carol"), network=NETWORK, anchors=scene.world.anchors)
    assert not isinstance(permit, Refusal), permit
    assert permit.depth == 2


@pytest.mark.parametrize("kinds", [(TRANSFER,), (SUBLEASE,)])
def test_a_kind_that_the_rule_does_not_let(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    scene = Scene(tmp_path, kinds=kinds)
    other = SUBLEASE if kinds == (TRANSFER,) else TRANSFER
    said(scene.hand_on(kind=other), Reason.TERMS, "handing.kind")


def test_without_the_holders_consent_nothing_is_confirmed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.party("holder").consents = False
    record = scene.hand_on()
    assert isinstance(record, Record)
    (refused,) = scene.world.carry(3.0)
    said(refused, Reason.CONSENT, "handing.consent")
    sid = scene.ask(record, 3.1)
    (refused,) = scene.world.carry(3.2)
    said(refused, Reason.CONSENT, "handing.open")
    assert scene.party("bob").user.by_sid(sid).state == UserState.REFUSED


def test_a_holder_that_says_nothing_lets_it_come_to_nothing_and_the_lease_is_whole_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    record = scene.hand_on()
    assert isinstance(record, Record)
    alice = scene.world.members["alice"]
    alice.outgoing = [one for one in alice.outgoing if one.to == scene.hash("bob")]
    scene.world.carry(3.0)
    sid = scene.ask(record, 3.1)
    scene.world.carry(3.2)
    scene.falls_silent(3.3)
    assert scene.party("alice").holder.pairs[sid].state == HolderState.COORDINATING
    scene.tick(8.0)
    assert scene.party("alice").holder.pairs[sid].state == HolderState.ABORTED
    scene.tick(8.1)
    assert [one.reclaim is not None for one in scene.party("alice").holder.handings.known.values()] == [True]


def test_asked_for_by_another_than_the_one_it_names(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    record = scene.hand_on()
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    offers = scene.party("bob").user.offers
    scene.party("carol").user.offers[record.digest] = offers[record.digest]
    scene.ask(record, 3.1, by="carol")
    (refused,) = scene.world.carry(3.2)
    said(refused, Reason.BINDING, "handing.to")


def test_nothing_is_confirmed_before_the_old_users_radio_is_silent(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    record = scene.hand_on()
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    sid = scene.ask(record, 3.1)
    scene.world.carry(3.2)
    assert scene.party("alice").holder.pairs[sid].state == HolderState.COORDINATING
    assert scene.party("bob").user.by_sid(sid).state == UserState.ACCEPTED
    scene.falls_silent(3.5)
    scene.world.carry(3.5)
    assert scene.party("bob").user.by_sid(sid).state == UserState.SETTLED


@pytest.mark.parametrize("kind", [TRANSFER, SUBLEASE])
def test_nothing_is_confirmed_to_a_user_that_is_revoked_while_the_old_radio_falls_silent(
    tmp_path: Path, kind: str
) -> None:
    scene = Scene(tmp_path, status_index={"bob": 11})
    record = scene.hand_on(kind=kind)
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    sid = scene.ask(record, 3.1)
    scene.world.carry(3.2)
    pairs = scene.party("alice").holder.pairs
    assert pairs[sid].state == HolderState.COORDINATING
    assert tell(scene.world, status_list(scene.world, 11, version=2, at_s=3.3), 3.3, to="alice", by="carol") is None
    scene.falls_silent(3.4)
    scene.world.carry(3.4)
    assert pairs[sid].state == HolderState.ABORTED
    decided = scene.party("alice").record_of(pairs[sid].decision)
    assert (decided.typ, decided.body.reason) == ("abort", Reason.REVOKED.value)
    assert scene.party("bob").user.by_sid(sid).state == UserState.ABORTED
    scene.tick(3.6)
    assert [one.reclaim is not None for one in scene.party("alice").holder.handings.known.values()] == [True]


def test_a_sublease_ends_with_its_lease(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sid = scene.settle()
    alice = scene.party("alice")
    scene.world.do("alice", 5.0, lambda step: alice.user.relinquish(step, scene.lease, "done"))
    scene.tick(5.1)
    assert scene.party("bob").user.by_sid(sid).state == UserState.ENDED
    assert scene.party("bob").user.by_sid(sid).ended.startswith("preempted")


def test_no_lease_of_a_sublease_reaches_beyond_the_one_it_is_of(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sid = scene.settle()
    for at_s in (12.0, 16.0, 20.0, 24.0, 28.0):
        scene.tick(at_s)
        whole, part = scene.party("alice").user.by_sid(scene.lease), scene.party("bob").user.by_sid(sid)
        assert part.transmit_until_ns <= whole.transmit_until_ns


@pytest.mark.parametrize("without", ["vacated", "handed"])
def test_an_artifact_without_its_chain_does_not_verify(tmp_path: Path, without: str) -> None:
    scene = Scene(tmp_path)
    found = decode(Artifact, scene.artifact(scene.settle()), "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(found, Artifact)
    assert found.handed is not None
    handed = None if without == "handed" else replace(found.handed, vacated=found.handed.handover)
    refusal = verify(replace(found, handed=handed).encoded(), network=NETWORK, anchors=scene.world.anchors)
    said(refusal, Reason.PROOF if without == "handed" else Reason.TYPE, f"artifact.{without}")


def test_a_confirm_before_the_silence_is_found_by_whoever_verifies(tmp_path: Path) -> None:
    """The deliberate break: an old user that does not wait for its radio, and says so only afterwards."""
    scene = Scene(tmp_path)
    handings = scene.party("alice").holder.handings
    handings.lacks = lambda _pair: None
    record = scene.hand_on()
    assert isinstance(record, Record)
    scene.world.carry(3.0)
    scene.ask(record, 3.1)
    refused = scene.world.carry(3.2)
    assert [one.clause for one in refused if one.reason is Reason.PROOF] == ["confirm.vacated"]
    late = scene.world.do(
        "alice",
        3.4,
        lambda step: step.sign(
            Vacated(sid=scene.lease, handover=record.digest, silent_earliest_ns=T0, silent_latest_ns=T0)
        ),
    )
    assert late.frame.seq > 0


def test_the_kept_part_is_what_was_not_handed_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.settle()
    (handing,) = scene.party("alice").holder.handings.of(scene.lease)
    assert handing.cell.band == PART


@pytest.mark.attack(70)
def test_a_name_that_two_authorities_gave_names_nobody(tmp_path: Path) -> None:
    """The younger credential is no better than the older: the beginning of a hash says which of them is meant."""
    scene = Scene(tmp_path)
    world, party = scene.world, scene.party("alice")
    key = SigningKey.from_seed(seed("sub"))
    entitled = bodies.Credential(level="authority", scope=scope(("issue", *USER_ACTIONS), depth=1, tier=2))
    raw = issue(
        world.root_key, world.authority, entitled, claims(key.public, "sub", "root"), network=NETWORK, fix=fix(-8)
    )
    sub = party.registry.admit(raw)
    assert isinstance(sub, Subject)
    mine = SigningKey.from_seed(seed("another bob"))
    body = bodies.Credential(
        level="operator", scope=scope(USER_ACTIONS, tier=2), transport_key=seed("another wire"), device="d"
    )
    named = claims(mine.public, "bob", "sub", not_before_s=T0 // NS - 10)
    other = party.registry.admit(issue(key, sub, body, named, network=NETWORK, fix=fix(-8)))
    assert isinstance(other, Subject)
    refusal = named_party(party, "bob")
    said(refusal, Reason.UNKNOWN_PEER, "handing.to")
    assert "root > sub > bob" in str(refusal)
    for one in (other, party.registry.get(scene.hash("bob"))):
        assert named_party(party, one.hash.hex()[:16]) == one
    assert named_party(party, "carol") == party.registry.get(scene.hash("carol"))


@pytest.mark.attack(27)
@pytest.mark.parametrize("restarts", [False, True])
def test_no_holder_lets_one_part_go_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarts: bool) -> None:
    """A user whose program has no such checks hands one part to two: without the consent neither warden opens twice."""
    scene = Scene(tmp_path)
    world, alice = scene.world, scene.party("alice")
    monkeypatch.setattr(alice.holder.handings, "judge_new", lambda *_: None)
    one = scene.hand_on(3.0, to="bob")
    assert isinstance(one, Record)
    assert world.carry(3.0) == []
    if restarts:
        world.members["holder"].party.lineage.close()
        world.members["holder"] = world.member_again("holder")
    two = scene.hand_on(3.1, to="carol")
    assert isinstance(two, Record)
    (refused,) = world.carry(3.1)
    said(refused, Reason.CONFLICT, "handing.consented")
    handings = alice.holder.handings.known
    assert handings[one.digest].consent is not None
    assert handings[two.digest].consent is None
    rest = scene.cell(Band(low_hz=PART.high_hz, high_hz=PART.high_hz + 5 * MHZ))
    beside = scene.hand_on(3.2, to="carol", cell=rest)
    assert isinstance(beside, Record)
    assert world.carry(3.2) == [], "another part is another matter"
    later = scene.hand_on(3.3, to="carol", cell=scene.cell(start_s=50.0, end_s=55.0))
    assert isinstance(later, Record)
    assert world.carry(3.3) == [], "and so is a later time"
