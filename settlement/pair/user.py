"""The user's side: requests, accepts exactly what it requested, waits for the decision, and stops in time.

From ACCEPT until the holder's decision the user is in doubt: it transmits nothing, it cannot end the settlement by
itself, it only sends the same bytes again. The doubt ends without a decision once no decision could allow anything:
after the window, or once the holder's credential is revoked or has ended. The cell stays reserved at the holder until
the holder aborts or the window is over; the user holds no reservation that it could free.

Long because all steps of a settlement at its user, from REQUEST to end, are in one class, in their order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.chain.admission import Admitted
from settlement.chain.bodies import Accept, Confirm, Declaration, Grant, PartOf, Request, Verdict
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import Bounds
from settlement.pair.effects import RequestProgress, SettlementNews
from settlement.pair.governed import Governed
from settlement.pair.table import Event, UserState, next_user
from settlement.pair.transmit import lease_limit
from settlement.pair.userlease import LeaseTaker, beside_request
from settlement.pair.usermove import MoveTaker
from settlement.pair.userpairs import STORE, WAITING, UserPair, UserPairs
from settlement.pair.work import Silenced, Work, answer_to, settlement_id
from settlement.records.handover import Handover
from settlement.records.wholeparts import LaterPart, WholeOf

__all__ = ["HEARD", "STORE", "WAITING", "Offer", "User", "UserPair", "restored_user"]

HEARD, HANDED = "heard", "handed"
"""State kinds under which offers to everybody, and HANDOVERs to this node, are stored."""


def _never(_holder: bytes) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A declaration that a user may request from, with its author; `handed`: it is a HANDOVER to this user."""

    declaration: bytes
    holder: bytes
    body: Declaration
    handed: str | None = None


def offers_again(new: Declaration, old: Declaration) -> bool:
    """Whether a holder's new offer replaces an old one: the same class, band and place up to the same end."""
    a, b = new.cell, old.cell
    return (new.commodity, a.band, a.area, a.window.end_ns) == (old.commodity, b.band, b.area, b.window.end_ns)


class User:
    """All settlements of one user; its `leases` handle what follows CONFIRM."""

    def __init__(self, *, me: bytes, governed: Governed, pairs: UserPairs, leases: LeaseTaker, bounds: Bounds) -> None:
        self.me, self.governed, self.bounds, self.leases, self.store = me, governed, bounds, leases, pairs
        self.offers: dict[bytes, Offer] = {}
        self.by_sid, self.heard = pairs.by_sid, leases.heard
        self.relinquish, self.report_usage = leases.relinquish, leases.report_usage
        self.moves = MoveTaker(self)

    @property
    def pairs(self) -> dict[bytes, UserPair]:
        """Every settlement that is remembered, by the hash of its REQUEST."""
        return self.store.known

    @property
    def busy(self) -> dict[bytes, UserPair]:
        """The settlements that are not completely over."""
        return self.store.busy

    def hear(self, admitted: Admitted) -> None:
        """Store an offer that was heard."""
        record = admitted.record
        handed = isinstance(record.body, Handover)
        self.offers[record.digest] = Offer(
            declaration=record.digest,
            holder=admitted.author.hash,
            body=record.body.offered if handed else record.body,
            handed=record.body.kind if handed else None,
        )

    def superseded(self, holder: bytes, new: Declaration) -> list[bytes]:
        """Return a holder's offers that its new offer replaces."""
        return [n for n, o in self.offers.items() if o.holder == holder and offers_again(new, o.body)]

    def request(
        self,
        work: Work,
        offer: Offer,
        cell: Cell,
        *,
        eirp_mdbm: int,
        tier: int = 1,
        price: int | None = None,
        part: PartOf | None = None,
        emergency: bool = False,
        price_max: int | None = None,
        whole: WholeOf | None = None,
        fallback: int | None = None,
        replaces: bytes | None = None,
    ) -> UserPair:
        """Sign a REQUEST for a cell of an offer, at the offer's price unless another is named.

        `tier` is the strongest that this user's credential allows. `part` says of which wish this is a part, `whole` of
        which settlement over several classes. A bargained price is at most `price_max`. `fallback` is the number of the
        fallback, in the class's catalogue, that is to bind the holder; `replaces` is the FALLBACK whose substitute this
        requests.
        """
        nonce, unit = work.random(16), self.bounds.unit
        body = Request(
            declaration=offer.declaration,
            cell=cell,
            commodity=offer.body.commodity,
            tier=max(offer.body.tier_low, tier),
            eirp_mdbm=eirp_mdbm,
            price=offer.body.price if price is None else price,
            partial=0 if part is None else 1,
            nonce=nonce,
            envelope=unit.digest if unit is not None else None,
            part=part,
            emergency=1 if emergency else None,
            whole=whole,
            fallback=fallback,
            replaces=replaces,
        )
        return self._ask(work, body, offer.holder, price_max)

    def _ask(self, work: Work, body: Request, holder: bytes, price_max: int | None) -> UserPair:
        """Sign a REQUEST, store it and send it."""
        record, cell = work.sign(body), body.cell
        terms = self.governed.terms(body.commodity)
        now_ns = work.now.time.latest_ns
        asking = UserPair(
            request=record.digest,
            state=UserState.NONE,
            holder=holder,
            sid=settlement_id(holder, self.me, body.nonce, cell),
            cell=cell,
            asked_ns=now_ns,
            sent_ns=now_ns,
            give_up_ns=now_ns + (terms.accept_ns + terms.confirm_ns if terms else 0),
            last=record.raw,
            renewals=0,
            fence=0,
            unit=body.envelope,
            price_max=price_max,
            whole=body.whole.id if body.whole is not None else None,
            place=body.whole.index if body.whole is not None else None,
            parts=len(body.whole.terms) if body.whole is not None else None,
        )
        pair = self.store.move(work, asking, Event.REQUEST)
        work.send(pair.holder, record.raw, beside_request(self.bounds, pair))
        work.event("requested", sid=pair.sid, band=cell.band)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.REQUESTED))
        return pair

    # -- COUNTER -------------------------------------------------------------------------------------------------

    def bargains_on(self, work: Work, pair: UserPair, counter: Record, give_up_ns: int) -> None:
        """Wait for the answer to a COUNTER of this node, and resend the COUNTER until it comes."""
        now_ns = work.now.time.latest_ns
        sent = {"last": counter.raw, "sent_ns": now_ns, "since_ns": now_ns, "give_up_ns": give_up_ns}
        self.store.move(work, pair, Event.COUNTER, **sent)

    def takes_price(self, work: Work, pair: UserPair, body: Request) -> UserPair:
        """Request again at the agreed price; the new REQUEST replaces the first, under the same id."""
        self.store.move(work, pair, Event.PRICED, ended="a price was agreed on", last=b"")
        return self._ask(work, body, pair.holder, pair.price_max)

    def declines(self, work: Work, pair: UserPair, price: int) -> None:
        """Give up a request, because no price within this user's limit is left."""
        self.store.move(work, pair, Event.PRICED, ended=Reason.PRICE.value, last=b"")
        said = {"reason": Reason.PRICE.value, "clause": "counter.price", "measured": str(price)}
        required = f"<= {pair.price_max}, the most it may cost"
        work.event("refused", sid=pair.sid, band=pair.cell.band, **said, required=required)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.REFUSED, **said, required=required))

    # -- GRANT ---------------------------------------------------------------------------------------------------

    def judge_grant(self, admitted: Admitted, request: Request | None, now: TimeFix) -> UserPair | Refusal:
        """Return the settlement of a GRANT that matches this node's REQUEST in every field."""
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
        part = request.part
        if (body.fallback, body.replaces) != (request.fallback, request.replaces):
            return refuse(Reason.TERMS, "grant.fallback", body.fallback, f"{request.fallback}, as it was asked for")
        if (body.wish, body.index) != ((part.wish, part.index) if part is not None else (None, None)):
            return refuse(Reason.TERMS, "grant.part", body.index, "the part that the REQUEST says it is")
        asked = request.whole
        named = (asked.id, asked.index, len(asked.terms)) if asked is not None else (None, None, None)
        if (body.whole, body.place, body.parts) != named:
            return refuse(Reason.TERMS, "grant.whole", body.place, "the part of the whole that the REQUEST says it is")
        if not same or body.max_eirp_mdbm > request.eirp_mdbm:
            return refuse(Reason.TERMS, "grant.terms", "other terms", "the terms of the REQUEST")
        return deadline_open(now, body.accept_by_ns, "grant.accept_by") or pair

    # -- a whole -------------------------------------------------------------------------------------------------

    def hold(self, work: Work, pair: UserPair, grant: bytes) -> UserPair:
        """Store the GRANT of a part of a whole until every part is granted."""
        work.event("part granted", sid=pair.sid, band=pair.cell.band)
        return self.store.move(work, pair, Event.HELD, grant=grant)

    def gives_up(self, work: Work, pair: UserPair, why: str) -> None:
        """Give up a part that is not accepted, because the whole cannot be completed."""
        reason = Reason.INCOMPLETE.value
        self.store.move(work, pair, Event.DEADLINE, ended=reason, last=b"")
        work.event("refused", sid=pair.sid, band=pair.cell.band, reason=reason, detail=why)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.REFUSED, reason=reason, measured=why))

    @property
    def wholes(self) -> dict[bytes, dict[int, bytes]]:
        """The remembered wholes, each with the REQUESTs of its parts by their places."""
        return self.store.wholes

    def parts_of(self, whole: bytes) -> list[UserPair]:
        """Return the parts of a whole, in order of their places."""
        return self.store.parts_of(whole)

    # -- ACCEPT --------------------------------------------------------------------------------------------------

    def accept(
        self,
        work: Work,
        pair: UserPair,
        admitted: Admitted,
        derived_from: tuple[bytes, ...] | None = None,
        later: tuple[LaterPart, ...] | None = None,
    ) -> None:
        """Sign the ACCEPT, naming the records that the GRANT derives from; from here on the user is in doubt."""
        grant: Grant = admitted.record.body
        envelope = pair.unit if grant.composite is not None else None
        body = Accept(
            sid=grant.sid,
            grant=admitted.record.digest,
            answer=answer_to(grant.challenge, admitted.record.digest),
            derived_from=derived_from,
            envelope=envelope,
            later=later,
        )
        record = work.sign(body)
        self.store.move(
            work,
            pair,
            Event.GRANT,
            grant=admitted.record.digest,
            accept=record.digest,
            lease_ns=grant.lease_ns,
            last=record.raw,
            sent_ns=work.now.time.latest_ns,
            since_ns=work.now.time.latest_ns,
        )
        work.send(pair.holder, record.raw)
        work.event("accepted", sid=pair.sid, band=pair.cell.band)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.ACCEPTED))

    def judge_verdict(self, admitted: Admitted) -> UserPair | Refusal:
        """Return the settlement that a refusal of this node's REQUEST ends; only the asked holder's refusal counts."""
        pair = self.pairs.get(admitted.record.body.subject)
        if pair is None or pair.holder != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "verdict.subject", "not a REQUEST of ours", "a REQUEST of ours to it")
        moved = next_user(UserState(pair.state), Event.VERDICT)
        return moved if isinstance(moved, Refusal) else pair

    def refused(self, work: Work, pair: UserPair, said: Verdict) -> None:
        """End a settlement whose REQUEST was refused."""
        self.store.move(work, pair, Event.VERDICT, ended=said.reason, last=b"")
        why = {"reason": said.reason, "clause": said.clause, "measured": said.measured, "required": said.required}
        work.event("refused", sid=pair.sid, band=pair.cell.band, **why)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.REFUSED, **why))

    # -- the decision --------------------------------------------------------------------------------------------

    def judge_decision(self, admitted: Admitted, event: Event) -> UserPair | Refusal:
        """Return the settlement of a CONFIRM or ABORT, over exactly this node's GRANT and ACCEPT."""
        pair = self.leases.judge(admitted, event)
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
        return pair

    def settled(self, work: Work, pair: UserPair, admitted: Admitted) -> None:
        """Put a settlement in force after its CONFIRM."""
        body: Confirm = admitted.record.body
        self.store.move(
            work,
            pair,
            Event.CONFIRM,
            decision=admitted.record.digest,
            transmit_until_ns=body.transmit_until_ns,
            fence=body.fence,
            last=b"",
        )
        took_ns = work.now.time.middle_ns - pair.asked_ns
        work.event("settled", sid=pair.sid, band=pair.cell.band, took_ms=took_ns / 1e6)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.SETTLED))

    def aborted(self, work: Work, pair: UserPair, admitted: Admitted) -> None:
        """End a settlement after its ABORT."""
        reason = admitted.record.body.reason
        self.store.move(work, pair, Event.ABORT, decision=admitted.record.digest, ended=reason, last=b"")
        work.event("aborted", sid=pair.sid, reason=reason)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.ABORTED, reason=reason))

    # -- the passing of time -------------------------------------------------------------------------------------

    def tick(self, work: Work, silenced: Silenced = _never) -> list[UserPair]:
        """Resend, at growing intervals, what has no answer; give up where none came; return the settlements that ended.

        `silenced` returns why no record of a holder is ever accepted again, or None.
        """
        ended: list[UserPair] = []
        due = self.store.due(work.now.time)
        for pair in [p for p in due if p.state in WAITING]:
            self._wait(work, pair, silenced)
        if due:
            self.moves.tick(work)
            ended = self.leases.end_windows(work)
            self.leases.tell_ends(work)
            self.store.sweep(work)
        self._forget_offers(work)
        return ended

    def _wait(self, work: Work, pair: UserPair, silenced: Silenced) -> None:
        if pair.state == UserState.ACCEPTED:
            if work.now.time.after(pair.cell.window.end_ns):
                required = f"a decision before {pair.cell.window.end_ns} ns, the end of its window"
                over = refuse(Reason.TIMEOUT, "decision.window", f"{work.now.time.earliest_ns} ns", required)
                self._undecided(work, pair, Event.DEADLINE, over)
            elif (refusal := silenced(pair.holder)) is not None:
                self._undecided(work, pair, Event.BARRED, refusal)
            else:
                self.leases.again(work, pair)
        elif work.now.time.after(pair.give_up_ns):
            self.store.move(work, pair, Event.DEADLINE, ended=Reason.TIMEOUT.value, last=b"")
            work.event("refused", sid=pair.sid, band=pair.cell.band, reason=Reason.TIMEOUT.value)
            work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.REFUSED, reason=Reason.TIMEOUT.value))
        else:
            self.leases.again(work, pair)

    def _undecided(self, work: Work, pair: UserPair, event: Event, why: Refusal) -> None:
        """End a doubt that no decision can end; even if the holder confirmed, no warden of this node had a permit."""
        self.store.move(work, pair, event, ended=why.reason.value, last=b"")
        said = {"reason": why.reason.value, "clause": why.clause, "measured": why.measured, "required": why.required}
        work.event("aborted", sid=pair.sid, band=pair.cell.band, **said)
        work.ask(RequestProgress(sid=pair.sid, news=SettlementNews.ABORTED, **said))

    def _forget_offers(self, work: Work) -> None:
        """Delete the offers whose windows are over: nothing can be requested from them."""
        for name in [n for n, o in self.offers.items() if work.now.time.after(o.body.cell.window.end_ns)]:
            offer = self.offers.pop(name)
            work.drop(HEARD if offer.handed is None else HANDED, name)


def restored_user(*, me: bytes, governed: Governed, bounds: Bounds, stored: Iterable[bytes]) -> User:
    """Build a user with its lease handling from stored state. Raises StoredStateError."""
    pairs = UserPairs(stored)
    return User(me=me, governed=governed, pairs=pairs, leases=LeaseTaker(pairs=pairs, bounds=bounds), bounds=bounds)
