"""Composite admissibility: one pure decision over integrity, capability, confidence and disposition.

    integrity    (1) well formed (2) author known (3) signed by the author's key in this network
                 (4) sent over the author's own transport key
    capability   (5) the author's credential is in force, here and at signing (6) its actions cover this type
                 (7) the rule's taxonomy lets its level speak it (8) band, area, class, tier and EIRP are in scope
    confidence   (9) time and place come from a source the rule accepts, within its bounds
                 (10) signed neither in the future nor too long ago
    disposition  (11) under the rule in force (12) not seen before, and no other record with its sequence number

Every bytes-in gets exactly one verdict: `Admitted` or a `Refusal` that names the clause.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from settlement.chain.bodies import Rule
from settlement.chain.credentials import Registry, Subject
from settlement.chain.records import Attestation, Record, parse
from settlement.chain.scope import Cell
from settlement.fixes import PositionFix, PositionSource, TimeFix, TimeSource, place_inside, time_inside
from settlement.reasons import Reason, Refusal, refuse

ACTION_OF = {
    "rule": "rule",
    "envelope": "observe",
    "declaration": "offer",
    "request": "request",
    "grant": "grant",
    "accept": "request",
    "confirm": "grant",
    "abort": "grant",
    "renew": "grant",
    "relinquish": "request",
    "preempt": "grant",
    "usage": "request",
    "gate": "observe",
    "verdict": "observe",
    "evidence": "observe",
    "checkpoint": "observe",
    "cosignature": "observe",
}
TIMELESS_TYPES = ("confirm", "abort")
TIME_FLOOR_NS = {
    TimeSource.NONE: 1 << 62,
    TimeSource.GPS: 100,
    TimeSource.CHRONY: 1_000,
    TimeSource.KERNEL: 10_000,
    TimeSource.SIMULATED: 0,
}
RADIUS_FLOOR_MM = {
    PositionSource.NONE: 1 << 62,
    PositionSource.GPS: 500,
    PositionSource.SURVEYED: 1,
    PositionSource.SIMULATED: 0,
}


class History(Protocol):
    """What admission asks of the log."""

    def seen(self, subject: bytes) -> bool:
        """Whether a record was admitted, or refused for good, before."""
        ...

    def author_record(self, author: bytes, seq: int) -> bytes | None:
        """The admitted record of an author with that sequence number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A record that counts, and who made it."""

    record: Record
    author: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInForce:
    """The rule a node works under, with the hash that names it."""

    hash: bytes
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a verdict is judged against."""

    registry: Registry
    rule: RuleInForce
    history: History


def prove(raw: bytes, registry: Registry) -> Admitted | Refusal:
    """Clauses (1) to (3): bytes to a record with a known author whose signature holds."""
    unproven = parse(raw)
    if isinstance(unproven, Refusal):
        return unproven
    author = registry.get(unproven.author)
    if author is None:
        named = "none" if unproven.author is None else unproven.author.hex()
        return refuse(Reason.UNKNOWN_AUTHOR, "integrity.2", named, "an admitted credential")
    if unproven.typ == "credential":
        return refuse(Reason.TYPE, "integrity.1", "credential", "credentials enter through the registry")
    if unproven.kid != author.kid:
        return refuse(Reason.KEY, "integrity.3", unproven.kid.hex(), author.kid.hex())
    record = unproven.prove(author.public, registry.network)
    return record if isinstance(record, Refusal) else Admitted(record=record, author=author)


def proven(raw: bytes, registry: Registry) -> Record | None:
    """A record whose signature holds, credentials included; None otherwise."""
    unproven = parse(raw)
    if isinstance(unproven, Refusal):
        return None
    if unproven.typ != "credential":
        admitted = prove(raw, registry)
        return admitted.record if isinstance(admitted, Admitted) else None
    subject = registry.admit(raw)
    signer = registry.get(subject.issuer) or subject if isinstance(subject, Subject) else None
    record = unproven.prove(signer.public, registry.network) if signer else None
    return record if isinstance(record, Record) else None


def _clock_of(attestation: Attestation) -> TimeFix:
    """The attested interval, at least as wide as its source's class can be."""
    source = TimeSource(attestation.time_source)
    lacking_ns = max(0, 2 * TIME_FLOOR_NS[source] - (attestation.latest_ns - attestation.earliest_ns))
    return TimeFix(
        earliest_ns=attestation.earliest_ns - lacking_ns // 2,
        latest_ns=attestation.latest_ns + lacking_ns - lacking_ns // 2,
        source=source,
        trusted=True,
    )


def capability(admitted: Admitted, rule: Rule) -> Refusal | None:
    """Clauses (5), at signing, to (8)."""
    record, author = admitted.record, admitted.author
    action = ACTION_OF[record.typ]
    if action not in author.scope.actions:
        return refuse(Reason.SCOPE, "capability.6", author.scope.actions, action)
    level = rule.level(author.level)
    if level is None or record.typ not in level.admits:
        return refuse(Reason.SCOPE, "capability.7", author.level, f"a level that may speak {record.typ}")
    return _in_scope(record.body, author)


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
    if eirp is not None and eirp > scope.max_eirp_mdbm:
        return refuse(Reason.POWER, "capability.8.eirp", f"{eirp} mdBm", f"<= {scope.max_eirp_mdbm} mdBm")
    return None


def confidence(record: Record, rule: Rule) -> Refusal | None:
    """Clause (9): how well the author knows when and where it is, by the rule. Claims below a floor are widened."""
    here = record.frame.attestation
    if here.time_source not in rule.time_sources:
        return refuse(Reason.TIME_UNTRUSTED, "confidence.9.source", here.time_source, rule.time_sources)
    if here.position_source not in rule.position_sources:
        return refuse(Reason.POSITION_UNTRUSTED, "confidence.9.place", here.position_source, rule.position_sources)
    bound_ns = max((here.latest_ns - here.earliest_ns + 1) // 2, TIME_FLOOR_NS[TimeSource(here.time_source)])
    if bound_ns > rule.time_bound_ns_max:
        return refuse(Reason.TIME_UNTRUSTED, "confidence.9.bound", f"{bound_ns} ns", f"<= {rule.time_bound_ns_max} ns")
    radius_mm = max(here.radius_mm, RADIUS_FLOOR_MM[PositionSource(here.position_source)])
    if radius_mm > rule.position_radius_mm_max:
        limit = f"<= {rule.position_radius_mm_max} mm"
        return refuse(Reason.POSITION_UNTRUSTED, "confidence.9.radius", f"{radius_mm} mm", limit)
    return None


def _at_signing(admitted: Admitted, rule: Rule) -> Refusal | None:
    """Clauses (5) and (9) as of the attested instant: these never change, so replay reaches the same verdict."""
    refusal = confidence(admitted.record, rule)
    if refusal is not None:
        return refusal
    signed = _clock_of(admitted.record.frame.attestation)
    return admitted.author.valid_at(signed) or time_inside(
        signed, rule.effective.start_ns, rule.effective.end_ns, "disposition.11.effective"
    )


def _age(record: Record, rule: Rule, now: TimeFix) -> Refusal | None:
    """Clause (10). A decision counts however late it comes: what it allows runs out by its own window and lease."""
    signed = record.frame.attestation
    if not now.trusted:
        return refuse(Reason.TIME_UNTRUSTED, "confidence.10", now.status, "a trusted clock")
    if signed.earliest_ns > now.latest_ns:
        return refuse(Reason.NOT_YET, "confidence.10", f"signed at {signed.earliest_ns} ns", f"<= {now.latest_ns} ns")
    if record.typ not in TIMELESS_TYPES and now.earliest_ns - signed.latest_ns > rule.record_age_ns_max:
        age = f"{now.earliest_ns - signed.latest_ns} ns old"
        return refuse(Reason.STALE, "confidence.10", age, f"<= {rule.record_age_ns_max} ns")
    return None


def _seen(record: Record, history: History) -> Refusal | None:
    """Clause (12)."""
    if history.seen(record.digest):
        return refuse(Reason.REPLAY, "disposition.12", record.digest.hex(), "a record not seen before")
    author = record.frame.author
    other = history.author_record(author, record.frame.seq) if author else None
    if other is not None:
        return refuse(Reason.EQUIVOCATION, "disposition.12.seq", record.digest.hex(), other.hex())
    return None


def timeless(admitted: Admitted, rule: RuleInForce) -> Refusal | None:
    """The clauses that do not depend on when the record is judged; an auditor re-evaluates these."""
    refusal = capability(admitted, rule.rule) or _at_signing(admitted, rule.rule)
    if refusal is not None:
        return refusal
    cited: bytes | None = getattr(admitted.record.body, "rule", None)
    if cited is not None and cited != rule.hash:
        return refuse(Reason.RULE_UNKNOWN, "disposition.11", cited.hex(), rule.hash.hex())
    here = admitted.record.frame.attestation
    cell: Cell | None = getattr(admitted.record.body, "cell", None)
    if cell is not None and admitted.record.typ == "request":
        return _author_inside(here, cell)
    return None


def _author_inside(here: Attestation, cell: Cell) -> Refusal | None:
    """Spatial window: the farthest point of the attested disc lies in the cell's area."""
    source = PositionSource(here.position_source)
    position = PositionFix(
        lat_e7=here.lat_e7,
        lon_e7=here.lon_e7,
        radius_mm=max(here.radius_mm, RADIUS_FLOOR_MM[source]),
        source=source,
        trusted=True,
    )
    area = cell.area
    return place_inside(
        position, lat_e7=area.lat_e7, lon_e7=area.lon_e7, radius_mm=area.radius_mm, clause="disposition.place"
    )


def admit(
    raw: bytes, context: Context, *, now: TimeFix, transport_key: bytes | None, allow_seen: bool = False
) -> Admitted | Refusal:
    """The verdict on bytes that arrived over `transport_key` (None for a node's own) at `now`.

    A record seen before is REPLAY unless `allow_seen`: the pair answers a resend with the bytes it stored.
    """
    admitted = prove(raw, context.registry)
    if isinstance(admitted, Refusal):
        return admitted
    record, author = admitted.record, admitted.author
    if transport_key is not None and transport_key != author.transport_key:
        return refuse(Reason.TRANSPORT_BINDING, "integrity.4", "sent over another node's key", author.name)
    refusal = (
        timeless(admitted, context.rule)
        or author.valid_at(now)
        or _age(record, context.rule.rule, now)
        or (None if allow_seen else _seen(record, context.history))
    )
    return refusal or admitted
