"""Recognition in the loop: a node looks up what a GRANT comes from, and holds both sides to the rule of the class."""

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Recognition
from settlement.chain.records import Record
from settlement.core.reasons import Refusal
from settlement.pair.recognition import CONTENT, RecognitionGrounds, recognise, rule_of, sources
from settlement.party.bounding import admitted_record
from settlement.state.nodestate import NodeState


def _rule(state: NodeState, grant: Record) -> tuple[Recognition, ...]:
    terms = state.rule.rule.terms(grant.body.commodity)
    return () if terms is None else rule_of(terms)


def judge_grant(state: NodeState, admitted: Admitted) -> Refusal | None:
    """A GRANT, before this user accepts it."""
    evidence = RecognitionGrounds(grant=admitted.record, accept=None, find=lambda name: admitted_record(state, name))
    return recognise(_rule(state, admitted.record), evidence)


def judge_accept(state: NodeState, grant: Record, accept: Record) -> Refusal | None:
    """An ACCEPT of a GRANT of this holder's."""
    evidence = RecognitionGrounds(grant=grant, accept=accept, find=lambda name: admitted_record(state, name))
    return recognise(_rule(state, grant), evidence)


def derived_from(state: NodeState, grant: Record) -> tuple[bytes, ...] | None:
    """What this user's ACCEPT lists; None where the class asks for no derivation."""
    return sources(_rule(state, grant), grant, lambda name: admitted_record(state, name)) or None


def raws(state: NodeState, grant: Record) -> tuple[bytes, ...] | None:
    """The records an artifact carries so that a stranger can recognise it too; the rule it carries anyway."""
    asked = [grant.body.request] if any(node.kind == CONTENT for node in _rule(state, grant)) else []
    found = (admitted_record(state, name) for name in dict.fromkeys([*asked, *(derived_from(state, grant) or ())]))
    return tuple(one.raw for one in found if one is not None and one.typ != "rule") or None
