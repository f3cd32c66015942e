"""Reputations that a node computes from its own log, where its rule has terms for them.

Events that count: a USAGE for its user and, in the user's own log, for the holder that delivered; a PREEMPT without a
stronger user, by the share of the window that was not delivered; a FALLBACK that offers no substitute; an ABORT caused
by the user; a ruling that corrects. Each settlement counts once for each party.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from settlement.chain.codec import encode
from settlement.chain.lineage import Lineage
from settlement.chain.scope import Window
from settlement.chain.weights import UNANSWERED
from settlement.market.reputation import (
    NOTHING,
    WHOLE,
    WeighedConduct,
    kept_share,
    reputation_ppm,
    share_by_reputation_ppm,
    weighed,
)
from settlement.pair.work import STORED_LIMIT, stored_as
from settlement.records.complaint import Fallback, Ruling
from settlement.records.complaintterms import ReputationTerms
from settlement.records.decision import Abort
from settlement.records.endings import UNDELIVERED, Preempt, Usage
from settlement.records.registry import TYPE_OF

REPUTATION, WEIGHED = "reputation", "weighed"
WEIGHTY = (Usage, Preempt, Fallback, Ruling, Abort)

Get = Callable[[str, bytes], bytes | None]
Put = Callable[[str, bytes, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoParties:
    """Holder, user and window of a settlement."""

    holder: bytes
    user: bytes
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductEvent:
    """The weight of one record: whose reputation, with whom, for and against in thousandths, counted once by name."""

    whose: bytes
    partner: bytes
    good: int
    bad: int
    once: bytes
    unless: bytes | None = None
    """The name of a more specific event: where that was counted before, this one is not."""


def event_of(body: Any, parties: TwoParties | None, terms: ReputationTerms, *, own: bool) -> ConductEvent | None:
    """Return the weight of a record that this node took, or (`own`) signed; None where it has none."""
    if parties is None:
        return None
    user, holder, once = parties.user, parties.holder, body.sid + TYPE_OF[type(body)].encode()
    match body:
        case Usage() if own:
            more = body.sid + TYPE_OF[Preempt].encode()
            return ConductEvent(whose=holder, partner=user, good=WHOLE, bad=0, once=once + b"/own", unless=more)
        case Usage():
            return ConductEvent(whose=user, partner=holder, good=WHOLE, bad=0, once=once)
        case Preempt(reason=reason, vacate_by_ns=silent_ns) if reason == UNDELIVERED and not own:
            good = kept_share(parties.window.start_ns, parties.window.end_ns, silent_ns)
            return ConductEvent(whose=holder, partner=user, good=good, bad=WHOLE - good, once=once)
        case Fallback(declaration=None) if not own:
            return ConductEvent(whose=holder, partner=user, good=0, bad=WHOLE, once=once)
        case Abort(reason=reason) if own and reason in UNANSWERED:
            return ConductEvent(whose=user, partner=holder, good=0, bad=WHOLE, once=once)
        case Ruling(corrects=corrects, strikes=strikes, dispute=dispute) if corrects in (user, holder):
            whose = corrects or b""
            bad = terms.complaint if strikes is None else -terms.complaint
            partner = holder if whose == user else user
            return ConductEvent(whose=whose, partner=partner, good=0, bad=bad, once=once + dispute)
        case _:
            return None


def weigh(get: Get, put: Put, terms: ReputationTerms, event: ConductEvent, now_ns: int) -> None:
    """Count an event once. A user's own report does not cancel what its holder failed to deliver."""
    if get(WEIGHED, event.once) is not None or (event.unless is not None and get(WEIGHED, event.unless) is not None):
        return
    row = event.whose + event.partner
    raw = get(REPUTATION, row)
    held = stored_as(WeighedConduct, raw, REPUTATION) if raw is not None else NOTHING
    put(WEIGHED, event.once, b"")
    after = weighed(held, terms, good=event.good, bad=event.bad, now_ns=now_ns)
    put(REPUTATION, row, encode(after, limit=STORED_LIMIT))


def reputation_in(log: Lineage, terms: ReputationTerms, line: tuple[bytes, ...], now_ns: int) -> int:
    """Return the reputation of the owner of these keys, by a node's log; all keys count as one identity."""
    rows = (raw for one in line for _, raw in log.items_from(REPUTATION, one))
    held = [stored_as(WeighedConduct, raw, REPUTATION) for raw in rows]
    return reputation_ppm(terms, held, now_ns)


def share_in(log: Lineage, terms: ReputationTerms, line: tuple[bytes, ...], first_ppm: int, now_ns: int) -> int:
    """Return the share of a budget, ppm, that the owner of these keys may use."""
    return share_by_reputation_ppm(first_ppm, reputation_in(log, terms, line, now_ns), terms.prior_ppm)
