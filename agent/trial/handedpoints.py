"""Leases that changed hands in a trial, from signed records and the oracle: each chain back to the licence."""

from collections.abc import Sequence
from typing import Any

from agent.trial.collect import Collected
from agent.trial.judge import Live
from settlement.chain.bodies import Confirm, Grant, Rule
from settlement.chain.records import Record
from settlement.pair.jurisdictions import represented_by, touched_by
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Consent, Handover, Reclaim, Vacated

RECLAIM, CLOCK = "RECLAIM", "the clock"
"""By what a part is its old user's again: a record that says so, or the end that stands in the HANDOVER."""


def handed_on(c: Collected, found: Sequence[Record]) -> list[dict[str, Any]]:
    """One row for each settlement that hands on another's lease, in the order in which they were confirmed."""
    by_name = {r.digest: r for r in found}
    grants = {r.body.sid: r for r in found if isinstance(r.body, Grant)}
    rows = []
    for confirm in sorted((r for r in found if isinstance(r.body, Confirm)), key=_signed):
        grant = grants.get(confirm.body.sid)
        handover = by_name.get(grant.body.handover or b"") if grant is not None else None
        if grant is not None and handover is not None:
            rows.append(_row(c, found, (grant, confirm, handover), grants, by_name))
    return rows


def reconciled(c: Collected, found: Sequence[Record]) -> list[dict[str, Any]]:
    """One row for each settlement that touches jurisdictions of its rule: their clauses, and who stands for each."""
    rules = {r.digest: r.body for r in found if isinstance(r.body, Rule)}
    confirmed = {r.body.sid for r in found if isinstance(r.body, Confirm)}
    parties = {issued.name: issued.chain for issued in c.finished.layout.nodes}
    rows = []
    for grant in [r for r in found if isinstance(r.body, Grant) and r.body.sid in confirmed and r.body.jurisdictions]:
        body, rule = grant.body, rules.get(grant.body.rule)
        if rule is None:
            continue
        names = (c.name_of(grant.frame.author or b""), c.name_of(body.user))
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


def _signed(record: Record) -> int:
    return record.frame.attestation.latest_ns


def _of(found: Sequence[Record], body: type[Any], handover: bytes) -> Record | None:
    return next((r for r in found if isinstance(r.body, body) and r.body.handover == handover), None)


def _row(
    c: Collected,
    found: Sequence[Record],
    made: tuple[Record, Record, Record],
    grants: dict[bytes, Record],
    by_name: dict[bytes, Record],
) -> dict[str, Any]:
    grant, confirm, handover = made
    body: Handover = handover.body
    consent, vacated = _of(found, Consent, handover.digest), _of(found, Vacated, handover.digest)
    parent = next((one for one in c.lives if one.sid == body.sid), None)
    back_ns, back_by = back_of(body, _of(found, Reclaim, handover.digest), parent)
    silent_ns = vacated.body.silent_latest_ns if vacated is not None else None
    opened = [j.start_ns for j in c.judged if j.sid == grant.body.sid]
    old = [
        j.end_ns
        for j in c.judged
        if j.sid == body.sid
        and j.burst.low_hz < body.cell.band.high_hz
        and body.cell.band.low_hz < j.burst.high_hz
        and (back_ns is None or j.start_ns < back_ns)
        and j.start_ns < body.cell.window.end_ns
    ]
    return {
        "kind": body.kind,
        "from": c.name_of(handover.frame.author or b""),
        "to": c.name_of(body.to),
        "sid": grant.body.sid.hex(),
        "of": body.sid.hex(),
        "chain": _chain(c, grant, grants, by_name),
        "low_hz": grant.body.cell.band.low_hz,
        "high_hz": grant.body.cell.band.high_hz,
        "max_eirp_mdbm": grant.body.max_eirp_mdbm,
        "price": grant.body.price,
        "consented_by": c.name_of(consent.frame.author or b"") if consent is not None else None,
        "silent_s": None if silent_ns is None else round(c.seconds(silent_ns), 6),
        "confirmed_s": round(c.seconds(_signed(confirm)), 6),
        "old_last_s": round(c.seconds(max(old)), 6) if old else None,
        "new_first_s": round(c.seconds(min(opened)), 6) if opened else None,
        "silent_before_open": bool(opened) and (not old or max(old) < min(opened)),
        "back_s": None if back_ns is None else round(c.seconds(back_ns), 6),
        "back_by": back_by,
    }


def back_of(body: Handover, reclaim: Record | None, parent: Live | None) -> tuple[int | None, str | None]:
    """When what was handed on is its old user's again (UTC, ns), and by what; None where it never is.

    A RECLAIM says so where it came to nothing or ended early. A sublease that ran to its end has no such record: the
    part is back by the clock, where the lease that it is of goes on.
    """
    if reclaim is not None:
        return _signed(reclaim), RECLAIM
    end_ns = body.cell.window.end_ns
    if body.kind == TRANSFER or parent is None or end_ns >= min(parent.window.end_ns, parent.ended_ns or end_ns + 1):
        return None, None
    return end_ns, CLOCK


def _chain(c: Collected, grant: Record, grants: dict[bytes, Record], by_name: dict[bytes, Record]) -> list[str]:
    """Who had it, from the holder of the licence to the last user."""
    names, at = [c.name_of(grant.body.user)], grant
    for _ in range(len(grants)):
        names.append(c.name_of(at.frame.author or b""))
        handover = by_name.get(at.body.handover or b"")
        above = grants.get(handover.body.sid) if handover is not None else None
        if above is None:
            break
        at = above
    return names[::-1]
