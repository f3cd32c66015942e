"""Recognition rules of a class, bytes in: each kind holds for the honest pair and fails for one thing wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from settlement.chain import bodies
from settlement.chain.bodies import Recognition
from settlement.chain.codec import decode
from settlement.chain.records import Record, parse, sign_record
from settlement.core.reasons import Reason, Refusal
from settlement.governing.rulefile import RuleFileError, read_rule
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, VerifiedPermit, verify
from settlement.pair.recognition import flaw
from settlement.pair.table import UserState
from settlement.state.messages import Message, decode_message
from tests.settlement.enveloped import CLASS, ENVELOPED, enveloped
from tests.settlement.test_rulefile import TEXT
from tests.settlement.world import LOWER, NETWORK, RULE, TERMS, World, offered

pytestmark = pytest.mark.feature("S4")

HANDSHAKE = Recognition(kind="handshake")
CONTENT = Recognition(kind="content", fields=("cell", "price", "eirp"))
CHAIN = Recognition(kind="derivation", fields=("request", "declaration", "rule"))
SENSED = Recognition(kind="derivation", fields=("request", "declaration", "envelope"))


def composite(kind: str, *parts: Recognition) -> tuple[Recognition, ...]:
    return (Recognition(kind=kind, parts=tuple(range(1, len(parts) + 1))), *parts)


def world_of(folder: Path, *nodes: Recognition) -> World:
    return offered(folder, rule=replace(RULE, classes=(replace(TERMS, recognition=nodes),)))


def settled(world: World) -> tuple[bytes, list[Refusal]]:
    sid = world.request("alice", 1.0, LOWER, 3.0, 9.0)
    return sid, world.carry(1.0)


def artifact_of(world: World, sid: bytes) -> Artifact:
    raw = world.members["alice"].party.lineage.get("artifact", sid)
    assert raw is not None
    found = decode(Artifact, raw, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(found, Artifact)
    return found


def offline(world: World, artifact: Artifact) -> VerifiedPermit | Refusal:
    return verify(artifact.encoded(), network=NETWORK, anchors=world.anchors)


RULES: dict[str, tuple[tuple[Recognition, ...], int]] = {
    "handshake": ((HANDSHAKE,), 0),
    "content": ((CONTENT,), 1),
    "derivation": ((CHAIN,), 2),
    "all": (composite("all", CONTENT, HANDSHAKE, CHAIN), 2),
    "any": (composite("any", SENSED, HANDSHAKE), 0),
}


@pytest.mark.parametrize(("nodes", "carried"), RULES.values(), ids=RULES)
def test_an_honest_pair_is_recognised_online_and_offline(
    tmp_path: Path, nodes: tuple[Recognition, ...], carried: int
) -> None:
    world = world_of(tmp_path, *nodes)
    sid, refusals = settled(world)
    assert refusals == []
    artifact = artifact_of(world, sid)
    assert len(artifact.derivation or ()) == carried
    assert isinstance(offline(world, artifact), VerifiedPermit)


def test_a_right_may_derive_from_what_was_sensed(tmp_path: Path) -> None:
    world = enveloped(tmp_path, replace(ENVELOPED, classes=(replace(CLASS, recognition=(SENSED,)),)))
    sid, refusals = settled(world)
    assert refusals == []
    assert isinstance(offline(world, artifact_of(world, sid)), VerifiedPermit)


# -- the user, at the GRANT --------------------------------------------------------------------------------------------


def _body(world: World, author: str, data: bytes) -> Any:
    message = decode_message(data)
    assert isinstance(message, Message)
    unproven = parse(message.record)
    assert not isinstance(unproven, Refusal)
    record = unproven.prove(world.members[author].key.public, NETWORK)
    assert isinstance(record, Record)
    return record.body


def forged_grant(world: World, **changes: Any) -> Refusal | None:
    """Alice's verdict on a GRANT that differs from the honest one."""
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    (asked,), world.members["alice"].outgoing = world.members["alice"].outgoing, []
    assert world.give("alice", "holder", asked.data, 1.0) is None
    (grant,), world.members["holder"].outgoing = world.members["holder"].outgoing, []
    body = replace(_body(world, "holder", grant.data), **changes)
    record: Record = world.do("holder", 1.0, lambda step: step.sign(body))
    return world.give("holder", "alice", Message(record=record.raw).encoded(), 1.0)


def test_content_is_compared_field_by_field(tmp_path: Path) -> None:
    """Less power than asked for is nobody's harm, unless the class says that it must be the same."""
    refusal = forged_grant(world_of(tmp_path, CONTENT), max_eirp_mdbm=19_999)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (Reason.TERMS, "recognition.content.eirp")
    assert (refusal.measured, refusal.required) == ("19999", "20000")


def test_without_that_rule_the_same_grant_is_taken(tmp_path: Path) -> None:
    assert forged_grant(world_of(tmp_path, HANDSHAKE), max_eirp_mdbm=19_999) is None


UNKNOWN = [
    (Recognition(kind="telepathy"),),
    (Recognition(kind="all"),),
    (Recognition(kind="all", parts=(0,)),),
    (Recognition(kind="any", parts=(1,)), Recognition(kind="telepathy")),
    (Recognition(kind="any", parts=(1, 2)), HANDSHAKE, Recognition(kind="telepathy")),
    (Recognition(kind="all", parts=(2,)), HANDSHAKE),
    (Recognition(kind="content"),),
    (Recognition(kind="content", fields=("colour",)),),
    (Recognition(kind="derivation", fields=("confirm",)),),
    (Recognition(kind="handshake", fields=("cell",)),),
    (Recognition(kind="handshake", parts=(1,)), HANDSHAKE),
    (*(Recognition(kind="all", parts=(n + 1,)) for n in range(3)), HANDSHAKE),
]


@pytest.mark.parametrize("nodes", UNKNOWN)
def test_a_rule_that_is_not_understood_recognises_nothing(tmp_path: Path, nodes: tuple[Recognition, ...]) -> None:
    world = world_of(tmp_path, *nodes)
    _, refusals = settled(world)
    assert [r.reason for r in refusals] == [Reason.RULE_UNKNOWN]
    (pair,) = world.members["alice"].party.user.pairs.values()
    assert pair.state == UserState.REQUESTED, "nothing was accepted"


# -- the holder, at the ACCEPT -----------------------------------------------------------------------------------------


def forged_accept(world: World, **changes: Any) -> Refusal | None:
    """The holder's verdict on an ACCEPT that differs from the honest one."""
    world.request("alice", 1.0, LOWER, 3.0, 9.0)
    for sender, to in (("alice", "holder"), ("holder", "alice")):
        (message,), world.members[sender].outgoing = world.members[sender].outgoing, []
        assert world.give(sender, to, message.data, 1.0) is None
    (accept,), world.members["alice"].outgoing = world.members["alice"].outgoing, []
    body = replace(_body(world, "alice", accept.data), **changes)
    record: Record = world.do("alice", 1.0, lambda step: step.sign(body))
    return world.give("alice", "holder", Message(record=record.raw).encoded(), 1.0)


WRONG: list[tuple[tuple[Recognition, ...], dict[str, Any], Reason, str]] = [
    ((HANDSHAKE,), {"answer": bytes(32)}, Reason.CHALLENGE, "recognition.handshake"),
    ((CHAIN,), {"derived_from": None}, Reason.PROOF, "recognition.derivation"),
    ((CHAIN,), {"derived_from": (bytes(32),)}, Reason.PROOF, "recognition.derivation"),
    (composite("all", HANDSHAKE, CHAIN), {"derived_from": None}, Reason.PROOF, "recognition.derivation"),
    (composite("all", CHAIN, HANDSHAKE), {"answer": bytes(32)}, Reason.CHALLENGE, "recognition.handshake"),
    (composite("any", HANDSHAKE, SENSED), {"answer": bytes(32)}, Reason.CHALLENGE, "recognition.handshake"),
]


@pytest.mark.parametrize(("nodes", "changes", "reason", "clause"), WRONG)
def test_one_thing_wrong_is_refused(
    tmp_path: Path, nodes: tuple[Recognition, ...], changes: dict[str, Any], reason: Reason, clause: str
) -> None:
    refusal = forged_accept(world_of(tmp_path, *nodes), **changes)
    assert refusal is not None
    assert (refusal.reason, refusal.clause) == (reason, clause)


@pytest.mark.parametrize("nodes", [(CONTENT,), composite("any", HANDSHAKE, CONTENT)])
def test_what_the_class_does_not_ask_for_is_not_needed(tmp_path: Path, nodes: tuple[Recognition, ...]) -> None:
    assert forged_accept(world_of(tmp_path, *nodes), answer=bytes(32)) is None


# -- offline -----------------------------------------------------------------------------------------------------------


def test_an_artifact_brings_what_it_derives_from(tmp_path: Path) -> None:
    world = world_of(tmp_path, *composite("all", CONTENT, CHAIN))
    sid, _ = settled(world)
    whole = artifact_of(world, sid)
    request, declaration = whole.derivation or ()
    body = _body(world, "alice", Message(record=request).encoded())
    another = sign_record(world.members["alice"].key, world.frame("alice", seq=950), replace(body, price=8))
    changed = bytearray(request)
    changed[-1] ^= 1
    for derivation, reason in (
        (None, Reason.PROOF),
        ((request,), Reason.PROOF),
        ((declaration,), Reason.PROOF),
        ((another, declaration), Reason.PROOF),
        ((bytes(changed), declaration), Reason.SIGNATURE),
    ):
        refusal = offline(world, replace(whole, derivation=derivation))
        assert isinstance(refusal, Refusal), derivation
        assert refusal.reason is reason


# -- as people write it ------------------------------------------------------------------------------------------------

WRITTEN = """
[classes.recognition]
kind = "all"

[[classes.recognition.parts]]
kind = "content"
fields = ["cell", "price"]

[[classes.recognition.parts]]
kind = "any"
parts = [{ kind = "handshake" }, { kind = "derivation", fields = ["request", "declaration"] }]
"""


def ruled(text: str) -> bodies.Rule:
    return read_rule(TEXT + text)


def test_a_rule_file_says_it_as_a_tree() -> None:
    (terms,) = ruled(WRITTEN).classes
    assert terms.recognition == (
        Recognition(kind="all", parts=(1, 2)),
        Recognition(kind="content", fields=("cell", "price")),
        Recognition(kind="any", parts=(3, 4)),
        Recognition(kind="handshake"),
        Recognition(kind="derivation", fields=("request", "declaration")),
    )
    assert flaw(terms.recognition) is None


MANY = "{ kind = 'handshake' }, " * 40
WRITTEN_WRONG = [
    (WRITTEN.replace('"handshake"', '"telepathy"'), "telepathy"),
    (WRITTEN.replace('"price"', '"colour"'), "colour"),
    (WRITTEN.replace('"price"', "7"), r"parts\[0\].fields: 7"),
    ('[classes.recognition]\nkind = "all"\nparts = [7]', r"parts\[0\]: not a table"),
    ('[classes.recognition]\nkind = "handshake"\ncolour = 1', "colour"),
    ('[classes.recognition]\nfields = ["cell"]', "kind: missing"),
    (f'[classes.recognition]\nkind = "all"\nparts = [{MANY}]', "more than 32"),
]


@pytest.mark.parametrize(("text", "match"), WRITTEN_WRONG)
def test_a_rule_file_names_what_is_wrong_with_it(text: str, match: str) -> None:
    with pytest.raises(RuleFileError, match=match):
        ruled(text)
