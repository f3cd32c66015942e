"""The user's side: asks, accepts exactly what it asked for, waits for the decision, and stops in time.

From ACCEPT until the holder's decision the user is in doubt: it transmits nothing, it cannot end the settlement by
itself, it only sends the same bytes again.
"""

from dataclasses import dataclass, replace

from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.bodies import Accept, Confirm, Declaration, Grant, Request
from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import Bounds
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.transmit import lease_limit
from settlement.pair.userlease import LeaseTaker
from settlement.pair.userpairs import STORE, WAITING, UserPair
from settlement.pair.work import Work, answer_to, settlement_id

__all__ = ["HEARD", "STORE", "WAITING", "Offer", "User", "UserPair"]

HEARD = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A declaration a user may ask from, and who made it."""

    declaration: bytes
    holder: bytes
    body: Declaration


def offers_again(new: Declaration, old: Declaration) -> bool:
    """Does a holder's new offer say anew what an old one said: the same class, band and place up to the same end?"""
    a, b = new.cell, old.cell
    return (new.commodity, a.band, a.area, a.window.end_ns) == (old.commodity, b.band, b.area, b.window.end_ns)


class User(LeaseTaker):
    """All settlements of one user. Rebuilt from stored state after a restart."""

    def __init__(self, *, me: bytes, rule: RuleInForce, stored: list[bytes], bounds: Bounds) -> None:
        super().__init__(stored=stored)
        self.me, self.rule, self.bounds = me, rule, bounds
        self.offers: dict[bytes, Offer] = {}

    def hear(self, admitted: Admitted) -> None:
        """Remember an offer."""
        record = admitted.record
        self.offers[record.digest] = Offer(declaration=record.digest, holder=admitted.author.hash, body=record.body)

    def superseded(self, holder: bytes, new: Declaration) -> list[bytes]:
        """Offers of a holder that a new one of its says anew."""
        return [n for n, o in self.offers.items() if o.holder == holder and offers_again(new, o.body)]

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
        if not same or body.max_eirp_mdbm > request.eirp_mdbm:
            return refuse(Reason.TERMS, "grant.terms", "other terms", "the terms of the REQUEST")
        return deadline_open(now, body.accept_by_ns, "grant.accept_by")

    def accept(self, work: Work, admitted: Admitted, derived_from: tuple[bytes, ...] | None = None) -> None:
        """Sign the ACCEPT, with what the GRANT derives from; from here on in doubt."""
        grant: Grant = admitted.record.body
        pair = self.pairs[grant.request]
        envelope = pair.unit if grant.composite is not None else None
        body = Accept(
            sid=grant.sid,
            grant=admitted.record.digest,
            answer=answer_to(grant.challenge, admitted.record.digest),
            derived_from=derived_from,
            envelope=envelope,
        )
        record = work.sign(body)
        self._save(
            work,
            replace(
                pair,
                state=UserState.ACCEPTED,
                grant=admitted.record.digest,
                accept=record.digest,
                lease_ns=grant.lease_ns,
                last=record.raw,
                sent_ns=work.now.time.latest_ns,
                since_ns=work.now.time.latest_ns,
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
        limit_ns = lease_limit(admitted.record, pair.cell, pair.longest_ns)
        if isinstance(body, Confirm) and (body.accept is None or body.transmit_until_ns > limit_ns):
            return refuse(Reason.LEASE, "decision.lease", f"{body.transmit_until_ns} ns", f"<= {limit_ns} ns")
        return None

    def settled(self, work: Work, admitted: Admitted) -> UserPair:
        """CONFIRM arrived: the settlement stands."""
        body: Confirm = admitted.record.body
        pair = replace(
            self._stored(body.sid),
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
        before, reason = self._stored(admitted.record.body.sid), admitted.record.body.reason
        pair = replace(before, state=UserState.ABORTED, decision=admitted.record.digest, ended=reason, last=b"")
        self._save(work, pair)
        work.event("aborted", sid=pair.sid, reason=reason)
        return pair

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, work: Work) -> list[UserPair]:
        """Ask again where an answer is due, ever less often; give up where it never came; returns what ended."""
        for pair in [p for p in self._held.due(work.now.time) if p.state in WAITING]:
            self._wait(work, pair)
        ended = self._end_windows(work)
        self._tell_ends(work)
        self._held.sweep(work)
        self._forget_offers(work)
        return ended

    def _wait(self, work: Work, pair: UserPair) -> None:
        if pair.state == UserState.REQUESTED and work.now.time.after(pair.give_up_ns):
            self._save(work, replace(pair, state=UserState.REFUSED, ended=Reason.TIMEOUT.value, last=b""))
            work.event("refused", sid=pair.sid, band=pair.cell.band, reason=Reason.TIMEOUT.value)
        else:
            self._again(work, pair)

    def _forget_offers(self, work: Work) -> None:
        """Nothing can be asked of an offer whose window is over."""
        for name in [n for n, o in self.offers.items() if work.now.time.after(o.body.cell.window.end_ns)]:
            del self.offers[name]
            work.drop(HEARD, name)
