"""Each ground comes to what its records say, and to nothing where they do not; who may offer a substitute."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell, Window
from settlement.chain.status import bits_of
from settlement.core.reasons import Reason, Refusal
from settlement.disputes.fallbacks import Substitute, judge_substitute
from settlement.pair.artifact import verify
from settlement.records.complaint import Fallback
from settlement.records.complaintterms import INTERFERENCE, INVALID, MISAPPLIED, MISREPORTED
from settlement.records.market import Declaration
from settlement.state.evidence import evidence_for
from settlement.state.messages import Message
from tests.settlement.disputes.court import FALLBACK, Court
from tests.settlement.world import AREA, BAND, LOWER, NETWORK, NS, T0, UPPER


def ruled(court: Court, by: str = "alice", at_s: float = 12.0, **changes: Any) -> tuple[str, str]:
    """Outcome and reason of what a dispute comes to."""
    raised = court.dispute(by, at_s, **changes)
    assert isinstance(raised, Record), raised
    court.world.carry(at_s)
    due = court.ruling(raised.digest, by)
    return due.outcome, due.reason


def by(court: Court, who: str, at_s: float, body: Any) -> bytes:
    """A record of somebody's own, given to the other party."""
    record: Record = court.world.do(who, at_s, lambda step: step.sign(body))
    other = {"alice": "holder", "holder": "alice"}.get(who)
    for to in (other,) if other else ("alice", "holder"):
        court.world.give(who, to, Message(record=record.raw).encoded(), at_s)
    return record.digest


@pytest.mark.feature("M6")
@pytest.mark.parametrize(
    ("changes", "outcome", "clause"),
    [
        ({}, "dismissed", "usage:"),
        ({"airtime_ns": 90 * NS}, "compensation", "usage.airtime"),
        ({"used": Window(start_ns=T0, end_ns=T0 + 5 * NS)}, "compensation", "usage.window"),
        ({"bursts": 0}, "compensation", "usage.bursts"),
    ],
)
def test_a_report_that_cannot_be_is_misreported(
    tmp_path: Path, changes: dict[str, Any], outcome: str, clause: str
) -> None:
    court = Court(tmp_path)
    court.settle()
    said = {"used": Window(start_ns=T0 + 3 * NS, end_ns=T0 + 9 * NS), "airtime_ns": NS, "bursts": 3, **changes}
    court.world.do("alice", 10.0, lambda step: court.alice.user.report_usage(step, court.sid, **said))
    court.world.carry(10.0)
    alice = court.alice.identity.credential
    found = ruled(court, "holder", grounds=MISREPORTED, against=alice)
    assert found[0] == outcome
    assert found[1].startswith(clause)


@pytest.mark.feature("M6")
@pytest.mark.parametrize(("listed_s", "outcome"), [(0.5, "compensation"), (8.0, "dismissed")])
def test_a_credential_is_invalid_at_signing_only_by_a_list_from_before_it(
    tmp_path: Path, listed_s: float, outcome: str
) -> None:
    """Revocation after signing opens a review and voids nothing."""
    court = Court(tmp_path, status_index={"alice": 3})
    body = bodies.Revocation(version=1, fresh_until_ns=T0 + 3000 * NS, bits=bits_of([], 16))
    taken = replace(body, version=2, bits=bits_of([3], 16))
    court.world.give("bob", "holder", Message(record=court.world.by_authority(body, 0.1)).encoded(), 0.1)
    court.settle()
    word = court.world.by_authority(taken, listed_s)
    assert court.world.give("bob", "holder", Message(record=word).encoded(), 9.0) is None
    assert court.world.give("bob", "alice", Message(record=word).encoded(), 9.0) is None
    assert [one.clause for one in court.all("holder", bodies.Verdict)].count("review.opened") == 1
    assert court.holder.holder.pairs[court.sid].live  # nothing is voided by itself
    found = ruled(court, "holder", grounds=INVALID, against=court.alice.identity.credential)
    assert found[0] == outcome, found


@pytest.mark.feature("M6")
def test_interference_is_what_others_measured_never_the_claimants_word_alone(tmp_path: Path) -> None:
    court = Court(tmp_path)
    court.settle()
    channel = bodies.ChannelObservation(band=LOWER, state="busy", floor_unit="dBm/Hz", flags=())
    seen = bodies.Envelope(
        kind="place", observed=Window(start_ns=T0 + 4 * NS, end_ns=T0 + 5 * NS), valid_until_ns=T0 + 60 * NS,
        level_ppm=950_000, looks=9, channels=(channel,), incumbents=(),
    )  # fmt: skip
    mine = by(court, "alice", 6.0, seen)
    others = by(court, "bob", 6.0, seen)
    alone = court.dispute(grounds=INTERFERENCE, evidence=(mine,))
    assert isinstance(alone, Record), alone
    assert court.ruling(alone.digest).reason.startswith("interference.others")
    court2 = Court(_below(tmp_path))
    court2.settle()
    names = [by(court2, who, 6.0, seen) for who in ("alice", "bob")]
    assert ruled(court2, grounds=INTERFERENCE, evidence=tuple(names))[0] == "compensation"
    elsewhere = replace(seen, channels=(replace(channel, band=UPPER),))
    court3 = Court(_below(tmp_path / "two"))
    court3.settle()
    names = [by(court3, who, 6.0, elsewhere) for who in ("alice", "bob")]
    assert ruled(court3, grounds=INTERFERENCE, evidence=tuple(names))[0] == "dismissed"
    assert others


def _below(above: Path) -> Path:
    (above / "two").mkdir(parents=True, exist_ok=True)
    return above / "two"


@pytest.mark.feature("M6")
def test_a_settlement_by_the_rule_is_not_misapplied(tmp_path: Path) -> None:
    court = Court(tmp_path)
    court.settle()
    assert ruled(court, grounds=MISAPPLIED)[0] == "dismissed"


@pytest.mark.feature("A2")
def test_a_fallback_that_the_class_does_not_have_is_refused_by_the_holder_and_every_verifier(tmp_path: Path) -> None:
    court = Court(tmp_path)
    court.offer()
    party = court.alice
    offer = next(iter(party.user.offers.values()))
    window = Window(start_ns=T0 + 2 * NS, end_ns=T0 + 40 * NS)
    cell = replace(offer.body.cell, band=LOWER, window=window)
    ask = lambda step: party.user.request(step, offer, cell, eirp_mdbm=20_000, tier=3, fallback=9)  # noqa: E731
    court.world.do("alice", 1.0, ask)
    (refusal,) = court.world.carry(1.0)
    assert (refusal.reason, refusal.clause, refusal.measured) == (Reason.TERMS, "terms.fallback", "9")
    # A holder and a user that agree on it all the same agree on nothing: their artifact does not verify.
    sound = Court(_below(tmp_path))
    sound.settle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("settlement.pair.terms.judge_chosen", lambda *_: None)
        both = Court(_below(tmp_path / "three"))
        both.settle(fallback=9)
    for court_, held in ((sound, True), (both, False)):
        artifact = court_.alice.lineage.get("artifact", court_.sid)
        outcome = verify(artifact, network=NETWORK, anchors=court_.world.anchors)
        assert isinstance(outcome, Refusal) is not held
        if isinstance(outcome, Refusal):
            assert outcome.clause == "terms.fallback"


@pytest.mark.feature("A2")
@pytest.mark.parametrize(
    ("changes", "terms", "offerer", "clause"),
    [
        ({}, {}, "holder", None),
        ({"choice": 2}, {}, "holder", "fallback.choice"),
        ({"from_ns": T0 + 10 * NS + NS // 2}, {}, "holder", "fallback.notice"),
        ({"end_ns": T0 + 30 * NS}, {}, "holder", "fallback.window"),
        ({"band": Band(low_hz=UPPER.low_hz, high_hz=UPPER.low_hz + 5_000_000)}, {}, "holder", "fallback.band"),
        ({"radius_mm": 1000}, {}, "holder", "fallback.area"),
        ({"band": Band(low_hz=3_570_000_000, high_hz=3_580_000_000)}, {}, "holder", "fallback.declaration"),
        ({"agreed": 6}, {}, "holder", "fallback.price"),
        ({"agreed": 8}, {}, "holder", None),
        ({"commodity": "other"}, {}, "holder", "fallback.class"),
        ({}, {}, "neighbour", "fallback.scope"),
        ({}, {"scope": "pool", "pool": ("neighbour",)}, "neighbour", None),
        ({}, {"scope": "pool", "pool": ("neighbour",)}, "holder", "fallback.scope"),
        ({}, {"scope": "any"}, "stranger", None),
    ],
)
def test_what_a_substitute_must_be(
    changes: dict[str, Any], terms: dict[str, Any], offerer: str, clause: str | None
) -> None:
    window = Window(start_ns=T0 + 2 * NS, end_ns=T0 + 40 * NS)
    first = Cell(band=LOWER, area=AREA, window=window)
    from_ns = changes.get("from_ns", T0 + 12 * NS)
    there = Window(start_ns=from_ns, end_ns=changes.get("end_ns", window.end_ns))
    area = replace(AREA, radius_mm=changes.get("radius_mm", AREA.radius_mm))
    cell = replace(first, band=changes.get("band", UPPER), window=there, area=area)
    body = Fallback(
        sid=bytes(32), confirm=bytes(32), choice=changes.get("choice", 1), cell=cell, from_ns=from_ns,
        notice_ns=NS, reason="moved", fence=1, declaration=bytes(32),
    )  # fmt: skip
    offer = Declaration(
        cell=replace(first, band=BAND, window=Window(start_ns=T0, end_ns=T0 + 300 * NS)),
        commodity=changes.get("commodity", "cbrs"), tier_low=2, tier_high=3, max_eirp_mdbm=30_000, price_form="fixed",
        price=7, rule=bytes(32),
    )  # fmt: skip
    one = Substitute(
        body=body, signed_ns=T0 + 10 * NS, holder="holder", offer=offer, offerer=offerer, commodity="cbrs",
        price=changes.get("agreed", 7), eirp_mdbm=20_000,
    )  # fmt: skip
    found = judge_substitute(replace(FALLBACK, **terms), first, one)
    assert (found.clause if found is not None else None) == clause
    assert found is None or (found.measured and found.required)


@pytest.mark.feature("M6")
def test_an_auditor_disputes_what_it_is_no_party_to_and_a_stranger_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.settlement.world.HOLDER_ACTIONS", ("offer", "grant", "observe", "audit"))
    court = Court(tmp_path)
    world = court.world
    world.chains["auditor"] = (world.root, world.credential("auditor", ("observe", "audit")))
    for name in ("holder", "alice", "auditor"):
        if name in world.members:
            world.members[name].party.lineage.close()
        world.members[name] = world.member(name)
    court.settle()
    court.break_off()
    world.carry(10.0)
    body = _dispute(court)
    for who, expected in (("auditor", None), ("bob", Reason.UNKNOWN_SID)):
        record: Record = world.do(who, 12.0, lambda step: step.sign(body), honest=False)
        refusal = world.give(who, "holder", Message(record=record.raw).encoded(), 12.0)
        assert (refusal.reason if refusal is not None else None) is expected, who


def _dispute(court: Court) -> bodies.Dispute:
    return bodies.Dispute(
        sid=court.sid, confirm=court.alice.user.by_sid(court.sid).decision, rule=court.holder.rule.hash,
        against=court.holder.identity.credential, grounds="fallback not kept", claim=9,
        evidence=evidence_for(court.holder, court.sid, "fallback not kept"),
    )  # fmt: skip
