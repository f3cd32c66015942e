"""Tables of leases handed on, and of settlements under several jurisdictions, from signed records."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from settlement.chain.bodies import Confirm, Grant, Rule
from settlement.chain.records import Record
from settlement.pair.jurisdictions import represented_by, touched_by
from settlement.records.handover import Consent, Handover, Vacated

Named = Callable[[bytes], str]


class HandoverRecords(NamedTuple):
    """One lease that was handed on: the records of the settlement that it became."""

    grant: Record
    confirm: Record
    handover: Record
    consent: Record | None
    vacated: Record | None


def all_handed_on(found: Sequence[Record]) -> list[HandoverRecords]:
    """Return every settlement that hands on another's lease, in the order of their confirmation."""
    by_name = {r.digest: r for r in found}
    grants = {r.body.sid: r for r in found if isinstance(r.body, Grant)}
    handed = []
    for confirm in sorted((r for r in found if isinstance(r.body, Confirm)), key=signed_ns):
        grant = grants.get(confirm.body.sid)
        handover = by_name.get(grant.body.handover or b"") if grant is not None else None
        if grant is not None and handover is not None and isinstance(handover.body, Handover):
            beside = (of_handover(found, body, handover.digest) for body in (Consent, Vacated))
            handed.append(HandoverRecords(grant, confirm, handover, *beside))
    return handed


def handed_by_records(name: Named, found: Sequence[Record]) -> list[dict[str, Any]]:
    """Return one row for each lease handed on; its silence is the old user's report of its own warden, UTC (ns)."""
    return [handed_row(name, one, found) for one in all_handed_on(found)]


def handed_row(name: Named, one: HandoverRecords, found: Sequence[Record]) -> dict[str, Any]:
    """Return a handed-on lease as plain values from its records."""
    body: Handover = one.handover.body
    granted = one.grant.body
    return {
        "kind": body.kind,
        "from": name(one.handover.frame.author or b""),
        "to": name(body.to),
        "sid": granted.sid.hex(),
        "of": body.sid.hex(),
        "chain": _chain(name, one.grant, found),
        "low_hz": granted.cell.band.low_hz,
        "high_hz": granted.cell.band.high_hz,
        "max_eirp_mdbm": granted.max_eirp_mdbm,
        "price": granted.price,
        "consented_by": name(one.consent.frame.author or b"") if one.consent is not None else None,
        "silent_ns": one.vacated.body.silent_latest_ns if one.vacated is not None else None,
        "confirmed_ns": signed_ns(one.confirm),
    }


def reconciled(name: Named, parties: Mapping[str, tuple[bytes, ...]], found: Sequence[Record]) -> list[dict[str, Any]]:
    """Return one row for each settlement that touches jurisdictions of its rule: their clauses and representatives."""
    rules = {r.digest: r.body for r in found if isinstance(r.body, Rule)}
    confirmed = {r.body.sid for r in found if isinstance(r.body, Confirm)}
    rows = []
    for grant in [r for r in found if isinstance(r.body, Grant) and r.body.sid in confirmed and r.body.jurisdictions]:
        body, rule = grant.body, rules.get(grant.body.rule)
        if rule is None:
            continue
        names = (name(grant.frame.author or b""), name(body.user))
        touched = touched_by(rule, body.cell)
        clauses = [
            {
                "jurisdiction": one.body.name,
                "clause": one.body.clause,
                "max_eirp_mdbm": [t.max_eirp_mdbm for t in one.body.classes if t.commodity == body.commodity],
                "stands_for_it": [n for n in names if represented_by(one, (parties.get(n, ()),), rule, body.cell)],
            }
            for one in touched
            if one.record in body.jurisdictions
        ]
        rows.append(
            {
                "sid": body.sid.hex(),
                "clauses": clauses,
                "reconciliation": sorted({one.body.reconciliation or "none" for one in touched}),
                "max_eirp_mdbm": body.max_eirp_mdbm,
            }
        )
    return rows


def signed_ns(record: Record) -> int:
    """Return the latest instant (UTC, ns) at which a record may have been signed."""
    return record.frame.attestation.latest_ns


def of_handover(found: Sequence[Record], body: type[Any], handover: bytes) -> Record | None:
    """Return the record of a type that refers to a HANDOVER."""
    return next((r for r in found if isinstance(r.body, body) and r.body.handover == handover), None)


def _chain(name: Named, grant: Record, found: Sequence[Record]) -> list[str]:
    """Return the successive users, from the holder of the licence to the last."""
    by_name = {r.digest: r for r in found}
    grants = {r.body.sid: r for r in found if isinstance(r.body, Grant)}
    names, at = [name(grant.body.user)], grant
    for _ in range(len(grants)):
        names.append(name(at.frame.author or b""))
        handover = by_name.get(at.body.handover or b"")
        above = grants.get(handover.body.sid) if handover is not None else None
        if above is None:
            break
        at = above
    return names[::-1]
