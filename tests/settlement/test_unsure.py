"""Tests that trust in time and place is evaluated once per step, and again where anything differs."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from settlement.chain.scope import Window
from settlement.core.reasons import Reason, refuse
from settlement.party.party import Party
from settlement.state import nodestate
from tests.settlement.world import NS, T0, fix, trio

pytestmark = pytest.mark.feature("S3")


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return trio(tmp_path).members["holder"].party


def test_another_fix_is_judged_anew(party: Party) -> None:
    assert party.unsure(fix(1.0)) is None
    refusal = party.unsure(fix(1.0, trusted=False))
    assert refusal is not None
    assert party.unsure(fix(1.0)) is None


def test_a_rule_that_came_meanwhile_is_judged_anew(party: Party) -> None:
    now = fix(1.0)
    assert party.unsure(now) is None
    rule = replace(party.rule.rule, effective=Window(start_ns=T0 - 9 * NS, end_ns=T0))
    party.rule = replace(party.rule, rule=rule)
    refusal = party.unsure(now)
    assert refusal is not None
    assert refusal.clause == "disposition.11.effective"


def test_a_credential_that_took_this_ones_place_is_judged_anew(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    now, me = fix(1.0), party.registry.get(party.identity.credential)
    assert party.unsure(now) is None
    assert me is not None
    ended = replace(me, expires_ns=T0)
    monkeypatch.setattr(party.registry, "get", lambda _name: ended)
    refusal = party.unsure(now)
    assert refusal is not None
    assert refusal.clause == "credential.validity"


def test_within_one_step_it_is_judged_once_and_a_refusal_is_kept_too(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Mock(return_value=refuse(Reason.CONFIDENCE, "confidence", 1, 2))
    monkeypatch.setattr(nodestate, "confidence", judged)
    now = fix(1.0)
    assert {party.unsure(now) for _ in range(5)} == {judged.return_value}
    assert judged.call_count == 1
