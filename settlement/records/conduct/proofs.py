"""Checks of evidence: two statements that one author signed and that cannot both be honest (I14).

EQUIVOCATION    two records of one author with the same number; or two GRANTs, two ACCEPTs or two decisions (CONFIRM,
                ABORT) for one settlement; or two different votes, bids, reveals, tallies or outcomes for one proposal.
                Any other type may occur more than once in a settlement: leases, handings on, disputes, debts
FORK            two heads of one size with different roots, both signed by the log's owner; or two checkpoint records of
                one author, the later of which claims to extend the earlier with a proof that fails
"""

from typing import Any

from settlement.chain import merkle
from settlement.chain.admission import Admitted, prove
from settlement.chain.bodies import Checkpoint, Evidence
from settlement.chain.checkpoint import Head, open_note, origin_of
from settlement.chain.credentials import Registry
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.records.auction import AuctionTally, Bid, Reveal
from settlement.records.decision import DECISIONS
from settlement.records.grant import Accept, Grant
from settlement.records.quorum import Ballot, GroupOutcome

ONCE = (Ballot, Bid, Reveal, AuctionTally, GroupOutcome)
"""Types of which an author signs one for each proposal."""
ONCE_OF_A_SETTLEMENT: tuple[tuple[type[Any], ...], ...] = ((Grant,), (Accept,), DECISIONS)
"""Groups of types of which an author signs one record for each settlement."""


def judge_evidence(body: Evidence, registry: Registry) -> Refusal | None:
    """Return None where the two statements prove a conflict, else PROOF."""
    found = conflict(body, registry)
    return found if isinstance(found, Refusal) else None


def conflict(body: Evidence, registry: Registry) -> Admitted | Refusal | None:
    """Return the second record of a proven conflict, None if bare heads prove it; PROOF where it is not proven."""
    match body.reason:
        case Reason.EQUIVOCATION.value:
            return _equivocation(body, registry)
        case Reason.FORK.value:
            first, second = _head(body.first, registry), _head(body.second, registry)
            if first is not None and second is not None:
                return None if _two_roots(first, second) else _none("two heads that can both be")
            return _broken_extension(body, registry)
        case _:
            return refuse(Reason.PROOF, "evidence.reason", body.reason, "EQUIVOCATION or FORK")


def _none(measured: str) -> Refusal:
    return refuse(Reason.PROOF, "evidence.conflict", measured, "two signed statements that cannot both be honest")


def _both(body: Evidence, registry: Registry) -> tuple[Admitted, Admitted] | None:
    first, second = prove(body.first, registry), prove(body.second, registry)
    return (first, second) if isinstance(first, Admitted) and isinstance(second, Admitted) else None


def _equivocation(body: Evidence, registry: Registry) -> Admitted | Refusal:
    both = _both(body, registry)
    if both is None:
        return refuse(Reason.PROOF, "evidence.records", "a record that does not prove", "two proven records")
    a, b = both[0].record, both[1].record
    one_number = a.frame.seq == b.frame.seq
    once = any(a.row.body in group and b.row.body in group for group in ONCE_OF_A_SETTLEMENT)
    same = one_number or (once and a.sid == b.sid)
    same = same or (type(a.body) is type(b.body) and isinstance(a.body, ONCE) and _differ(a.body, b.body))
    if a.digest == b.digest or a.frame.author != b.frame.author or not same:
        return _none("two records that can both be")
    return both[1]


def _differ(a: Any, b: Any) -> bool:
    """Whether two records are about one proposal and differ; votes and outcomes are compared by choice and epoch."""
    if isinstance(a, Ballot | GroupOutcome):
        return bool(a.proposal == b.proposal and a.epoch == b.epoch and a.choice != b.choice)
    return bool(a.proposal == b.proposal and a != b)


def _head(raw: bytes, registry: Registry) -> Head | None:
    """Return the head in a bare note if the owner of that log, a known subject, signed it; else None."""
    try:
        note = raw.decode()
    except UnicodeDecodeError:
        return None
    origin = note.partition("\n")[0]
    for subject in registry.subjects():
        if origin == origin_of(registry.network, subject.public):
            head = open_note(note, subject.public)
            return head if isinstance(head, Head) else None
    return None


def _two_roots(a: Head, b: Head) -> bool:
    return a.origin == b.origin and a.size == b.size and a.root != b.root


def _broken_extension(body: Evidence, registry: Registry) -> Admitted | Refusal:
    both = _both(body, registry)
    if both is None or both[0].author.hash != both[1].author.hash:
        return refuse(Reason.PROOF, "evidence.heads", "no two of one owner", "two heads or checkpoints of one owner")
    checkpoints = [admitted.record.body for admitted in both]
    heads = [
        open_note(c.note, both[0].author.public) if isinstance(c, Checkpoint) else _none("no checkpoint")
        for c in checkpoints
    ]
    old, new = heads
    if not isinstance(old, Head) or not isinstance(new, Head) or old.origin != new.origin:
        return _none("no two heads of one log")
    if _two_roots(old, new):
        return both[1]
    claimed = checkpoints[1]
    if claimed.old_size != old.size or not 0 < old.size <= new.size:
        return _none("a later head that claims nothing of the earlier")
    broken = merkle.verify_consistency(old.size, new.size, old.root, new.root, claimed.proof)
    forked = broken is not None and broken.reason is Reason.FORK
    return both[1] if forked else _none("a proof that holds, or is no proof")
