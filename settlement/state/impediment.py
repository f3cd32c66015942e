"""Whether a settlement waiting for a co-signature or for silence of a radio may still be confirmed."""

from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason
from settlement.pair.holderpairs import HolderPair
from settlement.state.nodestate import NodeState


def barred(state: NodeState, pair: HolderPair, now: TimeFix) -> Reason | None:
    """Return why a settlement may not be confirmed: its user is revoked or of unknown status, or the rule changed."""
    user, granted = state.registry.get(pair.user), state.record_of(pair.grant)
    stands = state.status.standing(user, state.registry, now) if user is not None else None
    if stands is not None:
        return stands.reason
    return Reason.TERMS if granted is None or granted.body.rule != state.rule.hash else None
