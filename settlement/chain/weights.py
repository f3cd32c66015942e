"""Weights of observations, and shares of a budget by a node's record of fulfilled and failed settlements.

weight = authority x modality reliability x consistency with others, each in millionths. A new identity has no record
and starts with the rule's first share of a budget; each fulfilled settlement adds a step until the share is whole.

What counts as fulfilled comes from admitted records alone, once for each settlement, so that the same log gives
everybody the same figures. For a party counts: a USAGE, for its user. Against a party count: an ABORT because the user
did not answer in time or rightly; a FALLBACK without a substitute, or a PREEMPT without a stronger tier or an incumbent
as cause, against the holder; a RULING, against the party whose record it corrects, until a higher level strikes it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from settlement.chain.bodies import PPM, Abort, Envelope, Fallback, Grant, Preempt, Rule, Ruling, Usage
from settlement.chain.records import Record
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.reasons import Reason
from settlement.records.endings import UNDELIVERED
from settlement.records.registry import TYPE_OF

UNANSWERED = frozenset({Reason.TIMEOUT.value, Reason.CHALLENGE.value, Reason.TERMS.value})
"""Reasons of an ABORT that count against the user: a band taken back for an incumbent does not."""
FULFILLED, FAILED = "fulfilled:", "failed:"
"""Prefixes of durable counters; the credential's hash in hex follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many settlements an identity fulfilled, and how many it failed."""

    fulfilled: int = 0
    failed: int = 0


def kept_by(records: Iterable[Record]) -> dict[bytes, Kept]:
    """Return the record of fulfilment of everyone who appears in a log's admitted records, in their order."""
    found: dict[bytes, Kept] = {}
    granted: dict[bytes, bytes] = {}
    counted: set[bytes] = set()
    for record in records:
        author, sid = record.frame.author, record.sid
        if author is None or sid is None:
            continue
        if isinstance(record.body, Grant):
            granted[sid] = record.body.user
        counts = _aborted(record, sid, granted.get(sid)) or counted_for(record.body, author)
        if counts is None or counts.once in counted:
            continue
        counted.add(counts.once)
        so_far = found.get(counts.whose, Kept())
        good, bad = (counts.by, 0) if counts.good else (0, counts.by)
        found[counts.whose] = replace(so_far, fulfilled=so_far.fulfilled + good, failed=so_far.failed + bad)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The effect of one record on a party's fulfilment, for or against it by `by`; each `once` counts only once."""

    whose: bytes
    good: bool
    once: bytes
    by: int = 1


def counted_for(body: Any, author: bytes) -> Counted | None:
    """Return the effect of an admitted record on fulfilment; None where it has none."""
    name = TYPE_OF[type(body)].encode()
    match body:
        case Usage(sid=sid):
            return Counted(whose=author, good=True, once=sid + name)
        case Fallback(sid=sid, declaration=None):
            return Counted(whose=author, good=False, once=sid + name)
        case Preempt(sid=sid, reason=reason) if reason == UNDELIVERED:
            return Counted(whose=author, good=False, once=sid + name)
        case Ruling(sid=sid, dispute=dispute, corrects=corrects, strikes=strikes) if corrects is not None:
            by = 1 if strikes is None else -1
            return Counted(whose=corrects, good=False, once=sid + name + dispute, by=by)
        case Ruling(sid=sid, dispute=dispute, pays=pays, to=None) if pays is not None:
            return Counted(whose=pays, good=False, once=sid + name + dispute)
        case _:
            return None


def _aborted(record: Record, sid: bytes, user: bytes | None) -> Counted | None:
    body = record.body
    if not isinstance(body, Abort) or user is None or body.reason not in UNANSWERED:
        return None
    return Counted(whose=user, good=False, once=sid + record.typ.encode())


def observation_weight_ppm(rule: Rule, *, level: str, modality: str | None, consistency_ppm: int) -> int:
    """Return the weight of one observation by the rule, in ppm.

    Returns 0 for a level that the rule does not know or only records, and, where the rule rates modalities at all, for
    a modality that it does not know.
    """
    held = rule.level(level)
    if held is None or behaviour_of(rule, level, TYPE_OF[Envelope]) is Behaviour.KEEP:
        return 0
    rated = {m.name: m.reliability_ppm for m in rule.modalities or ()}
    reliability = rated.get(modality or "", 0) if rated else PPM
    return held.weight_ppm * reliability // PPM * min(max(consistency_ppm, 0), PPM) // PPM


def consistency_ppm(values: list[tuple[int, int]], own: tuple[int, int]) -> int:
    """Return the share of the other intervals that overlap the own one, ppm; 1 000 000 where there are no others."""
    if not values:
        return PPM
    agreeing = sum(1 for low, high in values if low <= own[1] and own[0] <= high)
    return agreeing * PPM // len(values)


def consistencies_ppm(values: Sequence[tuple[int, int]]) -> list[int]:
    """Return `consistency_ppm` of each interval against all the rest, in O(n log n) time."""
    lows, highs = sorted(low for low, _ in values), sorted(high for _, high in values)
    others = len(values) - 1
    touching = (bisect_right(lows, high) - bisect_left(highs, low) - 1 for low, high in values)
    return [one * PPM // others if others else PPM for one in touching]


def trust_ppm(kept: Kept) -> int:
    """Return the trust in an identity, in ppm: a quarter at first, more with each settlement that it fulfilled."""
    return PPM * (1 + kept.fulfilled) // (4 + kept.fulfilled + 2 * kept.failed)


def share_ppm(*, first_ppm: int, step_ppm: int, fulfilled: int, failed: int) -> int:
    """Return the budget share that an identity may use, ppm: failures shrink it twice as fast as successes raise it."""
    return max(0, min(PPM, first_ppm + step_ppm * (fulfilled - 2 * failed)))
