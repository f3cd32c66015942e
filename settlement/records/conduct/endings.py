"""Handles RELINQUISH (a user gives a settlement back), PREEMPT (its holder takes it back) and the user's USAGE."""

from settlement.chain.codec import cut
from settlement.core.reasons import Reason, Refusal
from settlement.pair.effects import RequestProgress, SettlementNews, WithdrawPermit
from settlement.pair.holderpairs import HolderPair
from settlement.pair.table import Event, HolderState, UserState
from settlement.pair.userpairs import UserPair
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.compensation import note_underpaid
from settlement.records.conduct.fulfilment import credit, reported
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.conduct.verdict import receive
from settlement.records.endings import Preempt, Relinquish, Usage
from settlement.state.reputation import REPUTATION, WEIGHED


def _judge_relinquish(case: RecordCase) -> HolderPair | Refusal:
    return case.state.holder.judge_of_user(case.admitted, Event.RELINQUISH)


def _relinquished(case: RecordCase, pair: HolderPair) -> None:
    case.state.holder.relinquished(case.step, pair)
    receive(case)


def _judge_preempt(case: RecordCase) -> UserPair | Refusal:
    pair = case.state.user.by_sid(case.body.sid)
    granted = case.state.record_of(pair.grant) if pair is not None else None
    return case.state.user.leases.judge_preempt(case.admitted, granted.body if granted else None)


def _displaced(case: RecordCase, pair: UserPair) -> None:
    body: Preempt = case.body
    case.step.event("displaced", sid=body.sid, reason=body.reason, vacate_by_ns=body.vacate_by_ns)
    case.step.ask(RequestProgress(sid=body.sid, news=SettlementNews.DISPLACED, reason=body.reason))
    case.step.ask(WithdrawPermit(sid=body.sid, reason=Reason.PREEMPTED, why=f"by its holder: {body.reason}"))
    note_underpaid(case, pair)
    credit(case, pair)
    if pair.in_force:
        case.state.user.leases.end(case.step, pair, Event.PREEMPT, cut(f"preempted: {body.reason}", 64))


def _judge_usage(case: RecordCase) -> HolderPair | Refusal:
    return case.state.holder.judge_of_user(case.admitted, Event.USAGE)


def _ended_by_us(told: Retelling, said: Said) -> None:
    told.as_holder(said.body.sid, state=HolderState.ENDED)


def _ended(told: Retelling, said: Said) -> None:
    told.as_user(said.body.sid, state=UserState.ENDED)


def _taken_back(told: Retelling, said: Said) -> None:
    _ended(told, said)
    reported(told, said)


CONDUCT = (
    Conduct(body=Relinquish, judge=_judge_relinquish, act=_relinquished, own=_ended, heard=_ended_by_us),
    Conduct(body=Preempt, judge=_judge_preempt, act=_displaced, own=_ended_by_us, heard=_taken_back),
    Conduct(body=Usage, judge=_judge_usage, act=credit, keeps=(REPUTATION, WEIGHED), heard=reported),
)
