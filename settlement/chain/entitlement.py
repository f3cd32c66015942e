"""What an author may speak: its actions, the rule's taxonomy, its scope on every axis, the terms of the class.

Clauses (6) to (8) and (13) of admission; none of them depends on when the record is judged.
"""

from typing import Any

from settlement.chain.bodies import Counter, Envelope, Rule
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.chain.taxonomy import OBSERVATIONS, Behaviour, behaviour_of, kind_of
from settlement.reasons import Reason, Refusal, refuse

# One of these actions must be in the author's scope; a rotation is everyone's own matter.
ACTIONS_OF: dict[str, tuple[str, ...]] = {
    "revocation": ("issue",),
    "rotation": (),
    "rule": ("rule",),
    "schema": ("rule",),
    "admission": ("issue",),
    "envelope": ("observe",),
    "declaration": ("offer",),
    "intent": ("request",),
    "request": ("request",),
    "counter": ("offer", "request"),
    "grant": ("grant",),
    "accept": ("request",),
    "coordination": ("coordinate",),
    "confirm": ("grant",),
    "abort": ("grant",),
    "renew": ("grant",),
    "suspend": ("grant",),
    "resume": ("grant",),
    "relinquish": ("request",),
    "preempt": ("grant",),
    "fallback": ("grant",),
    "usage": ("request",),
    "dispute": ("grant", "request"),
    "ruling": ("rule",),
    "checkpoint": ("observe",),
    "cosignature": ("observe",),
    "evidence": ("observe",),
    "gate": ("observe",),
    "verdict": ("observe",),
}
PRICED = frozenset({"declaration", "intent", "counter"})


def capability(record: Record, author: Subject, rule: Rule) -> Refusal | None:
    """Clauses (6) to (8)."""
    actions = ACTIONS_OF[record.typ]
    if actions and not set(actions) & set(author.scope.actions):
        return refuse(Reason.SCOPE, "capability.6", author.scope.actions, " or ".join(actions))
    level = rule.level(author.level)
    if level is None or record.typ not in level.admits:
        return refuse(Reason.SCOPE, "capability.7", author.level, f"a level that may speak {record.typ}")
    kept = behaviour_of(rule, author.level, record.typ) is Behaviour.KEEP
    if kept and record.typ not in OBSERVATIONS:
        required = f"a response that acts on a {kind_of(record.typ)}"
        return refuse(Reason.SCOPE, "capability.7.response", f"{author.level}: {level.response}", required)
    return _in_scope(record.body, author) or _within_sensitivity(record.body)


def _within_sensitivity(body: Any) -> Refusal | None:
    """Clause (8) of an envelope: it claims nothing below what its radio can find."""
    if not isinstance(body, Envelope):
        return None
    for channel in body.channels:
        claimed, limit = channel.clear_above_mdbm, body.sensitivity_mdbm
        if claimed is not None and (limit is None or claimed < limit):
            required = "a stated sensitivity" if limit is None else f">= {limit} mdBm"
            return refuse(Reason.CONFIDENCE, "confidence.8.sensitivity", f"{claimed} mdBm", required)
    return None


def _in_scope(body: Any, author: Subject) -> Refusal | None:
    """Clause (8), on whichever of the axes the body has."""
    scope = author.scope
    cell: Cell | None = getattr(body, "cell", None)
    if cell is not None and not scope.holds_band(cell.band):
        return refuse(Reason.SCOPE, "capability.8.band", cell.band, ", ".join(str(b) for b in scope.bands))
    if cell is not None and not scope.area.holds(cell.area):
        return refuse(Reason.SCOPE, "capability.8.area", cell.area, scope.area)
    commodity: str | None = getattr(body, "commodity", None)
    if commodity is not None and commodity not in scope.classes:
        return refuse(Reason.SCOPE, "capability.8.class", commodity, scope.classes)
    tier: int | None = getattr(body, "tier", None)
    if tier is not None and tier < scope.tier:
        return refuse(Reason.TIER, "capability.8.tier", tier, f">= {scope.tier}")
    eirp: int | None = getattr(body, "eirp_mdbm", getattr(body, "max_eirp_mdbm", None))
    # What a radio could do is no claim to do it.
    if eirp is not None and not isinstance(body, Envelope) and eirp > scope.max_eirp_mdbm:
        return refuse(
            Reason.POWER, "capability.8.eirp", f"{eirp / 1000:g} dBm", f"<= {scope.max_eirp_mdbm / 1000:g} dBm"
        )
    return None


def within_terms(record: Record, rule: Rule) -> Refusal | None:
    """Clause (13): class, price and bargaining round are the rule's."""
    if record.typ not in PRICED:
        return None
    body = record.body
    terms = rule.terms(body.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "disposition.13.class", body.commodity, [c.name for c in rule.classes])
    if not terms.price_low <= body.price <= terms.price_high:
        return refuse(Reason.PRICE, "disposition.13.price", body.price, f"{terms.price_low}-{terms.price_high}")
    rounds = terms.rounds_max or 0
    if isinstance(body, Counter) and not 1 <= body.round <= rounds:
        return refuse(Reason.ROUNDS, "disposition.13.rounds", body.round, f"1-{rounds}" if rounds else "no bargaining")
    return None
