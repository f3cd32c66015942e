"""Bad disputes, answers and rulings: each refused with its reason, clause, measured and required, nothing changed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.audit.verify import audit_lineage
from settlement.chain.records import Record, sign_record
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.disputes.table import DisputeState
from settlement.records.complaint import Ruling
from settlement.records.complaintterms import MISREPORTED
from settlement.records.endings import Compensation, Preempt
from settlement.state.messages import Message
from tests.settlement.disputes.court import CLASS, DISPUTES, Court, regulator
from tests.settlement.world import LOWER, NETWORK, UPPER, fix, seed


def broken(folder: Path, **rule: Any) -> Court:
    """Ended for nobody at 10 s."""
    court = Court(folder, **rule)
    court.settle()
    court.break_off()
    assert court.world.carry(10.0) == []
    return court


def disputed(folder: Path, **rule: Any) -> tuple[Court, bytes]:
    court = broken(folder, **rule)
    raised = court.dispute()
    assert isinstance(raised, Record), raised
    assert court.world.carry(12.0) == []
    return court, raised.digest


def said(outcome: object) -> tuple[Reason, str]:
    """Reason and clause of a refusal that says all four."""
    assert isinstance(outcome, Refusal), outcome
    assert outcome.measured
    assert outcome.required
    return outcome.reason, outcome.clause


@pytest.mark.feature("M6")
@pytest.mark.attack(49)
@pytest.mark.parametrize(
    ("changes", "reason", "clause"),
    [
        ({"sid": seed("no settlement")}, Reason.UNKNOWN_SID, "dispute.sid"),
        ({"confirm": seed("no confirm")}, Reason.TERMS, "dispute.confirm"),
        ({"against": seed("nobody")}, Reason.TERMS, "dispute.against"),
        ({"evidence": (seed("not in evidence"),)}, Reason.PROOF, "dispute.evidence"),
        ({"rule": seed("no rule")}, Reason.RULE_UNKNOWN, "dispute.rule"),
        ({"grounds": "bad manners"}, Reason.TERMS, "dispute.ground"),
        ({"grounds": MISREPORTED}, Reason.TERMS, "dispute.against"),
        ({"escalates": seed("no dispute")}, Reason.UNKNOWN_SID, "dispute.escalates"),
    ],
)
def test_a_dispute_that_cannot_be_is_refused_before_it_is_signed_and_by_its_reader(
    tmp_path: Path, changes: dict[str, Any], reason: Reason, clause: str
) -> None:
    court = broken(tmp_path)
    assert said(court.dispute(**changes)) == (reason, clause)
    # An author that signs it all the same gets the same answer.
    sound = court.dispute()
    assert isinstance(sound, Record)
    raw = sign_record(
        court.world.members["alice"].key, court.world.frame("alice", at=fix(12.5)), _changed(sound, changes)
    )
    court.world.members["alice"].outgoing = []
    refusal = court.world.give("alice", "holder", Message(record=raw).encoded(), 12.5)
    known = (Reason.RULE_UNKNOWN, "disposition.11.cited") if "rule" in changes else (reason, clause)
    assert said(refusal) == known
    assert court.open("holder") == {}


def _changed(record: Record, changes: dict[str, Any]) -> Any:
    return replace(record.body, **changes)


def test_a_ground_that_the_rule_does_not_name_is_none(tmp_path: Path) -> None:
    terms = replace(CLASS, disputes=replace(DISPUTES, grounds=DISPUTES.grounds[:1]))
    assert said(broken(tmp_path, terms=terms).dispute()) == (Reason.TERMS, "dispute.ground")


@pytest.mark.feature("M6")
def test_a_second_dispute_on_the_same_ground_is_refused(tmp_path: Path) -> None:
    court, _ = disputed(tmp_path)
    assert said(court.dispute(at_s=12.5)) == (Reason.CONFLICT, "dispute.once")


@pytest.mark.feature("M6")
def test_a_dispute_raised_too_late_is_refused(tmp_path: Path) -> None:
    court = broken(tmp_path)
    assert said(court.dispute(at_s=101.0)) == (Reason.TIMEOUT, "dispute.raise_by")
    assert isinstance(court.dispute(at_s=99.0), Record)


@pytest.mark.feature("M6")
def test_an_answer_comes_in_time_from_the_accused_once_and_cites_what_there_is(tmp_path: Path) -> None:
    court, name = disputed(tmp_path)
    assert said(court.answer(name, 12.5, by="alice")) == (Reason.BINDING, "answer.author")
    assert said(court.answer(name, 12.5, evidence=(seed("not in evidence"),))) == (Reason.PROOF, "answer.evidence")
    assert said(court.answer(name, 14.5)) == (Reason.TIMEOUT, "answer.answer_by")
    assert isinstance(court.answer(name, 13.5), Record)
    assert court.world.carry(13.5) == []
    assert court.open()[name].state == court.open("holder")[name].state == DisputeState.ANSWERED
    assert said(court.answer(name, 13.7)) == (Reason.OUT_OF_ORDER, "dispute.table")


@pytest.mark.feature("M6")
def test_no_ruling_before_the_accused_had_its_time_and_none_without_its_answer(tmp_path: Path) -> None:
    court, name = disputed(tmp_path)
    assert said(court.rule(name, 13.0)) == (Reason.NOT_YET, "ruling.answer_by")
    unheard = court.ruling(name)
    assert isinstance(court.answer(name, 13.5), Record)
    court.world.carry(13.5)
    word = court.world.by_authority(unheard, 15.0)
    assert said(court.world.give("alice", "alice", Message(record=word).encoded(), 15.0)) == (
        Reason.PROOF, "ruling.answer",
    )  # fmt: skip
    assert court.rule(name, 13.8) is None


@pytest.mark.feature("M6")
@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"compensation": 1}, "ruling.replay.compensation"),
        ({"outcome": "dismissed"}, "ruling.replay.outcome"),
        ({"corrects": None}, "ruling.replay.corrects"),
        ({"strikes": bytes(32)}, "ruling.replay.strikes"),
    ],
)
def test_a_ruling_replays_to_itself(tmp_path: Path, changes: dict[str, Any], clause: str) -> None:
    court, name = disputed(tmp_path)
    assert said(court.rule(name, **changes)) == (Reason.TERMS, clause)
    assert court.all("alice", Ruling) == []


@pytest.mark.feature("M6")
def test_nothing_is_ruled_twice(tmp_path: Path) -> None:
    court, name = disputed(tmp_path)
    assert court.rule(name, 15.0) is None
    court.world.carry(15.0)
    assert said(court.rule(name, 15.5)) == (Reason.OUT_OF_ORDER, "dispute.table")
    assert len(court.all("holder", Compensation)) == 1


@pytest.mark.feature("M6")
@pytest.mark.parametrize(
    ("scope", "reason", "clause"),
    [
        ({}, Reason.SCOPE, "ruling.level"),
        ({"bands": (UPPER,)}, Reason.SCOPE, "ruling.scope"),
        ({"bands": (Band(low_hz=LOWER.low_hz, high_hz=LOWER.low_hz + 1),)}, Reason.SCOPE, "ruling.scope"),
    ],
)
def test_an_authority_without_jurisdiction_or_of_another_level_does_not_rule(
    tmp_path: Path, scope: dict[str, Any], reason: Reason, clause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.settlement.disputes.court.regulator", lambda world: regulator(world, **scope))
    court, name = disputed(tmp_path)
    assert said(court.rule(name, by="regulator")) == (reason, clause)
    assert court.open()[name].state == DisputeState.RAISED


@pytest.mark.feature("M6")
def test_what_was_ruled_goes_up_a_level_and_comes_back_otherwise_with_what_was_not_cited_before(tmp_path: Path) -> None:
    """The holder kept its fallback, and said nothing: it pays. It escalates, cites the substitute, and is paid back."""
    court = Court(tmp_path)
    court.settle()
    court.move()
    assert court.world.carry(10.0) == []
    court.break_off(10.5)
    court.world.carry(10.5)
    ended = [one for one in court.alice.lineage.records_of(court.sid) if _is(court, one, Preempt)]
    raised = court.dispute(evidence=tuple(ended))
    assert isinstance(raised, Record), raised
    court.world.carry(12.0)
    assert court.rule(raised.digest, 15.0) is None
    court.world.carry(15.0)
    (paid,) = [one for one in court.all("alice", Compensation) if one.ruling is not None]
    assert said(court.dispute("bob", 16.0, escalates=raised.digest)) == (Reason.UNKNOWN_SID, "dispute.sid")
    higher = court.dispute("holder", 16.0, escalates=raised.digest)
    assert isinstance(higher, Record), higher
    assert court.world.carry(16.0) == []
    assert court.open()[raised.digest].state == DisputeState.ESCALATED
    assert said(court.rule(higher.digest, 19.0)) == (Reason.SCOPE, "ruling.level")
    assert court.rule(higher.digest, 19.0, by="regulator") is None
    assert court.world.carry(19.0) == []
    (back,) = [one for one in court.all("holder", Compensation) if one.to == court.holder.identity.credential]
    assert back.amount == paid.amount
    failed = f"failed:{court.holder.identity.credential.hex()}"
    assert court.alice.lineage.counted(failed) == 1  # not delivered by its PREEMPT; the complaint was struck
    assert said(court.dispute("alice", 20.0, escalates=higher.digest)) == (Reason.TERMS, "dispute.level")
    for who, member in court.world.members.items():
        member.party.lineage.close()
        audited = audit_lineage(court.world.folder / f"{who}.db", network=NETWORK, anchors=court.world.anchors)
        assert audited.ok, audited.findings.problems


def _is(court: Court, name: bytes, kind: type[Any]) -> bool:
    record = court.alice.record_of(name)
    return record is not None and isinstance(record.body, kind)


@pytest.mark.feature("M6")
def test_an_overdue_ruling_lets_a_dispute_go_up(tmp_path: Path) -> None:
    court, name = disputed(tmp_path)
    assert said(court.dispute(at_s=17.0, escalates=name)) == (Reason.NOT_YET, "dispute.rule_by")
    assert isinstance(court.dispute(at_s=19.0, escalates=name), Record)


@pytest.mark.feature("M6")
def test_what_is_named_and_not_paid_is_a_ground_of_its_own(tmp_path: Path) -> None:
    """The payer's answer is lost for good; the ruling, due and unpaid, is cited."""
    court, name = disputed(tmp_path)
    assert court.rule(name, 15.0) is None
    court.world.members["alice"].outgoing = []
    early = court.dispute(at_s=16.0, grounds="compensation not paid")
    assert isinstance(early, Record)
    assert court.ruling(early.digest).outcome == "dismissed"  # it is not due yet
    again = court.dispute(at_s=20.0, grounds="compensation not paid")
    assert said(again) == (Reason.CONFLICT, "dispute.once")
    court2, name2 = disputed(_folder(tmp_path, "two"))
    assert court2.rule(name2, 15.0) is None
    court2.world.members["alice"].outgoing = []
    late = court2.dispute(at_s=18.0, grounds="compensation not paid")
    assert isinstance(late, Record)
    due = court2.ruling(late.digest)
    assert (due.outcome, due.compensation) == ("compensation", court2.all("alice", Ruling)[0].compensation)


def _folder(above: Path, name: str) -> Path:
    (above / name).mkdir()
    return above / name


@pytest.mark.feature("M6")
@pytest.mark.parametrize(
    ("changes", "clause", "measured"),
    [
        ({"amount": 1}, "compensation.amount", "1"),
        ({"currency": "USD"}, "compensation.currency", "USD"),
        ({"currency": None}, "compensation.currency", "no currency"),
    ],
)
def test_less_than_was_ruled_or_another_currency_is_no_payment(
    tmp_path: Path, changes: dict[str, Any], clause: str, measured: str
) -> None:
    court, name = disputed(tmp_path)
    assert court.rule(name, 15.0) is None
    court.world.members["alice"].outgoing = []
    (ruled,) = [one for one in court.alice.lineage.records_of(court.sid) if _is(court, one, Ruling)]
    pair = court.alice.user.by_sid(court.sid)
    body = Compensation(
        sid=court.sid, confirm=pair.decision, request=pair.request, amount=10**6, currency="EUR",
        to=court.alice.identity.credential, ruling=ruled,
    )  # fmt: skip
    body = replace(body, **changes)
    raw = sign_record(court.world.members["holder"].key, court.world.frame("holder", at=fix(15.5)), body)
    refusal = court.world.give("holder", "alice", Message(record=raw).encoded(), 15.5)
    assert said(refusal) == (Reason.PRICE, clause)
    assert isinstance(refusal, Refusal)
    assert (refusal.measured, bool(refusal.required)) == (measured, True)
    assert court.open()[name].state == DisputeState.RULED


@pytest.mark.feature("M6")
def test_a_ruling_that_was_forged_into_a_log_is_found_by_its_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that takes what does not replay is found out by whoever audits it."""
    court, name = disputed(tmp_path)
    with monkeypatch.context() as broken_node:
        broken_node.setattr("settlement.records.conduct.complaint.judge_ruling", lambda *_: None)
        assert court.rule(name, 15.0, compensation=99, to="alice") is None
    court.alice.lineage.close()
    audited = audit_lineage(court.world.folder / "alice.db", network=NETWORK, anchors=court.world.anchors)
    assert any("ruling.replay.compensation" in one for one in audited.findings.problems)
