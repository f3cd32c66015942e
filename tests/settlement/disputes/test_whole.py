"""A broken promise from end to end: broken, disputed, answered or not, ruled, paid; and the same told again."""

from pathlib import Path

import pytest

from settlement.audit.kept import compare
from settlement.chain import bodies
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal
from settlement.disputes.table import DisputeState
from settlement.pair.table import HolderState, UserState
from settlement.records.complaint import Ruling
from settlement.records.endings import Compensation
from tests.settlement.disputes.court import Court
from tests.settlement.world import NETWORK


def broken(tmp_path: Path) -> tuple[Court, bytes]:
    """Ended at 10 s, disputed at 12 s."""
    court = Court(tmp_path)
    court.settle()
    court.break_off()
    assert court.world.carry(10.0) == []
    raised = court.dispute()
    assert isinstance(raised, Record), raised
    assert court.world.carry(12.0) == []
    return court, raised.digest


@pytest.mark.feature("M6")
def test_a_broken_promise_is_disputed_ruled_and_paid(tmp_path: Path) -> None:
    court, name = broken(tmp_path)
    assert court.open("holder")[name].state == DisputeState.RAISED
    assert court.rule(name, 15.0) is None
    assert court.world.carry(15.0) == []
    (ruled,) = court.all("holder", Ruling)
    (paid,) = court.all("alice", Compensation)
    assert ruled.outcome == "compensation"
    assert (paid.amount, paid.currency) == (ruled.compensation, "EUR")
    assert 0 < paid.amount < 7
    for who in ("alice", "holder"):
        assert court.open(who)[name].state == DisputeState.PAID
    assert court.holder.holder.leases.debts.open == {}
    assert court.alice.holder.leases.debts.open == {}
    failed = f"failed:{court.holder.identity.credential.hex()}"
    assert court.alice.lineage.counted(failed) == 2  # not delivered, and a complaint upheld
    for who, member in court.world.members.items():
        member.party.lineage.close()
        told = compare(court.world.folder / f"{who}.db", network=NETWORK, anchors=court.world.anchors)
        assert told.differences == (), who


@pytest.mark.feature("A2")
def test_a_settlement_goes_on_at_its_substitute_and_the_first_is_over_before_it_opens(tmp_path: Path) -> None:
    court = Court(tmp_path)
    court.settle()
    move = court.move()
    assert isinstance(move, Record), move
    assert court.world.carry(10.0) == []
    first = court.alice.user.by_sid(court.sid)
    second = court.alice.user.by_sid(first.substitute)
    assert second.state == UserState.SETTLED
    grant = court.alice.record_of(second.grant)
    assert grant.body.replaces == move.digest
    lease_ns = max(
        one.transmit_until_ns
        for one in (*court.all("holder", bodies.Confirm), *court.all("holder", bodies.Renew))
        if one.sid == court.sid
    )
    assert lease_ns <= move.body.from_ns == second.cell.window.start_ns
    for at_s in (10.5, 11.0, 11.5, 12.0, 14.0, 16.0):
        court.tick(at_s)
    assert court.alice.user.by_sid(court.sid).state == UserState.ENDED
    assert court.alice.user.by_sid(court.sid).ended == "moved to its fallback"
    assert court.holder.holder.pairs[court.sid].state == HolderState.ENDED
    (owed,) = court.all("alice", Compensation)
    assert (owed.amount, owed.moved) == (5, move.digest)
    assert court.alice.lineage.counted(f"failed:{court.holder.identity.credential.hex()}") == 0
    raised = court.dispute(at_s=17.0)
    assert isinstance(raised, Record), raised
    court.world.carry(17.0)
    assert court.ruling(raised.digest).outcome == "dismissed"
    for who, member in court.world.members.items():
        member.party.lineage.close()
        told = compare(court.world.folder / f"{who}.db", network=NETWORK, anchors=court.world.anchors)
        assert told.differences == (), who


@pytest.mark.feature("M6")
def test_what_is_ruled_otherwise_than_it_replays_is_refused(tmp_path: Path) -> None:
    court, name = broken(tmp_path)
    refusal = court.rule(name, 15.0, compensation=99)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "ruling.replay.compensation")
