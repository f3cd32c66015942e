"""Messages over their sender's share are told of once in a while: to tell of each would cost a share of its own."""

from dataclasses import dataclass, field

from settlement.core.reasons import Reason, Refusal

OVER = "share."
"""Clauses of what is refused before it is looked at."""
AGAIN_NS = 10_000_000_000


@dataclass(slots=True)
class Overdrawn:
    """When each neighbour was last said to be over its share."""

    _said_ns: dict[bytes, int] = field(default_factory=dict)

    def told(self, peer: bytes, refusal: Refusal, now_ns: int) -> bool:
        """Was this told of a short while ago? `now_ns` is monotonic."""
        if refusal.reason is not Reason.BUDGET or not refusal.clause.startswith(OVER):
            return False
        if now_ns < self._said_ns.get(peer, now_ns - AGAIN_NS) + AGAIN_NS:
            return True
        self._said_ns[peer] = now_ns
        return False
