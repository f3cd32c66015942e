"""Checks on a node's own records before they are durable: the same that its auditor makes.

    (1) the timeless clauses of admission hold, under the rule in force over the attested interval, else the newest
    (2) it is not attested before an earlier record of the node

A node's records about its gate and its refusals are logged even if its clock or position is not trusted, or its
credential or rule is over: that is what they report.
"""

from collections.abc import Iterable
from dataclasses import replace

from settlement.chain.admission import Admitted, RuleInForce, timeless
from settlement.chain.credentials import Subject
from settlement.chain.records import Attestation, Record
from settlement.core.fixes import TimeFix, TimeSource
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.registry import RECORDS

UNTRUSTED = frozenset({Reason.TIME_UNTRUSTED, Reason.POSITION_UNTRUSTED})
RUN_OUT = frozenset({"credential.validity", "disposition.11.effective"})


def judge_own(record: Record, author: Subject, rule: RuleInForce, attested_ns: int) -> Refusal | None:
    """Refuse a record of a node's own that may not be in its log; None where it may.

    Args: rule: in force over the attested interval, else the newest known. attested_ns: latest instant that this node
    has surely signed at, UTC.
    """
    refusal = timeless(Admitted(record=record, author=author), rule)
    if refusal is not None and not excused(record.typ, refusal):
        return refusal
    return in_order(record.frame.attestation, attested_ns)


def excused(typ: str, refusal: Refusal) -> bool:
    """Whether this refusal of a node's own record is exactly what the record reports."""
    return RECORDS[typ].own_word and (refusal.reason in UNTRUSTED or refusal.clause in RUN_OUT)


def in_order(signed: Attestation, attested_ns: int) -> Refusal | None:
    """Run check (2). A clock that its owner did not trust proves no order."""
    if signed.time_source == TimeSource.NONE or signed.latest_ns >= attested_ns:
        return None
    return refuse(Reason.TIME_UNTRUSTED, "own.order", f"{signed.latest_ns} ns", f">= {attested_ns} ns, signed before")


def attested(before_ns: int, signed: Attestation) -> int:
    """Return the latest instant (UTC, ns) at which a node has surely signed, with one more record."""
    return before_ns if signed.time_source == TimeSource.NONE else max(before_ns, signed.earliest_ns)


def last_attested(records: Iterable[Attestation]) -> int:
    """Return the latest instant (UTC, ns) at which an author has surely signed, from its records, newest first.

    A record that was attested to have been over before that instant follows nothing later, so the look back ends there.
    """
    found = 0
    for signed in records:
        if signed.time_source == TimeSource.NONE:
            continue
        if signed.latest_ns < found:
            break
        found = attested(found, signed)
    return found


def believed(time: TimeFix, attested_ns: int) -> TimeFix:
    """Return a time fix as untrusted where it is before an instant at which this node has surely signed."""
    if not time.trusted or time.latest_ns >= attested_ns:
        return time
    behind_ms = (attested_ns - time.latest_ns) / 1e6
    return replace(time, trusted=False, status=f"{behind_ms:.0f} ms before what this node has signed already")
