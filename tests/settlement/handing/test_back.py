"""Tests of when a sublet part returns to its user: by a RECLAIM, by the clock, or never."""

from pathlib import Path
from typing import Any

import pytest

from agent.trial.handedpoints import CLOCK, RECLAIM, back_of
from agent.trial.judge import Live
from settlement.audit.lease import leases, read_entries
from settlement.audit.leasefields import LeaseFields, fields_of
from settlement.records.handingterms import SUBLEASE, TRANSFER
from settlement.records.handover import Reclaim
from tests.settlement.handing.scene import PART, Scene
from tests.settlement.world import LOWER, NS, T0

pytestmark = pytest.mark.feature("M10")
WHOLE = [[LOWER.low_hz, LOWER.high_hz]]
KEPT = [[PART.high_hz, LOWER.high_hz]]


def reclaims(scene: Scene) -> list[Any]:
    party = scene.party("alice")
    found = [party.record_of(name) for name in party.lineage.records_of(scene.lease)]
    return [one for one in found if one is not None and isinstance(one.body, Reclaim)]


def fields(scene: Scene, at_s: float) -> LeaseFields:
    """The lease of alice by her own log, as of an instant."""
    registry, at_ns = scene.world.registry(), T0 + round(at_s * NS)
    entries = list(read_entries(enumerate(scene.party("alice").lineage.bodies()), registry))
    return fields_of(leases(entries, as_of_ns=at_ns)[scene.lease], entries, registry, at_ns)


def live(scene: Scene, ended_s: float | None = None) -> Live:
    """The lease of alice as a trial's judge has it."""
    grant = scene.party("alice").record_of(scene.party("alice").user.by_sid(scene.lease).grant).body
    return Live(
        sid=grant.sid,
        user=grant.user,
        band=grant.cell.band,
        window=grant.cell.window,
        max_eirp_mdbm=grant.max_eirp_mdbm,
        area=grant.cell.area,
        ended_ns=None if ended_s is None else T0 + round(ended_s * NS),
    )


def handover(scene: Scene) -> Any:
    (handing,) = scene.party("alice").holder.handings.of(scene.lease)
    return scene.party("alice").record_of(handing.handover).body


def test_a_sublease_that_runs_to_its_end_is_back_by_the_clock_and_no_record_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.settle()
    body = handover(scene)
    assert fields(scene, 20.0).active_scope == KEPT
    for at_s in (8.0, 13.0, 18.0, 23.0, 28.0, 33.0, 38.0, 43.0, 48.0, 50.2, 52.0):
        scene.tick(at_s)
    assert reclaims(scene) == []
    assert fields(scene, 52.0).active_scope == WHOLE
    assert fields(scene, 52.0).handed_to == []
    assert back_of(body, None, live(scene)) == (T0 + 50 * NS, CLOCK)
    assert back_of(body, None, live(scene, ended_s=49.0)) == (None, None)


def test_a_sublease_given_back_early_is_back_by_a_reclaim_once_its_last_lease_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sid = scene.settle()
    body, bob = handover(scene), scene.party("bob")
    scene.world.do("bob", 12.0, lambda step: bob.user.relinquish(step, sid, "done"))
    scene.world.carry(12.1)
    over_ns = scene.party("alice").holder.pairs[sid].busy_until_ns
    scene.tick((over_ns - T0) / NS - 0.1)
    assert reclaims(scene) == []
    scene.tick((over_ns - T0) / NS + 0.2)
    (said,) = reclaims(scene)
    assert said.body.reason == "it ended early"
    assert fields(scene, 20.0).active_scope == WHOLE
    assert back_of(body, said, live(scene)) == (said.frame.attestation.latest_ns, RECLAIM)


def test_a_transfer_is_never_back(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    sid = scene.settle(kind=TRANSFER)
    body, bob = handover(scene), scene.party("bob")
    scene.tick(6.0)
    scene.world.do("bob", 12.0, lambda step: bob.user.relinquish(step, sid, "done"))
    scene.world.carry(12.1)
    for at_s in (20.0, 30.0, 59.0):
        scene.tick(at_s)
    assert reclaims(scene) == []
    assert fields(scene, 30.0).active_scope == []
    assert fields(scene, 30.0).revocation_status == "transferred"
    assert back_of(body, None, live(scene)) == (None, None)
    assert body.kind != SUBLEASE
