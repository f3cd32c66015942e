"""What a node may sign: the checks that its auditor makes of a node's own records, made before one of them is durable.

    (1) the timeless clauses of admission hold, under the rule in force over the attested interval, else the newest
    (2) it is not attested before what this node signed before it

A node's own word on its gate and its refusals is on record even where it has lost its clock or its place, or its
credential or its rule has run out: that it did is what must be on record.
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
    """May this record of a node's own stand in its log?

    Args: rule: in force over the attested interval, else the newest known. attested_ns: latest instant that this node
    has surely signed at, UTC.
    """
    refusal = timeless(Admitted(record=record, author=author), rule)
    if refusal is not None and not excused(record.typ, refusal):
        return refusal
    return in_order(record.frame.attestation, attested_ns)


def excused(typ: str, refusal: Refusal) -> bool:
    """Is this refusal of a node's own record what the record is there to say?"""
    return RECORDS[typ].own_word and (refusal.reason in UNTRUSTED or refusal.clause in RUN_OUT)


def in_order(signed: Attestation, attested_ns: int) -> Refusal | None:
    """Check (2). A clock that its owner did not trust says nothing of order."""
    if signed.time_source == TimeSource.NONE or signed.latest_ns >= attested_ns:
        return None
    return refuse(Reason.TIME_UNTRUSTED, "own.order", f"{signed.latest_ns} ns", f">= {attested_ns} ns, signed before")


def attested(before_ns: int, signed: Attestation) -> int:
    """The latest instant that a node has surely signed at, with one more record."""
    return before_ns if signed.time_source == TimeSource.NONE else max(before_ns, signed.earliest_ns)


def last_attested(records: Iterable[Attestation]) -> int:
    """The latest instant that an author has surely signed at, from its records, the newest first.

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
    """A clock that shows a time before what this node has signed already is not to be trusted."""
    if not time.trusted or time.latest_ns >= attested_ns:
        return time
    behind_ms = (attested_ns - time.latest_ns) / 1e6
    return replace(time, trusted=False, status=f"{behind_ms:.0f} ms before what this node has signed already")
