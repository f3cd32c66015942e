"""A lease that is handed on is taken only where the lease it comes from is under a rule that the warden goes by."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.permits import HeldPermit, Permits
from radio.rulebook import RuleBook
from settlement.chain import bodies, records
from settlement.chain.credentials import Registry, issue
from settlement.chain.keys import SigningKey
from settlement.chain.ruling import read_held
from settlement.core.reasons import Reason, Refusal
from settlement.pair.artifact import Artifact, VerifiedPermit
from settlement.records.handover import Consent
from settlement.state.messages import Message
from tests.settlement.handing.scene import Scene
from tests.settlement.quorum.forgery import artifact_of, body_of, forged, signed, verdict
from tests.settlement.world import NETWORK, World, claims, fix, scope, seed

pytestmark = pytest.mark.feature("M10")


def lower_authority(world: World) -> tuple[SigningKey, bytes]:
    """An authority below the root that may make rules where everybody is."""
    key = SigningKey.from_seed(seed("lower"))
    body = bodies.Credential(level="authority", scope=scope(("issue", "rule", "request"), depth=1, tier=2))
    raw = issue(
        world.root_key, world.authority, body, claims(key.public, "lower", "root"),
        network=NETWORK, fix=fix(-8), seq=next(world.numbers),
    )  # fmt: skip
    return key, raw


def rule_by(key: SigningKey, author: bytes, rule: Any, at_s: float = -7.0) -> bytes:
    frame = records.Frame(
        network=NETWORK, author=author, seq=7, previous=bytes(32), attestation=records.Attestation.of(fix(at_s))
    )
    return records.sign_record(key, frame, rule)


def handed_from(scene: Scene, child: Artifact, parent: Artifact) -> Artifact:
    """The settlement of alice and bob signed anew, as handing on the lease of another artifact of alice's."""
    world = scene.world
    assert child.handed is not None
    confirm = records.digest(parent.confirm)
    sid = body_of(parent.grant).sid
    made = replace(body_of(child.handed.handover), artifact=parent.encoded(), confirm=confirm, sid=sid)
    handover = signed(world, "alice", made, 3.0)
    name = records.digest(handover)
    consent = signed(world, "holder", Consent(sid=sid, handover=name), 3.1)
    silent = replace(body_of(child.handed.vacated), handover=name, sid=sid, lease=None)
    vacated = signed(world, "alice", silent, 3.3)
    handed = replace(child.handed, handover=handover, consent=consent, vacated=vacated)
    return replace(forged(world, child, 3.4, ("alice", "bob"), handover=name), handed=handed)


def with_rule(world: World, found: Artifact, at_s: float, raw: bytes, chain: tuple[bytes, ...]) -> Artifact:
    """The settlement of the holder and alice signed anew under another rule."""
    made = forged(world, found, at_s, ("holder", "alice"), rule=records.digest(raw))
    return replace(made, rule=raw, rule_chain=chain)


def warden(scene: Scene) -> Permits:
    """One that goes by the rule in force."""
    world = scene.world
    registry = Registry(NETWORK, world.anchors)
    opened = RuleBook(registry=registry)
    configured = read_held(world.rule_raw, (world.root,), registry)
    assert not isinstance(configured, Refusal)
    assert opened.open(configured) is None
    return Permits(network=NETWORK, anchors=world.anchors, book=opened)


@pytest.mark.attack(59)
def test_a_lease_under_a_lower_authoritys_wider_rule_is_not_handed_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    world = scene.world
    child = artifact_of(world, "bob", scene.settle())
    parent = artifact_of(world, "alice", scene.lease)
    key, raw = lower_authority(world)
    rule = body_of(world.rule_raw)
    classes = (replace(rule.classes[0], price_high=10**9),)
    wider = rule_by(key, records.digest(raw), replace(rule, classes=classes))
    forged_parent = with_rule(world, parent, 1.5, wider, (world.root, raw))
    assert isinstance(verdict(world, forged_parent), VerifiedPermit)
    direct = warden(scene).take(forged_parent.encoded(), fix(3.5).time)
    assert isinstance(direct, Refusal), "the lease itself is refused"
    found = handed_from(scene, child, forged_parent)
    outcome = warden(scene).take(found.encoded(), fix(3.6).time)
    assert isinstance(outcome, Refusal), "what is handed on of it is taken"
    assert outcome.reason in (Reason.SCOPE, Reason.RULE_UNKNOWN)


@pytest.mark.attack(59)
def test_what_is_signed_alike_under_the_rule_in_force_is_taken(tmp_path: Path) -> None:
    """The refusals above and below are for the rule, not for how the records are made."""
    scene = Scene(tmp_path)
    child = artifact_of(scene.world, "bob", scene.settle())
    parent = artifact_of(scene.world, "alice", scene.lease)
    again = forged(scene.world, parent, 1.5, ("holder", "alice"))
    found = handed_from(scene, child, again)
    outcome = warden(scene).take(found.encoded(), fix(3.6).time)
    assert isinstance(outcome, HeldPermit), outcome


@pytest.mark.attack(59)
def test_nobody_takes_a_lease_of_a_wider_rule_from_who_hands_it_on(tmp_path: Path) -> None:
    """The next user's agent refuses it before anything is asked for."""
    scene = Scene(tmp_path)
    world = scene.world
    key, raw = lower_authority(world)
    wider = rule_by(key, records.digest(raw), replace(body_of(world.rule_raw), witness_quorum=0, version=2))
    parent = with_rule(world, artifact_of(world, "alice", scene.lease), 1.5, wider, (world.root, raw))
    made = scene.hand_on(3.0)
    assert isinstance(made, records.Record)
    body = replace(made.body, artifact=parent.encoded(), confirm=records.digest(parent.confirm))
    said = Message(record=signed(world, "alice", body, 3.0)).encoded()
    outcome = world.give("alice", "bob", said, 3.1)
    assert isinstance(outcome, Refusal)
    assert outcome.clause == "rule.before", str(outcome)


@pytest.mark.attack(61)
@pytest.mark.parametrize("consents", [True, False])
def test_a_later_rule_takes_no_consent_away_that_the_lease_was_granted_with(tmp_path: Path, consents: bool) -> None:
    """What its holder does with a lease rests on being asked: it may lend it to a base station of its user's."""
    scene = Scene(tmp_path)
    world = scene.world
    child = artifact_of(world, "bob", scene.settle())
    rule = body_of(world.rule_raw)
    handing = replace(rule.classes[0].handing, consent=0)
    later = replace(rule, version=2, classes=(replace(rule.classes[0], handing=handing),))
    raw = world.by_authority(later, 3.0)
    assert child.handed is not None
    handover = signed(world, "alice", replace(body_of(child.handed.handover), rule=records.digest(raw)), 3.0)
    name = records.digest(handover)
    consent = signed(world, "holder", Consent(sid=scene.lease, handover=name), 3.1) if consents else None
    vacated = signed(world, "alice", replace(body_of(child.handed.vacated), handover=name), 3.3)
    handed = replace(child.handed, handover=handover, consent=consent, vacated=vacated)
    made = forged(world, child, 3.4, ("alice", "bob"), rule=records.digest(raw), handover=name)
    outcome = verdict(world, replace(made, rule=raw, handed=handed))
    if consents:
        assert isinstance(outcome, VerifiedPermit), outcome
    else:
        assert isinstance(outcome, Refusal), "handed on without the holder's consent"
        assert (outcome.reason, outcome.clause) == (Reason.CONSENT, "handing.consent")
