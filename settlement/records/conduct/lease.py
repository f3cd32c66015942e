"""Handles RENEW, SUSPEND and RESUME at the user: a transmit lease is extended, taken back, or given again."""

from settlement.core.reasons import Refusal
from settlement.pair.table import Event, HolderState, UserState
from settlement.pair.userpairs import UserPair
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.replay import Retelling, Said, longer
from settlement.records.conduct.verdict import receive
from settlement.records.lease import Renew, Resume, Suspend


def _judge_renew(case: RecordCase) -> UserPair | Refusal:
    return case.state.user.leases.judge_lease(case.admitted, Event.RENEW)


def _renew(case: RecordCase, pair: UserPair) -> None:
    case.state.user.leases.renewed(case.step, pair, case.admitted)


def _judge_suspend(case: RecordCase) -> UserPair | Refusal:
    return case.state.user.leases.judge_lease(case.admitted, Event.SUSPEND)


def _suspend(case: RecordCase, pair: UserPair) -> None:
    case.state.user.leases.suspended(case.step, pair, case.admitted)
    case.step.event("paused", sid=pair.sid, reason=case.body.reason)
    receive(case)


def _judge_resume(case: RecordCase) -> UserPair | Refusal:
    return case.state.user.leases.judge_lease(case.admitted, Event.RESUME)


def _resume(case: RecordCase, pair: UserPair) -> None:
    case.state.user.leases.renewed(case.step, pair, case.admitted)
    case.step.event("resumed", sid=pair.sid)
    receive(case)


def _longer_by_us(told: Retelling, said: Said) -> None:
    told.as_holder(said.body.sid, state=HolderState.CONFIRMED, **longer(said.body))
    told.counters["fence"] += 1


def _suspended_by_us(told: Retelling, said: Said) -> None:
    body = said.body
    told.as_holder(body.sid, state=HolderState.SUSPENDED, renewals=body.number, fence=body.fence)
    told.counters["fence"] += 1


def _suspended(told: Retelling, said: Said) -> None:
    body = said.body
    told.as_user(body.sid, state=UserState.SUSPENDED, renewals=body.number, fence=body.fence)


CONDUCT = (
    Conduct(
        body=Renew,
        judge=_judge_renew,
        act=_renew,
        own=_longer_by_us,
        heard=lambda told, said: told.as_user(said.body.sid, **longer(said.body)),
    ),
    Conduct(body=Suspend, judge=_judge_suspend, act=_suspend, own=_suspended_by_us, heard=_suspended),
    Conduct(
        body=Resume,
        judge=_judge_resume,
        act=_resume,
        own=_longer_by_us,
        heard=lambda told, said: told.as_user(said.body.sid, state=UserState.SETTLED, **longer(said.body)),
    ),
)
