"""Recognition at a node: finds the records that a GRANT derives from, and checks both sides by the class's rule."""

from collections.abc import Callable
from functools import partial

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Recognition, Rule
from settlement.chain.records import Record
from settlement.core.reasons import Refusal
from settlement.pair.recognition import CONTENT, RecognitionGrounds, recognise, rule_of, sources
from settlement.records.handover import Handover
from settlement.state.nodestate import NodeState


def _rule(state: NodeState, grant: Record) -> tuple[Recognition, ...]:
    terms = state.rule.rule.terms(grant.body.commodity)
    return () if terms is None else rule_of(terms)


def _found_in(state: NodeState) -> Callable[[bytes], Record | None]:
    return partial(state.record_of, admitted=True)


def judge_grant(state: NodeState, admitted: Admitted) -> Refusal | None:
    """Check a GRANT by the class's recognition rule, before this user accepts it."""
    evidence = RecognitionGrounds(grant=admitted.record, accept=None, find=_found_in(state))
    return recognise(_rule(state, admitted.record), evidence)


def judge_accept(state: NodeState, grant: Record, accept: Record) -> Refusal | None:
    """Check an ACCEPT of this holder's GRANT by the class's recognition rule."""
    evidence = RecognitionGrounds(grant=grant, accept=accept, find=_found_in(state))
    return recognise(_rule(state, grant), evidence)


def derived_from(state: NodeState, grant: Record) -> tuple[bytes, ...] | None:
    """Return the hashes of the records that this user's ACCEPT lists; None where the class requires no derivation."""
    return sources(_rule(state, grant), grant, _found_in(state)) or None


def raws(state: NodeState, grant: Record) -> tuple[bytes, ...] | None:
    """Return the records by which a verifier of an artifact repeats the recognition, without rule and HANDOVER.

    The artifact has those two in fields of their own.
    """
    asked = [grant.body.request] if any(node.kind == CONTENT for node in _rule(state, grant)) else []
    found = (
        state.record_of(name, admitted=True) for name in dict.fromkeys([*asked, *(derived_from(state, grant) or ())])
    )
    return tuple(one.raw for one in found if one is not None and not isinstance(one.body, Rule | Handover)) or None
