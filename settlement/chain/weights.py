"""How much an observation weighs, and how a node's record of fulfilment bounds what it may ask.

weight = authority x modality reliability x consistency with others, each in millionths. A new identity has no record
and starts with the rule's first share of a budget; each fulfilled settlement adds a step until the share is whole.

What counts as fulfilled comes from admitted records alone, once for each settlement, so anyone who holds the log comes
to the same figures: a USAGE speaks for its user; an ABORT because the user did not answer, or not rightly, against it;
a FALLBACK against the holder, who did not deliver what it granted; a RULING against whom it has pay.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from settlement.chain.bodies import PPM, Abort, Envelope, Fallback, Grant, Rule, Ruling, Usage
from settlement.chain.records import Record
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.reasons import Reason
from settlement.records.registry import TYPE_OF

UNANSWERED = frozenset({Reason.TIMEOUT.value, Reason.CHALLENGE.value, Reason.TERMS.value})
"""Reasons of an ABORT that are the user's doing: a band taken back for an incumbent is not."""
FULFILLED, FAILED = "fulfilled:", "failed:"
"""Durable counters, each with the credential's hash in hex behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many settlements an identity fulfilled, and how many it failed."""

    fulfilled: int = 0
    failed: int = 0


def kept_by(records: Iterable[Record]) -> dict[bytes, Kept]:
    """The record of fulfilment of everyone who appears in a log's admitted records, in their order."""
    found: dict[bytes, Kept] = {}
    granted: dict[bytes, bytes] = {}
    counted: set[tuple[bytes, str]] = set()
    for record in records:
        author, sid = record.frame.author, record.sid
        if author is None or sid is None:
            continue
        if isinstance(record.body, Grant):
            granted[sid] = record.body.user
        whose, counts = _counts(record, author, granted.get(sid))
        if whose is None or not counts or (sid, record.typ) in counted:
            continue
        counted.add((sid, record.typ))
        so_far = found.get(whose, Kept())
        good = isinstance(record.body, Usage)
        found[whose] = replace(so_far, fulfilled=so_far.fulfilled + good, failed=so_far.failed + (not good))
    return found


def _counts(record: Record, author: bytes, user: bytes | None) -> tuple[bytes | None, bool]:
    """Whose record a record counts in, and whether it does."""
    match record.body:
        case Usage() | Fallback():
            return author, True
        case Ruling(pays=pays):
            return pays, True
        case Abort(reason=reason):
            return user, reason in UNANSWERED
        case _:
            return None, False


def observation_weight_ppm(rule: Rule, *, level: str, modality: str | None, consistency_ppm: int) -> int:
    """Weight of one observation by the rule.

    0 for a level the rule does not know or has only recorded, and, where the rule rates ways of observing at all, for
    one it does not know.
    """
    held = rule.level(level)
    if held is None or behaviour_of(rule, level, TYPE_OF[Envelope]) is Behaviour.KEEP:
        return 0
    rated = {m.name: m.reliability_ppm for m in rule.modalities or ()}
    reliability = rated.get(modality or "", 0) if rated else PPM
    return held.weight_ppm * reliability // PPM * min(max(consistency_ppm, 0), PPM) // PPM


def consistency_ppm(values: list[tuple[int, int]], own: tuple[int, int]) -> int:
    """Share of the others' intervals that touch one's own; without others nothing speaks against it."""
    if not values:
        return PPM
    agreeing = sum(1 for low, high in values if low <= own[1] and own[0] <= high)
    return agreeing * PPM // len(values)


def trust_ppm(kept: Kept) -> int:
    """How far an identity's word counts by its record: a quarter at first, more with each settlement it fulfilled."""
    return PPM * (1 + kept.fulfilled) // (4 + kept.fulfilled + 2 * kept.failed)


def share_ppm(*, first_ppm: int, step_ppm: int, fulfilled: int, failed: int) -> int:
    """The share of a budget an identity may use: it grows with what it fulfilled and shrinks twice as fast."""
    return max(0, min(PPM, first_ppm + step_ppm * (fulfilled - 2 * failed)))
