"""Who takes part and in what: a class's schema, and an authority's word that somebody is admitted; both passed on."""

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
"""How many versions a schema may be ahead of the one before."""


def _newest(state: NodeState, kind: str, key: bytes) -> Record | None:
    """The newest schema of a class, or the newest word on a participant, that this node took."""
    raw = state.lineage.get(kind, key)
    return state.record_of(digest(raw), admitted=True) if raw is not None else None


def _keep(case: RecordCase, kind: str, key: bytes) -> None:
    case.step.put(kind, key, case.record.raw)
    case.pass_on()


# -- schema ------------------------------------------------------------------------------------------------------------


def _judge_schema(case: RecordCase) -> Refusal | None:
    """A class that holds in itself, by an authority that has it; and one that the rule names, or newer than the last.

    Whoever sits below the author of the last cannot put its own in its place; whoever sits above begins anew.
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
    """The schemas that the rule in force and the newest one name, by their hashes."""
    rules = (state.rule.rule, state.rules.newest.rule.rule)
    return {terms.schema for rule in rules for terms in rule.classes}


def _above(case: RecordCase, before: Record) -> bool:
    """Does the author sit above, not beside, who said it before?"""
    earlier = case.state.registry.get(before.frame.author)
    return earlier is not None and seat_of(earlier, case.state.registry) != seat_of(case.author, case.state.registry)


def _take_schema(case: RecordCase, _decided: None) -> None:
    _keep(case, SCHEMA, case.body.commodity.encode())
    case.step.event("class", commodity=case.body.commodity, version=case.body.version, unit=case.body.unit)


def judge_class(state: NodeState, commodity: str) -> Refusal | None:
    """Is a class that the rule in force names by its schema known here, and does the rule say the same of it?"""
    terms = state.rule.rule.terms(commodity)
    if terms is None or terms.schema is None:
        return None
    named = state.record_of(terms.schema, admitted=True)
    if named is None or not isinstance(named.body, Schema):
        return refuse(Reason.RULE_UNKNOWN, "class.schema", terms.schema.hex()[:16], "a schema record known here")
    return contradiction(terms, named.body, state.rule.rule.effective)


# -- admission ---------------------------------------------------------------------------------------------------------


def _judge_admission(case: RecordCase) -> Refusal | None:
    """An authority's word on somebody, signed after the one before.

    By who stands above the participant or gave the rule, and never against the word of an authority above.
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
    """May this authority say who takes part? Of those below it; of all, where it gave the rule, or stands above."""
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
    """May the author of a record take part in a class: by its credential, and where the rule asks, by an admission?"""
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
    """Both: the class is known here as the rule names it, and the author may take part in it."""
    return judge_class(case.state, commodity) or judge_participant(case, commodity)


def _replaced(state: NodeState, record: Record) -> bool:
    """The word on a participant that is not the newest one."""
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
