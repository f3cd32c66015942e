"""Selects, from a node's own log, the records that it cites for or against each ground of a dispute."""

from itertools import islice
from typing import Any

from settlement.chain.leaf import Leaf, decode_leaf
from settlement.chain.records import Record, digest
from settlement.records.complaint import EVIDENCE_MAX, Fallback, Ruling
from settlement.records.complaintterms import INTERFERENCE, INVALID, MISAPPLIED, MISREPORTED, NOT_KEPT, UNPAID
from settlement.records.endings import Compensation, Preempt, Usage
from settlement.records.grant import Grant
from settlement.records.market import Request
from settlement.records.observation import Envelope
from settlement.records.verdict import Verdict
from settlement.state.disputes import cited_here
from settlement.state.nodestate import SIGHTING, STATUS, NodeState

OF_THE_SETTLEMENT: dict[str, tuple[type[Any], ...]] = {
    MISAPPLIED: (Preempt,),
    NOT_KEPT: (Preempt, Fallback),
    MISREPORTED: (Usage, Preempt),
    UNPAID: (Preempt, Fallback, Ruling, Compensation),
}
"""Record types of the settlement itself, by ground."""
LOOKED_AT = 256


def evidence_for(state: NodeState, sid: bytes, ground: str) -> tuple[bytes, ...]:
    """Return the hashes of the logged records that decide a ground; the newest where there are too many."""
    here = cited_here(state, sid)
    names = [one.digest for one in here if isinstance(one.body, OF_THE_SETTLEMENT.get(ground, ()))]
    match ground:
        case str(one) if one == MISAPPLIED:
            names += _asked(state, here)
        case str(one) if one == NOT_KEPT:
            shown = [
                one.body.evidence for one in here if isinstance(one.body, Preempt) and one.body.evidence is not None
            ]
            names += [name for name in shown if state.record_of(name) is not None]
            for move in [one for one in here if isinstance(one.body, Fallback)]:
                names += _substitute(state, move)
        case str(one) if one == INVALID:
            names += [digest(raw) for _, raw in state.lineage.items(STATUS) if state.record_of(digest(raw)) is not None]
        case str(one) if one == INTERFERENCE:
            names += _measured(state)
        case _:
            pass
    return tuple(dict.fromkeys(names))[-EVIDENCE_MAX:]


def _asked(state: NodeState, here: list[Record]) -> list[bytes]:
    """Return the REQUEST, and the offer that it was made from."""
    grant = next((one for one in here if isinstance(one.body, Grant)), None)
    request = state.record_of(grant.body.request) if grant is not None else None
    if request is None or not isinstance(request.body, Request):
        return []
    known = state.record_of(request.body.declaration) is not None
    return [request.digest, *([request.body.declaration] if known else [])]


def _substitute(state: NodeState, move: Record) -> list[bytes]:
    """Return the records on a FALLBACK's substitute: offer, REQUEST, GRANT, and the decision on either."""
    names = [move.body.declaration] if state.record_of(move.body.declaration) is not None else []
    for pair in [p for p in state.user.pairs.values() if p.moving is not None and p.moving.fallback == move.digest]:
        asked = state.user.by_sid(pair.substitute) if pair.substitute is not None else None
        if asked is not None:
            names += [asked.request, *(one for one in (asked.grant, asked.accept, asked.decision) if one is not None)]
            names += _refused(state, asked.holder, asked.request)
    for given in state.holder.pairs.values():
        grant = state.record_of(given.grant)
        if grant is not None and grant.body.replaces == move.digest:
            names += [given.request, given.grant, *(one for one in (given.accept, given.decision) if one is not None)]
    return names


def _refused(state: NodeState, holder: bytes, request: bytes) -> list[bytes]:
    """Return the verdict by which a holder refused this node's REQUEST, if among the holder's newest records."""
    newest = (decode_leaf(body) for body in islice(state.lineage.back(holder), LOOKED_AT))
    names = [leaf.subject for leaf in newest if isinstance(leaf, Leaf) and leaf.admitted]
    said = [(name, _body(state, name)) for name in names]
    return [name for name, body in said if isinstance(body, Verdict) and body.subject == request][:1]


def _body(state: NodeState, name: bytes) -> Any:
    record = state.record_of(name)
    return record.body if record is not None else None


def _measured(state: NodeState) -> list[bytes]:
    """Return the newest envelope of this node on each channel, and of each neighbour."""
    own = {record.digest for record in state.bounds.places.values()}
    heard = {digest for _, digest in state.lineage.items(SIGHTING)}
    return [name for name in sorted(own | heard) if isinstance(_body(state, name), Envelope)]
