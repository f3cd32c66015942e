"""The transmit lease: how far one may reach, and whether a RENEW, SUSPEND or RESUME may change it. Pure.

User and warden judge by the same code, each from the bytes. Numbers and fences only rise, over all three types, so that
whatever comes late or again changes nothing. While a lease is suspended only a RESUME gives one again.
"""

import hashlib
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.lease import Renew, Suspend

LEASE_MAX_NS = 240_000_000_000
"""How far ahead a lease may reach: what CBRS allows (47 CFR 96.39(c)(2) and WINNF-TS-0016, transmitExpireTime)."""
LEASE_LONGEST_NS = 24 * 3600 * 1_000_000_000
"""How far it may reach where the rule has `long_leases`, outside the areas they protect."""
RESEND_NS = 300_000_000
RESEND_MAX_NS = 10_000_000_000
GROWTH = 8
"""A pause is an eighth of the time since the first sending, within the two bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmitLease:
    """What a lease stands at; `number` and `fence` are its newest change's, `length_ns` the longest it may be."""

    confirm: bytes
    cell: Cell
    number: int
    fence: int
    suspended: bool
    length_ns: int = LEASE_MAX_NS


def lease_limit(record: Record, cell: Cell, length_ns: int) -> int:
    """How far a lease signed in that record may reach: the window's end, at most a lease's length ahead. UTC, ns."""
    return furthest(record.frame.attestation.latest_ns, cell, length_ns)


def furthest(now_ns: int, cell: Cell, length_ns: int) -> int:
    """How far a lease given at `now_ns` may reach; it begins with the window where that is still to come. UTC, ns."""
    return min(cell.window.end_ns, max(now_ns, cell.window.start_ns) + min(length_ns, LEASE_LONGEST_NS))


def judge_change(held: TransmitLease, record: Record) -> Refusal | None:
    """May this RENEW, SUSPEND or RESUME of the settlement's holder change the lease?"""
    body, typ = record.body, record.typ
    if body.confirm != held.confirm:
        return refuse(Reason.TERMS, f"{typ}.confirm", body.confirm.hex()[:16], held.confirm.hex()[:16])
    if body.fence <= held.fence or body.number <= held.number:
        return refuse(Reason.FENCE, f"{typ}.fence", body.fence, f"> {held.fence}")
    if isinstance(body, Suspend):
        return None
    if isinstance(body, Renew) and held.suspended:
        return refuse(Reason.OUT_OF_ORDER, "renew.suspended", "suspended", "a RESUME")
    limit_ns = lease_limit(record, held.cell, held.length_ns)
    if body.transmit_until_ns > limit_ns:
        return refuse(Reason.LEASE, f"{typ}.until", f"{body.transmit_until_ns} ns", f"<= {limit_ns} ns")
    return None


def pause_ns(since_ns: int, sent_ns: int, salt: bytes) -> int:
    """How long to wait before the same bytes are sent again: longer and longer, within bounds, nobody in step.

    Args: since_ns, sent_ns: when they were sent first and last, one clock. salt: spreads those who wait by up to 1/16.
    """
    pause = min(RESEND_MAX_NS, max(RESEND_NS, (sent_ns - since_ns) // GROWTH))
    drawn = int.from_bytes(hashlib.sha256(salt + sent_ns.to_bytes(8, "big")).digest()[:2], "big")
    return pause + pause * drawn // (16 << 16)
