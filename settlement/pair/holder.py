"""The holder's side: offers a band, reserves a cell, decides once, renews the transmit lease, takes it back.

Judging is pure and comes first; acting signs, stores and sends inside the step's transaction. A cell is busy from the
GRANT until the holder's clock is surely past the end (it opens late, as the user closes early).
"""

from dataclasses import replace

from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.bodies import Abort, Accept, Confirm, Declaration, Grant, Request
from settlement.chain.codec import encode
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.chain.weights import FAILED, UNANSWERED
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.bounds import Bounds, OwnFaultError, beside
from settlement.pair.coordinator import Coordinated
from settlement.pair.envelopes import Bound, covers_offer
from settlement.pair.holdercoordination import CoordinatedKeeper
from settlement.pair.holderlease import BLOCKED
from settlement.pair.holderpairs import STORE, HolderPair
from settlement.pair.patience import Patience
from settlement.pair.table import Event, HolderState, next_holder
from settlement.pair.terms import deal_of_request, judge_terms, lease_ceiling_ns
from settlement.pair.windows import accepted_from
from settlement.pair.work import Work, settlement_id, stored_as

__all__ = ["BLOCKED", "OFFERS", "STORE", "Holder", "HolderPair"]

OFFERS = "offer"
UNTAKEN = frozenset({Reason.TIMEOUT, Reason.CHALLENGE})
"""Reasons of an ABORT that only the user could have kept from coming about."""
OPEN_MAX = 8
"""Reservations and settlements one user may hold open at a time with one holder."""
ABORTED_MAX = 256
"""Aborted settlements of one user that are remembered because their windows are not over."""
ABORTS_MAX = 64
"""Deadlines one step works off; the rest follow in the next, so that no step is long."""


class Holder(CoordinatedKeeper):
    """All settlements of one holder. Rebuilt from stored state after a restart."""

    def __init__(
        self,
        *,
        me: bytes,
        rule: RuleInForce,
        stored: list[bytes],
        offers: list[tuple[bytes, bytes]],
        blocked: list[tuple[bytes, bytes]],
        bounds: Bounds,
        failing: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        super().__init__(rule=rule, stored=stored, blocked=blocked)
        self.me, self.bounds, self.patience = me, bounds, Patience(failing or [])
        self.elsewhere: dict[bytes, Coordinated] = {}
        self.own: Subject | None = None
        self.offers = {digest: stored_as(Declaration, raw, OFFERS) for digest, raw in offers}

    def declare(self, work: Work, body: Declaration) -> Record:
        """Sign an offer. Raises OwnFaultError where it reaches beyond the envelope it names."""
        envelope = self.bounds.held(body.envelope)
        refusal = covers_offer(envelope, self.me, body, work.now.time.latest_ns, self.rule.rule)
        if refusal is not None:
            raise OwnFaultError(str(refusal))
        record = work.sign(body)
        self.offers[record.digest] = body
        work.put(OFFERS, record.digest, encode(body))
        return record

    # -- REQUEST -------------------------------------------------------------------------------------------------

    def judge_request(self, admitted: Admitted, now: TimeFix) -> Refusal | None:
        """May this REQUEST be granted?"""
        body: Request = admitted.record.body
        offer = self.offers.get(body.declaration)
        if offer is None:
            return refuse(Reason.TERMS, "request.declaration", body.declaration.hex(), "an offer of this holder")
        terms = self.rule.rule.terms(body.commodity)
        if terms is None or body.commodity != offer.commodity:
            return refuse(Reason.TERMS, "request.class", body.commodity, offer.commodity)
        sid = settlement_id(self.me, admitted.author.hash, body.nonce, body.cell)
        if sid in self.pairs:
            return refuse(Reason.EQUIVOCATION, "request.nonce", sid.hex()[:16], "a fresh nonce for each REQUEST")
        return (
            _inside_offer(body, offer)
            or self._terms(body, admitted.author, now)
            or deadline_open(now, body.cell.window.end_ns, "request.window")
            or self.patience.judge(admitted.author.hash, now)
            or self._within_budget(admitted.author.hash)
            or self._free(body.cell, now)
        )

    def _terms(self, body: Request, user: Subject, now: TimeFix) -> Refusal | None:
        """Everything that this node would refuse to see granted by another, it does not grant itself."""
        return judge_terms(deal_of_request(body, now), self.rule.rule, holder=self.own or user, user=user)

    def _within_budget(self, user: bytes) -> Refusal | None:
        """One user cannot tie up a holder with reservations it never takes up, nor fill its memory with them."""
        theirs = [pair for pair in self.busy.values() if pair.user == user]
        held, most = sum(1 for pair in theirs if pair.live), self.patience.open_max(user, OPEN_MAX)
        if held >= most:
            return refuse(Reason.BUDGET, "request.open", held, f"< {most} open at a time")
        aborted = sum(1 for pair in theirs if pair.state == HolderState.ABORTED)
        if aborted >= ABORTED_MAX:
            return refuse(Reason.BUDGET, "request.aborted", aborted, f"< {ABORTED_MAX} whose windows are not over")
        return None

    def _free(self, cell: Cell, now: TimeFix) -> Refusal | None:
        blocked = self._blocks.on(cell, now)
        if blocked is not None:
            measured = f"{blocked.band} protected until {blocked.until_ns} ns"
            return refuse(Reason.INCUMBENT, "request.incumbent", measured, "a band without incumbent")
        for pair in self.busy.values():
            if not pair.cell.window.overlaps(cell.window) or now.after(pair.busy_until_ns):
                continue
            if not pair.cell.overlaps(cell):
                continue
            return refuse(Reason.CONFLICT, "request.cell", f"{pair.cell.band} held by {pair.sid.hex()[:8]}", "free")
        for signed in self.elsewhere.values():
            if not now.after(signed.until_ns) and signed.cell.overlaps(cell):
                return refuse(Reason.CONFLICT, "request.elsewhere", f"{signed.cell.band} co-signed", "free")
        return None

    def grant(self, work: Work, admitted: Admitted, bound: Bound | None = None) -> HolderPair:
        """Reserve the cell and sign the GRANT, and with it the composite envelope that bounds it."""
        body: Request = admitted.record.body
        terms = self.rule.rule.terms(body.commodity)
        if terms is None:
            raise ValueError(f"class {body.commodity} is not in the rule")
        accept_by_ns = work.now.time.latest_ns + terms.accept_ns
        composite = work.sign(bound.composite) if bound is not None else None
        if bound is not None:
            accept_by_ns = min(accept_by_ns, bound.composite.valid_until_ns)
        grant = Grant(
            sid=settlement_id(self.me, admitted.author.hash, body.nonce, body.cell),
            request=admitted.record.digest,
            user=admitted.author.hash,
            nonce=body.nonce,
            cell=body.cell,
            commodity=body.commodity,
            tier=body.tier,
            max_eirp_mdbm=body.eirp_mdbm,
            price=body.price,
            accept_by_ns=accept_by_ns,
            confirm_by_ns=accept_by_ns + terms.confirm_ns,
            challenge=work.random(32),
            rule=self.rule.hash,
            fence=work.count("fence"),
            lease_ns=min(terms.lease_ns, lease_ceiling_ns(self.rule.rule, body.cell)),
            composite=composite.digest if composite is not None else None,
        )
        record = work.sign(grant)
        pair = HolderPair(
            sid=grant.sid,
            state=HolderState.RESERVED,
            user=grant.user,
            request=grant.request,
            grant=record.digest,
            cell=grant.cell,
            commodity=grant.commodity,
            accept_by_ns=accept_by_ns,
            confirm_by_ns=grant.confirm_by_ns,
            challenge=grant.challenge,
            fence=grant.fence,
            busy_until_ns=grant.cell.window.end_ns,
            renewals=0,
            tier=grant.tier,
            unit=bound.unit.digest if bound is not None else None,
            lease_ns=grant.lease_ns,
        )
        self._save(work, pair)
        work.send(pair.user, record.raw, beside(bound, composite))
        work.event("granted", sid=grant.sid, band=grant.cell.band, user=admitted.author.name)
        return pair

    # -- ACCEPT --------------------------------------------------------------------------------------------------

    def judge_accept(self, admitted: Admitted, now: TimeFix) -> Refusal | None:
        """Is this the ACCEPT that the GRANT asked for, surely in time?"""
        body: Accept = admitted.record.body
        pair = self.pairs.get(body.sid)
        if pair is None or pair.user != admitted.author.hash:
            return refuse(Reason.UNKNOWN_SID, "accept.sid", body.sid.hex()[:16], "a settlement with this author")
        moved = next_holder(HolderState(pair.state), Event.ACCEPT)
        if isinstance(moved, Refusal):
            return _why_not_accepted(pair, admitted.record.digest, moved)
        if body.grant != pair.grant:
            return refuse(Reason.TERMS, "accept.grant", body.grant.hex(), pair.grant.hex())
        if pair.unit is not None and body.envelope != pair.unit:
            named = body.envelope.hex()[:16] if body.envelope is not None else "none"
            return refuse(Reason.ENVELOPE, "accept.envelope", named, pair.unit.hex()[:16])
        moved_away = accepted_from(admitted.record, pair.cell)
        if moved_away is not None:
            return moved_away
        late = deadline_open(now, pair.accept_by_ns, "accept.accept_by")
        return replace(late, reason=Reason.TIMEOUT) if late and late.reason is Reason.EXPIRED else late

    def _confirm(self, work: Work, pair: HolderPair, cosigned: tuple[bytes, ...] = ()) -> None:
        """The commit point."""
        until_ns = self._lease_until(work, pair)
        if pair.accept is None:
            raise ValueError("nothing is confirmed without its ACCEPT")
        body = Confirm(
            sid=pair.sid,
            grant=pair.grant,
            accept=pair.accept,
            transmit_until_ns=until_ns,
            fence=pair.fence,
        )
        record = work.sign(body)
        settled = replace(pair, state=HolderState.CONFIRMED, decision=record.digest, transmit_until_ns=until_ns)
        self._save(work, settled)
        self.patience.taken_up(work, pair.user)
        work.send_settled(pair.user, record, beside=cosigned, reply_to=pair.accept)
        work.event("settled", sid=pair.sid, band=pair.cell.band)

    def abort(self, work: Work, sid: bytes, reason: Reason, accept: bytes | None = None) -> None:
        """The other terminal decision; frees the cell."""
        pair = self.pairs[sid]
        record = work.sign(Abort(sid=sid, grant=pair.grant, reason=reason.value, accept=accept))
        ended = replace(
            pair,
            state=HolderState.ABORTED,
            accept=accept,
            decision=record.digest,
            busy_until_ns=0,
        )
        self._save(work, ended)
        if reason.value in UNANSWERED:
            work.count(FAILED + pair.user.hex())
        if reason in UNTAKEN:
            terms = self.rule.rule.terms(pair.commodity)
            self.patience.failed(work, pair.user, terms.accept_ns if terms is not None else 0)
        work.send(pair.user, record.raw, reply_to=accept)
        for other in pair.asked or ():
            work.pass_on(other, record.raw)
        work.event("aborted", sid=sid, reason=reason.value)

    # -- after the commit ----------------------------------------------------------------------------------------

    def judge_of_user(self, admitted: Admitted, event: Event) -> Refusal | None:
        """RELINQUISH or USAGE: from this settlement's user, in a state that takes it."""
        pair = self.pairs.get(admitted.record.body.sid)
        if pair is None or pair.user != admitted.author.hash or pair.decision != admitted.record.body.confirm:
            return refuse(Reason.UNKNOWN_SID, "pair.sid", admitted.record.body.sid.hex()[:16], "a settlement of both")
        moved = next_holder(HolderState(pair.state), event)
        return moved if isinstance(moved, Refusal) else None

    def relinquished(self, work: Work, admitted: Admitted) -> None:
        """The user says it has stopped; its warden may still go by the lease we signed, so the cell waits for that."""
        pair = self.pairs[admitted.record.body.sid]
        if pair.state == HolderState.ENDED:
            self._save(work, replace(pair, notice=None))
            return
        over_ns = self._lease_over(work, pair)
        self._save(work, replace(pair, state=HolderState.ENDED, busy_until_ns=over_ns, notice=None))
        work.event("ended", sid=pair.sid, reason="relinquished")

    def tick(self, work: Work) -> None:
        """Let deadlines pass: abort what was not accepted, see to the leases, lay aside what is over."""
        now = work.now.time
        late = [p for p in self._held.due(now) if p.state == HolderState.RESERVED and now.after(p.accept_by_ns)]
        for pair in late[:ABORTS_MAX]:
            self.abort(work, pair.sid, Reason.TIMEOUT)
        self._tick_coordination(work)
        self._tick_leases(work)
        self._held.sweep(work)
        self._forget_offers(work)

    def _forget_offers(self, work: Work) -> None:
        """Nobody can ask from an offer whose window is over."""
        over = [name for name, offer in self.offers.items() if work.now.time.after(offer.cell.window.end_ns)]
        for name in over:
            del self.offers[name]
            work.drop(OFFERS, name)


def _why_not_accepted(pair: HolderPair, accept: bytes, out_of_order: Refusal) -> Refusal:
    """An ACCEPT in a state that takes none: a second one, or one that came after the deadline aborted."""
    if pair.accept not in (None, accept):
        return refuse(Reason.EQUIVOCATION, "accept.once", "a second ACCEPT", "one for each sid")
    if pair.state == HolderState.ABORTED:
        return refuse(Reason.TIMEOUT, "accept.accept_by", "after the ABORT", f"before {pair.accept_by_ns} ns")
    return out_of_order


def _inside_offer(body: Request, offer: Declaration) -> Refusal | None:
    cell, offered = body.cell, offer.cell
    checks = (
        ("band", offered.band.holds(cell.band), cell.band, offered.band),
        ("window", offered.window.holds(cell.window), cell.window, offered.window),
        ("area", offered.area.holds(cell.area), cell.area, offered.area),
        ("tier", offer.tier_low <= body.tier <= offer.tier_high, body.tier, f"{offer.tier_low}-{offer.tier_high}"),
        ("eirp", body.eirp_mdbm <= offer.max_eirp_mdbm, body.eirp_mdbm, offer.max_eirp_mdbm),
    )
    for axis, held, measured, required in checks:
        if not held:
            return refuse(Reason.TERMS, f"request.{axis}", measured, required)
    if body.price != offer.price:
        return refuse(Reason.PRICE, "request.price", body.price, offer.price)
    return None
