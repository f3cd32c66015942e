"""Tests of disputes under a rule without dispute terms: recorded, few, and without effect."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from settlement.chain.records import Record, digest, sign_record
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.disputes.table import DisputeState
from settlement.records.complaintterms import MISREPORTED, NOT_KEPT
from settlement.state.disputes import DISPUTES_EACH
from settlement.state.messages import Message
from tests.settlement.disputes.court import CLASS, Court
from tests.settlement.world import fix

PLAIN = replace(CLASS, disputes=None)
NUMBERS = count()
pytestmark = [pytest.mark.feature("M6"), pytest.mark.attack(64), pytest.mark.attack(65)]


def signed(court: Court, base: Record, by: str, at_s: float, **changes: Any) -> bytes:
    """A dispute as a node signs it that does not ask whether it may."""
    member = court.world.members[by]
    frame = replace(court.world.frame(by, at=fix(at_s)), seq=1000 + next(NUMBERS))
    return sign_record(member.key, frame, replace(base.body, **changes))


def heard(court: Court, raw: bytes, by: str, at_s: float) -> Refusal | None:
    outcome: Refusal | None = court.world.give(by, "holder", Message(record=raw).encoded(), at_s)
    return outcome


def test_one_settlement_is_disputed_a_few_times_by_one_author(tmp_path: Path) -> None:
    court = Court(tmp_path, PLAIN)
    court.settle()
    first = court.dispute()
    assert isinstance(first, Record)
    assert court.world.carry(12.0) == []
    for number in range(3 * DISPUTES_EACH):
        at_s = 12.1 + number / 40
        heard(court, signed(court, first, "alice", at_s, grounds=f"bad manners {number}"), "alice", at_s + 0.005)
        heard(court, signed(court, first, "alice", at_s + 0.01, claim=number), "alice", at_s + 0.02)
    assert len(court.open("holder")) == DISPUTES_EACH
    again = heard(court, signed(court, first, "alice", 13.5, claim=99), "alice", 13.6)
    assert again is not None
    assert (again.reason, again.clause) == (Reason.CONFLICT, "dispute.once")
    more = heard(court, signed(court, first, "alice", 13.7, grounds="one too many"), "alice", 13.8)
    assert more is not None
    assert (more.reason, more.clause) == (Reason.BUDGET, "dispute.each")


def test_nobody_moves_anothers_dispute_by_escalating_it(tmp_path: Path) -> None:
    court = Court(tmp_path, PLAIN)
    court.settle()
    mine = court.sid
    first = court.dispute()
    assert isinstance(first, Record)
    assert court.world.carry(12.0) == []
    half = Band(low_hz=3_560_000_000, high_hz=3_565_000_000)
    theirs = court.settle("bob", half, at_s=14.0, start_s=15.0, fallback=None)
    assert theirs != mine
    confirm = court.world.members["bob"].party.user.by_sid(theirs).decision
    raw = signed(court, first, "bob", 16.0, sid=theirs, confirm=confirm, evidence=(), escalates=first.digest)
    refusal = heard(court, raw, "bob", 16.1)
    assert court.open("holder")[first.digest].state == DisputeState.RAISED
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "dispute.escalates")


def test_a_chain_of_escalations_ends_with_a_reason_and_without_a_fault(tmp_path: Path) -> None:
    court = Court(tmp_path, PLAIN)
    court.settle()
    first = court.dispute(grounds=MISREPORTED)
    assert isinstance(first, Record)
    assert court.world.carry(12.0) == []
    before = first.digest
    for number in range(10):
        raw = signed(court, first, "alice", 12.1 + number / 10, grounds=NOT_KEPT, escalates=before)
        refusal = heard(court, raw, "alice", 12.15 + number / 10)
        assert refusal is not None
        assert refusal.reason is Reason.TERMS
        before = digest(raw)
