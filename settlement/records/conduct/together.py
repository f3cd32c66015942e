"""Wholes at a node: accepts all parts of a settlement over several classes, or gives all of them back.

A user accepts from the last part to the first, and gives permits to its warden once all parts are confirmed. If one
cannot be confirmed, it gives back those that are. A holder confirms a part only when it is shown the later parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from settlement.chain.admission import prove
from settlement.chain.codec import decode
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import ARTIFACT_LIMIT, Artifact, Companion
from settlement.pair.effects import HandLease, HandPermit
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import UserState
from settlement.pair.user import Offer
from settlement.pair.userpairs import UserPair
from settlement.pair.wholes import in_order, judge_later, stood, terms_hash, whole_id
from settlement.records.conduct import recognition
from settlement.records.market import Request
from settlement.records.wholeparts import LaterPart, WholeOf
from settlement.state.nodestate import NodeState
from settlement.state.step import Step

PART = "part"
"""Stored rows: artifacts of confirmed parts whose whole is not complete yet; the warden does not get them."""
OVER = (UserState.REFUSED, UserState.ABORTED, UserState.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPart:
    """One part of a whole to request: the offer, the cell, the EIRP (thousandths of a dBm), the tier and the price."""

    offer: Offer
    cell: Cell
    eirp_mdbm: int
    tier: int
    price: int


# -- the user ----------------------------------------------------------------------------------------------------------


def ask_whole(state: NodeState, step: Step, asked: Sequence[AskedPart]) -> bytes:
    """Sign a REQUEST for each part of a settlement over several classes; returns the id of the whole."""
    asked = [asked[n] for n in in_order([one.offer.holder for one in asked])]
    declarations = tuple(one.offer.declaration for one in asked)
    terms = tuple(
        terms_hash(one.offer.body.commodity, one.cell, max(one.offer.body.tier_low, one.tier), one.eirp_mdbm, one.price)
        for one in asked
    )
    nonce = step.random(16)
    name = whole_id(state.identity.credential, nonce, declarations, terms)
    for index, one in enumerate(asked):
        whole = WholeOf(id=name, index=index, nonce=nonce, declarations=declarations, terms=terms)
        state.user.request(
            step, one.offer, one.cell, eirp_mdbm=one.eirp_mdbm, tier=one.tier, price=one.price, whole=whole
        )
    step.event("whole requested", whole=name, parts=len(asked))
    return name


def granted(state: NodeState, step: Step, pair: UserPair, grant: bytes) -> None:
    """Note that one part is granted; accept once all are."""
    state.user.hold(step, pair, grant)
    go_on(state, step, pair.whole or b"")


def settled(state: NodeState, step: Step, pair: UserPair, artifact: bytes) -> None:
    """Note that one part is confirmed; its artifact is stored until all are."""
    step.put(PART, pair.sid, artifact)
    go_on(state, step, pair.whole or b"")


def tick(state: NodeState, step: Step) -> None:
    """Roll back wholes of which a part failed, and go on with the others; forget those whose parts are all over."""
    for whole in list(state.user.wholes):
        parts = state.user.parts_of(whole)
        if all(part.state in OVER for part in parts):
            if all(part.done(step.now.time) for part in parts):
                del state.user.wholes[whole]
        else:
            go_on(state, step, whole)


def go_on(state: NodeState, step: Step, whole: bytes) -> None:
    """Perform the next due step of a whole."""
    parts = state.user.parts_of(whole)
    if stood(parts):
        _stand(state, step, parts)
        return
    lost = next((part for part in parts if part.state in OVER), None)
    if lost is None and len(parts) == (parts[0].parts or 0) and all(part.grant is not None for part in parts):
        lost = _accept(state, step, parts)
    if lost is not None:
        _roll_back(state, step, whole, f"the part in {lost.cell.band} {lost.ended or 'cannot be accepted in time'}")


def _accept(state: NodeState, step: Step, parts: Sequence[UserPair]) -> UserPair | None:
    """Accept the parts that may be accepted now, from the last to the first; return a part for which it is too late.

    A part is accepted once all later parts of other holders are settled.
    """
    for pair in reversed(parts):
        later = [one for one in parts if (one.place or 0) > (pair.place or 0) and one.holder != pair.holder]
        if pair.state != UserState.REQUESTED or any(one.state != UserState.SETTLED for one in later):
            continue
        admitted = state.admitted_of(pair.grant or b"")
        if admitted is None or deadline_open(step.now.time, admitted.record.body.accept_by_ns, "grant.accept_by"):
            return pair
        shown = tuple(_shown(state, one) for one in later) or None
        state.user.accept(step, pair, admitted, recognition.derived_from(state, admitted.record), shown)
    return None


def _shown(state: NodeState, pair: UserPair) -> LaterPart:
    grant, accept, confirm = _records(state, pair)
    return LaterPart(place=pair.place or 0, grant=grant, accept=accept, confirm=confirm)


def _records(state: NodeState, pair: UserPair) -> tuple[bytes, bytes, bytes]:
    grant, accept, confirm = (state.record_bytes(one) or b"" for one in (pair.grant, pair.accept, pair.decision))
    return grant, accept, confirm


def _stand(state: NodeState, step: Step, parts: Sequence[UserPair]) -> None:
    """Once every part is confirmed, add the other parts to each artifact and give the warden those of bands in Hz."""
    waiting = [(part, state.lineage.get(PART, part.sid)) for part in parts]
    if any(part.decision is None for part in parts) or all(artifact is None for _, artifact in waiting):
        return
    beside = {part.sid: _companion(state, part) for part in parts}
    for pair, raw in waiting:
        found = decode(Artifact, raw, PART, limit=ARTIFACT_LIMIT) if raw is not None else None
        if not isinstance(found, Artifact):
            continue
        fields = {name: getattr(found, name) for name in Artifact.__dataclass_fields__}
        others = tuple(one for sid, one in beside.items() if sid != pair.sid)
        encoded = Artifact(**fields | {"companions": others}).encoded()
        step.put("artifact", pair.sid, encoded)
        step.drop(PART, pair.sid)
        if pair.cell.band.unit is None and pair.in_force:
            step.ask(HandPermit(sid=pair.sid, artifact=encoded))
            lease = state.record_bytes(pair.lease)
            if lease is not None:
                step.ask(HandLease(sid=pair.sid, record=lease))
    step.event("whole settled", whole=parts[0].whole, parts=len(parts))


def _companion(state: NodeState, pair: UserPair) -> Companion:
    grant, accept, confirm = _records(state, pair)
    holder = state.registry.get(pair.holder)
    return Companion(grant=grant, accept=accept, confirm=confirm, chain=holder.chain if holder is not None else ())


def _roll_back(state: NodeState, step: Step, whole: bytes, why: str) -> None:
    """Roll a whole back: withdraw open REQUESTs, relinquish confirmed parts, wait for parts that are accepted only."""
    for pair in state.user.parts_of(whole):
        if pair.state == UserState.REQUESTED:
            state.user.gives_up(step, pair, why)
        elif pair.in_force:
            state.user.relinquish(step, pair.sid, Reason.INCOMPLETE.value)
            step.drop(PART, pair.sid)


# -- the holder --------------------------------------------------------------------------------------------------------


def judge_accept(state: NodeState, pair: HolderPair, accept: Record) -> Refusal | None:
    """Refuse an ACCEPT of one part that does not show the CONFIRM of every later part that another holder has."""
    if pair.whole is None:
        return None
    asked = state.record_of(pair.request)
    if asked is None or not isinstance(asked.body, Request) or asked.body.whole is None:
        return refuse(Reason.UNKNOWN_SID, "whole.request", pair.request.hex()[:16], "the REQUEST of this part")
    known = state.holder.pairs.values()
    mine = {one.place or 0 for one in known if (one.whole, one.user) == (pair.whole, pair.user)}
    later, proof = accept.body.later or (), partial(prove, registry=state.registry)
    return judge_later(asked.body.whole, later, mine, pair.user, proof, rule=state.rule)
