"""The transmit lease: its longest reach, and whether a RENEW, SUSPEND or RESUME may change it. Pure.

User and warden run the same code on the same bytes. Numbers and fences only rise, over all three types, so that a late
or repeated record changes nothing. While a lease is suspended only a RESUME extends it.
"""

import hashlib
from dataclasses import dataclass

from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.lease import Renew, Suspend

LEASE_MAX_NS = 240_000_000_000
"""Longest reach of a lease, ns, as in CBRS (47 CFR 96.39(c)(2) and WINNF-TS-0016, transmitExpireTime)."""
LEASE_LONGEST_NS = 24 * 3600 * 1_000_000_000
"""Longest reach where the rule has `long_leases`, outside the areas that they protect, ns."""
RESEND_NS = 300_000_000
RESEND_MAX_NS = 10_000_000_000
GROWTH = 8
"""Divisor of a resend interval: an eighth of the time since the first sending, within the two bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmitLease:
    """A lease's present state; `number` and `fence` are of its newest change, `length_ns` the longest it may be."""

    confirm: bytes
    cell: Cell
    number: int
    fence: int
    suspended: bool
    length_ns: int = LEASE_MAX_NS


def lease_limit(record: Record, cell: Cell, length_ns: int) -> int:
    """Return how far (UTC, ns) a lease in that record may reach: at most its length ahead and to the window's end."""
    return furthest(record.frame.attestation.latest_ns, cell, length_ns)


def furthest(now_ns: int, cell: Cell, length_ns: int) -> int:
    """Return how far (UTC, ns) a lease given at `now_ns` may reach; before the window, counted from its start."""
    return min(cell.window.end_ns, max(now_ns, cell.window.start_ns) + min(length_ns, LEASE_LONGEST_NS))


def judge_change(held: TransmitLease, record: Record) -> Refusal | None:
    """Judge whether this RENEW, SUSPEND or RESUME of the settlement's holder may change the lease."""
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
    """Return the wait, ns, before the same bytes are sent again: growing, bounded, and spread over the nodes.

    Args: since_ns, sent_ns: when they were sent first and last, by one clock. salt: varies the wait by up to 1/16, so
    that not all nodes send at once.
    """
    pause = min(RESEND_MAX_NS, max(RESEND_NS, (sent_ns - since_ns) // GROWTH))
    drawn = int.from_bytes(hashlib.sha256(salt + sent_ns.to_bytes(8, "big")).digest()[:2], "big")
    return pause + pause * drawn // (16 << 16)
