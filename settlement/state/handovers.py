"""Handing on a node's own leases: offers them, falls silent, confirms, and takes back what ended."""

from dataclasses import dataclass, replace

from settlement.chain.codec import encode
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.fixes import deadline_open
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import VerifiedPermit, verify
from settlement.pair.effects import HandOn, WithdrawPermit
from settlement.pair.handings import Handing
from settlement.pair.handover import consent_needed, judge_handing
from settlement.pair.holder import OFFERS
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import Event, HolderState
from settlement.pair.terms import Deal, judge_terms
from settlement.records.handingterms import TRANSFER
from settlement.records.handover import Handover, Reclaim, Vacated
from settlement.state.impediment import barred
from settlement.state.nodestate import NodeState
from settlement.state.step import Step

SETTLED = (HolderState.CONFIRMED, HolderState.SUSPENDED)
OVER = "the lease it comes from is over"


def lease_of(state: NodeState, sid: bytes) -> VerifiedPermit | Refusal:
    """Return this node's lease in force, verified like anyone's; renewals since the CONFIRM are not in it."""
    pair = state.user.by_sid(sid)
    raw = state.lineage.get("artifact", sid) if pair is not None and pair.in_force else None
    if pair is None or raw is None:
        known = "unknown" if pair is None else (pair.ended or pair.state)
        return refuse(Reason.EXPIRED, "handing.ended", f"{sid.hex()[:16]}: {known}", "a lease of this node in force")
    return verify(raw, network=state.identity.network, anchors=state.registry.anchors)


def rest_of(lease: VerifiedPermit, step: Step) -> Cell:
    """Return the rest of a lease from now on, in whole time units of its class."""
    window, unit_ns = lease.cell.window, lease.terms.time_unit_ns
    left_ns = window.end_ns - max(window.start_ns, step.now.time.latest_ns)
    start_ns = max(window.start_ns, window.end_ns - left_ns // unit_ns * unit_ns)
    return replace(lease.cell, window=replace(window, start_ns=start_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedHandover:
    """An operator's order to hand on a lease: which, how, to whom; None stands for the whole lease."""

    sid: bytes
    kind: str
    to: bytes
    cell: Cell | None = None
    eirp_mdbm: int | None = None
    price: int = 0


def hand_on(state: NodeState, step: Step, wanted: WantedHandover) -> Record | Refusal:
    """Sign a HANDOVER and send it to the party that it names, and to the lease's holder where consent is needed."""
    lease = lease_of(state, wanted.sid)
    if isinstance(lease, Refusal):
        return lease
    pair, terms = state.user.by_sid(wanted.sid), state.rule.rule.terms(lease.terms.name)
    eirp_mdbm = lease.max_eirp_mdbm if wanted.eirp_mdbm is None else wanted.eirp_mdbm
    body = Handover(
        sid=lease.sid,
        confirm=lease.confirm,
        kind=wanted.kind,
        to=wanted.to,
        cell=rest_of(lease, step) if wanted.cell is None else wanted.cell,
        commodity=lease.terms.name,
        tier=lease.tier,
        max_eirp_mdbm=eirp_mdbm,
        price=wanted.price,
        rule=state.rule.hash,
        artifact=state.lineage.get("artifact", wanted.sid) or b"",
    )
    refusal = (
        judge_handing(body, lease.as_parent, terms)
        or eligible(state, step, body, state.identity.credential)
        or state.holder.handings.judge_new(body.sid, body.cell, step.now.time.latest_ns)
    )
    if refusal is not None or pair is None or terms is None or terms.handing is None:
        return refusal or refuse(Reason.TERMS, "handing.class", body.commodity, "a class of the rule")
    record = step.sign(body)
    state.holder.offers[record.digest] = body.offered
    step.put(OFFERS, record.digest, encode(body.offered))
    asks = consent_needed(lease.as_parent, terms)
    state.holder.handings.save(
        step,
        Handing(
            handover=record.digest,
            sid=body.sid,
            kind=body.kind,
            to=body.to,
            cell=body.cell,
            max_eirp_mdbm=body.max_eirp_mdbm,
            tier=body.tier,
            asks=int(asks),
            raw=record.raw,
        ),
    )
    for other in (body.to, *((pair.holder,) if asks else ())):
        step.pass_on(other, record.raw)
    step.event("handed on", kind=body.kind, sid=body.sid, to=body.to, band=body.cell.band)
    return record


def eligible(state: NodeState, step: Step, body: Handover, author: bytes) -> Refusal | None:
    """Refuse a party that the rule or the credentials do not allow to take what is handed on."""
    holder, to, now = state.registry.get(author), state.registry.get(body.to), step.now.time
    if holder is None or to is None:
        return refuse(Reason.UNKNOWN_AUTHOR, "handing.to", body.to.hex()[:16], "an admitted credential")
    if "request" not in to.scope.actions:
        return refuse(Reason.SCOPE, "handing.to", ", ".join(to.scope.actions), "request: a party that may use spectrum")
    deal = Deal(
        cell=body.cell,
        commodity=body.commodity,
        tier=max(body.tier, to.scope.tier),
        eirp_mdbm=body.max_eirp_mdbm,
        price=body.price,
        earliest_ns=now.earliest_ns,
        latest_ns=now.latest_ns,
    )
    return (
        judge_terms(deal, state.rule.rule, holder=holder, user=to)
        or deadline_open(now, body.cell.window.end_ns, "handing.window")
        or state.status.standing(to, state.registry, now)
    )


def silent(state: NodeState, step: Step, handover: bytes, *, earliest_ns: int, latest_ns: int) -> None:
    """Note the warden's report that the radio is silent in the handed-on part, since that interval of UTC (ns)."""
    handing = state.holder.handings.known.get(handover)
    pair = state.user.by_sid(handing.sid) if handing is not None else None
    if handing is None or pair is None or handing.vacated is not None or not handing.open:
        return
    lease = state.record_bytes(pair.lease) if pair.lease is not None else None
    body = Vacated(
        sid=handing.sid,
        handover=handover,
        silent_earliest_ns=earliest_ns,
        silent_latest_ns=latest_ns,
        lease=lease,
    )
    record = step.sign(body)
    until_ns = pair.transmit_until_ns or 0
    state.holder.handings.save(step, replace(handing, vacated=record.digest, until_ns=until_ns))
    step.event("vacated", sid=handing.sid, handover=handover)
    go_on(state, step, handover)


def go_on(state: NodeState, step: Step, handover: bytes) -> None:
    """Confirm a settlement that waited only for silence, unless the user's standing or the rule changed meanwhile."""
    child = _child(state, state.holder.handings.known[handover])
    if child is None or child.state != HolderState.COORDINATING:
        return
    why = barred(state, child, step.now.time)
    if why is not None:
        state.holder.decisions.abort(step, child, Event.BARRED, why, child.accept)
        return
    state.holder.cosigning.decide_when_ready(step, child, state.admitted_of)
    state.witness.take_up(step)


def _child(state: NodeState, handing: Handing) -> HolderPair | None:
    return state.holder.pairs.get(handing.child) if handing.child is not None else None


def tick(state: NodeState, step: Step) -> None:
    """Apply changes of a lease to what was handed on of it; return ended parts to this node."""
    for handing in list(state.holder.handings.known.values()):
        _follow(state, step, handing)


def _follow(state: NodeState, step: Step, handing: Handing) -> None:
    handings, leases, now = state.holder.handings, state.holder.leases, step.now.time
    child, parent = _child(state, handing), state.user.by_sid(handing.sid)
    stands, live = parent is not None and parent.in_force, child is not None and child.live
    if child is not None and live and not stands:
        leases.take_back(step, child, reason=OVER)
    elif child is not None and handing.declined is not None and child.state == HolderState.COORDINATING:
        state.holder.decisions.abort(step, child, Event.VERDICT, Reason.CONSENT, child.accept)
    elif child is not None and parent is not None and parent.suspended is not None:
        leases.pause(step, child, reason=parent.suspended)
    elif child is not None and child.state in SETTLED and handing.settled is None:
        handings.save(step, replace(handing, settled=1))
        if handing.kind == TRANSFER:
            step.ask(WithdrawPermit(sid=handing.sid, reason=Reason.RELINQUISHED, why="its lease is transferred"))
    elif not live and now.after(handing.cell.window.end_ns):
        handings.forget(step, handing.handover)
    elif child is not None and not live and stands and now.after(child.busy_until_ns):
        _take_back(state, step, handing, child)


def _take_back(state: NodeState, step: Step, handing: Handing, child: HolderPair) -> None:
    """Return a failed handover, or a sublease that ended early, to its old user; a completed transfer never returns."""
    gone = handing.kind == TRANSFER and handing.settled is not None
    if handing.reclaim is not None or gone:
        return
    reason = "it came to nothing" if child.state == HolderState.ABORTED else "it ended early"
    record = step.sign(Reclaim(sid=handing.sid, handover=handing.handover, reason=reason))
    state.holder.handings.save(step, replace(handing, reclaim=record.digest))
    if handing.begun is not None:
        step.ask(HandOn(sid=handing.sid, record=record.raw))
    step.event("taken back", sid=handing.sid, handover=handing.handover, reason=reason)
