"""Handles another node's envelope, by the rule's response to its author's level; by default it is only logged.

A report of an incumbent by a level that the rule has a node obey closes the bands that it names, inside its author's
area, for a bounded time (`pair/blocks`), as this node's own finding would. A report by a level that is only considered
is weighed with those of others (`incumbents`). Other envelopes, and all but place envelopes, are only logged.
"""

from settlement.chain.codec import encode
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.reasons import Reason
from settlement.pair.bounds import PLACES, UNIT_ROW, UNITS
from settlement.records.conduct.base import Conduct, RecordCase
from settlement.records.conduct.incumbents import PROTECTED_TIER, weigh
from settlement.records.conduct.replay import Retelling, Said
from settlement.records.observation import FREE, PLACE, UNIT, Envelope


def _judge_envelope(case: RecordCase) -> Behaviour:
    """Return what to do with an envelope; the check of "act once checked" was made by admission."""
    if case.body.kind != PLACE:
        return Behaviour.KEEP
    return behaviour_of(case.state.rule.rule, case.author.level, case.record.typ)


def _heed(case: RecordCase, behaviour: Behaviour) -> None:
    match behaviour:
        case Behaviour.ACT | Behaviour.CHECK:
            _protect(case)
        case Behaviour.WEIGH:
            weigh(case.state, case.step, case.admitted)
        case Behaviour.KEEP:
            pass


def _protect(case: RecordCase) -> None:
    """Close the bands that a valid report of an incumbent does not call free; settlements in them give way."""
    body: Envelope = case.body
    if not body.incumbents or not case.now.trusted or not case.now.before(body.valid_until_ns):
        return
    displaced = 0
    for channel in body.channels:
        if channel.state != FREE:
            displaced += case.state.holder.preempt(
                case.step,
                channel.band,
                tier=PROTECTED_TIER,
                reason=Reason.INCUMBENT.value,
                until_ns=body.valid_until_ns,
                evidence=case.record.digest,
                author=case.author.hash,
                area=case.author.scope.area,
            )
    case.step.event("protected", by=case.author.name, displaced=displaced)


def _found(told: Retelling, said: Said) -> None:
    """Store, in a replay, this node's newest place envelope of each channel, and its newest unit envelope."""
    if said.body.kind == PLACE:
        told.rows.update({(PLACES, encode(channel.band)): said.raw for channel in said.body.channels})
    elif said.body.kind == UNIT:
        told.rows[UNITS, UNIT_ROW] = said.raw


CONDUCT = (Conduct(body=Envelope, judge=_judge_envelope, act=_heed, keeps=(PLACES, UNITS), own=_found),)
