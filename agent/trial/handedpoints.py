"""Leases handed on in a trial, from signed records and the oracle, each with its chain back to the licence."""

from collections.abc import Sequence
from typing import Any

from agent.audit.handedpoints import HandoverRecords, all_handed_on, handed_row, of_handover, signed_ns
from agent.trial.collect import Collected
from agent.trial.judge import Live
from settlement.chain.records import Record
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Handover, Reclaim

RECLAIM, CLOCK = "RECLAIM", "the clock"
"""What returns a part to its old user: a RECLAIM record, or the end stated in the HANDOVER."""


def handed_on(c: Collected, found: Sequence[Record]) -> list[dict[str, Any]]:
    """Return one row for each settlement that hands on another's lease, in the order of their confirmation."""
    return [_row(c, found, one) for one in all_handed_on(found)]


def _row(c: Collected, found: Sequence[Record], one: HandoverRecords) -> dict[str, Any]:
    body: Handover = one.handover.body
    parent = next((live for live in c.lives if live.sid == body.sid), None)
    back_ns, back_by = back_of(body, of_handover(found, Reclaim, one.handover.digest), parent)
    opened = [j.start_ns for j in c.judged if j.sid == one.grant.body.sid]
    old = [
        j.end_ns
        for j in c.judged
        if j.sid == body.sid
        and j.burst.low_hz < body.cell.band.high_hz
        and body.cell.band.low_hz < j.burst.high_hz
        and (back_ns is None or j.start_ns < back_ns)
        and j.start_ns < body.cell.window.end_ns
    ]
    row = handed_row(c.name_of, one, found)
    silent_ns, confirmed_ns = row.pop("silent_ns"), row.pop("confirmed_ns")
    return {
        **row,
        "silent_s": None if silent_ns is None else round(c.seconds(silent_ns), 6),
        "confirmed_s": round(c.seconds(confirmed_ns), 6),
        "old_last_s": round(c.seconds(max(old)), 6) if old else None,
        "new_first_s": round(c.seconds(min(opened)), 6) if opened else None,
        "silent_before_open": bool(opened) and (not old or max(old) < min(opened)),
        "back_s": None if back_ns is None else round(c.seconds(back_ns), 6),
        "back_by": back_by,
    }


def back_of(body: Handover, reclaim: Record | None, parent: Live | None) -> tuple[int | None, str | None]:
    """Return when a part is its old user's again (UTC, ns), and by what; None where it never is.

    A RECLAIM returns it where the sublease failed or ended early. A sublease that ran to its end has no such record:
    the part returns by the clock, if the lease that it belongs to is still in force.
    """
    if reclaim is not None:
        return signed_ns(reclaim), RECLAIM
    end_ns = body.cell.window.end_ns
    if body.kind == TRANSFER or parent is None or end_ns >= min(parent.window.end_ns, parent.ended_ns or end_ns + 1):
        return None, None
    return end_ns, CLOCK
