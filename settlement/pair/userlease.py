"""The user's side after CONFIRM: takes renewed leases, stops at a SUSPEND, ends early, reports usage.

A RELINQUISH is resent at growing intervals until the holder acknowledges it or the window is over.
"""

from dataclasses import replace

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Grant, Preempt, Relinquish, Renew, Resume, Suspend, Usage
from settlement.chain.records import Record, digest
from settlement.chain.scope import Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import Bounds
from settlement.pair.effects import HandLease, RequestProgress, SettlementNews, WithdrawPermit
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.transmit import TransmitLease, judge_change
from settlement.pair.userpairs import UserPair, UserPairs
from settlement.pair.work import Work


def beside_request(bounds: Bounds, pair: UserPair) -> tuple[bytes, ...]:
    """Return the unit envelope that a REQUEST names, to travel with it: the holder may not have it yet."""
    unit = bounds.unit
    waits = pair.state == UserState.REQUESTED and unit is not None and unit.digest == pair.unit
    return (unit.raw,) if waits and unit is not None else ()


class LeaseTaker:
    """The leases and endings of all of one user's settlements."""

    def __init__(self, *, pairs: UserPairs, bounds: Bounds) -> None:
        self._pairs, self._bounds = pairs, bounds

    def _pair_of(self, admitted: Admitted) -> UserPair | Refusal:
        """Return the settlement, with the record's author as its holder, that a record names."""
        sid = admitted.record.body.sid
        pair = self._pairs.by_sid(sid)
        if pair is None or pair.holder != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "pair.sid", sid.hex()[:16], "a settlement with this author")
        return pair

    def judge(self, admitted: Admitted, event: Event) -> UserPair | Refusal:
        """Return the settlement that a record of its holder moves, where the table has such a move."""
        pair = self._pair_of(admitted)
        if isinstance(pair, Refusal):
            return pair
        moved = next_user(UserState(pair.state), event)
        return moved if isinstance(moved, Refusal) else pair

    # -- the lease -----------------------------------------------------------------------------------------------

    def judge_lease(self, admitted: Admitted, event: Event) -> UserPair | Refusal:
        """Return the settlement in force that a RENEW, SUSPEND or RESUME is for; the fence shows late records."""
        pair = self._pair_of(admitted)
        if isinstance(pair, Refusal):
            return pair
        if not pair.in_force or pair.decision is None:
            moved = next_user(UserState(pair.state), event)
            return moved if isinstance(moved, Refusal) else pair
        held = TransmitLease(
            confirm=pair.decision,
            cell=pair.cell,
            number=pair.renewals,
            fence=pair.fence,
            suspended=pair.state == UserState.SUSPENDED,
            length_ns=pair.longest_ns,
        )
        return judge_change(held, admitted.record) or pair

    def renewed(self, work: Work, pair: UserPair, admitted: Admitted) -> UserPair:
        """Apply the longer lease of a RENEW or a RESUME."""
        body: Renew | Resume = admitted.record.body
        resumed = isinstance(body, Resume)
        moved = self._pairs.move(
            work,
            pair,
            Event.RESUME if resumed else Event.RENEW,
            transmit_until_ns=body.transmit_until_ns,
            renewals=body.number,
            fence=body.fence,
            lease=admitted.record.digest,
            suspended=None,
        )
        if pair.cell.band.unit is None:
            work.ask(HandLease(sid=pair.sid, record=admitted.record.raw))
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.RESUMED if resumed else SettlementNews.RENEWED))
        return moved

    def suspended(self, work: Work, pair: UserPair, admitted: Admitted) -> UserPair:
        """Apply a SUSPEND: nothing may be transmitted until a RESUME; the settlement stays."""
        body: Suspend = admitted.record.body
        moved = self._pairs.move(
            work,
            pair,
            Event.SUSPEND,
            renewals=body.number,
            fence=body.fence,
            lease=admitted.record.digest,
            suspended=body.reason,
        )
        if pair.cell.band.unit is None:
            work.ask(HandLease(sid=pair.sid, record=admitted.record.raw))
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.PAUSED, reason=body.reason))
        return moved

    # -- the end -------------------------------------------------------------------------------------------------

    def judge_preempt(self, admitted: Admitted, grant: Grant | None) -> UserPair | Refusal:
        """Return the settlement that its holder displaces for a tier not below the granted one."""
        pair = self.judge(admitted, Event.PREEMPT)
        if isinstance(pair, Refusal):
            return pair
        body: Preempt = admitted.record.body
        if body.confirm != pair.decision:
            return refuse(Reason.TERMS, "preempt.confirm", body.confirm.hex()[:16], "our CONFIRM")
        if grant is None or body.tier > grant.tier:
            return refuse(Reason.TIER, "preempt.tier", body.tier, f"<= {grant.tier if grant else 'the granted tier'}")
        return pair

    def end(self, work: Work, pair: UserPair, event: Event, reason: str) -> UserPair:
        """End a settlement in force at this user, whatever the cause; RF is already off."""
        ended = self._pairs.move(work, pair, event, ended=reason)
        work.event("ended", sid=pair.sid, reason=reason)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.ENDED, reason=reason))
        return ended

    def relinquish(self, work: Work, sid: bytes, reason: str) -> Record | None:
        """End a settlement early and tell the holder, until it acknowledges; call only once RF is off."""
        held = self._pairs.by_sid(sid)
        if held is None or not held.in_force or held.decision is None:
            return None
        pair = self.end(work, held, Event.RELINQUISH, reason)
        body = Relinquish(sid=sid, confirm=held.decision, reason=reason)
        record, now_ns = work.sign(body), work.now.time.latest_ns
        self._pairs.save(work, replace(pair, last=record.raw, sent_ns=now_ns, since_ns=now_ns))
        work.send(pair.holder, record.raw)
        return record

    def heard(self, work: Work, subject: bytes) -> None:
        """Stop resending a RELINQUISH that the holder acknowledged."""
        for pair in [self._pairs.known[request] for request in self._pairs.unheard]:
            if digest(pair.last) == subject:
                self._pairs.save(work, replace(pair, last=b""))

    def report_usage(self, work: Work, sid: bytes, *, used: Window | None, airtime_ns: int, bursts: int) -> None:
        """Send the holder a USAGE report: window used, airtime in ns, number of bursts."""
        pair = self._pairs.by_sid(sid)
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

    # -- the passing of time -------------------------------------------------------------------------------------

    def end_windows(self, work: Work) -> list[UserPair]:
        """End and return the settlements whose windows may be over, or that continue at their substitute."""
        now = work.now.time
        due = self._pairs.due(now) if now.trusted else []
        moved = [p for p in due if p.in_force and p.moving is not None and not now.before(p.moving.from_ns)]
        for pair in moved:
            work.ask(WithdrawPermit(sid=pair.sid, reason=Reason.EXPIRED, why="moved to its fallback"))
        ended = [self.end(work, pair, Event.MOVED, "moved to its fallback") for pair in moved]
        gone = {pair.request for pair in moved}
        due = [pair for pair in due if pair.request not in gone]
        over = [pair for pair in due if pair.in_force and not now.before(pair.cell.window.end_ns)]
        for pair in over:
            work.ask(WithdrawPermit(sid=pair.sid, reason=Reason.EXPIRED, why="window end"))
        return ended + [self.end(work, pair, Event.WINDOW_END, "window end") for pair in over]

    def again(self, work: Work, pair: UserPair) -> None:
        """Send a settlement's last bytes again, where it is time."""
        if work.now.time.after(pair.said_again_ns()):
            self._pairs.save(work, replace(pair, sent_ns=work.now.time.latest_ns))
            work.send(pair.holder, pair.last, beside_request(self._bounds, pair))

    def tell_ends(self, work: Work) -> None:
        """Resend endings that a holder has not acknowledged; after the window nobody needs them."""
        for pair in [p for p in self._pairs.due(work.now.time) if p.state == UserState.ENDED and p.last]:
            if work.now.time.after(pair.cell.window.end_ns):
                self._pairs.save(work, replace(pair, last=b""))
            else:
                self.again(work, pair)
