"""The artifact of a lease that changed hands: what a pair that colludes shows of it is checked by whoever reads it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import settlement.pair.artifact as artifacts
from settlement.chain.bodies import Recognition
from settlement.chain.scope import Band
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import Artifact, VerifiedPermit
from settlement.pair.work import settlement_id
from settlement.records.handingterms import TRANSFER
from tests.settlement.handing.scene import MHZ, Scene
from tests.settlement.handing.test_refused import said
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, signed, verdict
from tests.settlement.world import NS, T0

pytestmark = pytest.mark.feature("M10")


def shown(scene: Scene, sid: bytes, by: str = "bob") -> Artifact:
    found = artifact_of(scene.world, by, sid)
    assert found.handed is not None
    return found


def anew(scene: Scene, found: Artifact, at_s: float = 3.4, **grant: Any) -> Artifact:
    """The settlement signed once more by both, later than what was said of the radio's silence."""
    return forged(scene.world, found, at_s, ("alice", "bob"), **grant)


def with_vacated(scene: Scene, found: Artifact, at_s: float = 3.3, by: str = "alice", **changes: Any) -> Artifact:
    assert found.handed is not None
    body = replace(body_of(found.handed.vacated), **changes)
    return replace(found, handed=replace(found.handed, vacated=signed(scene.world, by, body, at_s)))


def test_what_both_sign_anew_without_a_change_holds(tmp_path: Path) -> None:
    """The forgeries below fail for what they change, not for how they are made."""
    scene = Scene(tmp_path)
    found = with_vacated(scene, shown(scene, scene.settle()))
    assert isinstance(verdict(scene.world, anew(scene, found)), VerifiedPermit)


def test_a_lease_that_was_renewed_before_it_was_handed_on_reaches_as_far_as_the_renewal(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for at_s in (4.0, 7.0, 10.0, 13.0):
        scene.tick(at_s)
    found = shown(scene, scene.settle(14.0, cell=scene.cell(start_s=16.0)))
    assert found.handed is not None
    renewal = body_of(found.handed.vacated).lease
    assert renewal is not None
    first_ns = scene.party("alice").user.by_sid(scene.lease).transmit_until_ns
    permit = verdict(scene.world, found)
    assert isinstance(permit, VerifiedPermit), permit
    assert body_of(found.confirm).transmit_until_ns <= body_of(renewal).transmit_until_ns <= first_ns
    later = anew(scene, found, 14.4)
    assert isinstance(verdict(scene.world, with_vacated(scene, later, 14.3)), VerifiedPermit)
    said(verdict(scene.world, with_vacated(scene, later, 14.3, lease=None)), Reason.LEASE, "handing.lease")
    torn = bytes([renewal[0]]) + bytes(len(renewal) - 1)
    assert isinstance(verdict(scene.world, with_vacated(scene, later, 14.3, lease=torn)), Refusal)


def test_a_class_that_needs_no_consent_is_shown_without(tmp_path: Path) -> None:
    scene = Scene(tmp_path, consent=0)
    found = shown(scene, scene.settle())
    assert found.handed is not None
    assert found.handed.consent is None
    assert isinstance(verdict(scene.world, found), VerifiedPermit)


FORGED: dict[str, tuple[Callable[[Scene, Artifact], Artifact], Reason, str]] = {
    "no consent": (
        lambda _scene, found: replace(found, handed=replace(found.handed, consent=None)),
        Reason.CONSENT,
        "handing.consent",
    ),
    "consent to another handover": (
        lambda scene, found: replace(
            found,
            handed=replace(
                found.handed,
                consent=signed(scene.world, "holder", replace(body_of(found.handed.consent), handover=bytes(32)), 3.1),
            ),
        ),
        Reason.CONSENT,
        "handing.consent",
    ),
    "consent by another": (
        lambda scene, found: replace(
            found,
            handed=replace(found.handed, consent=signed(scene.world, "alice", body_of(found.handed.consent), 3.1)),
        ),
        Reason.BINDING,
        "artifact.consent",
    ),
    "silent after the CONFIRM, by number": (
        lambda scene, found: with_vacated(scene, found, at_s=3.6),
        Reason.OUT_OF_ORDER,
        "handing.silent",
    ),
    "silent after the CONFIRM, by time": (
        lambda scene, found: with_vacated(scene, found, silent_latest_ns=T0 + 9 * NS),
        Reason.OUT_OF_ORDER,
        "handing.silent",
    ),
    "silent for another handover": (
        lambda scene, found: with_vacated(scene, found, handover=bytes(32)),
        Reason.PROOF,
        "handing.vacated",
    ),
    "said to be silent by another": (
        lambda scene, found: with_vacated(scene, found, by="bob"),
        Reason.BINDING,
        "artifact.vacated",
    ),
    "no record": (
        lambda _scene, found: replace(found, handed=replace(found.handed, handover=b"\\x00")),
        Reason.MALFORMED,
        "",
    ),
    "another record": (
        lambda _scene, found: replace(found, handed=replace(found.handed, handover=found.handed.vacated)),
        Reason.TYPE,
        "handing.typ",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_wrong_with_a_lease_that_changed_hands(tmp_path: Path, name: str) -> None:
    forge, reason, clause = FORGED[name]
    scene = Scene(tmp_path)
    found = with_vacated(scene, shown(scene, scene.settle()))
    refusal = verdict(scene.world, forge(scene, anew(scene, found)))
    assert isinstance(refusal, Refusal), name
    said(refusal, reason, clause or refusal.clause)


@pytest.mark.parametrize(
    ("axis", "changes", "reason"),
    [
        ("eirp", {"max_eirp_mdbm": 17_001}, Reason.POWER),
        ("band", {"band": Band(low_hz=3_550 * MHZ, high_hz=3_560 * MHZ)}, Reason.SCOPE),
    ],
)
def test_a_grant_wider_than_its_handover(tmp_path: Path, axis: str, changes: dict[str, Any], reason: Reason) -> None:
    scene = Scene(tmp_path)
    found = with_vacated(scene, shown(scene, scene.settle()))
    grant = body_of(found.grant)
    if "band" in changes:
        cell = replace(grant.cell, **changes)
        sid = settlement_id(scene.hash("alice"), scene.hash("bob"), grant.nonce, cell)
        changes = {"cell": cell, "sid": sid}
    refusal = verdict(scene.world, anew(scene, found, **changes))
    said(refusal, reason, f"handing.{axis}")


def test_a_grant_that_names_another_handover(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    found = with_vacated(scene, shown(scene, scene.settle()))
    said(verdict(scene.world, anew(scene, found, handover=bytes(32))), Reason.TERMS, "handing.handover")


def test_the_links_of_a_chain_share_one_budget_for_outlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, depth=2)
    first = scene.settle()
    found = shown(scene, scene.settle(6.0, by="bob", to="carol", sid=first, kind=TRANSFER), by="carol")
    budgets: list[Any] = []
    made = artifacts.Registry

    def registry(network: str, anchors: Any, outlines: Any) -> Any:
        budgets.append(outlines)
        return made(network, anchors, outlines)

    monkeypatch.setattr(artifacts, "Registry", registry)
    assert isinstance(verdict(scene.world, found), VerifiedPermit)
    assert len(budgets) == 3
    assert budgets[0] is not None
    assert len({id(one) for one in budgets}) == 1
    assert budgets[0].corners == artifacts.CORNERS_MAX


def test_a_chain_of_leases_is_read_to_its_greatest_depth_and_no_deeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, depth=2)
    first = scene.settle()
    found = shown(scene, scene.settle(6.0, by="bob", to="carol", sid=first, kind=TRANSFER), by="carol")
    monkeypatch.setattr(artifacts, "DEPTH_MAX", 2)
    assert isinstance(verdict(scene.world, found), VerifiedPermit)
    monkeypatch.setattr(artifacts, "DEPTH_MAX", 1)
    refusal = verdict(scene.world, found)
    said(refusal, Reason.DEPTH, "artifact.depth")
    assert isinstance(refusal, Refusal)
    assert (refusal.measured, refusal.required) == ("2", "<= 1 leases below the licence's")


@pytest.mark.feature("S4")
def test_where_a_class_asks_what_a_right_comes_from_a_handover_stands_for_the_offer(tmp_path: Path) -> None:
    derived = Recognition(kind="derivation", fields=("request", "declaration"))
    scene = Scene(tmp_path, recognition=(derived,))
    found = shown(scene, scene.settle())
    permit = verdict(scene.world, found)
    assert isinstance(permit, VerifiedPermit), permit
    said(verdict(scene.world, replace(found, derivation=None)), Reason.PROOF, "recognition.derivation")
