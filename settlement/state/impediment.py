"""Whether a settlement that waits for a co-signature, or for a radio to fall silent, may still be confirmed."""

from settlement.core.fixes import TimeFix
from settlement.core.reasons import Reason
from settlement.pair.holderpairs import HolderPair
from settlement.state.nodestate import NodeState


def barred(state: NodeState, pair: HolderPair, now: TimeFix) -> Reason | None:
    """Why it may no longer be, or None: its user's standing or the rule has changed since its ACCEPT was taken."""
    user, granted = state.registry.get(pair.user), state.record_of(pair.grant)
    stands = state.status.standing(user, state.registry, now) if user is not None else None
    if stands is not None:
        return stands.reason
    return Reason.TERMS if granted is None or granted.body.rule != state.rule.hash else None
