"""Admission: one pure function decides from bytes, rule, credentials and clock whether a record counts.

    integrity    (1) well formed (2) author known (3) signed by the author's key in this network
                 (4) sent over the author's own transport key
    capability   (5) the author's credential is in force, here and at signing (6) its actions cover this type
                 (7) the rule's taxonomy lets its level sign it, and has others act on it (see `taxonomy`)
                 (8) band, area, class, tier and EIRP are in scope
    confidence   (9) time and place come from a source the rule accepts, within its bounds
                 (10) signed neither in the future nor too long ago
    disposition  (11) under the rule in force (12) not seen before, and no other record with its sequence number
                 (13) its class, price and bargaining round are the rule's

Every message gets exactly one verdict: `Admitted`, or a `Refusal` that names the clause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, assert_never

from settlement.chain import keys
from settlement.chain.credentials import Registry, Subject
from settlement.chain.entitlement import capability, within_terms
from settlement.chain.keys import Verify
from settlement.chain.records import Attestation, Record, Unproven, parse
from settlement.chain.scope import Area, Scope
from settlement.chain.status import StatusLists
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.fixes import PositionFix, PositionSource, TimeFix, TimeSource, time_inside
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.authority import Rotation, Rule
from settlement.records.row import Becomes, CarriedBy, Cites, Site, WhenLate

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
_TIME_SOURCES, _POSITION_SOURCES = {int(one): one for one in TimeSource}, {int(one): one for one in PositionSource}
"""Time and position sources by their numbers in a record."""


class History(Protocol):
    """Questions that admission asks of the node's log."""

    def seen(self, subject: bytes) -> bool:
        """Return whether the log holds a record as admitted or as refused for good."""
        ...

    def author_record(self, author: bytes, seq: int) -> bytes | None:
        """Hash of the admitted record that an author signed with that sequence number; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """An admitted record and the credential of its author."""

    record: Record
    author: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInForce:
    """A rule in force, with the hash that names it.

    `seat` names who signed it, from the root down; `reach` is that authority's scope.
    """

    hash: bytes
    rule: Rule
    seat: tuple[str, ...] = ()
    reach: Scope | None = None


def _never(_rule: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a record is judged against: credentials, rule and log; `was_rule` knows the earlier rules."""

    registry: Registry
    rule: RuleInForce
    history: History
    status: StatusLists = field(default_factory=StatusLists)
    was_rule: Callable[[bytes], bool] = _never
    rule_at: Callable[[int, int], RuleInForce | None] | None = None

    def rule_for(self, signed: Attestation) -> RuleInForce:
        """Return the rule in force over the interval of a record's signing; the present rule where none surely was."""
        found = self.rule_at(signed.earliest_ns, signed.latest_ns) if self.rule_at is not None else None
        return found or self.rule


def prove(raw: bytes, registry: Registry, *, verify: Verify = keys.verify) -> Admitted | Refusal:
    """Check clauses (1) to (3): turn bytes into a record with a known author whose signature holds."""
    unproven = parse(raw)
    return unproven if isinstance(unproven, Refusal) else _proved(unproven, registry, verify)


def _proved(unproven: Unproven, registry: Registry, verify: Verify) -> Admitted | Refusal:
    author = registry.get(unproven.author)
    if author is None:
        named = "none" if unproven.author is None else unproven.author.hex()
        return refuse(Reason.UNKNOWN_AUTHOR, "integrity.2", named, "an admitted credential")
    if unproven.row.becomes is Becomes.SUBJECT:
        return refuse(Reason.TYPE, "integrity.1", unproven.typ, "credentials enter through the registry")
    if unproven.kid != author.kid:
        reason = Reason.ROTATION if unproven.schema is Rotation else Reason.KEY
        return refuse(reason, "integrity.3", unproven.kid.hex(), author.kid.hex())
    record = unproven.prove(author.public, registry.network, verify=verify)
    if isinstance(record, Record):
        return Admitted(record=record, author=author)
    if unproven.schema is Rotation and record.reason is Reason.SIGNATURE:
        return refuse(Reason.ROTATION, "integrity.3", "not signed by the old key", author.kid.hex())
    return record


def proven(raw: bytes, registry: Registry, *, verify: Verify = keys.verify) -> Record | None:
    """Return a record whose signature holds, credentials included; None otherwise."""
    unproven = parse(raw)
    if isinstance(unproven, Refusal):
        return None
    if unproven.row.becomes is not Becomes.SUBJECT:
        admitted = _proved(unproven, registry, verify)
        return admitted.record if isinstance(admitted, Admitted) else None
    subject = registry.admit(raw)
    signer = registry.get(subject.issuer) or subject if isinstance(subject, Subject) else None
    record = unproven.prove(signer.public, registry.network) if signer else None
    return record if isinstance(record, Record) else None


def _clock_of(attestation: Attestation) -> TimeFix:
    """The attested time interval, widened to the least width that the class of its source allows."""
    source = _TIME_SOURCES[attestation.time_source]
    lacking_ns = max(0, 2 * TIME_FLOOR_NS[source] - (attestation.latest_ns - attestation.earliest_ns))
    return TimeFix(
        earliest_ns=attestation.earliest_ns - lacking_ns // 2,
        latest_ns=attestation.latest_ns + lacking_ns - lacking_ns // 2,
        source=source,
        trusted=True,
    )


class AttestationTerms(Protocol):
    """Terms of a rule for attested time and place: of every author, or of an authority's desk."""

    @property
    def time_sources(self) -> tuple[int, ...]:
        """Accepted sources of time, by number."""
        ...

    @property
    def position_sources(self) -> tuple[int, ...]:
        """Accepted sources of position, by number."""
        ...

    @property
    def time_bound_ns_max(self) -> int:
        """Widest accepted bound of time, ns."""
        ...

    @property
    def position_radius_mm_max(self) -> int:
        """Widest accepted error radius of position, mm."""
        ...


def _named(kind: type[IntEnum], numbers: Iterable[int]) -> str:
    """Names of sources for a message; a number without a name stays a number."""
    names = {one.value: one.name.lower() for one in kind}
    return ", ".join(names.get(number, str(number)) for number in numbers)


def confidence(here: Attestation, rule: AttestationTerms) -> Refusal | None:
    """Check clause (9): source and error bound of the author's time and place; bounds below a floor are widened."""
    if here.time_source not in rule.time_sources:
        wanted = _named(TimeSource, rule.time_sources)
        return refuse(Reason.TIME_UNTRUSTED, "confidence.9.source", _named(TimeSource, [here.time_source]), wanted)
    if here.position_source not in rule.position_sources:
        found, wanted = _named(PositionSource, [here.position_source]), _named(PositionSource, rule.position_sources)
        return refuse(Reason.POSITION_UNTRUSTED, "confidence.9.place", found, wanted)
    bound_ns = max((here.latest_ns - here.earliest_ns + 1) // 2, TIME_FLOOR_NS[_TIME_SOURCES[here.time_source]])
    if bound_ns > rule.time_bound_ns_max:
        return refuse(Reason.TIME_UNTRUSTED, "confidence.9.bound", f"{bound_ns} ns", f"<= {rule.time_bound_ns_max} ns")
    radius_mm = max(here.radius_mm, RADIUS_FLOOR_MM[_POSITION_SOURCES[here.position_source]])
    if radius_mm > rule.position_radius_mm_max:
        limit = f"<= {rule.position_radius_mm_max} mm"
        return refuse(Reason.POSITION_UNTRUSTED, "confidence.9.radius", f"{radius_mm} mm", limit)
    return None


def _known_where(admitted: Admitted, rule: Rule) -> Refusal | None:
    """Check clause (9) of a record; an authority without a node may have wider bounds, by the rule's desk terms."""
    here = admitted.record.frame.attestation
    desk = admitted.author.transport_key is None and admitted.record.row.carrier is CarriedBy.ANYONE
    return confidence(here, rule.desk if desk and rule.desk is not None else rule)


def _at_signing(admitted: Admitted, rule: Rule) -> Refusal | None:
    """Check clauses (5) and (9) at the attested instant: the result never changes, so replay repeats the verdict."""
    refusal = _known_where(admitted, rule)
    if refusal is not None:
        return refusal
    signed = _clock_of(admitted.record.frame.attestation)
    return admitted.author.valid_at(signed) or time_inside(
        signed, rule.effective.start_ns, rule.effective.end_ns, "disposition.11.effective"
    )


def _ahead(record: Record, now: TimeFix) -> Refusal | None:
    """Check clause (10): refuse a record attested later than this node's clock, trusted or not, can be."""
    signed = record.frame.attestation
    if signed.earliest_ns <= now.latest_ns:
        return None
    return refuse(Reason.NOT_YET, "confidence.10", f"signed at {signed.earliest_ns} ns", f"<= {now.latest_ns} ns")


def _age(record: Record, rule: Rule, now: TimeFix) -> Refusal | None:
    """Check clause (10): refuse a record signed in the future or too long ago, by the `late` of its type.

    A type with COUNTS is never too old; an envelope (OWN_END) is too old once its own validity has ended.
    """
    signed = record.frame.attestation
    if not now.trusted:
        return refuse(Reason.TIME_UNTRUSTED, "confidence.10", now.status, "a trusted clock")
    ahead = _ahead(record, now)
    if ahead is not None:
        return ahead
    late = record.row.late
    if late is WhenLate.OWN_END:
        valid_ns = record.body.valid_until_ns
        over = refuse(Reason.STALE, "confidence.10.valid", f"at {now.latest_ns} ns", f"before {valid_ns} ns")
        return None if now.before(valid_ns) else over
    if late is not WhenLate.COUNTS and now.earliest_ns - signed.latest_ns > rule.record_age_ns_max:
        age = f"{now.earliest_ns - signed.latest_ns} ns old"
        return refuse(Reason.STALE, "confidence.10", age, f"<= {rule.record_age_ns_max} ns")
    return None


def _seen(record: Record, history: History) -> Refusal | None:
    """Check clause (12): refuse a record seen before, and a second record with one sequence number."""
    if history.seen(record.digest):
        return refuse(Reason.REPLAY, "disposition.12", record.digest.hex(), "a record not seen before")
    author = record.frame.author
    other = history.author_record(author, record.frame.seq) if author else None
    if other is not None:
        return refuse(Reason.EQUIVOCATION, "disposition.12.seq", record.digest.hex(), other.hex())
    return None


def timeless(admitted: Admitted, rule: RuleInForce) -> Refusal | None:
    """Check the clauses that do not depend on when the record is judged; an auditor checks these again."""
    refusal = capability(admitted.record, admitted.author, rule.rule) or _at_signing(admitted, rule.rule)
    if refusal is not None:
        return refusal
    cited: bytes | None = getattr(admitted.record.body, "rule", None)
    if cited is not None and cited != rule.hash and admitted.record.row.cites is Cites.IN_FORCE:
        return refuse(Reason.RULE_UNKNOWN, "disposition.11", cited.hex(), rule.hash.hex())
    refusal = within_terms(admitted.record, rule.rule)
    if refusal is not None:
        return refusal
    here = admitted.record.frame.attestation
    match admitted.record.row.site:
        case Site.NAMED_CELL:
            return author_inside(here, admitted.record.body.cell.area, "disposition.place")
        case Site.OWN_AREA:
            return author_inside(here, admitted.author.scope.area, "capability.8.place")
        case Site.ANYWHERE:
            return None
        case other:
            assert_never(other)


def author_inside(here: Attestation, area: Area, clause: str) -> Refusal | None:
    """Check the place of signing: the whole attested disc, at least as wide as its source allows, lies in the area."""
    source = _POSITION_SOURCES[here.position_source]
    position = PositionFix(
        lat_e7=here.lat_e7,
        lon_e7=here.lon_e7,
        radius_mm=max(here.radius_mm, RADIUS_FLOOR_MM[source]),
        source=source,
        trusted=True,
    )
    return area.place(position, clause)


def _stands(admitted: Admitted, context: Context, now: TimeFix) -> Refusal | None:
    """Check clause (5) now: the author's credential is neither revoked nor replaced by another."""
    author, row = admitted.author, admitted.record.row
    if row.owed:
        return None
    if context.registry.successor(author.hash) is not None and not row.of_old_keys:
        return refuse(Reason.ROTATION, "capability.5", author.name, "the successor's key")
    checked = behaviour_of(context.rule.rule, author.level, admitted.record.typ) is Behaviour.CHECK
    return context.status.standing(author, context.registry, now, vouched=checked)


def _cites(record: Record, context: Context) -> Refusal | None:
    """Check clause (11) of a record about the past: the version of the rule that it cites was in force here."""
    if (
        record.row.cites is Cites.IN_FORCE
        or record.body.rule == context.rule.hash
        or context.was_rule(record.body.rule)
    ):
        return None
    return refuse(Reason.RULE_UNKNOWN, "disposition.11.cited", record.body.rule.hex(), "a version once in force here")


def admit(
    raw: bytes, context: Context, *, now: TimeFix, transport_key: bytes | None, allow_seen: bool = False
) -> Admitted | Refusal:
    """Return the verdict at `now` on bytes that arrived over `transport_key` (None for a node's own records).

    A record seen before is REPLAY unless `allow_seen`: the node answers a resend with the reply it stored.
    """
    admitted = prove(raw, context.registry)
    if isinstance(admitted, Refusal):
        return admitted
    record, author = admitted.record, admitted.author
    relayed = record.row.carrier is CarriedBy.ANYONE
    if transport_key is not None and not relayed and transport_key != author.transport_key:
        return refuse(Reason.TRANSPORT_BINDING, "integrity.4", "sent over another node's key", author.name)
    refusal = (
        timeless(admitted, context.rule_for(record.frame.attestation))
        or author.valid_at(now)
        or _stands(admitted, context, now)
        or _cites(record, context)
        or (_ahead(record, now) if relayed else _age(record, context.rule.rule, now))
        or (None if allow_seen else _seen(record, context.history))
    )
    return refusal or admitted
