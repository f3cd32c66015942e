"""Whether an author may sign a record: its actions, the rule's taxonomy, its scope on every axis, the class's terms.

These are clauses (6) to (8) and (13) of admission; none depends on when the record is judged. The cheap check whether
an author may sign a type at all comes first; only then are the outlines in the record checked, which is costly.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from settlement.chain.codec import kinds_of
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Area, Cell
from settlement.chain.taxonomy import Behaviour, Kind, Response, behaviour_of, response_of
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rule

CORNERS_MAX = 256
"""Most corners of all outlines of one record together: a bound on what a record may cost its reader."""
SPEAKS_KEPT = 1024
_SPEAKS: dict[tuple[bytes, str], tuple[Subject, Rule]] = {}
"""Authors found to be allowed a type under a rule, by credential and type: one cache entry of a party, however often
its credential and its rule are read anew."""
_HOLDERS: dict[type[Any], tuple[str, ...]] = {}
_STRENGTH = (Response.RECORD_ONLY, Response.CONSIDER, Response.OBEY_AFTER_CHECK, Response.OBEY)


def outlines(record: Record) -> Refusal | None:
    """Check the costly part of clause (1): every outline is valid, with at most CORNERS_MAX corners together."""
    areas = [area for area in _areas(record.body) if area.outline is not None]
    corners = sum(len(area.ring) for area in areas)
    if corners > CORNERS_MAX:
        return refuse(Reason.TERMS, "integrity.1.corners", corners, f"<= {CORNERS_MAX} in one record")
    wrong = next((found for area in areas if (found := area.flaw()) is not None), None)
    return None if wrong is None else refuse(Reason.MALFORMED, "integrity.1.outline", wrong, "a whole area")


def corners_in(body: Any) -> int:
    """Return the number of corners of all outlines in a body."""
    return sum(len(area.ring) for area in _areas(body))


def _areas(value: Any) -> Iterator[Area]:
    """Yield every area in a body, however deeply nested."""
    if isinstance(value, Area):
        yield value
        return
    for name in _holders(type(value)):
        held = getattr(value, name)
        for one in held if isinstance(held, tuple) else (held,):
            if one is not None:
                yield from _areas(one)


def _holders(cls: type[Any]) -> tuple[str, ...]:
    """Names of the fields of a schema class that may hold an area."""
    if cls not in _HOLDERS:
        items = [(name, kind.item) for name, kind in kinds_of(cls) if isinstance(kind.item, type)]
        _HOLDERS[cls] = tuple(name for name, item in items if item is Area or _holders(item))
    return _HOLDERS[cls]


def _rank(rule: Rule, name: str) -> tuple[int, int]:
    """Rank of a level of the rule: the response it gets, and its weight."""
    level = rule.level(name)
    return _STRENGTH.index(response_of(rule, name)), level.weight_ppm if level is not None else 0


def _delegated(author: Subject, rule: Rule) -> Refusal | None:
    """Check clause (7) along the chain: no issuer below the root gave a level that is stronger than its own."""
    for given_by, given in pairwise(author.levels[1:]):
        if _rank(rule, given) > _rank(rule, given_by):
            required = f"no more than its issuer's, {given_by}"
            return refuse(Reason.SCOPE, "capability.7.level", given, required)
    return None


def capability(record: Record, author: Subject, rule: Rule) -> Refusal | None:
    """Check clauses (6) to (8): the author's actions, level and scope cover the record."""
    row = record.row
    return (
        _may_speak(record, author, rule)
        or outlines(record)
        or (None if row.kind is Kind.OBSERVATION else _in_scope(record.body, author))
        or row.within_scope(record.body, author.scope)
    )


def _may_speak(record: Record, author: Subject, rule: Rule) -> Refusal | None:
    """Check clauses (6) and (7): whether this author may sign this record type at all, whatever its content.

    A positive result is cached by author, type and rule, none of which changes; a negative one is computed anew.
    """
    name = author.hash, record.typ
    author_then, rule_then = _SPEAKS.get(name, (None, None))
    if author_then is author and rule_then is rule:
        return None
    row = record.row
    if row.actions and set(row.actions).isdisjoint(author.scope.actions):
        return refuse(Reason.SCOPE, "capability.6", ", ".join(author.scope.actions), " or ".join(row.actions))
    level = rule.level(author.level)
    if level is None or record.typ not in level.admits:
        return refuse(Reason.SCOPE, "capability.7", author.level, f"a level that may speak {record.typ}")
    kept = behaviour_of(rule, author.level, record.typ) is Behaviour.KEEP
    if kept and row.kind is not Kind.OBSERVATION:
        required = f"a response that acts on a {row.kind}"
        return refuse(Reason.SCOPE, "capability.7.response", f"{author.level}: {level.response}", required)
    beyond = _delegated(author, rule)
    if beyond is None:
        if len(_SPEAKS) >= SPEAKS_KEPT:
            _SPEAKS.clear()
        _SPEAKS[name] = author, rule
    return beyond


def _in_scope(body: Any, author: Subject) -> Refusal | None:
    """Check clause (8) on each axis that the body has: cell, class, tier, EIRP. Not called for observations."""
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
    if eirp is not None and eirp > scope.max_eirp_mdbm:
        return refuse(
            Reason.POWER, "capability.8.eirp", f"{eirp / 1000:g} dBm", f"<= {scope.max_eirp_mdbm / 1000:g} dBm"
        )
    return None


def within_terms(record: Record, rule: Rule) -> Refusal | None:
    """Check clause (13): class, price, bargaining round and the validity of an envelope are within the rule."""
    return record.row.within_terms(record.body, rule, record.frame.attestation.latest_ns)
