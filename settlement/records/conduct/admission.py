"""Handles the schema of a class and the admission of a participant: judges, stores and passes on both records."""

from settlement.chain.records import Record, digest
from settlement.chain.ruling import commands, judge_naming, may_replace, seat_of
from settlement.core.fixes import time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.governing.classfile import class_flaw, contradiction
from settlement.records.authority import Admission
from settlement.records.classterms import Schema
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said
from settlement.state.nodestate import NodeState

SCHEMA, ADMITTED = "schema", "admitted"
FORWARD_MAX = 1 << 16
"""By how much the version of a schema may exceed that of the one before."""


def _newest(state: NodeState, kind: str, key: bytes) -> Record | None:
    """Return the newest schema of a class, or the newest admission record of a participant, that this node stored."""
    raw = state.lineage.get(kind, key)
    return state.record_of(digest(raw), admitted=True) if raw is not None else None


def _keep(case: RecordCase, kind: str, key: bytes) -> None:
    case.step.put(kind, key, case.record.raw)
    case.pass_on()


# -- schema ------------------------------------------------------------------------------------------------------------


def _judge_schema(case: RecordCase) -> Refusal | None:
    """Judge a schema: consistent, of a class in its author's scope, and named by the rule or newer than the stored one.

    An authority below the author of the stored schema may not replace it. One above may, with any version. Any other
    must give a higher version and the hash of the stored schema.
    """
    body: Schema = case.body
    if body.commodity not in case.author.scope.classes:
        return refuse(Reason.SCOPE, "class.commodity", body.commodity, ", ".join(case.author.scope.classes))
    wrong, before = class_flaw(body), _newest(case.state, SCHEMA, body.commodity.encode())
    if wrong is not None or before is None or case.record.digest in _named_by_rules(case.state):
        return wrong
    below = may_replace(case.author, before.frame.author, case.state.registry)
    if below is not None or _above(case, before):
        return below
    last: int = before.body.version
    if body.version <= last:
        return refuse(Reason.ROLLBACK, "class.version", body.version, f"> {last}")
    if body.version > last + FORWARD_MAX:
        return refuse(Reason.FAST_FORWARD, "class.version", body.version, f"<= {last + FORWARD_MAX}")
    if body.previous != before.digest:
        named = body.previous.hex()[:16] if body.previous is not None else "none"
        return refuse(Reason.TERMS, "class.previous", named, before.digest.hex()[:16])
    return None


def _named_by_rules(state: NodeState) -> set[bytes | None]:
    """Return the hashes of the schemas that the rule in force and the newest known rule name."""
    rules = (state.rule.rule, state.rules.newest.rule.rule)
    return {terms.schema for rule in rules for terms in rule.classes}


def _above(case: RecordCase, before: Record) -> bool:
    """Whether the author stands above the author of the stored schema, not in the same seat."""
    earlier = case.state.registry.get(before.frame.author)
    return earlier is not None and seat_of(earlier, case.state.registry) != seat_of(case.author, case.state.registry)


def _take_schema(case: RecordCase, _decided: None) -> None:
    _keep(case, SCHEMA, case.body.commodity.encode())
    case.step.event("class", commodity=case.body.commodity, version=case.body.version, unit=case.body.unit)


def judge_class(state: NodeState, commodity: str) -> Refusal | None:
    """Refuse a class whose schema, named by the rule in force, is unknown here or contradicts the rule."""
    terms = state.rule.rule.terms(commodity)
    if terms is None or terms.schema is None:
        return None
    named = state.record_of(terms.schema, admitted=True)
    if named is None or not isinstance(named.body, Schema):
        return refuse(Reason.RULE_UNKNOWN, "class.schema", terms.schema.hex()[:16], "a schema record known here")
    return contradiction(terms, named.body, state.rule.rule.effective)


# -- admission ---------------------------------------------------------------------------------------------------------


def _judge_admission(case: RecordCase) -> Refusal | None:
    """Judge an admission: its classes are in its author's scope, and it was signed after the stored one.

    Its author stands above the participant, or made the rule or stands above whoever did; and it does not replace an
    admission by an authority above it.
    """
    body: Admission = case.body
    registry = case.state.registry
    strange = [name for name in body.classes if name not in case.author.scope.classes]
    if strange:
        return refuse(Reason.SCOPE, "admission.classes", strange[0], ", ".join(case.author.scope.classes))
    before = _newest(case.state, ADMITTED, body.subject)
    unentitled = _speaks_of(case, body.subject)
    if unentitled is None and before is not None:
        unentitled = may_replace(case.author, before.frame.author, registry)
    if unentitled is not None:
        return unentitled
    signed = case.record.frame.attestation
    if before is not None and signed.latest_ns <= before.frame.attestation.latest_ns:
        measured, required = f"signed at {signed.latest_ns} ns", f"> {before.frame.attestation.latest_ns} ns"
        return refuse(Reason.ROLLBACK, "admission.newer", measured, required)
    return None


def _speaks_of(case: RecordCase, participant: bytes) -> Refusal | None:
    """Refuse an author that neither stands above the participant nor made the rule or stands above whoever did."""
    registry, subject = case.state.registry, case.state.registry.get(participant)
    if judge_naming(case.author, case.state.rule.seat, registry) is None:
        return None
    if subject is not None and commands(seat_of(case.author, registry), seat_of(subject, registry)):
        return None
    named = subject.name if subject is not None else participant.hex()[:16]
    return refuse(Reason.SCOPE, "admission.author", case.author.name, f"an authority above {named}, or the rule's")


def _take_admission(case: RecordCase, _decided: None) -> None:
    _keep(case, ADMITTED, case.body.subject)
    subject = case.state.registry.get(case.body.subject)
    named = subject.name if subject is not None else case.body.subject.hex()[:16]
    case.step.event("admission", who=named, admitted=bool(case.body.outcome), classes=", ".join(case.body.classes))


def judge_participant(case: RecordCase, commodity: str) -> Refusal | None:
    """Refuse the author of a record where the rule demands an admission and none admits it to the class at this time.

    The newest admission of any key that the author has had counts.
    """
    state = case.state
    if not state.rule.rule.admission:
        return None
    known = (_newest(state, ADMITTED, one) for one in state.registry.line(case.author.hash))
    said = next((one.body for one in known if one is not None), None)
    if said is None:
        return refuse(Reason.SCOPE, "admission.absent", f"no word on {case.author.name}", "an admission, by the rule")
    if not said.outcome:
        return refuse(Reason.SCOPE, "admission.outcome", said.reason or "not admitted", "admitted")
    if commodity not in said.classes:
        return refuse(Reason.SCOPE, "admission.classes", commodity, ", ".join(said.classes))
    return time_inside(case.now, said.window.start_ns, said.window.end_ns, "admission.window")


def judge_taking_part(case: RecordCase, commodity: str) -> Refusal | None:
    """Refuse a class that is not known here as the rule names it, or an author that may not take part in it."""
    return judge_class(case.state, commodity) or judge_participant(case, commodity)


def _replaced(state: NodeState, record: Record) -> bool:
    """Whether a newer admission of the same participant is stored."""
    return state.lineage.get(ADMITTED, record.body.subject) != record.raw


def _kept(told: Retelling, said: Said) -> None:
    body = said.body
    kind, key = (SCHEMA, body.commodity.encode()) if isinstance(body, Schema) else (ADMITTED, body.subject)
    told.rows[kind, key] = said.raw


CONDUCT = (
    Conduct(
        body=Schema,
        judge=_judge_schema,
        act=_take_schema,
        keeps=(SCHEMA,),
        own=_kept,
        heard=_kept,
    ),
    Conduct(
        body=Admission,
        judge=_judge_admission,
        act=_take_admission,
        keeps=(ADMITTED,),
        own=_kept,
        heard=_kept,
        replaced=_replaced,
    ),
)
