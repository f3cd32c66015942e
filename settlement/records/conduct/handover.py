"""Handles HANDOVER and CONSENT: judged in the same way by the lease's user, its holder and the next user."""

from dataclasses import dataclass, replace

from settlement.chain.admission import Admitted, prove
from settlement.chain.codec import decode, encode
from settlement.chain.records import Record
from settlement.chain.scope import Cell
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.artifact import judge_handed_on, verify
from settlement.pair.handings import Handing
from settlement.pair.handover import HandedOn, judge_granted_under, judge_handover
from settlement.pair.holder import OFFERS
from settlement.pair.table import HolderState
from settlement.pair.user import HANDED
from settlement.records.conduct.alarms import verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.market import OFFERS_MAX
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.handover import Consent, Handover, Vacated
from settlement.state.handovers import SETTLED, eligible, go_on
from settlement.state.messages import Message
from settlement.state.nodestate import NodeState

CONSENTED = "consented"
"""Stored rows: the cells of a settlement whose handing on this holder consented to, by settlement and HANDOVER."""
CONSENTS_MAX = 64
"""Most parts of one lease that are consented to at a time; each new HANDOVER is compared with all of them."""
SWEPT_AT_ONCE = 32

# -- handover ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverHeard:
    """A HANDOVER to this node: an offer that no other node may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consenting:
    """A HANDOVER of a lease that this node granted; this node signs a CONSENT."""

    sid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverShown:
    """A HANDOVER that travels beside a record that refers to it; it needs no answer of this node."""


def _judge_handover(case: RecordCase) -> HandoverHeard | Consenting | HandoverShown | Refusal:
    """Judge a HANDOVER: verify the whole chain of leases in its artifact, then decide by this node's role in it."""
    body: Handover = case.body
    lease = verify(body.artifact, network=case.state.identity.network, anchors=case.state.registry.anchors)
    if isinstance(lease, Refusal):
        return lease
    refusal = judge_handover(case.record, lease.as_parent, case.state.rule.rule.terms(body.commodity))
    refusal = refusal or case.state.rules.judge_above(lease.as_parent.rules)
    refusal = refusal or eligible(case.state, case.step, body, case.author.hash)
    if refusal is not None:
        return refusal
    if body.to in case.state.own_line:
        return _many(case) or HandoverHeard()
    pair = case.state.holder.pairs.get(body.sid)
    if pair is None:
        return HandoverShown()
    if pair.user != case.author.hash or pair.decision != body.confirm:
        return refuse(Reason.UNKNOWN_SID, "handing.sid", body.sid.hex()[:16], "a settlement of both")
    if pair.state not in SETTLED:
        state = HolderState(pair.state).name
        return refuse(Reason.EXPIRED, "handing.ended", f"{body.sid.hex()[:16]}: {state}", "a settlement in force")
    if not case.state.consents:
        return _not_wanted(case.author.name)
    if case.state.lends(pair):
        # The user's warden can state that its own radio is silent, but not that the base stations are.
        return refuse(
            Reason.CONSENT, "handing.lent", "lent to base stations of this node", "a lease of no base station"
        )
    return _consented_before(case, pair.sid) or Consenting(sid=pair.sid)


def _consented_before(case: RecordCase, sid: bytes) -> Refusal | None:
    """Refuse a HANDOVER that overlaps a part already consented to, whose window is not over."""
    held = 0
    for key, raw in case.state.lineage.items_from(CONSENTED, sid):
        cell = decode(Cell, raw, CONSENTED)
        if not isinstance(cell, Cell) or case.now.after(cell.window.end_ns):
            continue
        held += 1
        if cell.overlaps(case.body.cell):
            measured = f"{cell.band} by {key[len(sid) :].hex()[:16]}"
            return refuse(Reason.CONFLICT, "handing.consented", measured, "a part that no other HANDOVER may take")
    if held < CONSENTS_MAX:
        return None
    return refuse(Reason.BUDGET, "handing.consents", held, f"< {CONSENTS_MAX} parts of one lease at a time")


def _note_consent(case: RecordCase, sid: bytes) -> None:
    """Store a consented cell; delete cells whose window is over: all of this lease, and some of other leases."""
    lineage, start = case.state.lineage, case.record.digest
    rows = dict(lineage.items_from(CONSENTED, sid)) | dict(lineage.items_above(CONSENTED, start, SWEPT_AT_ONCE))
    for key, raw in rows.items():
        cell = decode(Cell, raw, CONSENTED)
        if not isinstance(cell, Cell) or case.now.after(cell.window.end_ns):
            case.step.drop(CONSENTED, key)
    case.step.put(CONSENTED, sid + case.record.digest, encode(case.body.cell))


def _many(case: RecordCase) -> Refusal | None:
    """Refuse a HANDOVER to this node where OFFERS_MAX offers of its author are stored already."""
    theirs = [one for one in case.state.user.offers.values() if one.holder == case.author.hash]
    held = sum(1 for one in theirs if not case.now.after(one.body.cell.window.end_ns))
    return None if held < OFFERS_MAX else refuse(Reason.BUDGET, "handing.held", held, f"< {OFFERS_MAX} of one author")


def _not_wanted(author: str) -> Refusal:
    return refuse(Reason.CONSENT, "handing.consent", f"asked by {author}", "a holder that consents: its configuration")


def _take_handover(case: RecordCase, decided: HandoverHeard | Consenting | HandoverShown) -> None:
    match decided:
        case HandoverHeard():
            case.state.user.hear(case.admitted)
            case.step.put(HANDED, case.record.digest, case.record.raw)
            case.step.event("offer", holder=case.author.name, band=case.body.cell.band)
        case Consenting(sid=sid):
            consent = case.step.sign(Consent(sid=sid, handover=case.record.digest))
            _note_consent(case, sid)
            case.step.send(case.author.hash, consent.raw)
            case.step.event("consented", sid=sid, to=case.body.to)
        case HandoverShown():
            pass


def _decline(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused HANDOVER with a signed verdict; the same bytes get the same answer."""
    author, subject = case.author.hash, case.record.digest
    if not case.step.send_again(author, subject):
        case.step.send(author, case.step.sign(verdict_on(subject, refusal)).raw)


def _handed_on(told: Retelling, said: Said) -> None:
    told.rows[OFFERS, said.digest] = encode(said.body.offered)


# -- the other side's answers ------------------------------------------------------------------------------------------


def _judge_consent(case: RecordCase) -> Handing | Refusal | None:
    """Judge a CONSENT: by the holder of the lease, for a HANDOVER of this node.

    None for another node's HANDOVER that is known here: its CONSENT travels beside a CONFIRM and is judged with that.
    """
    body: Consent = case.body
    handing = case.state.holder.handings.known.get(body.handover)
    if handing is None:
        known = case.state.record_of(body.handover, admitted=True)
        unknown = refuse(Reason.UNKNOWN_SID, "consent.handover", body.handover.hex()[:16], "a HANDOVER known here")
        return unknown if known is None else None
    pair = case.state.user.by_sid(handing.sid)
    if pair is None or handing.sid != body.sid or case.author.hash != pair.holder:
        return refuse(Reason.CONSENT, "consent.author", case.author.name, "the holder of the lease")
    return handing


def _take_consent(case: RecordCase, handing: Handing | None) -> None:
    if handing is not None:
        case.state.holder.handings.save(case.step, replace(handing, consent=case.record.digest))
        go_on(case.state, case.step, handing.handover)


def declined_by(state: NodeState, author: bytes, subject: bytes) -> Handing | None:
    """Return this node's HANDOVER that a verdict refuses, if its author is the lease's holder or the next user."""
    handing = state.holder.handings.known.get(subject)
    pair = state.user.by_sid(handing.sid) if handing is not None else None
    asked = handing is not None and author in (handing.to, pair.holder if pair is not None else None)
    return handing if asked else None


# -- the next user -----------------------------------------------------------------------------------------------------


def judge_under(state: NodeState, grant: Record) -> Refusal | None:
    """Refuse a GRANT that exceeds the HANDOVER that it names; None where it names none."""
    name = grant.body.handover
    if name is None:
        return None
    handover = state.record_of(name, admitted=True)
    if handover is None or not isinstance(handover.body, Handover):
        return refuse(Reason.UNKNOWN_SID, "grant.handover", name.hex()[:16], "a HANDOVER known here")
    lease = verify(handover.body.artifact, network=state.identity.network, anchors=state.registry.anchors)
    if isinstance(lease, Refusal):
        return lease
    beyond = state.rules.judge_above(lease.as_parent.rules)
    if beyond is not None:
        return beyond
    return judge_granted_under(grant, handover, lease.as_parent, state.rule.rule.terms(grant.body.commodity))


def handed_beside(state: NodeState, message: Message, grant: Admitted, confirm: Admitted) -> HandedOn | Refusal | None:
    """Return HANDOVER, VACATED and CONSENT behind a CONFIRM, judged; None if its GRANT names no HANDOVER."""
    name = grant.record.body.handover
    if name is None:
        return None
    handover = state.record_bytes(name)
    found = [one for one in (prove(raw, state.registry) for raw in message.beside or ()) if isinstance(one, Admitted)]
    vacated = next((one.record.raw for one in found if isinstance(one.record.body, Vacated)), None)
    consent = next((one.record.raw for one in found if isinstance(one.record.body, Consent)), None)
    if handover is None or vacated is None:
        return refuse(Reason.PROOF, "confirm.vacated", "absent", "the old user's word that its radio is silent")
    handed = HandedOn(handover=handover, vacated=vacated, consent=consent)
    held = state.rules.known(grant.record.body.rule)
    body = state.record_of(name)
    if held is None or body is None:
        return refuse(Reason.RULE_UNKNOWN, "confirm.rule", grant.record.body.rule.hex()[:16], "a rule known here")
    lease = verify(body.body.artifact, network=state.identity.network, anchors=state.registry.anchors)
    if isinstance(lease, Refusal):
        return lease
    judged = judge_handed_on(handed, (grant, confirm), lease, state.registry, held.rule)
    return judged if isinstance(judged, Refusal) else handed


CONDUCT = (
    Conduct[HandoverHeard | Consenting | HandoverShown](
        body=Handover,
        judge=_judge_handover,
        act=_take_handover,
        refused=_decline,
        own=_handed_on,
    ),
    Conduct[Handing | None](body=Consent, judge=_judge_consent, act=_take_consent),
)
