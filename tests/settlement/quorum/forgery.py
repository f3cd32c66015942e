"""A colluding holder and user: a settlement's artifact, signed again with another GRANT."""

import hashlib
from dataclasses import replace
from typing import Any

from settlement.chain import merkle, records
from settlement.chain.checkpoint import Head, origin_of, sign_head
from settlement.chain.codec import decode
from settlement.chain.leaf import OWN, admitted_leaf
from settlement.core.reasons import Refusal
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, LogProof, VerifiedPermit, verify
from settlement.pair.work import answer_to
from tests.settlement.world import NETWORK, World, fix


def artifact_of(world: World, user: str, sid: bytes) -> Artifact:
    """The artifact that the user of a settlement holds."""
    raw = world.members[user].party.lineage.get("artifact", sid)
    assert raw is not None
    found = decode(Artifact, raw, "artifact", limit=ARTIFACT_LIMIT)
    assert isinstance(found, Artifact)
    return found


def verdict(world: World, artifact: Artifact) -> VerifiedPermit | Refusal:
    """The verdict of a verifier with only the anchors."""
    return verify(artifact.encoded(), network=NETWORK, anchors=world.anchors)


def signed(world: World, name: str, body: Any, at_s: float) -> bytes:
    """A record with arbitrary content, signed by a member with its own valid key."""
    member = world.members[name]
    frame = records.Frame(
        network=NETWORK,
        author=member.hash,
        seq=900 + int(at_s * 100),
        previous=bytes(32),
        attestation=records.Attestation.of(fix(at_s)),
    )
    return records.sign_record(member.key, frame, body)


def forged(world: World, artifact: Artifact, at_s: float, parties: tuple[str, str], **changes: Any) -> Artifact:
    """GRANT, ACCEPT, CONFIRM and log proof made again by both, with changes to the GRANT."""
    holder, user = parties
    given, taken, decided = (body_of(raw) for raw in (artifact.grant, artifact.accept, artifact.confirm))
    grant = signed(world, holder, replace(given, **changes), at_s)
    name = records.digest(grant)
    sid = changes.get("sid", given.sid)
    taking = replace(taken, sid=sid, grant=name, answer=answer_to(given.challenge, name))
    accept = signed(world, user, taking, at_s + 0.01)
    confirm = signed(world, holder, replace(decided, sid=sid, grant=name, accept=records.digest(accept)), at_s + 0.02)
    leaf = admitted_leaf(confirm, origin=OWN, now=fix(at_s + 0.02).time).encoded()
    beside = hashlib.sha256(b"another entry").digest()
    key = world.members[holder].key
    root = merkle.node_hash(merkle.leaf_hash(leaf), beside)
    note = sign_head(Head(origin=origin_of(NETWORK, key.public), size=2, root=root), key)
    proof = LogProof(leaf=leaf, index=0, path=(beside,), checkpoint=note)
    return replace(artifact, grant=grant, accept=accept, confirm=confirm, proof=proof)


def body_of(raw: bytes) -> Any:
    """The body of an unverified record."""
    unproven = records.parse(raw)
    assert not isinstance(unproven, Refusal)
    opened = unproven.opened()
    assert not isinstance(opened, Refusal)
    return opened.body
