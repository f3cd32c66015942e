"""Replacement of a node's own key: old and new key sign it, and the node keeps all its settlements.

Settlements of the old key are renewed, reported and ended with the old key; everything new is signed with the new one,
and the log continues under the new key's name. Nothing may be undecided at that moment: a GRANT of the old key would
not be confirmed.
"""

from settlement.chain.checkpoint import origin_of
from settlement.chain.keys import SigningKey
from settlement.chain.rotation import judge_rotation, rotation_of
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair import holder as holder_side
from settlement.pair import user as user_side
from settlement.pair.table import HolderState
from settlement.party.party import Party
from settlement.state.nodestate import ROTATED
from settlement.state.step import Identity, Step
from settlement.state.witness import ROUND, WAITING


def undecided(party: Party) -> Refusal | None:
    """Return a refusal naming what must be over before the key can change; None where nothing is undecided."""
    asked = sum(pair.state in user_side.WAITING for pair in party.user.pairs.values())
    reserved = sum(pair.state == HolderState.RESERVED for pair in party.holder.pairs.values())
    unseen = len(party.lineage.items(WAITING)) + len(party.lineage.items(ROUND))
    if not asked + reserved + unseen:
        return None
    open_now = f"{asked} asked for, {reserved} reserved, {unseen} with the witnesses"
    return refuse(Reason.OUT_OF_ORDER, "rotation.undecided", open_now, "nothing undecided")


def rotate(party: Party, step: Step, key: SigningKey, successor: bytes) -> Refusal | None:
    """Switch to a new key by its credential, inside a step, and tell the neighbours; a refusal changes nothing."""
    me, before = party.registry.get(party.identity.credential), party.identity
    if me is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "rotation.own", before.credential.hex(), "this node's own credential")
    body = rotation_of(me.hash, successor, key, before.network)
    new = judge_rotation(me, body, party.registry)
    if isinstance(new, Refusal):
        return new
    refusal = undecided(party) or new.valid_at(step.now.time)
    if refusal is not None:
        return refusal
    record = step.sign(body)
    step.put(ROTATED, me.hash, record.raw)
    for digest in party.holder.offers:
        step.lineage.drop(holder_side.OFFERS, digest)
    party.former[me.hash] = before
    party.identity = step.identity = Identity(key=key, credential=new.hash, network=before.network)
    party.witness.me = new.hash
    step.lineage.rename(origin_of(before.network, key.public))
    party.restore()
    announce(party, step)
    step.event("rotated", author=me.name)
    return None


def announce(party: Party, step: Step) -> None:
    """Send the neighbours every key rotation of this node; those that know one already ignore it."""
    for old in reversed(party.registry.line(party.identity.credential)):
        raw = step.lineage.get(ROTATED, old)
        for neighbour in party.witness.neighbours() if raw is not None else []:
            step.pass_on(neighbour.hash, raw or b"")
