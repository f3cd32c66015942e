"""What a node makes of records that are part of no settlement of its own: by the rule's taxonomy, nothing by default.

A report of an incumbent by a level that the rule has us obey closes the bands it names inside its author's area, as our
own finding would, for a bounded time (`blocks`). From a level we only consider it is weighed with what others say
(`weighing`); from any other it is on record.
"""

from settlement.chain.admission import Admitted, RuleInForce
from settlement.chain.bodies import Envelope
from settlement.chain.taxonomy import Behaviour, behaviour_of
from settlement.core.reasons import Reason
from settlement.pair.holder import Holder
from settlement.pair.work import Work

PROTECTED_TIER = 1
FREE = "free"


def heed(work: Work, holder: Holder, rule: RuleInForce, admitted: Admitted) -> int | None:
    """Act on an admitted envelope; returns how many settlements it displaced, None where it is only to be weighed."""
    body: Envelope = admitted.record.body
    behaviour = behaviour_of(rule.rule, admitted.author.level, admitted.record.typ)
    # "Act once checked" was checked by admission: without a list that vouches for its author it was refused.
    if behaviour is Behaviour.WEIGH:
        return None
    if behaviour not in (Behaviour.ACT, Behaviour.CHECK) or not body.incumbents or not work.now.time.trusted:
        return 0
    if not work.now.time.before(body.valid_until_ns):
        return 0
    displaced = 0
    for channel in body.channels:
        if channel.state != FREE:
            displaced += holder.preempt(
                work,
                channel.band,
                tier=PROTECTED_TIER,
                reason=Reason.INCUMBENT.value,
                until_ns=body.valid_until_ns,
                evidence=admitted.record.digest,
                author=admitted.author.hash,
                area=admitted.author.scope.area,
            )
    work.event("protected", by=admitted.author.name, displaced=displaced)
    return displaced
