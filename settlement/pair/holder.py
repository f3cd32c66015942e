"""The holder's side: offers a band, reserves a cell, decides once, renews the transmit lease, withdraws the settlement.

Judging is pure and comes first; acting signs, stores and sends inside the step's transaction. A cell is busy from the
GRANT until the holder's clock is surely past the end: the holder frees it late, while the user stops early.

Long because one class has the whole of the holder's side, with a helper class for each of its parts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.bodies import Accept, ClassTerms, Declaration, Grant, Request
from settlement.chain.codec import encode
from settlement.chain.credentials import Subject
from settlement.chain.records import Record
from settlement.chain.scope import Band, Cell, Window
from settlement.core.fixes import TimeFix, deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.blocks import BLOCKED, Blocks
from settlement.pair.bounds import Bounds, OwnFaultError, beside
from settlement.pair.coordinator import Coordinated
from settlement.pair.debts import Debts
from settlement.pair.displacement import Displacing, judge_in_the_way
from settlement.pair.envelopes import Bound, covers_offer
from settlement.pair.governed import Governed
from settlement.pair.handings import Handings
from settlement.pair.holdercoordination import CosigningKeeper
from settlement.pair.holderdecision import DecisionKeeper
from settlement.pair.holderlease import LeaseKeeper
from settlement.pair.holdermove import MoveKeeper
from settlement.pair.holderpairs import STORE, HolderPair, HolderPairs
from settlement.pair.jurisdictions import touched_by
from settlement.pair.offered import inside_offer
from settlement.pair.patience import Patience
from settlement.pair.table import Event, HolderState, next_holder
from settlement.pair.terms import deal_of_request, judge_terms, lease_ceiling_ns
from settlement.pair.wholes import WholeDecisions, judge_whole, named_part, own_part
from settlement.pair.windows import accepted_from
from settlement.pair.work import Work, settlement_id, stored_as
from settlement.quorum.decided import UNDECIDED, GroupDecisions

__all__ = ["BLOCKED", "OFFERS", "STORE", "GrantableRequest", "Holder", "HolderPair", "restored_holder"]

OFFERS = "offer"
OPEN_MAX = 8
"""Most reservations and settlements that one user may have open at a time with one holder."""
ABORTED_MAX = 256
"""Most aborted settlements of one user that are remembered because their windows are not over."""
ABORTS_MAX = 64
"""Most deadlines that one step works off; the rest follow in the next, so that no step takes long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantableRequest:
    """A REQUEST that may be granted: its settlement's id, the class terms, and the settlements that it displaces."""

    admitted: Admitted
    sid: bytes
    terms: ClassTerms
    displaces: tuple[Displacing, ...] = ()

    @property
    def author(self) -> Subject:
        """The credential of the user that asks."""
        return self.admitted.author


class Holder:
    """All settlements of one holder, with helpers for decisions, leases, co-signatures and back-off."""

    def __init__(
        self,
        *,
        me: bytes,
        own: Subject | None,
        governed: Governed,
        pairs: HolderPairs,
        offers: dict[bytes, Declaration],
        bounds: Bounds,
        blocks: Blocks,
        patience: Patience,
        decisions: DecisionKeeper,
        leases: LeaseKeeper,
        cosigning: CosigningKeeper,
        handings: Handings,
        elsewhere: Mapping[bytes, Coordinated],
    ) -> None:
        """Build a holder from its parts.

        `own` is this node's credential, `elsewhere` the cells that it has co-signed for other holders.
        """
        self.me, self.own, self.governed = me, own, governed
        self.offers, self.bounds, self.patience, self.elsewhere = offers, bounds, patience, elsewhere
        self.decisions, self.leases, self.cosigning = decisions, leases, cosigning
        self._pairs, self._blocks, self.handings = pairs, blocks, handings
        cosigning.handings = handings
        self.preempt, self.heard = leases.preempt, leases.heard
        self.moves = MoveKeeper(governed=governed, pairs=pairs, leases=leases)

    @property
    def rule(self) -> RuleInForce:
        """The rule in force."""
        return self.governed.rule

    def ruled(self) -> None:
        """Recompute all deadlines, because another rule is in force."""
        self._pairs.ruled()

    @property
    def pairs(self) -> dict[bytes, HolderPair]:
        """Every settlement that is remembered, by its id."""
        return self._pairs.known

    @property
    def busy(self) -> dict[bytes, HolderPair]:
        """The settlements that are not completely over, by id."""
        return self._pairs.busy

    def busy_in(self, window: Window) -> list[HolderPair]:
        """Return the settlements, not completely over, whose windows overlap this one."""
        return self._pairs.busy_in(window)

    def next_due_ns(self) -> int | None:
        """Return when (UTC, ns) a settlement may first need a tick; None where none does."""
        return self._pairs.next_due_ns()

    @property
    def blocked(self) -> dict[Band, int]:
        """Bands kept free for an incumbent, each with the end of its block (UTC, ns)."""
        return self._blocks.bands()

    def declare(self, work: Work, body: Declaration) -> Record:
        """Sign an offer. Raises OwnFaultError where the offer reaches beyond the envelope that it names."""
        envelope = self.bounds.held(body.envelope)
        refusal = covers_offer(envelope, self.me, body, work.now.time.latest_ns, self.rule.rule)
        if refusal is not None:
            raise OwnFaultError(str(refusal))
        record = work.sign(body)
        self.offers[record.digest] = body
        work.put(OFFERS, record.digest, encode(body))
        return record

    # -- REQUEST -------------------------------------------------------------------------------------------------

    def judge_request(self, admitted: Admitted, now: TimeFix) -> GrantableRequest | Refusal:
        """Judge a REQUEST; return the settlement that it may be granted as."""
        body: Request = admitted.record.body
        offer = self.offers.get(body.declaration)
        if offer is None:
            return refuse(Reason.TERMS, "request.declaration", body.declaration.hex(), "an offer of this holder")
        terms = self.rule.rule.terms(body.commodity)
        if terms is None or body.commodity != offer.commodity:
            return refuse(Reason.TERMS, "request.class", body.commodity, offer.commodity)
        moved = self.moves.judge_replacing(body, admitted.author.hash)
        if moved is not None:
            return moved
        sid = settlement_id(self.me, admitted.author.hash, body.nonce, body.cell)
        if sid in self.pairs:
            return refuse(Reason.EQUIVOCATION, "request.nonce", sid.hex()[:16], "a fresh nonce for each REQUEST")
        refusal = (
            judge_whole(body, admitted.author.hash)
            or inside_offer(body, offer, terms)
            or self.handings.judge_request(body, admitted.author.hash)
            or self._terms(body, admitted.author, now)
            or deadline_open(now, body.cell.window.end_ns, "request.window")
            or self.patience.judge(admitted.author.hash, now)
            or self._within_budget(admitted.author.hash)
            or self._barred(body.cell, now)
        )
        if refusal is not None:
            return refusal
        room = judge_in_the_way(self._pairs.busy_in(body.cell.window), body, terms, now)
        if isinstance(room, Refusal):
            return room
        return GrantableRequest(admitted=admitted, sid=sid, terms=terms, displaces=room)

    def _terms(self, body: Request, user: Subject, now: TimeFix) -> Refusal | None:
        """Check the terms by the same function as every other party: this node grants nothing that it would refuse."""
        return judge_terms(deal_of_request(body, now), self.rule.rule, holder=self.own or user, user=user)

    def _within_budget(self, user: bytes) -> Refusal | None:
        """Refuse a user with too many open reservations or too many remembered aborts: bounds blocking and memory."""
        (held, aborted), most = self._pairs.of_user(user), self.patience.open_max(user, OPEN_MAX)
        if held >= most:
            return refuse(Reason.BUDGET, "request.open", held, f"< {most} open at a time")
        if aborted >= ABORTED_MAX:
            return refuse(Reason.BUDGET, "request.aborted", aborted, f"< {ABORTED_MAX} whose windows are not over")
        return None

    def _barred(self, cell: Cell, now: TimeFix) -> Refusal | None:
        """Refuse a cell that is protected for an incumbent, or co-signed for another holder."""
        blocked = self._blocks.on(cell, now)
        if blocked is not None:
            measured = f"{blocked.band} protected until {blocked.until_ns} ns"
            return refuse(Reason.INCUMBENT, "request.incumbent", measured, "a band without incumbent")
        for signed in self.elsewhere.values():
            if not now.after(signed.until_ns) and signed.cell.overlaps(cell):
                return refuse(Reason.CONFLICT, "request.elsewhere", f"{signed.cell.band} co-signed", "free")
        return None

    def grant(
        self,
        work: Work,
        asked: GrantableRequest,
        bound: Bound | None = None,
        decided: GroupDecisions = UNDECIDED,
    ) -> HolderPair:
        """Reserve the cell and sign the GRANT, and with it the composite envelope that bounds the GRANT.

        The GRANT names the group decisions on it, and their records travel beside it.

        Settlements of weaker tiers in the way are displaced first, and their compensation recorded.
        """
        admitted, terms = asked.admitted, asked.terms
        body: Request = admitted.record.body
        for one in asked.displaces:
            self.leases.displace_for(work, one, tier=body.tier, request=admitted.record.digest)
        accept_by_ns = work.now.time.latest_ns + terms.accept_ns
        composite = work.sign(bound.composite) if bound is not None else None
        if bound is not None:
            accept_by_ns = min(accept_by_ns, bound.composite.valid_until_ns)
        grant = Grant(
            sid=asked.sid,
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
            wish=body.part.wish if body.part is not None else None,
            index=body.part.index if body.part is not None else None,
            **named_part(body),
            handover=body.declaration if body.declaration in self.handings else None,
            jurisdictions=tuple(one.record for one in touched_by(self.rule.rule, body.cell)) or None,
            fallback=body.fallback,
            replaces=body.replaces,
            award=decided.award,
            approval=decided.approval,
        )
        record = work.sign(grant)
        asking = HolderPair(
            sid=grant.sid,
            state=HolderState.NONE,
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
            price=grant.price or None,
            currency=terms.currency,
            **own_part(body, self.offers),
            handover=grant.handover,
            fallback=grant.fallback,
        )
        pair = self._pairs.move(work, asking, Event.REQUEST)
        self.handings.granted(work, pair)
        work.send(pair.user, record.raw, (*beside(bound, composite), *decided.beside))
        work.event("granted", sid=grant.sid, band=grant.cell.band, user=admitted.author.name)
        return pair

    # -- ACCEPT --------------------------------------------------------------------------------------------------

    def judge_accept(self, admitted: Admitted, now: TimeFix) -> HolderPair | Refusal:
        """Return the settlement whose GRANT this ACCEPT answers, surely in time."""
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
        return (replace(late, reason=Reason.TIMEOUT) if late and late.reason is Reason.EXPIRED else late) or pair

    # -- after the commit ----------------------------------------------------------------------------------------

    def judge_of_user(self, admitted: Admitted, event: Event) -> HolderPair | Refusal:
        """Return the settlement of a RELINQUISH or USAGE: sent by its user, in a state that allows it."""
        pair = self.pairs.get(admitted.record.body.sid)
        if pair is None or pair.user != admitted.author.hash or pair.decision != admitted.record.body.confirm:
            return refuse(Reason.UNKNOWN_SID, "pair.sid", admitted.record.body.sid.hex()[:16], "a settlement of both")
        moved = next_holder(HolderState(pair.state), event)
        return moved if isinstance(moved, Refusal) else pair

    def relinquished(self, work: Work, pair: HolderPair) -> None:
        """Note that the user stopped; the cell stays busy to the end of the signed lease, which a warden may go by."""
        if pair.state == HolderState.ENDED:
            self._pairs.move(work, pair, Event.RELINQUISH, notice=None)
            return
        self._pairs.move(work, pair, Event.RELINQUISH, busy_until_ns=self.leases.over_ns(work, pair), notice=None)
        work.event("ended", sid=pair.sid, reason="relinquished")

    def tick(self, work: Work) -> None:
        """Process deadlines: abort what was not accepted, renew or end leases, lay aside settlements that are over."""
        now = work.now.time
        due = self._pairs.due(now)
        late = [p for p in due if p.state == HolderState.RESERVED and now.after(p.accept_by_ns)]
        for pair in late[:ABORTS_MAX]:
            self.decisions.abort(work, pair, Event.DEADLINE, Reason.TIMEOUT)
        if due:
            self.cosigning.tick(work)
        self.leases.tick(work)
        if due:
            self._pairs.sweep(work)
        self._forget_offers(work)

    def _forget_offers(self, work: Work) -> None:
        """Delete the offers whose windows are over: nobody can request from them."""
        over = [name for name, offer in self.offers.items() if work.now.time.after(offer.cell.window.end_ns)]
        for name in over:
            del self.offers[name]
            work.drop(OFFERS, name)


def _why_not_accepted(pair: HolderPair, accept: bytes, out_of_order: Refusal) -> Refusal:
    """Return why a settlement's state allows no ACCEPT: a second one, one after the ABORT, or `out_of_order`."""
    if pair.accept not in (None, accept):
        return refuse(Reason.EQUIVOCATION, "accept.once", "a second ACCEPT", "one for each sid")
    if pair.state == HolderState.ABORTED:
        return refuse(Reason.TIMEOUT, "accept.accept_by", "after the ABORT", f"before {pair.accept_by_ns} ns")
    return out_of_order


def restored_holder(
    *,
    me: bytes,
    own: Subject | None,
    governed: Governed,
    bounds: Bounds,
    stored: Iterable[bytes],
    offers: Iterable[tuple[bytes, bytes]],
    blocked: Iterable[tuple[bytes, bytes]],
    failing: Iterable[tuple[bytes, bytes]],
    debts: Iterable[tuple[bytes, bytes]],
    handed: Iterable[tuple[bytes, bytes]],
    elsewhere: Mapping[bytes, Coordinated],
    neighbours: Callable[[Cell], set[bytes]],
) -> Holder:
    """Build a holder with its helpers from stored state. Raises StoredStateError."""
    pairs, blocks, patience = HolderPairs(stored, governed.lease_ns), Blocks(blocked), Patience(failing)
    decisions = WholeDecisions(governed=governed, pairs=pairs, patience=patience)
    return Holder(
        me=me,
        own=own,
        governed=governed,
        pairs=pairs,
        offers={digest: stored_as(Declaration, raw, OFFERS) for digest, raw in offers},
        bounds=bounds,
        blocks=blocks,
        patience=patience,
        decisions=decisions,
        leases=LeaseKeeper(governed=governed, pairs=pairs, blocks=blocks, decisions=decisions, debts=Debts(debts)),
        cosigning=CosigningKeeper(me=me, governed=governed, pairs=pairs, decisions=decisions, neighbours=neighbours),
        handings=Handings(handed),
        elsewhere=elsewhere,
    )
