"""What an author may speak: its actions, the rule's taxonomy, its scope on every axis, the terms of the class.

Clauses (6) to (8) and (13) of admission; none of them depends on when the record is judged. Whether an author may speak
a type at all comes first, and costs nothing; only then are outlines looked at, of which a record may hold a few.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from settlement.chain.bodies import Counter, Envelope, Rule
from settlement.chain.codec import kinds_of
from settlement.chain.credentials import Subject
from settlement.chain.quantities import VALIDITY_MAX_NS
from settlement.chain.records import Record
from settlement.chain.scope import Area, Cell
from settlement.chain.taxonomy import OBSERVATIONS, Behaviour, Response, behaviour_of, kind_of, response_of
from settlement.core.reasons import Reason, Refusal, refuse

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
UNIT = "unit"
"""An envelope of this kind says what a radio could do anywhere; every other speaks of its author's own band."""
CORNERS_MAX = 256
"""Corners of all outlines of one record together: what a rule may cost whoever reads it."""
_HOLDERS: dict[type[Any], tuple[str, ...]] = {}
_STRENGTH = (Response.RECORD_ONLY, Response.CONSIDER, Response.OBEY_AFTER_CHECK, Response.OBEY)


def outlines(record: Record) -> Refusal | None:
    """The part of clause (1) that solves geodesics: every outline of a record is one, and they are few together."""
    areas = [area for area in _areas(record.body) if area.outline is not None]
    corners = sum(len(area.ring) for area in areas)
    if corners > CORNERS_MAX:
        return refuse(Reason.TERMS, "integrity.1.corners", corners, f"<= {CORNERS_MAX} in one record")
    wrong = next((found for area in areas if (found := area.flaw()) is not None), None)
    return None if wrong is None else refuse(Reason.MALFORMED, "integrity.1.outline", wrong, "a whole area")


def _areas(value: Any) -> Iterator[Area]:
    """Every area in a body, however deep."""
    if isinstance(value, Area):
        yield value
        return
    for name in _holders(type(value)):
        held = getattr(value, name)
        for one in held if isinstance(held, tuple) else (held,):
            if one is not None:
                yield from _areas(one)


def _holders(cls: type[Any]) -> tuple[str, ...]:
    """Names of the fields of a schema class in which an area may be found."""
    if cls not in _HOLDERS:
        items = [(name, kind.item) for name, kind in kinds_of(cls) if isinstance(kind.item, type)]
        _HOLDERS[cls] = tuple(name for name, item in items if item is Area or _holders(item))
    return _HOLDERS[cls]


def _rank(rule: Rule, name: str) -> tuple[int, int]:
    """How much a level of the rule makes others do, and how much it weighs."""
    level = rule.level(name)
    return _STRENGTH.index(response_of(rule, name)), level.weight_ppm if level is not None else 0


def _delegated(author: Subject, rule: Rule) -> Refusal | None:
    """Clause (7) along the chain: nobody below a root gives a level that is more than its own."""
    for given_by, given in pairwise(author.levels[1:]):
        if _rank(rule, given) > _rank(rule, given_by):
            required = f"no more than its issuer's, {given_by}"
            return refuse(Reason.SCOPE, "capability.7.level", given, required)
    return None


def capability(record: Record, author: Subject, rule: Rule) -> Refusal | None:
    """Clauses (6) to (8)."""
    actions = ACTIONS_OF[record.typ]
    if actions and not set(actions) & set(author.scope.actions):
        return refuse(Reason.SCOPE, "capability.6", ", ".join(author.scope.actions), " or ".join(actions))
    level = rule.level(author.level)
    if level is None or record.typ not in level.admits:
        return refuse(Reason.SCOPE, "capability.7", author.level, f"a level that may speak {record.typ}")
    kept = behaviour_of(rule, author.level, record.typ) is Behaviour.KEEP
    if kept and record.typ not in OBSERVATIONS:
        required = f"a response that acts on a {kind_of(record.typ)}"
        return refuse(Reason.SCOPE, "capability.7.response", f"{author.level}: {level.response}", required)
    return (
        _delegated(author, rule)
        or outlines(record)
        or _in_scope(record.body, author)
        or _observed_in_scope(record.body, author)
        or _within_sensitivity(record.body)
    )


def _observed_in_scope(body: Any, author: Subject) -> Refusal | None:
    """Clause (8) of an envelope: its author speaks of its own bands alone, however far its radio reaches."""
    if not isinstance(body, Envelope) or body.kind == UNIT:
        return None
    outside = next((c.band for c in body.channels if not author.scope.holds_band(c.band)), None)
    if outside is None:
        return None
    return refuse(Reason.SCOPE, "capability.8.channel", outside, ", ".join(str(b) for b in author.scope.bands))


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
        return refuse(Reason.SCOPE, "capability.8.class", commodity, ", ".join(scope.classes))
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
    """Clause (13): class, price, bargaining round and the life of an envelope are the rule's."""
    body = record.body
    if isinstance(body, Envelope):
        most_ns = rule.validity_ns_max or VALIDITY_MAX_NS
        claimed_ns = body.valid_until_ns - record.frame.attestation.latest_ns
        measured, required = f"{claimed_ns} ns after its signing", f"<= {most_ns} ns"
        return refuse(Reason.TERMS, "disposition.13.validity", measured, required) if claimed_ns > most_ns else None
    if record.typ not in PRICED:
        return None
    terms = rule.terms(body.commodity)
    if terms is None:
        return refuse(Reason.TERMS, "disposition.13.class", body.commodity, ", ".join(c.name for c in rule.classes))
    if not terms.price_low <= body.price <= terms.price_high:
        return refuse(Reason.PRICE, "disposition.13.price", body.price, f"{terms.price_low}-{terms.price_high}")
    rounds = terms.rounds_max or 0
    if isinstance(body, Counter) and not 1 <= body.round <= rounds:
        return refuse(Reason.ROUNDS, "disposition.13.rounds", body.round, f"1-{rounds}" if rounds else "no bargaining")
    return None
