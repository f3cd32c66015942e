"""The holder's side after the commit: renews transmit leases, suspends and resumes them, takes settlements back.

What takes something away (PREEMPT, SUSPEND), and the RESUME that gives it back, may be lost: the same bytes go out
again, ever less often, until the user says that it heard, or nothing depends on it any more.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from settlement.chain.admission import RuleInForce
from settlement.chain.bodies import Preempt, Renew, Resume, Suspend
from settlement.chain.records import digest
from settlement.chain.scope import Area, Band
from settlement.core.reasons import Reason
from settlement.pair.blocks import BLOCKED, Block, Blocks
from settlement.pair.holderpairs import HolderPair, HolderPairs
from settlement.pair.table import HolderState
from settlement.pair.transmit import furthest
from settlement.pair.work import Work

__all__ = ["BLOCKED", "SUSPENDS", "LeaseKeeper"]

SUSPENDS = 1
"""`on_incumbent` of a class whose settlements wait an incumbent out."""


class LeaseKeeper(ABC):
    """Every lease of one holder, and the bands it protects."""

    def __init__(self, *, rule: RuleInForce, stored: list[bytes], blocked: list[tuple[bytes, bytes]]) -> None:
        self._rule = rule
        self._held = HolderPairs(stored, self._lease_ns)
        self._blocks = Blocks(blocked)

    @property
    def rule(self) -> RuleInForce:
        """The rule in force."""
        return self._rule

    @rule.setter
    def rule(self, rule: RuleInForce) -> None:
        self._rule = rule
        self._held.ruled()

    def _lease_ns(self, commodity: str) -> int:
        terms = self._rule.rule.terms(commodity)
        return 0 if terms is None else terms.lease_ns

    @property
    def blocked(self) -> dict[Band, int]:
        """Bands kept free for an incumbent, each with the end of its block (UTC, ns)."""
        return self._blocks.bands()

    @property
    def pairs(self) -> dict[bytes, HolderPair]:
        """Every settlement that is remembered, by its id."""
        return self._held.known

    @property
    def busy(self) -> dict[bytes, HolderPair]:
        """Those that are not over in every respect."""
        return self._held.busy

    def _save(self, work: Work, pair: HolderPair) -> None:
        self._held.save(work, pair)

    @abstractmethod
    def abort(self, work: Work, sid: bytes, reason: Reason, accept: bytes | None = None) -> None:
        """The terminal decision against a settlement."""

    def _lease_until(self, work: Work, pair: HolderPair) -> int:
        terms = self.rule.rule.terms(pair.commodity)
        if terms is None:
            raise ValueError(f"class {pair.commodity} is not in the rule")
        length_ns = terms.lease_ns if pair.lease_ns is None else min(terms.lease_ns, pair.lease_ns)
        return furthest(work.now.time.earliest_ns, pair.cell, length_ns)

    def _lease_over(self, work: Work, pair: HolderPair) -> int:
        """When nobody can go by a lease of ours any more: the last one we signed, and not before now."""
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
        """Protect a band until `until_ns`: displace or suspend what touches it and is of no higher tier; how many.

        By another `author`'s word, only what lies in that author's `area`, or may.
        """
        block = Block(band=band, until_ns=until_ns, author=author, area=area)
        self._blocks.add(work, block)
        touched = [p for p in self.busy.values() if p.live and p.tier >= tier and block.touches(p.cell)]
        return sum(
            self._displace(work, p, tier=tier, reason=reason, until_ns=until_ns, evidence=evidence) for p in touched
        )

    def _displace(
        self, work: Work, pair: HolderPair, *, tier: int, reason: str, until_ns: int, evidence: bytes | None
    ) -> bool:
        terms = self.rule.rule.terms(pair.commodity)
        waits = terms is not None and terms.on_incumbent == SUSPENDS and reason == Reason.INCUMBENT.value
        if pair.decision is None:
            self.abort(work, pair.sid, Reason.INCUMBENT, pair.accept)
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
        terms = self.rule.rule.terms(pair.commodity)
        vacate_ns = work.now.time.latest_ns + (terms.vacate_ns if terms else 0)
        body = Preempt(
            sid=pair.sid, confirm=confirm, tier=tier, reason=reason, vacate_by_ns=vacate_ns, evidence=evidence
        )
        busy_ns = max(vacate_ns, self._lease_over(work, pair))
        self._notify(work, replace(pair, state=HolderState.ENDED, busy_until_ns=busy_ns), body)
        work.event("preempted", sid=pair.sid, reason=reason, band=pair.cell.band)

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
        suspended = replace(pair, state=HolderState.SUSPENDED, renewals=body.number, fence=body.fence)
        self._notify(work, suspended, body)
        work.event("lease suspended", sid=pair.sid, reason=reason, band=pair.cell.band)

    # -- what must be heard --------------------------------------------------------------------------------------

    def _notify(self, work: Work, pair: HolderPair, body: Any) -> None:
        """Sign it, keep it to be sent again, send it."""
        record, now_ns = work.sign(body), work.now.time.latest_ns
        self._save(work, replace(pair, notice=record.raw, noticed_ns=now_ns, notice_since_ns=now_ns))
        work.send(pair.user, record.raw)

    def _notify_again(self, work: Work, pair: HolderPair) -> None:
        now = work.now.time
        if pair.notice is None or not now.after(pair.said_again_ns()):
            return
        if now.after(pair.busy_until_ns):
            self._save(work, replace(pair, notice=None))
            return
        self._save(work, replace(pair, noticed_ns=now.latest_ns))
        work.send(pair.user, pair.notice)

    def heard(self, work: Work, subject: bytes) -> None:
        """The user says that it has a SUSPEND, RESUME or PREEMPT of ours: no need to say it again."""
        for pair in [self.pairs[sid] for sid in self._held.unheard]:
            if pair.notice is not None and digest(pair.notice) == subject:
                self._save(work, replace(pair, notice=None))

    # -- the passing of time -------------------------------------------------------------------------------------

    def _tick_leases(self, work: Work) -> None:
        """Say again what was not heard, resume what may go on, renew what runs down, end what is over."""
        now = work.now.time
        self._blocks.tick(work)
        for pair in [p for p in self._held.due(now) if p.notice is not None]:
            self._notify_again(work, pair)
        settled = (HolderState.CONFIRMED, HolderState.SUSPENDED)
        for pair in [p for p in self._held.due(now) if p.state in settled]:
            if now.after(pair.cell.window.end_ns):
                self._save(work, replace(pair, state=HolderState.ENDED, notice=None))
                work.event("ended", sid=pair.sid, reason="window end")
            elif pair.state == HolderState.CONFIRMED:
                self._renew_when_due(work, pair)
            elif self._blocks.on(pair.cell, now) is None:
                self._extend(work, pair, pair.decision)

    def _renew_when_due(self, work: Work, pair: HolderPair) -> None:
        terms, held_ns = self.rule.rule.terms(pair.commodity), pair.transmit_until_ns or 0
        if terms is None or self._lease_until(work, pair) <= held_ns:
            return
        if work.now.time.latest_ns + min(terms.lease_ns, pair.lease_ns or terms.lease_ns) // 2 >= held_ns:
            self._extend(work, pair, pair.decision)

    def _extend(self, work: Work, pair: HolderPair, confirm: bytes | None) -> None:
        """Sign a longer lease: a RENEW; a RESUME where it was suspended and the user has not said that it goes on."""
        if confirm is None or self.rule.rule.terms(pair.commodity) is None:
            return
        until_ns, number = self._lease_until(work, pair), pair.renewals + 1
        resumes = pair.state == HolderState.SUSPENDED or pair.notice is not None
        body = (Resume if resumes else Renew)(
            sid=pair.sid, confirm=confirm, number=number, transmit_until_ns=until_ns, fence=work.count("fence")
        )
        longer = replace(
            pair, state=HolderState.CONFIRMED, transmit_until_ns=until_ns, renewals=number, fence=body.fence
        )
        if pair.state == HolderState.SUSPENDED:
            work.event("lease resumed", sid=pair.sid, band=pair.cell.band)
        if resumes:
            self._notify(work, longer, body)
        else:
            self._save(work, longer)
            work.send(pair.user, work.sign(body).raw)
