"""The holder's side after CONFIRM: renews transmit leases, suspends and resumes them, preempts settlements.

A PREEMPT, SUSPEND or RESUME may be lost: the same bytes are sent again, at growing intervals, until the user
acknowledges them or nothing depends on them any more.
"""

from dataclasses import replace
from typing import Any

from settlement.chain.bodies import Compensation, Preempt, Renew, Resume, Suspend
from settlement.chain.records import Record, Unproven, digest, parse
from settlement.chain.scope import Area, Band
from settlement.core.reasons import Reason
from settlement.pair.blocks import BLOCKED, Block, Blocks
from settlement.pair.debts import Debts
from settlement.pair.displacement import Displacing
from settlement.pair.governed import Governed
from settlement.pair.holderdecision import DecisionKeeper, lease_until_ns
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.table import Event, HolderState
from settlement.pair.work import Work
from settlement.records.endings import UNDELIVERED

__all__ = ["BLOCKED", "SUSPENDS", "LeaseKeeper"]

SHOWN_BYTES_MAX = 8192
"""Longest envelope sent as evidence, bytes: a node's own has a few hundred; authors send longer ones themselves."""
SUSPENDS = 1
"""The value of a class's `on_incumbent` by which its settlements are suspended, not ended, for an incumbent."""


def _shown_by(work: Work, body: Any) -> tuple[bytes, ...]:
    """Return the envelope that is the reason of a PREEMPT or SUSPEND, where it is short enough to travel with that."""
    name: bytes | None = getattr(body, "evidence", None)
    raw = work.on_record(name) if name is not None else None
    return () if raw is None or len(raw) > SHOWN_BYTES_MAX else (raw,)


def _said_in(notice: bytes) -> Any:
    unproven = parse(notice)
    opened = unproven.opened() if isinstance(unproven, Unproven) else None
    return opened.body if isinstance(opened, Record) else None


class LeaseKeeper:
    """Every lease of one holder, and the bands that the holder protects."""

    def __init__(
        self, *, governed: Governed, pairs: HolderPairs, blocks: Blocks, decisions: DecisionKeeper, debts: Debts
    ) -> None:
        self._governed, self._pairs, self._blocks, self._decisions = governed, pairs, blocks, decisions
        self.debts = debts

    @staticmethod
    def over_ns(work: Work, pair: HolderPair) -> int:
        """Return when (UTC, ns) no lease signed for this settlement is valid any more; not before now."""
        return max(work.now.time.latest_ns, pair.transmit_until_ns or 0)

    # -- protecting a band ---------------------------------------------------------------------------------------

    def preempt(
        self,
        work: Work,
        band: Band,
        *,
        tier: int,
        reason: str,
        until_ns: int,
        evidence: bytes | None,
        author: bytes | None = None,
        area: Area | None = None,
    ) -> int:
        """Protect a band until `until_ns`: displace or suspend what overlaps it at no higher tier; return how many.

        On another `author`'s report only settlements that lie, or may lie, in that author's `area`.
        """
        block = Block(band=band, until_ns=until_ns, author=author, area=area)
        self._blocks.add(work, block)
        touched = [p for p in self._pairs.busy.values() if p.live and p.tier >= tier and block.touches(p.cell)]
        return sum(
            self._displace(work, p, tier=tier, reason=reason, until_ns=until_ns, evidence=evidence) for p in touched
        )

    def _displace(
        self, work: Work, pair: HolderPair, *, tier: int, reason: str, until_ns: int, evidence: bytes | None
    ) -> bool:
        terms = self._governed.terms(pair.commodity)
        waits = terms is not None and terms.on_incumbent == SUSPENDS and reason == Reason.INCUMBENT.value
        if pair.decision is None:
            self._decisions.abort(work, pair, Event.PREEMPT, Reason.INCUMBENT, pair.accept)
        elif not waits:
            self._preempt_one(work, pair, pair.decision, tier=tier, reason=reason, evidence=evidence)
        elif pair.state == HolderState.CONFIRMED:
            self._suspend(work, pair, pair.decision, reason=reason, until_ns=until_ns, evidence=evidence)
        else:
            return False
        return True

    def _preempt_one(
        self, work: Work, pair: HolderPair, confirm: bytes, *, tier: int, reason: str, evidence: bytes | None
    ) -> None:
        terms = self._governed.terms(pair.commodity)
        vacate_ns = work.now.time.latest_ns + (terms.vacate_ns if terms else 0)
        body = Preempt(
            sid=pair.sid, confirm=confirm, tier=tier, reason=reason, vacate_by_ns=vacate_ns, evidence=evidence
        )
        busy_ns = max(vacate_ns, self.over_ns(work, pair))
        self._notify(work, pair, Event.PREEMPT, body, busy_until_ns=busy_ns)
        work.event("preempted", sid=pair.sid, reason=reason, band=pair.cell.band)

    def take_back(self, work: Work, pair: HolderPair, *, reason: str) -> None:
        """End a settlement because its parent lease is over; abort one that is not decided yet."""
        if pair.decision is None:
            self._decisions.abort(work, pair, Event.PREEMPT, Reason.PREEMPTED, pair.accept)
        else:
            self._preempt_one(work, pair, pair.decision, tier=pair.tier, reason=reason, evidence=None)

    def pause(self, work: Work, pair: HolderPair, *, reason: str) -> None:
        """Suspend a settlement because its parent lease is suspended; both are resumed together."""
        if pair.state == HolderState.CONFIRMED and pair.decision is not None:
            until_ns = pair.cell.window.end_ns
            self._suspend(work, pair, pair.decision, reason=reason, until_ns=until_ns, evidence=None)

    def displace_for(self, work: Work, one: Displacing, *, tier: int, request: bytes) -> None:
        """Displace a settlement for a REQUEST of a stronger tier; the PREEMPT names the COMPENSATION."""
        pair = one.pair
        if pair.decision is None:
            raise ValueError("only what is settled is displaced")
        debt = None
        if one.owed:
            body = Compensation(
                sid=pair.sid,
                confirm=pair.decision,
                request=request,
                amount=one.owed,
                currency=pair.currency,
                to=pair.user,
            )
            debt = self.debts.owe(work, body).digest
        told = Preempt(
            sid=pair.sid,
            confirm=pair.decision,
            tier=tier,
            reason=Reason.TIER.value,
            vacate_by_ns=one.vacate_by_ns,
            by=request,
            owed=one.owed or None,
            compensation=debt,
        )
        self._notify(work, pair, Event.PREEMPT, told, busy_until_ns=max(one.vacate_by_ns, self.over_ns(work, pair)))
        work.event("preempted", sid=pair.sid, reason=told.reason, band=pair.cell.band, owed=one.owed)

    def undeliver(self, work: Work, pair: HolderPair) -> None:
        """End a settlement with no stronger user: the holder fails to deliver its grant, and both logs record it."""
        if pair.decision is None:
            raise ValueError("only what is settled is taken back")
        self._preempt_one(work, pair, pair.decision, tier=pair.tier, reason=UNDELIVERED, evidence=None)

    def _suspend(
        self, work: Work, pair: HolderPair, confirm: bytes, *, reason: str, until_ns: int, evidence: bytes | None
    ) -> None:
        body = Suspend(
            sid=pair.sid,
            confirm=confirm,
            number=pair.renewals + 1,
            fence=work.count("fence"),
            reason=reason,
            until_ns=until_ns,
            evidence=evidence,
        )
        self._notify(work, pair, Event.SUSPEND, body, renewals=body.number, fence=body.fence)
        work.event("lease suspended", sid=pair.sid, reason=reason, band=pair.cell.band)

    # -- records that are sent until acknowledged ----------------------------------------------------------------

    def _notify(self, work: Work, pair: HolderPair, event: Event, body: Any, **changes: Any) -> None:
        """Sign the record that moves a settlement, store it for sending again, and send it."""
        record, now_ns = work.sign(body), work.now.time.latest_ns
        told = {"notice": record.raw, "noticed_ns": now_ns, "notice_since_ns": now_ns}
        self._pairs.move(work, pair, event, **changes, **told)
        work.send(pair.user, record.raw, _shown_by(work, record.body))

    def _notify_again(self, work: Work, pair: HolderPair) -> None:
        now = work.now.time
        if pair.notice is None or not now.after(pair.said_again_ns()):
            return
        if now.after(pair.busy_until_ns):
            self._pairs.save(work, replace(pair, notice=None))
            return
        self._pairs.save(work, replace(pair, noticed_ns=now.latest_ns))
        work.send(pair.user, pair.notice, _shown_by(work, _said_in(pair.notice)))

    def heard(self, work: Work, subject: bytes) -> None:
        """Stop resending a SUSPEND, RESUME or PREEMPT that the user acknowledged."""
        for pair in [self._pairs.known[sid] for sid in self._pairs.unheard]:
            if pair.notice is not None and digest(pair.notice) == subject:
                self._pairs.save(work, replace(pair, notice=None))
        self.debts.heard(work, subject)

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, work: Work) -> None:
        """Resend unacknowledged records, resume and renew leases, end settlements that are over."""
        now = work.now.time
        self._blocks.tick(work)
        self.debts.tick(work)
        for pair in [p for p in self._pairs.due(now) if p.notice is not None]:
            self._notify_again(work, pair)
        settled = (HolderState.CONFIRMED, HolderState.SUSPENDED)
        for pair in [p for p in self._pairs.due(now) if p.state in settled]:
            if pair.moved_ns is not None and now.after(pair.moved_ns):
                self._pairs.move(work, pair, Event.MOVED, notice=None)
                work.event("ended", sid=pair.sid, reason="moved to its fallback")
            elif now.after(pair.cell.window.end_ns):
                self._pairs.move(work, pair, Event.WINDOW_END, notice=None)
                work.event("ended", sid=pair.sid, reason="window end")
            elif pair.state == HolderState.CONFIRMED:
                self._renew_when_due(work, pair)
            elif self._blocks.on(pair.cell, now) is None:
                self._extend(work, pair, pair.decision)

    def _renew_when_due(self, work: Work, pair: HolderPair) -> None:
        terms, held_ns = self._governed.terms(pair.commodity), pair.transmit_until_ns or 0
        if terms is None or lease_until_ns(self._governed, work, pair) <= held_ns:
            return
        if work.now.time.latest_ns + min(terms.lease_ns, pair.lease_ns or terms.lease_ns) // 2 >= held_ns:
            self._extend(work, pair, pair.decision)

    def _extend(self, work: Work, pair: HolderPair, confirm: bytes | None) -> None:
        """Sign a longer lease: a RENEW; a RESUME where suspended, or while a notice to the user is unacknowledged."""
        if confirm is None or self._governed.terms(pair.commodity) is None:
            return
        until_ns, number = lease_until_ns(self._governed, work, pair), pair.renewals + 1
        if pair.handover is not None and until_ns <= work.now.time.latest_ns:
            return  # the parent lease is suspended, or over
        resumes = pair.state == HolderState.SUSPENDED or pair.notice is not None
        body = (Resume if resumes else Renew)(
            sid=pair.sid, confirm=confirm, number=number, transmit_until_ns=until_ns, fence=work.count("fence")
        )
        longer = {"transmit_until_ns": until_ns, "renewals": number, "fence": body.fence}
        if pair.state == HolderState.SUSPENDED:
            work.event("lease resumed", sid=pair.sid, band=pair.cell.band)
        if resumes:
            self._notify(work, pair, Event.RESUME, body, **longer)
        else:
            self._pairs.move(work, pair, Event.RENEW, **longer)
            work.send(pair.user, work.sign(body).raw)
