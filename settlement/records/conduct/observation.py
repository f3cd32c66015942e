"""What a node makes of what another sensed: by the rule's taxonomy, nothing by default.

A report of an incumbent by a level that the rule has us obey closes the bands it names inside its author's area, as our
own finding would, for a bounded time (`pair/blocks`). From a level we only consider it is weighed with what others say
(`weighing`); from any other, and of what a radio can do, it is on record.
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
    """How much of a neighbour's word is taken: "act once checked" was checked by admission, or it was refused there."""
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
    """Close the bands that are reported to hold an incumbent."""
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
    """A node goes by its newest word on each channel, and on its radio."""
    if said.body.kind == PLACE:
        told.rows.update({(PLACES, encode(channel.band)): said.raw for channel in said.body.channels})
    elif said.body.kind == UNIT:
        told.rows[UNITS, UNIT_ROW] = said.raw


CONDUCT = (Conduct(body=Envelope, judge=_judge_envelope, act=_heed, keeps=(PLACES, UNITS), own=_found),)
