"""Verdicts on this node's records: acknowledgements, refusals, and refusals to co-sign.

A receipt is a `verdict` with the reason RECEIVED: the record has arrived, so its author stops sending it again. The
holder acknowledges RELINQUISH, the user SUSPEND and RESUME. The same record always gets the same receipt.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from settlement.chain.codec import cut
from settlement.chain.records import Record
from settlement.core.reasons import Reason, Refusal, refuse
from settlement.pair.handings import Handing
from settlement.pair.holder import STORE as HOLDER
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import UserState
from settlement.pair.user import STORE as USER
from settlement.pair.userpairs import UserPair
from settlement.records.complaint import DisputeAnswer
from settlement.records.conduct.alarms import UNCITED, may_change, verdict_on
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.handover import declined_by
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.conduct.withdrawal import Withdrawn, judge_withdrawn, withdraw
from settlement.records.verdict import APPROVAL_WITHDRAWN, REVIEW_OPENED, Verdict
from settlement.state.assembly import WITHDRAWN
from settlement.state.nodestate import REVIEW


def receive(case: RecordCase) -> None:
    """Acknowledge a record to its author: it is durable here."""
    say_received(case, case.author.hash)


def say_received(case: RecordCase, to: bytes) -> None:
    """Sign a receipt for `to`: send it if `to` is the author or sender of the record, else store it as the answer.

    A stored receipt is sent when the record comes again.
    """
    record = case.record
    body = Verdict(
        subject=record.digest, reason=Reason.RECEIVED.value, clause=f"{record.typ}.received", measured="", required=""
    )
    said = case.step.sign(body)
    if to in (case.author.hash, case.carrier):
        case.step.send(to, said.raw)
    else:
        case.step.keep_answer(record.digest, said.raw)


def say_refused(case: RecordCase, refusal: Refusal) -> None:
    """Answer a refused record with a signed verdict, unless it may be judged otherwise when it comes again.

    A record that cites one which is not here is always answered, as its author can then send the cited record.
    """
    if refusal.clause in UNCITED:
        case.step.pass_on(case.author.hash, case.step.sign(verdict_on(case.record.digest, refusal)).raw)
    elif not may_change(refusal) and not case.step.send_again(case.author.hash, case.record.digest):
        case.step.send(case.author.hash, case.step.sign(verdict_on(case.record.digest, refusal)).raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt for a record of this node; `by` are the credentials of the party that signed the receipt."""

    subject: bytes
    by: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """The other side's refusal of a record of this node that is sent until acknowledged: it is not sent again."""

    subject: bytes
    by: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissent:
    """The refusal of a co-signer to co-sign a settlement of this holder."""

    pair: HolderPair
    reason: Reason


Taken: TypeAlias = Receipt | TurnedDown | Withdrawn | Dissent | Handing | UserPair


def _judge_verdict(case: RecordCase) -> Taken | Refusal:
    body: Verdict = case.body
    if body.reason == Reason.RECEIVED.value:
        return _judge_receipt(case)
    if body.clause == APPROVAL_WITHDRAWN:
        return judge_withdrawn(case)
    line = (case.author.hash, *case.state.registry.line(case.author.hash))
    if case.state.holder.leases.debts.waits_for(body.subject, line):
        return TurnedDown(subject=body.subject, by=line)
    handing = declined_by(case.state, case.author.hash, body.subject)
    if handing is not None:
        return handing
    asked = case.state.holder.cosigning.refusing(case.author.hash, body.subject)
    if asked is not None:
        known = body.reason in list(Reason)
        return Dissent(pair=asked, reason=Reason(body.reason) if known else Reason.QUORUM)
    return case.state.user.judge_verdict(case.admitted)


def _judge_receipt(case: RecordCase) -> Receipt | Refusal:
    """Judge a receipt: for a record of this node that expects one, by the other party of its settlement."""
    state, subject = case.state, case.body.subject
    line = (case.author.hash, *state.registry.line(case.author.hash))
    if state.holder.leases.debts.waits_for(subject, line):
        return Receipt(subject=subject, by=line)
    said = state.record_of(subject)
    if said is not None and said.row.receipted and said.frame.author in {state.identity.credential, *state.former}:
        mine, theirs = state.holder.pairs.get(said.body.sid), state.user.by_sid(said.body.sid)
        others = {mine.user if mine else None, theirs.holder if theirs else None}
        if others & {*state.registry.line(case.author.hash)}:
            return Receipt(subject=subject, by=line)
    return refuse(Reason.UNKNOWN_SID, "receipt.subject", subject.hex()[:16], "a record of ours to the author")


def _take(case: RecordCase, decided: Taken) -> None:
    match decided:
        case Withdrawn(proposal=proposal):
            withdraw(case.state, case.step, proposal, case.record)
            case.step.event("approval withdrawn", proposal=proposal, by=case.author.name)
        case Handing():
            why = cut(f"{case.body.reason} [{case.body.clause}] {case.body.measured}", 64)
            case.state.holder.handings.save(case.step, replace(decided, declined=why))
            case.step.event("not handed on", sid=decided.sid, handover=decided.handover, why=why)
        case Receipt(subject=subject, by=by):
            case.state.holder.leases.debts.heard(case.step, subject, by)
            case.state.holder.heard(case.step, subject)
            case.state.user.heard(case.step, subject)
        case TurnedDown(subject=subject, by=by):
            said, body = case.state.record_of(subject), case.body
            if body.clause in UNCITED:
                _pass_cited(case, said)
                return
            if said is not None and isinstance(said.body, DisputeAnswer) and body.reason == Reason.OUT_OF_ORDER.value:
                return  # a ruling made without this answer is on its way; until then the answer stays unacknowledged
            case.state.holder.leases.debts.heard(case.step, subject, by)
            told = {"reason": body.reason, "clause": body.clause, "measured": body.measured, "required": body.required}
            case.step.event("turned down", typ=said.typ if said is not None else "", by=case.author.name, **told)
        case Dissent(pair=pair, reason=reason):
            case.state.holder.cosigning.dissent(case.step, pair, case.author.hash, reason)
        case UserPair():
            case.state.user.refused(case.step, decided, case.body)
        case other:
            assert_never(other)


def _pass_cited(case: RecordCase, said: Record | None) -> None:
    """Send the records that this node cites and signed itself: the other side never received them."""
    for name in said.body.evidence if said is not None else ():
        cited = case.state.record_of(name)
        if cited is not None and cited.frame.author in case.state.own_line:
            case.step.pass_on(case.author.hash, cited.raw)


def _reviewed(told: Retelling, said: Said) -> None:
    """Store, in a replay, what a node's own verdict states: a review of a settlement, or a withdrawn approval."""
    _withdrawn(told, said)
    if said.body.clause != REVIEW_OPENED:
        return
    for (kind, sid), pair in told.pairs.items():
        if kind == HOLDER and said.body.subject in (pair["decision"], pair["grant"]):
            told.rows[REVIEW, sid] = None


def _withdrawn(told: Retelling, said: Said) -> None:
    if said.body.clause == APPROVAL_WITHDRAWN and said.body.subject in told.said:
        told.rows[WITHDRAWN, said.body.subject] = said.digest


def _refused(told: Retelling, said: Said) -> None:
    _withdrawn(told, said)
    if (USER, said.body.subject) in told.pairs:
        told.pairs[USER, said.body.subject]["state"] = UserState.REFUSED


CONDUCT = (
    Conduct[Taken](body=Verdict, judge=_judge_verdict, act=_take, keeps=(WITHDRAWN,), own=_reviewed, heard=_refused),
)
