"""A warden whose user handed on a part of its lease: what it goes by from then on, and whose word it takes for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.permits import HeldPermit, Permits
from radio.remainder import HANDED_ON
from settlement.chain.records import Attestation, Frame, Record, digest, sign_record
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Reclaim
from settlement.records.lease import Renew, Suspend
from tests.settlement.handing.scene import LEASE_END_S, PART, Scene
from tests.settlement.quorum.forgery import signed
from tests.settlement.world import LOWER, NETWORK, NS, T0, fix

pytestmark = [pytest.mark.feature("M10"), pytest.mark.attack(42)]
REST = Band(low_hz=PART.high_hz, high_hz=LOWER.high_hz)


def warden_of(scene: Scene, network: str = NETWORK) -> tuple[Permits, HeldPermit]:
    """Alice's warden with her lease."""
    warden = Permits(network=network, anchors=scene.world.anchors)
    held = warden.take(scene.artifact(scene.lease, "alice"), fix(2.5).time)
    assert isinstance(held, HeldPermit), held
    return warden, held


def handing(scene: Scene, at_s: float = 3.0, **wanted: Any) -> Record:
    record = scene.hand_on(at_s, **wanted)
    assert isinstance(record, Record), record
    return record


def said(outcome: object) -> tuple[Reason, str] | None:
    return (outcome.reason, outcome.clause) if isinstance(outcome, Refusal) else None


def renewal(scene: Scene, held: HeldPermit, at_s: float, by: str = "holder") -> bytes:
    body = Renew(
        sid=scene.lease, confirm=held.permit.confirm, number=held.permit.renewals + 1,
        transmit_until_ns=T0 + round((at_s + 7) * NS), fence=held.permit.fence + 1,
    )  # fmt: skip
    return signed(scene.world, by, body, at_s)


def by_authority(scene: Scene, body: object) -> bytes:
    world = scene.world
    frame = Frame(network=NETWORK, author=world.authority.hash, seq=99, attestation=Attestation.of(fix(3.5)))
    return sign_record(world.root_key, frame, body)


def test_a_warden_goes_by_what_is_left_and_by_all_of_it_once_that_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    whole, record = held.permit, handing(scene)
    assert warden.hand_on(record.raw, scene.lease, fix(3.1).time) is held
    assert held.permit == replace(whole, cell=replace(whole.cell, band=REST))
    assert (held.whole, held.handed, held.untold) == (whole, {digest(record.raw): record.body}, [record.digest])
    assert warden.current(fix(20.0).time) is held
    assert held.permit.cell.band == REST
    assert warden.current(fix(50.1).time) is held, "the part's window is over"
    assert held.permit == whole
    assert warden.current(fix(20.0).time) is held, "a clock set back"
    assert held.permit.cell.band == REST


def test_what_was_handed_on_stays_so_while_the_lease_is_renewed_and_suspended(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    whole = held.permit
    warden.hand_on(handing(scene).raw, scene.lease, fix(3.1).time)
    assert warden.change(renewal(scene, held, 6.0), scene.lease, fix(6.1).time) is held
    assert held.whole is not None
    assert (held.permit.cell.band, held.whole.cell.band) == (REST, whole.cell.band)
    assert held.permit.transmit_until_ns == held.whole.transmit_until_ns == T0 + 13 * NS
    assert (held.permit.renewals, held.permit.fence) == (1, whole.fence + 1)
    body = Suspend(sid=scene.lease, confirm=whole.confirm, number=2, fence=whole.fence + 2, reason="radar")
    assert warden.change(signed(scene.world, "holder", body, 7.0), scene.lease, fix(7.1).time) is held
    assert (held.permit.suspended_for, held.permit.cell.band) == ("radar", REST)
    assert warden.current(fix(50.1).time) is held
    assert (held.permit.suspended_for, held.permit.cell.band) == ("radar", whole.cell.band)


def test_a_lease_that_was_never_handed_on_is_changed_as_it_is(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    assert warden.change(renewal(scene, held, 6.0), scene.lease, fix(6.1).time) is held
    assert held.whole is None
    assert (held.permit.cell.band, held.permit.renewals) == (LOWER, 1)


def test_two_parts_that_are_all_of_it_keep_the_radio_silent_and_a_reclaim_gives_one_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    whole = held.permit
    first = handing(scene)
    second = handing(scene, 3.5, to="carol", cell=scene.cell(REST))
    for record in (first, second):
        assert warden.hand_on(record.raw, scene.lease, fix(4.0).time) is held
    assert held.permit.suspended_for == HANDED_ON
    assert held.untold == [first.digest, second.digest]
    back = signed(scene.world, "alice", Reclaim(sid=scene.lease, handover=first.digest, reason="unused"), 5.0)
    assert warden.hand_on(back, scene.lease, fix(5.1).time) is held
    assert held.handed == {second.digest: second.body}
    assert held.untold == [first.digest, second.digest]
    assert (held.permit.suspended_for, held.permit.cell.band) == (None, PART)
    assert held.whole == whole
    assert warden.hand_on(back, scene.lease, fix(5.2).time) is held, "said twice"
    assert warden.current(fix(50.1).time) is held
    assert held.permit.cell.band == whole.cell.band


def test_a_lease_handed_on_whole_keeps_the_radio_silent(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    warden.hand_on(handing(scene, kind=TRANSFER).raw, scene.lease, fix(3.1).time)
    assert held.permit.suspended_for == HANDED_ON
    assert warden.current(fix(20.0).time) is held
    assert held.permit.suspended_for == HANDED_ON


def test_what_is_accounted_for_is_left_as_it_was(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    warden.hand_on(handing(scene).raw, scene.lease, fix(3.1).time)
    assert warden.all() == [held]
    assert warden.finished(fix(LEASE_END_S + 1).time) == [held]
    assert warden.all() == []
    assert warden.current(fix(LEASE_END_S + 2).time) is None
    assert held.permit.cell.band == REST


def test_a_warden_hands_on_nothing_on_anothers_word(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    whole, record = held.permit, handing(scene)
    back = Reclaim(sid=scene.lease, handover=record.digest, reason="unused")
    spoiled = record.raw[:-1] + bytes([record.raw[-1] ^ 1])

    def by_alice(body: object) -> bytes:
        return signed(scene.world, "alice", body, 3.5)

    cases = {
        "a settlement not held": (record.raw, bytes(32), Reason.UNKNOWN_SID, "permits.handing"),
        "the holder's reclaim": (signed(scene.world, "holder", back, 3.5), scene.lease, Reason.UNKNOWN_AUTHOR, ""),
        "the authority's reclaim": (by_authority(scene, back), scene.lease, Reason.BINDING, "permits.handing"),
        "of another settlement": (by_alice(replace(back, sid=bytes(32))), scene.lease, Reason.TYPE, "permits.handing"),
        "a renewal": (renewal(scene, held, 3.5, "alice"), scene.lease, Reason.TYPE, "permits.handing"),
        "nobody's": (spoiled, scene.lease, Reason.SIGNATURE, ""),
    }  # fmt: skip
    for name, (raw, sid, reason, clause) in cases.items():
        refusal = warden.hand_on(raw, sid, fix(3.6).time)
        assert isinstance(refusal, Refusal), name
        assert (refusal.reason, clause or refusal.clause) == (reason, refusal.clause), (name, refusal)
        assert held.permit == whole, name
        assert held.whole is None, name
    refusal = warden.hand_on(record.raw, bytes(32), fix(3.6).time)
    assert str(refusal) == "UNKNOWN_SID [permits.handing]: 0000000000000000 (required: a permit held here)"


def test_the_permit_of_another_node_is_not_gone_by(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    warden, held = warden_of(scene)
    assert warden.current(fix(3.0).time, mine={scene.hash("alice")}) is held
    assert warden.current(fix(3.0).time, mine={scene.hash("bob")}) is None
