"""The user's side: asks, accepts exactly what it asked for, waits for the decision, and stops in time.

From ACCEPT until the holder's decision the user is in doubt: it transmits nothing, it cannot end the settlement by
itself, it only sends the same bytes again.
"""

from dataclasses import dataclass, replace

from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.bodies import Accept, Confirm, Declaration, Grant, Preempt, Relinquish, Renew, Request, Usage
from settlement.chain.codec import blob, encode, nested, text, uint
from settlement.chain.records import Record
from settlement.chain.scope import Cell, Window
from settlement.fixes import TimeFix, deadline_open
from settlement.pair.bounds import Bounds
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.work import STORED_LIMIT, StoredStateError, Work, answer_to, settlement_id, stored_as
from settlement.reasons import Reason, Refusal, refuse

STORE, HEARD = "user", "heard"
LEASE_MAX_NS = 240_000_000_000
RESEND_NS = 300_000_000
WAITING = (UserState.REQUESTED, UserState.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPair:
    """One settlement as the user stores it, keyed by the hash of its REQUEST; `last` is what it would send again."""

    request: bytes = blob(1, 32)
    state: int = uint(2, high=6)
    holder: bytes = blob(3, 32)
    sid: bytes = blob(4, 32)
    cell: Cell = nested(5, Cell)
    asked_ns: int = uint(6)
    sent_ns: int = uint(7)
    give_up_ns: int = uint(8)
    last: bytes = blob(9, 65536, least=0)
    grant: bytes | None = blob(10, 32, optional=True)
    accept: bytes | None = blob(11, 32, optional=True)
    decision: bytes | None = blob(12, 32, optional=True)
    transmit_until_ns: int | None = uint(13, optional=True)
    renewals: int = uint(14)
    fence: int = uint(15)
    ended: str | None = text(16, 64, optional=True)
    unit: bytes | None = blob(20, 32, optional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A declaration a user may ask from, and who made it."""

    declaration: bytes
    holder: bytes
    body: Declaration


class User:
    """All settlements of one user. Rebuilt from stored state after a restart."""

    def __init__(self, *, me: bytes, rule: RuleInForce, stored: list[bytes], bounds: Bounds) -> None:
        self.me, self.rule, self.bounds = me, rule, bounds
        self.offers: dict[bytes, Offer] = {}
        pairs = [stored_as(UserPair, raw, STORE) for raw in stored]
        self.pairs = {pair.request: pair for pair in pairs}

    def _save(self, work: Work, pair: UserPair) -> None:
        self.pairs[pair.request] = pair
        work.put(STORE, pair.request, encode(pair, limit=STORED_LIMIT))

    def by_sid(self, sid: bytes) -> UserPair | None:
        """The settlement with that id."""
        return next((p for p in self.pairs.values() if p.sid == sid), None)

    def hear(self, admitted: Admitted) -> None:
        """Remember an offer."""
        record = admitted.record
        self.offers[record.digest] = Offer(declaration=record.digest, holder=admitted.author.hash, body=record.body)

    def request(self, work: Work, offer: Offer, cell: Cell, *, eirp_mdbm: int, tier: int = 1) -> UserPair:
        """Sign a REQUEST for a cell of an offer; `tier` is the strongest that this user's credential holds."""
        nonce, unit = work.random(16), self.bounds.unit
        body = Request(
            declaration=offer.declaration,
            cell=cell,
            commodity=offer.body.commodity,
            tier=max(offer.body.tier_low, tier),
            eirp_mdbm=eirp_mdbm,
            price=offer.body.price,
            partial=0,
            nonce=nonce,
            envelope=unit.digest if unit is not None else None,
        )
        record = work.sign(body)
        terms = self.rule.rule.terms(body.commodity)
        now_ns = work.now.time.latest_ns
        pair = UserPair(
            request=record.digest,
            state=UserState.REQUESTED,
            holder=offer.holder,
            sid=settlement_id(offer.holder, self.me, nonce, cell),
            cell=cell,
            asked_ns=now_ns,
            sent_ns=now_ns,
            give_up_ns=now_ns + (terms.accept_ns + terms.confirm_ns if terms else 0),
            last=record.raw,
            renewals=0,
            fence=0,
            unit=body.envelope,
        )
        self._save(work, pair)
        work.send(pair.holder, record.raw, self._beside(pair))
        work.event("requested", sid=pair.sid, band=cell.band)
        return pair

    def _beside(self, pair: UserPair) -> tuple[bytes, ...]:
        """The unit envelope that a REQUEST names travels with it: the holder may not have it yet."""
        unit = self.bounds.unit
        waits = pair.state == UserState.REQUESTED and unit is not None and unit.digest == pair.unit
        return (unit.raw,) if waits and unit is not None else ()

    # -- GRANT ---------------------------------------------------------------------------------------------------

    def judge_grant(self, admitted: Admitted, request: Request | None, now: TimeFix) -> Refusal | None:
        """Is this GRANT the answer to our REQUEST, word for word?"""
        body: Grant = admitted.record.body
        pair = self.pairs.get(body.request)
        if pair is None or request is None or pair.holder != admitted.author.hash or body.user != self.me:
            return refuse(Reason.UNKNOWN_SID, "grant.request", body.request.hex()[:16], "a REQUEST of ours to it")
        moved = next_user(UserState(pair.state), Event.GRANT)
        if isinstance(moved, Refusal):
            return moved
        if body.sid != pair.sid or body.sid != settlement_id(pair.holder, self.me, body.nonce, body.cell):
            return refuse(Reason.TERMS, "grant.sid", body.sid.hex()[:16], pair.sid.hex()[:16])
        same = (body.cell, body.commodity, body.tier, body.price) == (
            request.cell,
            request.commodity,
            request.tier,
            request.price,
        )
        if not same or body.max_eirp_mdbm > request.eirp_mdbm or body.lease_ns > LEASE_MAX_NS:
            return refuse(Reason.TERMS, "grant.terms", "other terms", "the terms of the REQUEST")
        return deadline_open(now, body.accept_by_ns, "grant.accept_by")

    def accept(self, work: Work, admitted: Admitted) -> None:
        """Sign the ACCEPT; from here on in doubt."""
        grant: Grant = admitted.record.body
        pair = self.pairs[grant.request]
        answer = answer_to(grant.challenge, admitted.record.digest)
        envelope = pair.unit if grant.composite is not None else None
        body = Accept(sid=grant.sid, grant=admitted.record.digest, answer=answer, envelope=envelope)
        record = work.sign(body)
        self._save(
            work,
            replace(
                pair,
                state=UserState.ACCEPTED,
                grant=admitted.record.digest,
                accept=record.digest,
                last=record.raw,
                sent_ns=work.now.time.latest_ns,
            ),
        )
        work.send(pair.holder, record.raw)
        work.event("accepted", sid=pair.sid, band=pair.cell.band)

    def judge_verdict(self, admitted: Admitted) -> Refusal | None:
        """A refusal of our REQUEST, from the holder we asked."""
        pair = self.pairs.get(admitted.record.body.subject)
        if pair is None or pair.holder != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "verdict.subject", "not a REQUEST of ours", "a REQUEST of ours to it")
        moved = next_user(UserState(pair.state), Event.VERDICT)
        return moved if isinstance(moved, Refusal) else None

    def refused(self, work: Work, admitted: Admitted) -> UserPair:
        """Our REQUEST was refused."""
        body = admitted.record.body
        pair = replace(self.pairs[body.subject], state=UserState.REFUSED, ended=body.reason, last=b"")
        self._save(work, pair)
        why = {"reason": body.reason, "clause": body.clause, "measured": body.measured, "required": body.required}
        work.event("refused", sid=pair.sid, band=pair.cell.band, **why)
        return pair

    # -- the decision --------------------------------------------------------------------------------------------

    def _judge(self, admitted: Admitted, event: Event) -> UserPair | Refusal:
        body = admitted.record.body
        pair = self.by_sid(body.sid)
        if pair is None or pair.holder != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "pair.sid", body.sid.hex()[:16], "a settlement with this author")
        moved = next_user(UserState(pair.state), event)
        return moved if isinstance(moved, Refusal) else pair

    def judge_decision(self, admitted: Admitted, event: Event) -> Refusal | None:
        """CONFIRM or ABORT, over our very GRANT and ACCEPT."""
        pair = self._judge(admitted, event)
        if isinstance(pair, Refusal):
            known = self.by_sid(admitted.record.body.sid)
            decided = known is not None and known.decision not in (None, admitted.record.digest)
            return refuse(Reason.EQUIVOCATION, "decision.once", "a second decision", "one") if decided else pair
        body = admitted.record.body
        if body.grant != pair.grant or body.accept not in (pair.accept, None):
            return refuse(Reason.TERMS, "decision.over", "another GRANT or ACCEPT", "ours")
        signed_ns = max(admitted.record.frame.attestation.latest_ns, pair.cell.window.start_ns)
        limit_ns = min(pair.cell.window.end_ns, signed_ns + LEASE_MAX_NS)
        if isinstance(body, Confirm) and (body.accept is None or body.transmit_until_ns > limit_ns):
            return refuse(Reason.TERMS, "decision.lease", body.transmit_until_ns, f"<= {pair.cell.window.end_ns} ns")
        return None

    def settled(self, work: Work, admitted: Admitted) -> UserPair:
        """CONFIRM arrived: the settlement stands."""
        body: Confirm = admitted.record.body
        before = self.by_sid(body.sid)
        if before is None:
            raise StoredStateError("a CONFIRM was judged for a settlement that is not stored")
        pair = replace(
            before,
            state=UserState.SETTLED,
            decision=admitted.record.digest,
            transmit_until_ns=body.transmit_until_ns,
            fence=body.fence,
            last=b"",
        )
        self._save(work, pair)
        took_ns = work.now.time.middle_ns - pair.asked_ns
        work.event("settled", sid=pair.sid, band=pair.cell.band, took_ms=took_ns / 1e6)
        return pair

    def aborted(self, work: Work, admitted: Admitted) -> UserPair:
        """ABORT arrived: nothing stands."""
        before = self.by_sid(admitted.record.body.sid)
        if before is None:
            raise StoredStateError("an ABORT was judged for a settlement that is not stored")
        reason = admitted.record.body.reason
        pair = replace(before, state=UserState.ABORTED, decision=admitted.record.digest, ended=reason, last=b"")
        self._save(work, pair)
        work.event("aborted", sid=pair.sid, reason=reason)
        return pair

    # -- the lease -----------------------------------------------------------------------------------------------

    def judge_renew(self, admitted: Admitted) -> Refusal | None:
        """A longer lease for this settlement: numbers and fences only rise, never past the window."""
        body: Renew = admitted.record.body
        pair = self._judge(admitted, Event.RENEW)
        if isinstance(pair, Refusal):
            return pair
        if body.confirm != pair.decision:
            return refuse(Reason.TERMS, "renew.confirm", body.confirm.hex()[:16], "our CONFIRM")
        if body.fence <= pair.fence or body.number <= pair.renewals:
            return refuse(Reason.FENCE, "renew.fence", body.fence, f"> {pair.fence}")
        ahead_ns = body.transmit_until_ns - admitted.record.frame.attestation.latest_ns
        if body.transmit_until_ns > pair.cell.window.end_ns or ahead_ns > LEASE_MAX_NS + _start_lead(pair, admitted):
            return refuse(Reason.TERMS, "renew.until", body.transmit_until_ns, f"<= {pair.cell.window.end_ns} ns")
        return None

    def renewed(self, work: Work, admitted: Admitted) -> UserPair:
        """Take up the longer lease."""
        body: Renew = admitted.record.body
        before = self.by_sid(body.sid)
        if before is None:
            raise StoredStateError("a RENEW was judged for a settlement that is not stored")
        pair = replace(before, transmit_until_ns=body.transmit_until_ns, renewals=body.number, fence=body.fence)
        self._save(work, pair)
        return pair

    def judge_preempt(self, admitted: Admitted, grant: Grant | None) -> Refusal | None:
        """Displacement of this settlement by its holder, for a tier that is not below the granted one."""
        pair = self._judge(admitted, Event.PREEMPT)
        if isinstance(pair, Refusal):
            return pair
        body: Preempt = admitted.record.body
        if body.confirm != pair.decision:
            return refuse(Reason.TERMS, "preempt.confirm", body.confirm.hex()[:16], "our CONFIRM")
        if grant is None or body.tier > grant.tier:
            return refuse(Reason.TIER, "preempt.tier", body.tier, f"<= {grant.tier if grant else 'the granted tier'}")
        return None

    def end(self, work: Work, sid: bytes, reason: str) -> UserPair | None:
        """The settlement is over for us, whatever the cause; RF is already off."""
        pair = self.by_sid(sid)
        if pair is None or pair.state != UserState.SETTLED:
            return None
        pair = replace(pair, state=UserState.ENDED, ended=reason)
        self._save(work, pair)
        work.event("ended", sid=sid, reason=reason)
        return pair

    def relinquish(self, work: Work, sid: bytes, reason: str) -> Record | None:
        """End early and tell the holder; call only once RF is off."""
        pair = self.end(work, sid, reason)
        if pair is None or pair.decision is None:
            return None
        record = work.sign(Relinquish(sid=sid, confirm=pair.decision, reason=reason))
        work.send(pair.holder, record.raw)
        return record

    def report_usage(self, work: Work, sid: bytes, *, used: Window | None, airtime_ns: int, bursts: int) -> None:
        """Tell the holder what was done with the settlement."""
        pair = self.by_sid(sid)
        if pair is None or pair.decision is None:
            return
        body = Usage(
            sid=sid,
            confirm=pair.decision,
            airtime_ns=airtime_ns,
            bursts=bursts,
            ended=pair.ended or "",
            used=used,
        )
        work.send(pair.holder, work.sign(body).raw)

    def tick(self, work: Work) -> list[UserPair]:
        """Ask again where an answer is due, ever less often; give up where it never came; returns what ended."""
        now = work.now.time
        ended: list[UserPair] = []
        for pair in list(self.pairs.values()):
            if pair.state in WAITING:
                self._wait(work, pair)
            elif pair.state == UserState.SETTLED and now.trusted and not now.before(pair.cell.window.end_ns):
                over = self.end(work, pair.sid, "window end")
                ended += [over] if over else []
        return ended

    def _wait(self, work: Work, pair: UserPair) -> None:
        now = work.now.time
        if pair.state == UserState.REQUESTED and now.after(pair.give_up_ns):
            self._save(work, replace(pair, state=UserState.REFUSED, ended=Reason.TIMEOUT.value, last=b""))
            work.event("refused", sid=pair.sid, band=pair.cell.band, reason=Reason.TIMEOUT.value)
        elif now.after(pair.sent_ns + max(RESEND_NS, (pair.sent_ns - pair.asked_ns) // 8)):
            self._save(work, replace(pair, sent_ns=now.latest_ns))
            work.send(pair.holder, pair.last, self._beside(pair))


def _start_lead(pair: UserPair, admitted: Admitted) -> int:
    """A lease counts from the window's start where that lies ahead."""
    return max(0, pair.cell.window.start_ns - admitted.record.frame.attestation.latest_ns)
