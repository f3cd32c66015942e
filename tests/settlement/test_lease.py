"""The lease object: seven states as a view over a log, refused transitions kept, proven by inclusion."""

from dataclasses import replace
from pathlib import Path

import pytest

from settlement.audit.lease import (
    TRANSITIONS,
    Lease,
    LeaseState,
    LogEntry,
    leases,
    read_entries,
)
from settlement.audit.leaseproof import prove_lease, verify_lease
from settlement.audit.trialmetrics import metrics
from settlement.chain.checkpoint import open_note
from settlement.core.reasons import Reason, Refusal
from tests.settlement.world import LOWER, NETWORK, NS, T0, World, trio

pytestmark = pytest.mark.feature("M8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return trio(tmp_path)


def log_of(world: World, name: str) -> list[LogEntry]:
    bodies = world.members[name].party.lineage.bodies()
    return list(read_entries(enumerate(bodies), world.registry()))


def only(world: World, name: str, *, as_of_s: float | None = None) -> Lease:
    as_of_ns = None if as_of_s is None else T0 + round(as_of_s * NS)
    (lease,) = leases(log_of(world, name), as_of_ns=as_of_ns).values()
    return lease


def used_up(world: World) -> None:
    """A settlement that ran to the end of its window and was reported."""
    world.settle(end_s=4.0)
    alice = world.members["alice"].party

    def report(step: object) -> None:
        for pair in alice.tick(step):  # type: ignore[arg-type]
            alice.user.report_usage(step, pair.sid, used=None, airtime_ns=5, bursts=1)  # type: ignore[arg-type]

    world.do("alice", 4.1, report)
    assert world.carry(4.2) == []


def test_all_seven_states_in_order(world: World) -> None:
    used_up(world)
    lease = only(world, "holder")
    assert lease.state is LeaseState.ARCHIVED
    passed = [t.state for t in lease.history if t.state is not t.previous]
    assert passed == list(LeaseState)
    assert [(t.actor, t.action) for t in lease.history] == [
        ("holder", "declaration"),
        ("alice", "request"),
        ("holder", "admission"),
        ("holder", "grant"),
        ("alice", "accept"),
        ("holder", "confirm"),
        ("clock", "window end"),
        ("alice", "usage"),
    ]
    assert all(t.result == "admitted" and len(t.evidence) == 32 for t in lease.history)
    assert all(a.state == b.previous for a, b in zip(lease.history, lease.history[1:], strict=False))


def test_both_sides_tell_the_same_story_of_an_active_lease(world: World) -> None:
    world.settle()
    assert [only(world, name).state for name in ("holder", "alice")] == [LeaseState.ACTIVE] * 2
    assert only(world, "holder", as_of_s=12.5).state is LeaseState.EXPIRED
    assert only(world, "holder", as_of_s=11.5).state is LeaseState.ACTIVE
    assert only(world, "alice").sid == only(world, "holder").sid


def test_a_refused_request_is_kept_with_clause_and_measure(world: World) -> None:
    world.settle()
    sid = world.request("bob", 1.2, LOWER, 5.0, 9.0)
    world.carry(1.2)
    for name in ("holder", "bob"):
        lease = leases(log_of(world, name))[sid]
        (refused,) = [t for t in lease.history if t.refused and t.previous is not None][:1]
        assert "CONFLICT [request.cell]" in refused.result
        assert lease.state in {LeaseState.LICENSED, LeaseState.REQUESTED}


def test_a_transition_the_table_lacks_changes_nothing(world: World) -> None:
    world.settle()
    entries = log_of(world, "holder")
    confirm = next(e for e in entries if e.record is not None and e.record.typ == "confirm")
    before = only(world, "holder")
    (after,) = leases([*entries, confirm]).values()
    assert after.state is before.state
    assert after.history[:-1] == before.history
    assert after.history[-1].refused
    assert Reason.OUT_OF_ORDER.value in after.history[-1].result


def test_every_state_can_be_left_or_is_last() -> None:
    left = {state for state, _ in TRANSITIONS if state is not None}
    assert left == set(LeaseState)
    assert set(TRANSITIONS.values()) == set(LeaseState)


def test_a_view_proves_its_state_and_history(world: World) -> None:
    used_up(world)
    party = world.members["holder"].party
    with party.lineage.transaction():
        note = party.lineage.checkpoint(party.identity.key)
    lease, bodies = only(world, "holder"), list(party.lineage.bodies())
    proof = prove_lease(lease, bodies, world.registry(), note)
    assert len(proof.entries) < len(bodies)
    proven = verify_lease(proof, network=NETWORK, anchors=world.anchors)
    assert isinstance(proven, Lease)
    assert (proven.state, proven.history) == (lease.state, lease.history)
    body = proof.entries[-1].body
    edited = replace(proof.entries[-1], body=body[:-1] + bytes([body[-1] ^ 1]))
    forged = replace(proof, entries=(*proof.entries[:-1], edited))
    outcome = verify_lease(forged, network=NETWORK, anchors=world.anchors)
    assert isinstance(outcome, Refusal)
    assert outcome.reason is Reason.ENTRY_MISMATCH
    assert not isinstance(open_note(note, party.identity.key.public), Refusal)
    assert isinstance(verify_lease(proof, network="another", anchors=world.anchors), Refusal)


@pytest.mark.feature("M9")
def test_metrics_are_counted_from_the_logs(world: World) -> None:
    used_up(world)
    world.request("bob", 4.3, LOWER, 5.0, 9.0)
    world.request("alice", 4.3, LOWER, 6.0, 9.0)
    world.carry(4.3)
    logs = {name: log_of(world, name) for name in world.members}
    found = metrics(logs).as_json()
    assert found["invalid_actions_blocked"] == 1
    assert found["blocked_by_reason"] == {"CONFLICT": 1}
    assert found["manual_review_avoided"] == {"decided_by_rule": 3, "reviewed": 0, "share": 1.0}
    reuse = found["credential_reuse"]
    assert isinstance(reuse, dict)
    assert reuse["most"] == 2
    assert found["revocation_propagation_ms"] == {"taken": 0, "max": None}
