"""A settlement that its holder ended for an incumbent was ended for one only where the envelope it names shows it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.audit.disputepoints import broken_points
from settlement.chain import bodies
from settlement.chain.records import Record
from settlement.chain.scope import Window
from settlement.core.reasons import Reason, refuse
from settlement.disputes.incumbentproof import judge_reporter
from settlement.pair.holderlease import SHOWN_BYTES_MAX
from settlement.records.endings import Preempt
from settlement.state.evidence import evidence_for
from tests.settlement.disputes.court import Court
from tests.settlement.disputes.test_grounds import by
from tests.settlement.world import LOWER, NS, T0, UPPER

pytestmark = [pytest.mark.feature("M6", "A2"), pytest.mark.attack(41)]
SEEN = bodies.Envelope(
    kind="place",
    observed=Window(start_ns=T0 + 8 * NS, end_ns=T0 + 9 * NS),
    valid_until_ns=T0 + 60 * NS,
    level_ppm=950_000,
    looks=9,
    channels=(bodies.ChannelObservation(band=LOWER, state="busy", floor_unit="dBm/Hz", flags=()),),
    incumbents=("radar",),
)


def ended(court: Court, evidence: bytes | None, at_s: float = 10.0) -> None:
    """The holder takes the band back and says that it is for an incumbent."""

    def act(step: Any) -> int:
        found: int = court.holder.holder.preempt(
            step, LOWER, tier=1, reason=Reason.INCUMBENT.value, until_ns=T0 + 40 * NS, evidence=evidence
        )
        return found

    assert court.world.do("holder", at_s, act) == 1
    assert court.world.carry(at_s) == []


def outcome(court: Court) -> str:
    """What a dispute of alice's comes to, and that an auditor says the same of the records alone."""
    raised = court.dispute()
    assert isinstance(raised, Record), raised
    assert court.world.carry(12.0) == []
    found: str = court.ruling(raised.digest).outcome
    records = court.records("holder", bodies.Grant, Preempt, bodies.Envelope, bodies.Declaration)
    named = broken_points(lambda _: "holder", records)
    assert [one["sid"] for one in named] == ([court.sid.hex()] if found != "dismissed" else []), named
    return found


def settled(folder: Path) -> Court:
    court = Court(folder)
    court.settle()
    return court


def test_ended_for_an_incumbent_that_its_holder_saw_is_kept(tmp_path: Path) -> None:
    court = settled(tmp_path)
    ended(court, by(court, "holder", 9.5, SEEN))
    assert outcome(court) == "dismissed"


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(bytes([7]) * 32, id="a hash of nothing"),
        pytest.param(None, id="none"),
        pytest.param(Preempt, id="a record that is no envelope"),
        pytest.param(replace(SEEN, incumbents=()), id="no incumbent"),
        pytest.param(replace(SEEN, channels=(replace(SEEN.channels[0], band=UPPER),)), id="another band"),
        pytest.param(replace(SEEN, channels=(replace(SEEN.channels[0], state="free"),)), id="a free channel"),
        pytest.param(replace(SEEN, valid_until_ns=T0 + 9_600_000_000), id="long over"),
    ],
)
def test_ended_for_an_incumbent_that_nothing_shows_is_ended_for_nobody(tmp_path: Path, evidence: Any) -> None:
    court = settled(tmp_path)
    if isinstance(evidence, bodies.Envelope):
        evidence = by(court, "holder", 9.5, evidence)
    elif evidence is Preempt:
        evidence = court.alice.user.by_sid(court.sid).decision
    ended(court, evidence)
    assert outcome(court) == "compensation"


def test_the_envelope_travels_with_what_it_takes_away(tmp_path: Path) -> None:
    """Who is displaced learns for what: its holder's own word reaches it though the one before was lost."""
    court = settled(tmp_path)
    record = court.world.do("holder", 9.5, lambda step: step.sign(SEEN))
    ended(court, record.digest)
    assert court.alice.record_of(record.digest) is not None
    assert record.digest in evidence_for(court.alice, court.sid, "fallback not kept")
    assert outcome(court) == "dismissed"


def test_a_long_envelope_is_not_sent_to_each_whom_it_displaces(tmp_path: Path) -> None:
    """One of 64 KB beside a PREEMPT to each of a thousand users would be 64 MB in a node's queues."""
    court = settled(tmp_path)
    many = tuple(replace(SEEN.channels[0], flags=("x" * 32,) * 32) for _ in range(12))
    record = court.world.do("holder", 9.5, lambda step: step.sign(replace(SEEN, channels=many)))
    assert len(record.raw) > SHOWN_BYTES_MAX
    ended(court, record.digest)
    assert court.alice.record_of(record.digest) is None


def test_whose_word_counts_is_the_holders_or_of_a_level_that_the_rule_has_others_act_on(tmp_path: Path) -> None:
    court = settled(tmp_path)
    rule, cell = court.holder.rule.rule, court.holder.holder.pairs[court.sid].cell
    bob = court.holder.registry.get(court.world.members["bob"].hash)
    assert judge_reporter(bob, cell, rule, own=False) is None
    far = replace(cell, area=replace(cell.area, lat_e7=cell.area.lat_e7 + 30 * 10**7))
    elsewhere = judge_reporter(bob, far, rule, own=False)
    assert elsewhere is not None
    assert elsewhere.reason is Reason.SCOPE
    assert judge_reporter(bob, far, rule, own=True) is None
    kept = replace(bob, level="of no level that the rule has")
    only_kept = judge_reporter(kept, cell, rule, own=False)
    assert only_kept is not None
    assert only_kept.clause == "preempt.reporter"
    assert judge_reporter(None, cell, rule, own=True) is not None


def test_a_word_of_somebody_far_away_ends_nothing(tmp_path: Path) -> None:
    """The dispute comes to it as well."""
    court = settled(tmp_path)
    ended(court, by(court, "bob", 9.5, SEEN))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "settlement.disputes.incumbentproof.judge_reporter", lambda *_, **__: refuse(Reason.SCOPE, "", "", "")
        )
        raised = court.dispute()
        assert isinstance(raised, Record), raised
        assert court.ruling(raised.digest).outcome == "compensation"
    assert court.ruling(raised.digest).outcome == "dismissed"
