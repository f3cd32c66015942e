"""Tests that a PREEMPT for a stronger user must name a REQUEST that is indeed of a stronger tier."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.audit.disputepoints import broken_points
from settlement.chain import bodies
from settlement.chain.leaf import decode_leaf
from settlement.chain.records import Record, digest
from settlement.core.reasons import Refusal
from settlement.disputes.incumbentproof import judge_stronger
from settlement.pair.displacement import Displacing
from settlement.records.endings import Preempt
from tests.settlement.market.test_displacement import ask, town
from tests.settlement.world import UPPER, World, fix

pytestmark = [pytest.mark.feature("M6", "A1"), pytest.mark.attack(41)]


def log_of(world: World, name: str) -> list[Record]:
    """The admitted records of a member's log."""
    party = world.members[name].party
    leaves = [decode_leaf(body) for body in party.lineage.bodies()]
    raws = [leaf.record for leaf in leaves if not isinstance(leaf, Refusal) and leaf.admitted and leaf.record]
    found = [party.record_of(digest(raw)) for raw in raws]
    return [one for one in found if one is not None]


def named(world: World, log: str = "holder") -> list[str]:
    """Whom an auditor names, and why, by one log."""
    owners = {world.members[log].hash}
    return [one["why"] for one in broken_points(lambda _: "holder", log_of(world, log), owners)]


def test_whoever_was_displaced_for_a_stronger_request_was_not_ended_for_nobody(tmp_path: Path) -> None:
    world = town(tmp_path)
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    assert world.carry(10.0) == []
    assert [one for one in log_of(world, "holder") if isinstance(one.body, Preempt)]
    assert named(world) == []
    assert named(world, "alice") == [], "her log has no REQUEST of others, and says nothing against the holder"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("nothing", "is in no log"),
        ("a declaration", "a declaration"),
        ("her own REQUEST", "tier 3"),
    ],
)
def test_a_hash_of_anything_is_no_stronger_request(tmp_path: Path, what: str, why: str) -> None:
    world = town(tmp_path)
    holder = world.members["holder"].party
    (pair,) = holder.holder.pairs.values()
    (offer,) = holder.holder.offers
    by = {"nothing": bytes([7]) * 32, "a declaration": offer, "her own REQUEST": pair.request}[what]
    one = Displacing(pair=pair, vacate_by_ns=fix(12.0).time.latest_ns, owed=0)

    def act(step: Any) -> None:
        holder.holder.leases.displace_for(step, one, tier=2, request=by)

    world.do("holder", 10.0, act)
    assert world.carry(10.0) == []
    (found,) = named(world)
    assert found.startswith("nobody stronger is shown")
    assert why in found


def test_a_request_for_another_band_or_after_it_displaces_nobody(tmp_path: Path) -> None:
    world = town(tmp_path)
    ask(world, "rescue", 2, 10.0, 15, 30, emergency=True)
    assert world.carry(10.0) == []
    found = log_of(world, "holder")
    (preempt,) = [one for one in found if isinstance(one.body, Preempt)]
    request = next(one for one in found if one.digest == preempt.body.by)
    grant = next(one for one in found if isinstance(one.body, bodies.Grant) and one.body.sid == preempt.body.sid)
    assert judge_stronger(preempt, request, grant.body) is None
    elsewhere = replace(request, body=replace(request.body, cell=replace(request.body.cell, band=UPPER)))
    refusal = judge_stronger(preempt, elsewhere, grant.body)
    assert refusal is not None
    assert refusal.clause == "preempt.by"
    signed = replace(request.frame.attestation, earliest_ns=preempt.frame.attestation.latest_ns + 1)
    late = replace(request, frame=replace(request.frame, attestation=signed))
    assert judge_stronger(preempt, late, grant.body) is not None
