"""Envelopes at a node: finds those that an offer, a REQUEST or a GRANT names, and checks it against them."""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Declaration, Envelope, Grant, Request
from settlement.chain.records import Record
from settlement.core.fixes import TimeFix
from settlement.core.reasons import Refusal
from settlement.pair.envelopes import Bound, bind, covers_offer, covers_request, judge_bound
from settlement.state.nodestate import NodeState


def envelope_of(state: NodeState, name: bytes | None) -> Record | None:
    """Return an envelope that this node admitted or signed; None if there is none."""
    record = state.record_of(name, admitted=True)
    return record if record is not None and isinstance(record.body, Envelope) else None


def judge_offer(state: NodeState, admitted: Admitted) -> Refusal | None:
    """Check a neighbour's offer against the place envelope that it names, at the time of its signing."""
    body: Declaration = admitted.record.body
    at_ns = admitted.record.frame.attestation.latest_ns
    envelope = envelope_of(state, body.envelope)
    return covers_offer(envelope, admitted.author.hash, body, at_ns, state.rule.rule)


def bound_of(state: NodeState, admitted: Admitted, now: TimeFix) -> Bound | Refusal | None:
    """Return the bound of a REQUEST from the user's unit envelope and this holder's place envelopes, or a refusal.

    None where the class requires no envelopes.
    """
    body: Request = admitted.record.body
    terms = state.rule.rule.terms(body.commodity)
    if terms is None or not terms.envelope_required:
        return None
    unit = envelope_of(state, body.envelope)
    refusal = covers_request(unit, admitted.author.hash, body, now.latest_ns, state.rule.rule)
    if refusal is not None or unit is None:
        return refusal
    return bind(unit, tuple(state.bounds.places.values()), body, now.latest_ns, state.rule.rule)


def judge_grant(state: NodeState, admitted: Admitted) -> Refusal | None:
    """Check a GRANT against the composite that it names, computed again from its parts."""
    terms = state.rule.rule.terms(admitted.record.body.commodity)
    return (
        None
        if terms is None
        else judge_bound(admitted.record, rests_on(state, admitted.record), state.rule.rule, terms)
    )


def rests_on(state: NodeState, grant: Record) -> list[Record]:
    """Return the composite envelope that a GRANT names and the envelopes it is made from, as far as known here."""
    body: Grant = grant.body
    composite = envelope_of(state, body.composite)
    if composite is None:
        return []
    parts = (envelope_of(state, name) for name in composite.body.parts or ())
    return [composite, *(part for part in parts if part is not None)]
