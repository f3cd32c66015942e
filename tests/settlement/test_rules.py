"""A running node takes a new version of its rule from the mesh, and goes by it from its window on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.audit.verify import audit_lineage
from settlement.chain import bodies
from settlement.chain.records import digest
from settlement.core.reasons import Reason
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.state.messages import Message
from tests.settlement.world import NETWORK, NS, RULE, T0, UPPER, World, trio

SECOND_S = 20.0
DEARER = replace(RULE.classes[0], price_low=50)


def successor(world: World, **changes: Any) -> bodies.Rule:
    base = replace(
        RULE,
        version=2,
        previous=digest(world.rule_raw),
        effective=replace(RULE.effective, start_ns=T0 + round(SECOND_S * NS)),
        classes=(DEARER,),
    )
    return replace(base, **changes)


def told(world: World, rule: bodies.Rule, at_s: float = 1.5, to: str = "holder", by: str = "bob") -> Reason | None:
    refusal = world.give(by, to, Message(record=world.by_authority(rule, at_s)).encoded(), at_s)
    return refusal.reason if refusal else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = trio(tmp_path)
    world.settle(end_s=60.0)
    return world


def asked(world: World, at_s: float) -> list[Reason]:
    world.request("bob", at_s, UPPER, at_s + 1.0, at_s + 9.0)
    return [refusal.reason for refusal in world.carry(at_s)]


@pytest.mark.feature("G7")
def test_a_successor_is_taken_passed_on_and_in_force_from_its_window(world: World) -> None:
    assert told(world, successor(world)) is None
    assert world.carry(1.5) == []  # each hears it from two neighbours, and the second copy is nobody's replay
    versions = [member.party.rules.newest.rule.rule.version for member in world.members.values()]
    assert versions == [2, 2, 2]
    assert asked(world, 2.0) == []  # the old price still does
    assert asked(world, SECOND_S + 1.0) == [Reason.PRICE]
    assert world.members["holder"].party.rule.rule.version == 2


@pytest.mark.feature("G7")
def test_it_survives_a_restart_and_an_older_file(world: World) -> None:
    assert told(world, successor(world)) is None
    world.carry(1.5)
    world.members["holder"].party.lineage.close()
    world.members["holder"] = world.member_again("holder")
    assert world.members["holder"].party.halted is None
    assert asked(world, SECOND_S + 1.0) == [Reason.PRICE]


CASES: dict[str, tuple[Callable[[World], bodies.Rule], Reason]] = {
    "the same version": (lambda w: successor(w, version=1), Reason.ROLLBACK),
    "a jump": (lambda w: successor(w, version=2**63), Reason.FAST_FORWARD),
    "another predecessor": (lambda w: successor(w, previous=bytes(32)), Reason.ROLLBACK),
    "another name": (lambda w: successor(w, name="other"), Reason.RULE_UNKNOWN),
    "effective before": (
        lambda w: successor(w, effective=replace(RULE.effective, start_ns=RULE.effective.start_ns - NS)),
        Reason.ROLLBACK,
    ),
    "a band beyond": (
        lambda w: successor(w, bands=(replace(RULE.bands[0], high_hz=RULE.bands[0].high_hz + 1),)),
        Reason.SCOPE,
    ),
}


@pytest.mark.attack(20)
@pytest.mark.attack(21)
@pytest.mark.parametrize("name", CASES)
def test_what_does_not_follow_is_refused(world: World, name: str) -> None:
    make, reason = CASES[name]
    assert told(world, make(world)) is reason
    assert world.members["holder"].party.rules.newest.rule.rule.version == 1
    assert asked(world, 2.0) == []


@pytest.mark.attack(20)
def test_the_first_version_does_not_come_back(world: World) -> None:
    assert told(world, successor(world)) is None
    assert told(world, successor(world, version=1), 1.6) is Reason.ROLLBACK
    third = successor(world, version=3, effective=replace(RULE.effective, start_ns=T0 + 30 * NS))
    assert told(world, third, 1.7) is Reason.ROLLBACK  # names the first as its predecessor


def test_a_rule_by_one_who_may_not_rule(world: World) -> None:
    raw = world.do("bob", 1.5, lambda step: step.sign(successor(world)), honest=False).raw
    refusal = world.give("bob", "holder", Message(record=raw).encoded(), 1.5)
    assert refusal is not None
    assert refusal.reason is Reason.SCOPE


@pytest.mark.feature("G7")
def test_a_grant_of_the_old_rule_is_not_confirmed_under_the_new(world: World) -> None:
    assert told(world, successor(world)) is None
    world.carry(1.5)
    before_s, after_s = SECOND_S - 0.2, SECOND_S + 0.2
    sid = world.request("bob", before_s, UPPER, SECOND_S + 1.0, SECOND_S + 9.0)
    (request,) = world.members["bob"].outgoing
    world.members["bob"].outgoing = []
    assert world.give("bob", "holder", request.data, before_s) is None
    assert [r.reason for r in world.carry(after_s)] == [Reason.TERMS]
    pair = world.members["holder"].party.holder.pairs[sid]
    assert not pair.live


@pytest.mark.feature("G7")
def test_replay_judges_each_record_under_the_version_of_its_time(world: World, tmp_path: Path) -> None:
    assert told(world, successor(world)) is None
    world.carry(1.5)
    assert asked(world, 2.0) == []
    assert asked(world, SECOND_S + 1.0) == [Reason.PRICE]
    for name, member in world.members.items():
        sealed = tmp_path / f"{name}-sealed.db"
        member.party.lineage.seal(member.key, sealed)
        audited = audit_lineage(sealed, network=NETWORK, anchors=world.anchors)
        assert audited.findings.problems == []
    sid = next(p.sid for p in world.members["bob"].party.user.pairs.values())
    artifact = world.members["bob"].party.lineage.get("artifact", sid)
    assert artifact is not None
    permit = verify(artifact, network=NETWORK, anchors=world.anchors)
    assert isinstance(permit, VerifiedPermit)
    assert permit.rule.version == 1
    assert permit.cell.band == UPPER
