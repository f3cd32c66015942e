"""Who is no party disputes a settlement from records that it was shown: an auditor may, a stranger may not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.audit.lineages import AuditError
from agent.audit.settlements import records_of
from agent.cli.agentcall import told
from agent.node.commands import BadCommand, parse_command
from agent.node.complaints import NotSaid, dispute_of_others, show_disputes
from settlement.chain import bodies
from settlement.disputes.table import DisputeState
from settlement.pair.debts import DEBT
from settlement.records.complaintterms import MISREPORTED, NOT_KEPT, UNPAID
from tests.settlement.disputes.court import Court
from tests.settlement.disputes.test_grounds import _dispute
from tests.settlement.world import NETWORK

pytestmark = pytest.mark.feature("M6")


@pytest.fixture
def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Court:
    """Alice's settlement was ended for nobody at 10 s; an auditor and bob are no parties to it."""
    monkeypatch.setattr("tests.settlement.world.HOLDER_ACTIONS", ("offer", "grant", "observe", "audit"))
    made = Court(tmp_path)
    world = made.world
    world.chains["auditor"] = (world.root, world.credential("auditor", ("observe", "audit")))
    for name in ("holder", "alice", "bob", "auditor"):
        if name in world.members:
            world.members[name].party.lineage.close()
        world.members[name] = world.member(name)
    made.settle()
    made.break_off()
    world.carry(10.0)
    return made


def shown(court: Court) -> list[str]:
    """What a bundle of the holder's log holds of the settlement."""
    pair = court.holder.holder.pairs[court.sid]
    return [court.holder.record_bytes(name).hex() for name in (pair.grant, pair.accept, pair.decision)]


def raise_it(court: Court, who: str = "auditor", at_s: float = 12.0, **changes: Any) -> list[Any]:
    party = court.world.members[who].party
    fields = {"shown": shown(court), "against": "holder", "ground": NOT_KEPT, "claim": None, "cite": []}
    named = fields | changes
    steps: list[Any] = court.world.do(who, at_s, lambda step: list(dispute_of_others(party, step, **named)))
    return steps


def cited(court: Court) -> list[str]:
    return [name.hex() for name in _dispute(court).evidence]


def test_an_auditor_disputes_and_both_parties_have_it_and_it_is_ruled(court: Court) -> None:
    (raised,) = raise_it(court, cite=cited(court))
    assert raised.fields["against"] == "holder"
    auditor = court.world.members["auditor"].party
    name = bytes.fromhex(raised.fields["dispute"])
    assert len(auditor.lineage.items(DEBT)) == 2
    court.world.carry(12.0)
    assert auditor.lineage.items(DEBT) == []
    for who in ("holder", "alice"):
        assert court.open(who)[name].state == DisputeState.RAISED, who
    (at_auditor,) = show_disputes(auditor, "", case=False)
    assert (at_auditor.fields["by"], at_auditor.fields["against"]) == ("auditor", "holder")
    assert "this node is no party" in told({"step": "dispute", **at_auditor.fields})
    (at_alice,) = show_disputes(court.alice, "", case=False)
    assert "this node is no party" not in told({"step": "dispute", **at_alice.fields})
    court.answer(name)
    court.world.carry(13.0)
    due = court.ruling(name)
    assert (due.pays, due.to) == (court.holder.identity.credential, court.alice.identity.credential)
    assert court.rule(name) is None
    court.world.carry(15.0)
    assert court.open("alice")[name].state == DisputeState.PAID


def escalate(court: Court, name: str, *rulings: str, who: str = "auditor", at_s: float = 16.0) -> list[Any]:
    fields = {"against": None, "ground": "", "escalates": name[:10], "cite": cited(court)}
    return raise_it(court, who, at_s, shown=[*shown(court), *rulings], **fields)


def test_who_raised_it_takes_it_to_the_next_level_where_a_ruling_is_shown(court: Court) -> None:
    (raised,) = raise_it(court, cite=cited(court))
    court.world.carry(12.0)
    name = bytes.fromhex(raised.fields["dispute"])
    court.answer(name)
    court.world.carry(13.0)
    assert court.rule(name) is None
    court.world.carry(15.0)
    with pytest.raises(NotSaid, match=r"dispute\.rule_by"):  # nothing is overdue, and this log has no ruling
        escalate(court, name.hex())
    with pytest.raises(NotSaid, match="0 disputes that this node raised"):
        escalate(court, name.hex(), who="bob")
    ruling = court.alice.record_bytes(court.open()[name].ruling).hex()
    (higher,) = escalate(court, name.hex(), ruling)
    assert (higher.fields["ground"], higher.fields["against"]) == (NOT_KEPT, "holder")
    court.world.carry(16.0)
    for who in ("holder", "alice", "auditor"):
        there = court.open(who)
        assert there[name].state == DisputeState.ESCALATED, who
        assert there[bytes.fromhex(higher.fields["dispute"])].level == 1, who
    with pytest.raises(NotSaid, match=r"dispute\.table"):
        escalate(court, name.hex(), ruling, at_s=16.5)


def test_a_ruling_that_is_shown_too_late_or_of_another_dispute_takes_nothing_further(court: Court) -> None:
    (raised,) = raise_it(court, cite=cited(court))
    court.world.carry(12.0)
    name = bytes.fromhex(raised.fields["dispute"])
    court.answer(name)
    court.world.carry(13.0)
    assert court.rule(name) is None
    ruling = court.open()[name].ruling
    with pytest.raises(NotSaid, match=r"dispute\.escalate_by"):
        escalate(court, name.hex(), court.alice.record_bytes(ruling).hex(), at_s=26.0)
    other = replace(court.alice.record_of(ruling).body, dispute=bytes(32))
    with pytest.raises(NotSaid, match=r"dispute\.rule_by"):
        escalate(court, name.hex(), court.world.by_authority(other, 15.5).hex(), at_s=16.0)


@pytest.mark.parametrize("deaf", ["holder", "alice"])
def test_it_is_said_to_each_until_that_one_has_it(court: Court, deaf: str) -> None:
    """What the other says that it has does not silence it towards the one that never heard."""
    (raised,) = raise_it(court, cite=cited(court))
    auditor, world = court.world.members["auditor"], court.world
    lost = world.members[deaf].hash
    auditor.outgoing = [out for out in auditor.outgoing if out.to != lost]
    world.carry(12.0)
    (left,) = auditor.party.lineage.items(DEBT)
    assert left[0] == bytes.fromhex(raised.fields["dispute"]) + lost
    world.members["auditor"].party.lineage.close()
    world.members["auditor"] = world.member_again("auditor")
    world.do("auditor", 14.0, world.members["auditor"].party.tick)
    world.carry(14.0)
    assert world.members["auditor"].party.lineage.items(DEBT) == []
    assert bytes.fromhex(raised.fields["dispute"]) in court.open(deaf)


@pytest.mark.parametrize(
    ("who", "changes", "said"),
    [
        ("bob", {}, "dispute.author.*audit, or a co-signature"),
        ("alice", {}, "dispute.author.*no party"),
        ("auditor", {"ground": "bad manners"}, "dispute.ground"),
        ("auditor", {"ground": MISREPORTED}, "dispute.against"),
        ("auditor", {"shown": ["00"]}, "not proven here"),
        ("auditor", {"cite": ["zz"]}, "--cite"),
    ],
)
def test_what_may_not_be_disputed_is_told_before_anything_is_signed(
    court: Court, who: str, changes: dict[str, Any], said: str
) -> None:
    size = court.world.members[who].party.lineage.size
    with pytest.raises(NotSaid, match=said):
        raise_it(court, who, **changes)
    assert court.world.members[who].party.lineage.size == size


def test_too_late_and_a_second_time_are_refused(court: Court) -> None:
    with pytest.raises(NotSaid, match=r"dispute\.raise_by"):
        raise_it(court, at_s=101.0)
    raise_it(court)
    with pytest.raises(NotSaid, match=r"dispute\.once"):
        raise_it(court, at_s=12.5)


def _without_accept(court: Court) -> list[str]:
    grant, _, confirm = shown(court)
    return [grant, confirm]


def _of_two(court: Court) -> list[str]:
    other = court.settle("bob", at_s=13.0, start_s=14.0, fallback=None)
    pair = court.holder.holder.pairs[other]
    grant, _, confirm = shown(court)
    return [grant, court.holder.record_bytes(pair.accept).hex(), confirm]


@pytest.mark.parametrize("made", [_without_accept, _of_two])
def test_records_that_are_not_one_settlement_are_not_believed(court: Court, made: Callable[[Court], list[str]]) -> None:
    with pytest.raises(NotSaid, match=r"case\.pair"):
        raise_it(court, at_s=13.5, shown=made(court))


def test_who_co_signed_a_settlement_may_dispute_it(court: Court) -> None:
    """Bob may not; with a co-signature of the settlement in his log he may."""
    pair, bob = court.holder.holder.pairs[court.sid], court.world.members["bob"]
    with pytest.raises(NotSaid, match="a co-signature of the settlement"):
        raise_it(court, "bob", ground=UNPAID)
    body = bodies.Coordination(
        sid=pair.sid, grant=pair.grant, accept=pair.accept, shards=("all",), until_ns=pair.cell.window.end_ns
    )
    court.world.do("bob", 11.0, lambda step: step.sign(body), honest=False)
    (raised,) = raise_it(court, "bob", ground=UNPAID)
    assert {name[:32].hex() for name in bob.party.holder.leases.debts.open} == {raised.fields["dispute"]}


def test_a_settlement_is_found_in_the_logs_with_what_speaks_for_the_ground(court: Court, tmp_path: Path) -> None:
    for member in court.world.members.values():
        member.party.lineage.close()
    anchors = [one.hex() for one in court.world.anchors]
    found = records_of(tmp_path, court.sid.hex()[:8], NOT_KEPT, anchors=anchors, network=NETWORK)
    assert found.sid == court.sid
    assert len(found.evidence) == 1
    with pytest.raises(AuditError, match="0 confirmed settlements begin with 'ff00'"):
        records_of(tmp_path, "ff00", NOT_KEPT, anchors=anchors, network=NETWORK)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"shown": ["00"]}, "shown goes with against"),
        ({"against": "user"}, "against goes with shown"),
        ({"shown": ["00"], "against": "user", "escalates": "00"}, "and not with escalates"),
        ({"shown": ["00"], "against": "user", "sid": "00"}, "shown names the settlement"),
        ({"shown": ["0"], "against": "user"}, "shown"),
    ],
)
def test_a_command_with_something_wrong_says_what(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadCommand, match=said):
        parse_command({"do": "dispute", "ground": NOT_KEPT, **fields})
