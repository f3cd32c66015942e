"""An auditor judges leases that were handed on by the log and the anchors, as the warden and the agents do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import settlement.records.conduct.handover as conduct
import settlement.state.handovers as handovers
from settlement.audit.verify import audit_lineage
from settlement.chain import records
from settlement.chain.records import Record
from settlement.pair.handings import Handing, Handings
from settlement.state.messages import Message
from settlement.state.rules import Rules
from tests.radio.test_rule_of_what_is_handed_on import lower_authority, rule_by, with_rule
from tests.settlement.handing.scene import Scene
from tests.settlement.quorum.forgery import artifact_of, body_of, signed
from tests.settlement.world import NETWORK, UPPER

pytestmark = [pytest.mark.feature("M10", "M7"), pytest.mark.attack(61)]


def _none(*_args: Any, **_more: Any) -> None:
    """What a program says that was changed by whoever runs it."""


@pytest.fixture
def changed() -> Iterator[pytest.MonkeyPatch]:
    """Nodes whose operators changed their programs; the auditor's is sound."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def found_in(scene: Scene, *names: str) -> list[str]:
    """What an audit finds in the logs of these nodes."""
    for member in scene.world.members.values():
        member.party.lineage.close()
    logs = [member.party.lineage.path for name, member in scene.world.members.items() if name in names]
    return [
        problem
        for path in logs
        for problem in audit_lineage(path, network=NETWORK, anchors=scene.world.anchors).findings.problems
    ]


def test_what_was_handed_on_as_it_should_be_is_no_finding(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.settle()
    assert found_in(scene, "holder", "alice", "bob") == []


def test_a_lease_above_under_another_rule_than_that_of_its_time(tmp_path: Path, changed: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    world = scene.world
    key, raw = lower_authority(world)
    wider = rule_by(key, records.digest(raw), replace(body_of(world.rule_raw), witness_quorum=0, version=2))
    parent = with_rule(world, artifact_of(world, "alice", scene.lease), 1.5, wider, (world.root, raw))
    made = scene.hand_on(3.0)
    assert isinstance(made, Record), made
    body = replace(made.body, artifact=parent.encoded(), confirm=records.digest(parent.confirm))
    changed.setattr(Rules, "judge_above", _none)
    said = Message(record=signed(world, "alice", body, 3.0)).encoded()
    assert world.give("alice", "bob", said, 3.1) is None
    (problem,) = found_in(scene, "bob")
    assert "rule.before" in problem


def test_a_band_that_its_user_never_had(tmp_path: Path, changed: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    changed.setattr(handovers, "judge_handing", _none)
    changed.setattr(conduct, "judge_handover", _none)
    assert isinstance(scene.hand_on(3.0, cell=scene.cell(UPPER)), Record)
    assert scene.world.carry(3.0) == []
    problems = found_in(scene, "alice", "bob", "holder")
    assert len(problems) == 3, problems
    assert all("handing.band" in one for one in problems)


def test_a_grant_louder_than_what_was_handed_on(tmp_path: Path, changed: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    made = scene.hand_on(3.0, eirp_mdbm=10_000)
    assert isinstance(made, Record), made
    assert scene.world.carry(3.0) == []
    offers = scene.party("alice").holder.offers
    offers[made.digest] = replace(offers[made.digest], max_eirp_mdbm=20_000)
    changed.setattr(conduct, "judge_granted_under", _none)
    scene.ask(made, 3.1, eirp_mdbm=20_000)
    scene.world.carry(3.2)
    problems = found_in(scene, "alice", "bob")
    assert problems, "granted at 20 dBm what was handed on at 10"
    assert all("handing.eirp" in one for one in problems)


def test_a_confirm_without_the_consent_of_the_leases_holder(tmp_path: Path, changed: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    scene.party("holder").consents = False
    changed.setattr(Handings, "lacks", _none)
    changed.setattr(Handing, "open", True)  # that the holder declined it is passed over too
    made = scene.hand_on(3.0)
    assert isinstance(made, Record), made
    scene.world.carry(3.0)
    scene.ask(made, 3.1)
    scene.world.carry(3.2)
    scene.falls_silent(3.3)
    scene.world.carry(3.3)
    problems = found_in(scene, "alice")
    assert any("handing.consent" in one for one in problems), problems
