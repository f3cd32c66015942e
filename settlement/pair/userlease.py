"""The user's side after the commit: takes longer leases, stops at a SUSPEND, ends early, tells what it used.

A RELINQUISH goes out again, ever less often, until the holder says that it has it or the window is over.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Grant, Preempt, Relinquish, Renew, Resume, Suspend, Usage
from settlement.chain.records import Record, digest
from settlement.chain.scope import Window
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.transmit import TransmitLease, judge_change
from settlement.pair.userpairs import UserPair, UserPairs
from settlement.pair.work import StoredStateError, Work


class LeaseTaker(ABC):
    """Every settlement of one user, as far as its lease and its end go."""

    def __init__(self, *, stored: list[bytes]) -> None:
        self._held = UserPairs(stored)

    @property
    def pairs(self) -> dict[bytes, UserPair]:
        """Every settlement that is remembered, by the hash of its REQUEST."""
        return self._held.known

    @property
    def busy(self) -> dict[bytes, UserPair]:
        """Those that are not over in every respect."""
        return self._held.busy

    def _save(self, work: Work, pair: UserPair) -> None:
        self._held.save(work, pair)

    def by_sid(self, sid: bytes) -> UserPair | None:
        """The settlement with that id."""
        return self._held.by_sid(sid)

    def _pair_of(self, admitted: Admitted) -> UserPair | Refusal:
        """The settlement with the author that a record speaks of."""
        sid = admitted.record.body.sid
        pair = self.by_sid(sid)
        if pair is None or pair.holder != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "pair.sid", sid.hex()[:16], "a settlement with this author")
        return pair

    def _judge(self, admitted: Admitted, event: Event) -> UserPair | Refusal:
        pair = self._pair_of(admitted)
        if isinstance(pair, Refusal):
            return pair
        moved = next_user(UserState(pair.state), event)
        return moved if isinstance(moved, Refusal) else pair

    def _stored(self, sid: bytes) -> UserPair:
        pair = self.by_sid(sid)
        if pair is None:
            raise StoredStateError("a record was judged for a settlement that is not stored")
        return pair

    # -- the lease -----------------------------------------------------------------------------------------------

    def judge_lease(self, admitted: Admitted, event: Event) -> Refusal | None:
        """A RENEW, SUSPEND or RESUME of a settlement in force; what comes late is told by its fence."""
        pair = self._pair_of(admitted)
        if isinstance(pair, Refusal):
            return pair
        if not pair.in_force or pair.decision is None:
            moved = next_user(UserState(pair.state), event)
            return moved if isinstance(moved, Refusal) else None
        held = TransmitLease(
            confirm=pair.decision,
            cell=pair.cell,
            number=pair.renewals,
            fence=pair.fence,
            suspended=pair.state == UserState.SUSPENDED,
            length_ns=pair.longest_ns,
        )
        return judge_change(held, admitted.record)

    def judge_renew(self, admitted: Admitted) -> Refusal | None:
        """A longer lease."""
        return self.judge_lease(admitted, Event.RENEW)

    def renewed(self, work: Work, admitted: Admitted) -> UserPair:
        """Take up the longer lease of a RENEW or a RESUME."""
        body: Renew | Resume = admitted.record.body
        before = self._stored(body.sid)
        pair = replace(
            before,
            state=UserState.SETTLED if isinstance(body, Resume) else before.state,
            transmit_until_ns=body.transmit_until_ns,
            renewals=body.number,
            fence=body.fence,
            lease=admitted.record.digest,
            suspended=None,
        )
        self._save(work, pair)
        return pair

    def suspended(self, work: Work, admitted: Admitted) -> UserPair:
        """Nothing may radiate until a RESUME; the settlement stands."""
        body: Suspend = admitted.record.body
        pair = replace(
            self._stored(body.sid),
            state=UserState.SUSPENDED,
            renewals=body.number,
            fence=body.fence,
            lease=admitted.record.digest,
            suspended=body.reason,
        )
        self._save(work, pair)
        return pair

    # -- the end -------------------------------------------------------------------------------------------------

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
        if pair is None or not pair.in_force:
            return None
        pair = replace(pair, state=UserState.ENDED, ended=reason)
        self._save(work, pair)
        work.event("ended", sid=sid, reason=reason)
        return pair

    def relinquish(self, work: Work, sid: bytes, reason: str) -> Record | None:
        """End early and tell the holder, until it has heard; call only once RF is off."""
        pair = self.end(work, sid, reason)
        if pair is None or pair.decision is None:
            return None
        record, now_ns = work.sign(Relinquish(sid=sid, confirm=pair.decision, reason=reason)), work.now.time.latest_ns
        self._save(work, replace(pair, last=record.raw, sent_ns=now_ns, since_ns=now_ns))
        work.send(pair.holder, record.raw)
        return record

    def heard(self, work: Work, subject: bytes) -> None:
        """The holder has our RELINQUISH: no need to say it again."""
        for pair in [self.pairs[request] for request in self._held.unheard]:
            if digest(pair.last) == subject:
                self._save(work, replace(pair, last=b""))

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

    # -- the passing of time -------------------------------------------------------------------------------------

    def _end_windows(self, work: Work) -> list[UserPair]:
        """End what may be over by now; returns it."""
        now = work.now.time
        due = self._held.due(now) if now.trusted else []
        over = [p for p in due if p.in_force and not now.before(p.cell.window.end_ns)]
        ended = (self.end(work, pair.sid, "window end") for pair in over)
        return [pair for pair in ended if pair is not None]

    def _again(self, work: Work, pair: UserPair) -> None:
        """Send the same bytes once more, where it is time to."""
        if work.now.time.after(pair.said_again_ns()):
            self._save(work, replace(pair, sent_ns=work.now.time.latest_ns))
            work.send(pair.holder, pair.last, self._beside(pair))

    @abstractmethod
    def _beside(self, pair: UserPair) -> tuple[bytes, ...]:
        """What goes along with what is sent again."""

    def _tell_ends(self, work: Work) -> None:
        """Say again what a holder has not heard of; after the window nobody needs it."""
        for pair in [p for p in self._held.due(work.now.time) if p.state == UserState.ENDED and p.last]:
            if work.now.time.after(pair.cell.window.end_ns):
                self._save(work, replace(pair, last=b""))
            else:
                self._again(work, pair)
