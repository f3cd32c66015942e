"""What a dispute costs the node that reads it: nothing that grows with the settlement's renewals."""

from pathlib import Path
from typing import Any

import pytest

import settlement.state.disputes as disputes
from settlement.chain.records import Record, sign_record
from settlement.core.reasons import Reason, Refusal
from settlement.records.complaint import Dispute
from settlement.records.complaintterms import NOT_KEPT
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState
from tests.settlement.disputes.court import Court
from tests.settlement.world import fix

pytestmark = [pytest.mark.feature("M6"), pytest.mark.attack(58, 65)]


def from_bob(court: Court, at_s: float, **changes: Any) -> bytes:
    """A dispute by somebody who is no party to the settlement, and knows its name."""
    body = Dispute(
        sid=court.sid,
        confirm=court.alice.user.by_sid(court.sid).decision,
        rule=court.holder.rule.hash,
        against=court.holder.identity.credential,
        grounds=NOT_KEPT,
        claim=1,
        evidence=(),
    )
    raw = sign_record(court.world.members["bob"].key, court.world.frame("bob", at=fix(at_s)), body)
    return Message(record=raw).encoded()


def read_for(court: Court, at_s: float, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many records the holder reads for it, each from its log and proven."""
    read: list[object] = []
    of = NodeState.record_of
    with monkeypatch.context() as patch:
        patch.setattr(NodeState, "record_of", lambda self, name, **more: read.append(name) or of(self, name, **more))
        refusal = court.world.give("bob", "holder", from_bob(court, at_s), at_s)
    assert isinstance(refusal, Refusal)
    assert refusal.clause == "dispute.sid"
    return len(read)


def test_a_stranger_to_a_settlement_has_none_of_its_renewals_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settlement of a day with a lease of 3 s has 50,000: each dispute of anybody's took seconds."""
    court = Court(tmp_path)
    court.settle(end_s=200.0)
    few = read_for(court, 3.0, monkeypatch)
    for at_s in range(4, 150, 2):
        court.tick(float(at_s))
    assert court.holder.holder.pairs[court.sid].renewals >= 10
    assert read_for(court, 150.5, monkeypatch) == few


def test_one_author_raises_so_many_a_day_whatever_they_are_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are shown at each look at the node, and none is ever forgotten: one neighbour's would fill it."""
    monkeypatch.setattr(disputes, "DISPUTES_A_DAY", 2)
    court = Court(tmp_path)
    court.settle()
    court.break_off()
    assert court.world.carry(10.0) == []
    grounds = (NOT_KEPT, "compensation not paid", "rule misapplied")
    found = [court.dispute(at_s=12.0 + n / 10, grounds=ground) for n, ground in enumerate(grounds)]
    assert [isinstance(one, Record) for one in found] == [True, True, False]
    refused = found[-1]
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.clause) == (Reason.BUDGET, "dispute.day")
    assert court.world.carry(13.0) == []
    day = disputes._lately(court.holder, court.alice.identity.credential, fix(13.0).time.latest_ns)
    assert len(day) == 2, "the reader counts as well"
    later_ns = fix(13.0).time.latest_ns + disputes.DAY_NS
    assert disputes._lately(court.holder, court.alice.identity.credential, later_ns) == ()
